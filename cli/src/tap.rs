//! `gatehouse tap`: calls as they come, and why none comes.
//!
//! Reads the audit record, so that it shows what is on record and nothing else.

use std::time::Duration;

use proto::v1::{CallFilter, ListNodesResponse, NodeKind, ServerStatus, TailCallsRequest};

use crate::again::Again;
use crate::app::App;
use crate::audit::row::{self, View};
use crate::audit::{Outcome, outcome};
use crate::fault::{Failure, Fault};
use crate::get;
use crate::key;
use crate::link::Link;
use crate::nodes;
use crate::server;
use crate::show::{nearest, shell_word};

/// How long nothing may come before it is said why.
const QUIET: Duration = Duration::from_secs(5);

/// Show calls as they come, from the audit record, until Ctrl-C; where none comes, why.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse tap
  gatehouse tap everything
  gatehouse tap everything --tool echo --outcome deny
  gatehouse tap --user ana@example.com -o json

See also: gatehouse audit list, gatehouse call, gatehouse explain")]
pub struct Args {
    /// Calls to this server only
    pub server: Option<String>,
    /// Calls of this user
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// Calls of this tool, prompt or resource URI
    #[arg(long, value_name = "TOOL")]
    pub tool: Option<String>,
    /// Calls with this decision
    #[arg(long, value_enum)]
    pub outcome: Option<Outcome>,
}

/// Runs the command.
///
/// # Errors
/// No connection at first, or a token that is not good any more.
pub async fn run(args: Args, app: &App) -> Result<(), Failure> {
    let context = app.context()?;
    let mut link = Link::connect(&context).await?;
    let known = nodes::all(&link).await?;
    app.show
        .note(&format!("{}; {}", args.words(), answering(&known)));
    let mut again = Again::new(&app.show, &context);
    let mut quiet = Quiet::default();
    loop {
        let lost = session(&link, &args, app, &mut again, &mut quiet).await;
        if app.show.is_closed() {
            return Ok(());
        }
        link = again.after(lost).await?;
    }
}

/// Whether it was said why nothing comes.
#[derive(Debug, Default)]
struct Quiet {
    is_over: bool,
}

/// One connection's life; why it ended.
async fn session(
    link: &Link,
    args: &Args,
    app: &App,
    again: &mut Again<'_>,
    quiet: &mut Quiet,
) -> Option<Fault> {
    let request = TailCallsRequest {
        filter: Some(args.filter()),
        ..TailCallsRequest::default()
    };
    let mut calls = match link.audit().tail_calls(request).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return Some(link.fault(&status)),
    };
    again.good();
    loop {
        let call = match tokio::time::timeout(QUIET, calls.message()).await {
            Err(_) if quiet.is_over => continue,
            Err(_) => {
                quiet.is_over = true;
                app.show.note(&why(link, args).await);
                continue;
            }
            Ok(Ok(Some(call))) => call,
            Ok(Ok(None)) => return None,
            Ok(Err(status)) => return Some(link.fault(&status)),
        };
        quiet.is_over = true;
        if app.show.is_json() {
            app.show.json_line(&View::of(&call));
        } else {
            app.show.line(&row::line(&app.show, &call));
        }
        if app.show.is_closed() {
            return None;
        }
    }
}

impl Args {
    fn filter(&self) -> CallFilter {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        CallFilter {
            server: text(&self.server),
            user: text(&self.user),
            tool: text(&self.tool),
            outcome: self.outcome.map(outcome).unwrap_or_default().to_owned(),
            ..CallFilter::default()
        }
    }

    /// What is watched: `watching calls to everything by ana, decision deny`.
    fn words(&self) -> String {
        let target = match (&self.server, &self.tool) {
            (Some(server), Some(tool)) => format!("{server}/{tool}"),
            (Some(server), None) => server.clone(),
            (None, Some(tool)) => format!("{tool} of any server"),
            (None, None) => "every server".to_owned(),
        };
        let by = self.user.as_deref().unwrap_or("everybody");
        let decision = self.outcome.map_or_else(String::new, |decision| {
            format!(", decision {}", outcome(decision))
        });
        format!("watching calls to {target} by {by}{decision}")
    }
}

/// `1 of 1 edges and 2 of 3 sidecars answer`.
fn answering(nodes: &ListNodesResponse) -> String {
    let count = |kind: NodeKind| {
        let of_kind = || nodes.nodes.iter().filter(|node| node.kind() == kind);
        (
            of_kind().filter(|node| node.live).count(),
            of_kind().count(),
        )
    };
    let ((edges, all_edges), (sidecars, all_sidecars)) =
        (count(NodeKind::Edge), count(NodeKind::Sidecar));
    format!("{edges} of {all_edges} edges and {sidecars} of {all_sidecars} sidecars answer")
}

