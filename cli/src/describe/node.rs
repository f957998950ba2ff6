//! The sheet of a node: what it runs, what it rejected, what it served.

use proto::v1::{Call, CallFilter, ListNodesResponse, NodeKind, NodeStatus};
use serde_json::json;

use super::Ground;
use super::sheet::Sheet;
use crate::check;
use crate::nodes;
use crate::server;
use crate::when;

/// All of it.
pub(super) async fn describe(ground: &Ground, node: &NodeStatus) -> Sheet {
    let head = ground.nodes.revision;
    let kind = nodes::kind(node.kind());
    let title = format!("node {}   {kind} {}", node.name, node.server);
    let mut sheet = Sheet::new("node", &node.name, title.trim_end().to_owned());
    let alone = ListNodesResponse {
        revision: head,
        nodes: vec![node.clone()],
        ..ListNodesResponse::default()
    };
    sheet.problems(check::nodes::silent(&ground.nodes, node));
    sheet.problems(check::nodes::current(&alone));
    sheet.problems(check::nodes::certificates(&alone));
    let mut lines = vec![
        format!(
            "runs         revision {}, the head is {head}",
            node.revision
        ),
        format!(
            "state        {} for {}",
            node.state,
            when::age(node.since_unix_ms)
        ),
        format!("heard of     {} ago", when::age(node.seen_unix_ms)),
        format!(
            "certificate  good for {}",
            when::until(node.certificate_ends_unix_ms)
        ),
        format!("version      {}", node.version),
    ];
    if !node.addresses.is_empty() {
        lines.push(format!("addresses    {}", node.addresses.join(", ")));
    }
    sheet.lines("state", lines);
    sheet.set("node", json!(nodes::View::of(node, head)));
    if node.kind() == NodeKind::Sidecar {
        let statuses = server::statuses(&ground.link, &node.server).await;
        let mut statuses = statuses.unwrap_or_default();
        statuses.retain(|status| status.node == node.name);
        sheet.table(
            "its server",
            server::table(&statuses, false),
            "it has said nothing of it",
        );
        let views: Vec<_> = statuses.iter().map(server::View::of).collect();
        sheet.set("server", json!(views.first()));
    }
    let filter = CallFilter {
        server: node.server.clone(),
        ..CallFilter::default()
    };
    // A call is shown with the node of its first hop: where an edge stood before, that is the edge.
    let is_edge = node.kind() == NodeKind::Edge;
    let here = |call: &Call| !is_edge || call.node == node.name;
    let calls = ground.calls(filter, here).await;
    let title = if is_edge {
        "last calls"
    } else {
        "last calls of its server"
    };
    sheet.calls(title, calls.as_deref(), "none of the last 1000");
    sheet
}
