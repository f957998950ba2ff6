//! Edges and sidecars: heard of, at the head revision, with certificates that are renewed.

use std::collections::BTreeSet;

use proto::v1::{ListNodesResponse, NodeKind, NodeStatus};

use super::control::{RENEWED_BELOW, left};
use super::report::Finding;
use super::table::{NODES_CERTS, NODES_CURRENT, NODES_LIVE};
use crate::rollout::node_name;
use crate::show::shell_word;
use crate::when;

fn describe(node: &NodeStatus) -> String {
    format!("gatehouse describe node {}", shell_word(&node.name))
}

/// `2 edges, 3 sidecars`.
fn count<'a>(nodes: impl Iterator<Item = &'a NodeStatus>) -> String {
    let (mut edges, mut sidecars) = (0, 0);
    for node in nodes {
        match node.kind() {
            NodeKind::Edge => edges += 1,
            NodeKind::Sidecar => sidecars += 1,
            NodeKind::Unspecified => {}
        }
    }
    [
        crate::source::plural(edges, "edge"),
        crate::source::plural(sidecars, "sidecar"),
    ]
    .join(", ")
}

/// That one node is silent, as [`live`] would say.
pub(crate) fn silent(all: &ListNodesResponse, node: &NodeStatus) -> Vec<Finding> {
    let servers = [node.server.clone()].into();
    let name = node_name(node);
    let mut found = live(all, &servers);
    found.retain(|finding| finding.subject.as_deref() == Some(&name));
    found
}

/// Who is live, where `servers` are those of the catalog.
pub(crate) fn live(answer: &ListNodesResponse, servers: &BTreeSet<String>) -> Vec<Finding> {
    let is_live = |node: &&NodeStatus| node.live;
    let mut found = Vec::new();
    for node in answer.nodes.iter().filter(|node| !node.live) {
        let mut same = answer.nodes.iter().filter(is_live);
        let replaced = node.kind() == NodeKind::Sidecar
            && (same.any(|other| other.server == node.server) || !servers.contains(&node.server));
        if replaced {
            // A leftover: another stands before the server, or there is no such server any more.
            continue;
        }
        let message = format!("was not heard of for {}", when::age(node.seen_unix_ms));
        let finding = if node.kind() == NodeKind::Sidecar {
            Finding::fail(NODES_LIVE, message)
        } else {
            Finding::warn(NODES_LIVE, message)
        };
        found.push(finding.about(node_name(node)).fix(describe(node)));
    }
    let mut edges = answer.nodes.iter().filter(is_live);
    if !edges.any(|node| node.kind() == NodeKind::Edge) {
        // One cause, one line: why each edge is silent is not said again.
        found.retain(|finding| finding.verdict == super::report::Verdict::Fail);
        found.insert(
            0,
            Finding::fail(NODES_LIVE, "no edge is live: no client can connect")
                .fix("gatehouse nodes"),
        );
    } else if found.is_empty() {
        let live = count(answer.nodes.iter().filter(is_live));
        found.push(Finding::ok(NODES_LIVE, live));
    }
    found
}

/// Who runs the head.
pub(crate) fn current(answer: &ListNodesResponse) -> Vec<Finding> {
    let mut found = Vec::new();
    for node in answer.nodes.iter().filter(|node| node.live) {
        match node.state.as_str() {
            "rejected" => {
                let message = format!(
                    "rejects revision {} and runs {}",
                    node.rejected_revision, node.revision
                );
                let finding = Finding::fail(NODES_CURRENT, message)
                    .about(node_name(node))
                    .why(node.faults.join("\n"));
                found.push(finding.fix(describe(node)));
            }
            "behind" => {
                let message = format!(
                    "is behind by {} for {}",
                    answer.revision.saturating_sub(node.revision),
                    when::age(node.since_unix_ms)
                );
                let finding = Finding::warn(NODES_CURRENT, message).about(node_name(node));
                found.push(finding.passing());
            }
            _ => {}
        }
    }
    if found.is_empty() {
        let held = answer
            .nodes
            .iter()
            .filter(|node| node.live && node.held != 0);
        let message = match (held.clone().next(), held.count()) {
            (Some(node), held) => format!(
                "all as they are to be; revision {} is held back from {} (gatehouse rollout status)",
                node.held,
                crate::source::plural(held, "node")
            ),
            (None, _) => format!("all at revision {}", answer.revision),
        };
        found.push(Finding::ok(NODES_CURRENT, message));
    }
    found
}

