//! How things stand with what is waited for. Pure: is handed what was asked, answers whether that is it.

use proto::v1::{ListNodesResponse, NodeStatus, Resource, ServerStatus};

use super::Goal;
use crate::rollout::{concerned, node_name};

/// How things stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) is_met: bool,
    /// Whether it is there, as far as that is known.
    pub(super) exists: bool,
    pub(super) text: String,
    /// What runs on, as a download does: no reason for a new line.
    running: String,
}

impl State {
    pub(super) fn unknown() -> Self {
        Self::open("nothing is known of it yet")
    }

    pub(super) fn open(text: impl Into<String>) -> Self {
        Self {
            is_met: false,
            exists: false,
            text: text.into(),
            running: String::new(),
        }
    }

    /// What runs on, after the text.
    pub(super) fn more(&self) -> String {
        match self.running.as_str() {
            "" => String::new(),
            running => format!(": {running}"),
        }
    }

    fn of(is_met: bool, text: impl Into<String>) -> Self {
        Self {
            is_met,
            exists: true,
            text: text.into(),
            running: String::new(),
        }
    }
}

/// A node, by its name.
pub(super) fn of_node(node: Option<&NodeStatus>, name: &str, head: u64, goal: Goal) -> State {
    let Some(node) = node else {
        let text = format!("there is no node {name}");
        return State {
            is_met: goal == Goal::Deleted,
            ..State::open(text)
        };
    };
    let text = match node.state.as_str() {
        "current" => format!("current, at revision {}", node.revision),
        state => format!("{state}, at revision {} of {head}", node.revision),
    };
    let is_met = match goal {
        Goal::Ready => node.live && node.state == "current",
        Goal::Deleted => false,
        Goal::Revision(revision) => node.live && node.revision >= revision,
    };
    State::of(is_met, text)
}

/// A resource, with what runs where it is a server.
pub(super) fn of_resource(
    kind: &str,
    name: &str,
    resource: Option<&Resource>,
    nodes: &ListNodesResponse,
    status: Option<&ServerStatus>,
    goal: Goal,
) -> State {
    let Some(resource) = resource else {
        let text = format!("there is no {kind} {name}");
        return State {
            is_met: goal == Goal::Deleted,
            ..State::open(text)
        };
    };
    let own = resource.metadata.as_ref().map_or(0, |m| m.revision);
    let wanted = match goal {
        Goal::Ready => own,
        Goal::Deleted => return State::of(false, format!("it is there, at revision {own}")),
        Goal::Revision(revision) => revision,
    };
    let concerned = concerned(&nodes.nodes, kind, name);
    let current = concerned
        .iter()
        .filter(|n| n.revision >= wanted && n.held != wanted)
        .count();
    let live = concerned.len();
    if live == 0 {
        return State::of(false, "no edge or sidecar that it concerns is live");
    }
    if current < live {
        let rejecting = concerned.iter().find(|node| node.state == "rejected");
        let text = match rejecting {
            Some(node) => format!("{} rejects it", node_name(node)),
            None => format!("revision {wanted} is on {current} of {live} nodes"),
        };
        return State::of(false, text);
    }
    let on_all = format!("revision {wanted} is on {current} of {live} nodes");
    match status {
        Some(status) if status.state != "ready" => {
            let message = status.message.replace('\n', " ");
            let running = Some(message).filter(|message| *message != status.state);
            State {
                running: running.unwrap_or_default(),
                ..State::of(false, status.state.clone())
            }
        }
        // A server of which nothing is heard takes no calls.
        None if kind == model::wire::SERVER && goal == Goal::Ready => {
            State::of(false, "nothing is heard of it")
        }
        _ => State::of(true, on_all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::v1::{Metadata, NodeKind};

    fn node(server: &str, revision: u64) -> NodeStatus {
        NodeStatus {
            name: format!("{server}-1"),
            kind: if server.is_empty() {
                NodeKind::Edge.into()
            } else {
                NodeKind::Sidecar.into()
            },
            server: server.to_owned(),
            revision,
            state: "current".to_owned(),
            live: true,
            ..NodeStatus::default()
        }
    }

    fn nodes(nodes: Vec<NodeStatus>) -> ListNodesResponse {
        ListNodesResponse {
            revision: 9,
            nodes,
            ..ListNodesResponse::default()
        }
    }

    fn at(revision: u64) -> Resource {
        Resource {
            metadata: Some(Metadata {
                revision,
                ..Metadata::default()
            }),
            ..Resource::default()
        }
    }

    fn status(state: &str) -> ServerStatus {
        ServerStatus {
            state: state.to_owned(),
            message: "12 MB".to_owned(),
            ..ServerStatus::default()
        }
    }

    #[test]
    fn what_is_not_there_is_waited_for_unless_that_is_wanted() {
        let of = |goal| of_resource("Filter", "x", None, &nodes(vec![node("", 9)]), None, goal);
        assert!(!of(Goal::Ready).is_met);
        assert_eq!(of(Goal::Ready).text, "there is no Filter x");
        assert!(of(Goal::Deleted).is_met);
    }

    #[test]
    fn a_server_is_ready_when_nodes_have_it_and_it_takes_calls() {
        let of = |revision, state: &str| {
            let nodes = nodes(vec![node("", 9), node("time", 9), node("other", 1)]);
            let (resource, status) = (at(revision), status(state));
            of_resource(
                "Server",
                "time",
                Some(&resource),
                &nodes,
                Some(&status),
                Goal::Ready,
            )
        };
        assert!(of(9, "ready").is_met);
        let installing = of(9, "installing");
        assert_eq!(
            (installing.text.as_str(), installing.more().as_str()),
            ("installing", ": 12 MB")
        );
        assert_eq!(of(10, "ready").text, "revision 10 is on 0 of 2 nodes");
    }

    #[test]
    fn a_rule_concerns_every_node() {
        let nodes = nodes(vec![node("", 9), node("other", 8)]);
        let of = |goal| of_resource("AccessRule", "x", Some(&at(9)), &nodes, None, goal);
        assert_eq!(of(Goal::Ready).text, "revision 9 is on 1 of 2 nodes");
        assert!(of(Goal::Revision(8)).is_met);
        assert!(!of(Goal::Deleted).is_met);
    }

    #[test]
    fn a_node_is_ready_when_it_is_current() {
        let behind = NodeStatus {
            state: "behind".to_owned(),
            ..node("", 8)
        };
        assert!(of_node(Some(&node("", 9)), "x", 9, Goal::Ready).is_met);
        let state = of_node(Some(&behind), "x", 9, Goal::Ready);
        assert_eq!(
            (state.is_met, state.text.as_str()),
            (false, "behind, at revision 8 of 9")
        );
        assert!(of_node(None, "x", 9, Goal::Deleted).is_met);
    }
}
