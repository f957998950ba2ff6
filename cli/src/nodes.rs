//! `gatehouse nodes`: every edge and sidecar, what it runs, and whether it took the last revision.

use proto::v1::{ListNodesRequest, ListNodesResponse, NodeKind, NodeStatus};
use serde::Serialize;
use serde_json::json;

use crate::absent;
use crate::app::App;
use crate::codes;
use crate::fault::{Failure, Fault};
use crate::link::Link;
use crate::show::{Format, Meaning, Table, nearest};
use crate::when;

/// Show every edge and sidecar: revision, age, and whether it took the last revision or rejected it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse nodes
  gatehouse nodes -o wide
  gatehouse nodes edge-1f2e3d4c
  gatehouse nodes -o json

STATE: current (runs the head revision), without N (revision N is rolled out to others first), behind N (that many revisions), rejected (said no to a revision
and goes on with the one before), silent (not heard of for 15 s).

See also: gatehouse server status, gatehouse apply --wait")]
pub struct Args {
    /// One node only, with what it said to the revision that it rejected
    pub name: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// No connection, or no node of that name.
pub async fn run(args: Args, app: &App) -> Result<(), Failure> {
    let answer = all(&app.link().await?).await?;
    let chosen: Vec<&NodeStatus> = match &args.name {
        Some(name) => vec![find(&answer, name)?],
        None => answer.nodes.iter().collect(),
    };
    if app.show.is_json() {
        let items: Vec<View<'_>> = chosen
            .iter()
            .map(|node| View::of(node, answer.revision))
            .collect();
        app.show
            .json(&json!({"revision": answer.revision, "items": items,
                          "absent": absent::json(&answer.absent)}));
        return Ok(());
    }
    absent::note(&app.show, &answer.absent, "its nodes");
    let table = table(&chosen, answer.revision, app.show.format() == Format::Wide);
    app.show.table(
        &table,
        "no edge or sidecar has joined yet: gatehouse node token create --kind edge",
    );
    for node in chosen {
        for fault in &node.faults {
            app.show.note(&format!(
                "{} rejects revision {}: {fault}",
                node.name, node.rejected_revision
            ));
        }
    }
    Ok(())
}

/// All nodes, and the head revision.
///
/// # Errors
/// No answer.
pub async fn all(link: &Link) -> Result<ListNodesResponse, Fault> {
    let answer = link.admin().list_nodes(ListNodesRequest::default()).await;
    answer
        .map(tonic::Response::into_inner)
        .map_err(|status| link.fault(&status))
}

/// The node of that name, else the nearest that there is.
pub(crate) fn find<'a>(answer: &'a ListNodesResponse, name: &str) -> Result<&'a NodeStatus, Fault> {
    answer
        .nodes
        .iter()
        .find(|node| node.name == name)
        .ok_or_else(|| {
            let fault = Fault::new(codes::NO_SUCH, format!("there is no node {name:?}"));
            match nearest(name, answer.nodes.iter().map(|node| node.name.as_str())) {
                Some(near) => fault.why(format!("did you mean {near}?")),
                None => fault,
            }
            .fix("gatehouse nodes")
        })
}

pub(crate) const fn kind(node: NodeKind) -> &'static str {
    match node {
        NodeKind::Edge => "edge",
        NodeKind::Sidecar => "sidecar",
        NodeKind::Unspecified => "",
    }
}

/// The state in words, and what it means.
fn state(node: &NodeStatus, head: u64) -> (String, Meaning) {
    match node.state.as_str() {
        "current" => ("current".to_owned(), Meaning::Good),
        "held" => (format!("without {}", node.held), Meaning::Good),
        "behind" => (
            format!("behind {}", head.saturating_sub(node.revision)),
            Meaning::Look,
        ),
        "rejected" => ("rejected".to_owned(), Meaning::Act),
        other => (other.to_owned(), Meaning::Look),
    }
}

/// Nodes as a table.
pub(crate) fn table(nodes: &[&NodeStatus], head: u64, wide: bool) -> Table {
    let mut header = vec![
        "NAME", "KIND", "SERVER", "REVISION", "STATE", "SINCE", "CERT", "VERSION",
    ];
    if wide {
        header.extend(["SEEN", "ADDRESSES"]);
    }
    let mut table = Table::new(&header);
    for node in nodes {
        let plain = |text: String| (text, Meaning::Plain);
        let mut cells = vec![
            plain(node.name.clone()),
            plain(kind(node.kind()).to_owned()),
            plain(node.server.clone()),
            plain(node.revision.to_string()),
            state(node, head),
            plain(when::age(node.since_unix_ms)),
            plain(when::until(node.certificate_ends_unix_ms)),
            plain(node.version.clone()),
        ];
        if wide {
            cells.extend([
                plain(when::age(node.seen_unix_ms)),
                plain(node.addresses.join(",")),
            ]);
        }
        table.cells(cells);
    }
    table
}

/// A node as programs read it.
#[derive(Debug, Serialize)]
pub(crate) struct View<'a> {
    name: &'a str,
    kind: &'a str,
    server: Option<&'a str>,
    revision: u64,
    state: &'a str,
    behind: u64,
    live: bool,
    since: Option<String>,
    seen: Option<String>,
    certificate_ends: Option<String>,
    version: &'a str,
    addresses: &'a [String],
    rejected_revision: Option<u64>,
    faults: &'a [String],
}

impl<'a> View<'a> {
    pub(crate) fn of(node: &'a NodeStatus, head: u64) -> Self {
        Self {
            name: &node.name,
            kind: kind(node.kind()),
            server: Some(node.server.as_str()).filter(|server| !server.is_empty()),
            revision: node.revision,
            state: &node.state,
            behind: head.saturating_sub(node.revision),
            live: node.live,
            since: when::rfc3339_ms(node.since_unix_ms),
            seen: when::rfc3339_ms(node.seen_unix_ms),
            certificate_ends: when::rfc3339_ms(node.certificate_ends_unix_ms),
            version: &node.version,
            addresses: &node.addresses,
            rejected_revision: Some(node.rejected_revision).filter(|revision| *revision != 0),
            faults: &node.faults,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(state: &str, revision: u64) -> NodeStatus {
        NodeStatus {
            state: state.to_owned(),
            revision,
            kind: NodeKind::Edge.into(),
            ..NodeStatus::default()
        }
    }

    #[test]
    fn a_node_that_is_behind_says_how_far() {
        assert_eq!(
            state(&node("behind", 12), 14),
            ("behind 2".to_owned(), Meaning::Look)
        );
        assert_eq!(state(&node("rejected", 13), 14).1, Meaning::Act);
        assert_eq!(state(&node("silent", 14), 14).0, "silent");
    }

    #[test]
    fn both_tables_are_even() {
        let node = node("current", 14);
        for wide in [false, true] {
            assert!(table(&[&node], 14, wide).is_even());
        }
    }

    #[test]
    fn programs_get_null_for_what_never_was() {
        let view = serde_json::to_value(View::of(&node("current", 14), 14)).unwrap_or_default();
        assert_eq!(view["server"], serde_json::Value::Null);
        assert_eq!(view["rejected_revision"], serde_json::Value::Null);
        assert_eq!(view["kind"], "edge");
    }
}