/// Whose certificate is not renewed.
pub(crate) fn certificates(answer: &ListNodesResponse) -> Vec<Finding> {
    let mut found = Vec::new();
    let live = || answer.nodes.iter().filter(|node| node.live);
    for node in live() {
        let left = left(node.certificate_ends_unix_ms);
        if left.is_zero() {
            let finding = Finding::fail(NODES_CERTS, "its certificate has ended");
            found.push(finding.about(node_name(node)));
        } else if left < RENEWED_BELOW {
            let message = format!("its certificate ends in {}", when::span(left));
            let finding = Finding::warn(NODES_CERTS, message).about(node_name(node));
            found.push(finding.why("it is renewed by half of its 24 hours, and was not"));
        }
    }
    let first = live().map(|node| node.certificate_ends_unix_ms).min();
    if let (true, Some(first)) = (found.is_empty(), first) {
        let message = format!("the first ends in {}", when::until(first));
        found.push(Finding::ok(NODES_CERTS, message));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::report::Verdict;
    use super::*;

    fn node(name: &str, server: &str, live: bool, state: &str) -> NodeStatus {
        NodeStatus {
            name: name.to_owned(),
            kind: if server.is_empty() {
                NodeKind::Edge.into()
            } else {
                NodeKind::Sidecar.into()
            },
            server: server.to_owned(),
            live,
            state: state.to_owned(),
            revision: 13,
            seen_unix_ms: when::now_unix_ms() - 60_000,
            since_unix_ms: when::now_unix_ms() - 12_000,
            certificate_ends_unix_ms: when::now_unix_ms() + 20 * 3_600_000,
            ..NodeStatus::default()
        }
    }

    fn all(nodes: Vec<NodeStatus>) -> ListNodesResponse {
        ListNodesResponse {
            revision: 14,
            nodes,
            ..ListNodesResponse::default()
        }
    }

    fn servers() -> BTreeSet<String> {
        ["time".to_owned()].into()
    }

    fn verdicts(found: &[Finding]) -> Vec<(Verdict, Option<&str>)> {
        found
            .iter()
            .map(|finding| (finding.verdict, finding.subject.as_deref()))
            .collect()
    }

    #[test]
    fn without_a_live_edge_there_is_one_red_line() {
        let nodes = all(vec![node("edge-1", "", false, "silent")]);
        assert_eq!(verdicts(&live(&nodes, &servers())), [(Verdict::Fail, None)]);
        assert_eq!(
            verdicts(&live(&all(Vec::new()), &servers())),
            [(Verdict::Fail, None)]
        );
    }

    #[test]
    fn a_silent_sidecar_fails_unless_another_stands_there_or_its_server_is_gone() {
        let edge = || node("edge-1", "", true, "current");
        let silent = node("time-1", "time", false, "silent");
        let nodes = all(vec![edge(), silent.clone()]);
        assert_eq!(
            verdicts(&live(&nodes, &servers())),
            [(Verdict::Fail, Some("sidecar/time"))]
        );
        let nodes = all(vec![
            edge(),
            silent,
            node("time-2", "time", true, "current"),
        ]);
        assert_eq!(verdicts(&live(&nodes, &servers())), [(Verdict::Ok, None)]);
        let nodes = all(vec![edge(), node("old-1", "old", false, "silent")]);
        assert_eq!(verdicts(&live(&nodes, &servers())), [(Verdict::Ok, None)]);
        let nodes = all(vec![edge(), node("edge-2", "", false, "silent")]);
        assert_eq!(
            verdicts(&live(&nodes, &servers())),
            [(Verdict::Warn, Some("edge/edge-2"))]
        );
    }

    #[test]
    fn a_rejection_shows_its_faults_and_what_to_type() {
        let mut rejecting = node("time-1", "time", true, "rejected");
        rejecting.faults = vec!["GH2101 no tool".to_owned()];
        rejecting.rejected_revision = 14;
        let found = current(&all(vec![rejecting, node("edge-1", "", true, "behind")]));
        assert_eq!(found[0].message, "rejects revision 14 and runs 13");
        assert_eq!(found[0].why.as_deref(), Some("GH2101 no tool"));
        assert_eq!(
            found[0].fix.as_deref(),
            Some("gatehouse describe node time-1")
        );
        assert!(found[1].passing && found[1].verdict == Verdict::Warn);
        assert!(found[1].message.starts_with("is behind by 1 for "));
    }

    #[test]
    fn a_certificate_that_is_not_renewed_shows() {
        let mut late = node("edge-1", "", true, "current");
        late.certificate_ends_unix_ms = when::now_unix_ms() + 3_600_000;
        let mut ended = node("time-1", "time", true, "current");
        ended.certificate_ends_unix_ms = 1;
        let found = certificates(&all(vec![late, ended]));
        assert_eq!(
            verdicts(&found),
            [
                (Verdict::Warn, Some("edge/edge-1")),
                (Verdict::Fail, Some("sidecar/time"))
            ]
        );
        let good = certificates(&all(vec![node("edge-1", "", true, "current")]));
        assert_eq!(verdicts(&good), [(Verdict::Ok, None)]);
    }
}