/// Why nothing comes, as far as that can be known.
async fn why(link: &Link, args: &Args) -> String {
    let nodes = nodes::all(link).await.unwrap_or_default();
    let servers: Vec<String> = get::all(link, model::wire::SERVER)
        .await
        .unwrap_or_default()
        .into_iter()
        .filter_map(|resource| Some(resource.metadata?.name))
        .collect();
    let status = match &args.server {
        Some(name) if servers.contains(name) => {
            let statuses = server::statuses(link, name).await.unwrap_or_default();
            server::one_each(statuses).next()
        }
        _ => None,
    };
    let users: Vec<String> = key::keys(link)
        .await
        .unwrap_or_default()
        .into_iter()
        .map(|key| key.user)
        .collect();
    reason(args, &nodes, &servers, status.as_ref(), &users)
}

fn reason(
    args: &Args,
    nodes: &ListNodesResponse,
    servers: &[String],
    status: Option<&ServerStatus>,
    users: &[String],
) -> String {
    if !nodes.nodes.iter().any(|node| node.live) {
        return "no edge or sidecar is live, so no call can come: gatehouse nodes".to_owned();
    }
    if let Some(name) = args.server.as_ref().filter(|name| !servers.contains(name)) {
        let near = nearest(name, servers.iter().map(String::as_str));
        let offer = near.map_or_else(
            || "gatehouse get Server".to_owned(),
            |near| format!("did you mean {near}?"),
        );
        return format!("there is no server {name:?}, so no call to it can come: {offer}");
    }
    if let (Some(name), Some(status)) = (&args.server, status)
        && status.state != "ready"
    {
        let name = shell_word(name);
        return format!(
            "no call came yet; the server is {}: gatehouse server status {name}",
            status.state
        );
    }
    if let Some(user) = args.user.as_ref().filter(|user| !users.contains(user)) {
        let near = nearest(user, users.iter().map(String::as_str));
        let offer = near.map_or_else(
            || format!("gatehouse key create --user {}", shell_word(user)),
            |near| format!("did you mean {near}?"),
        );
        return format!("no API key is for user {user:?}, so none of theirs can come: {offer}");
    }
    let narrowed = args.tool.is_some() || args.outcome.is_some() || args.user.is_some();
    let others = if narrowed { " that fits" } else { "" };
    format!("no call{others} came yet; nodes are live. Earlier ones: gatehouse audit list")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::v1::NodeStatus;

    fn args() -> Args {
        Args {
            server: None,
            user: None,
            tool: None,
            outcome: None,
        }
    }

    fn nodes(live: bool) -> ListNodesResponse {
        let node = |kind: NodeKind, live| NodeStatus {
            kind: kind.into(),
            live,
            ..NodeStatus::default()
        };
        ListNodesResponse {
            revision: 1,
            nodes: vec![node(NodeKind::Edge, live), node(NodeKind::Sidecar, false)],
            ..ListNodesResponse::default()
        }
    }

    fn why(args: &Args, live: bool, status: Option<&str>) -> String {
        let status = status.map(|state| ServerStatus {
            state: state.to_owned(),
            ..ServerStatus::default()
        });
        let (servers, users) = (["everything".to_owned()], ["ana".to_owned()]);
        reason(args, &nodes(live), &servers, status.as_ref(), &users)
    }

    #[test]
    fn what_is_watched_and_who_answers_is_said() {
        assert_eq!(
            args().words(),
            "watching calls to every server by everybody"
        );
        let narrow = Args {
            server: Some("everything".to_owned()),
            tool: Some("echo".to_owned()),
            user: Some("ana".to_owned()),
            outcome: Some(Outcome::Deny),
        };
        assert_eq!(
            narrow.words(),
            "watching calls to everything/echo by ana, decision deny"
        );
        assert_eq!(
            answering(&nodes(true)),
            "1 of 1 edges and 0 of 1 sidecars answer"
        );
    }

    #[test]
    fn silence_has_a_reason() {
        assert!(why(&args(), false, None).starts_with("no edge or sidecar is live"));
        let of = |server: &str| Args {
            server: Some(server.to_owned()),
            ..args()
        };
        assert!(why(&of("evrything"), true, None).ends_with("did you mean everything?"));
        assert!(why(&of("everything"), true, Some("backoff")).contains("the server is backoff"));
        let user = Args {
            user: Some("anna".to_owned()),
            ..args()
        };
        assert!(why(&user, true, None).ends_with("did you mean ana?"));
        assert!(why(&args(), true, None).contains("nodes are live"));
    }
}
