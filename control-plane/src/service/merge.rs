//! What several replicas answered, as one answer. Pure.

use std::collections::BTreeMap;

use proto::v1 as pb;
use tonic::Response;

use crate::replicas::Answers;

/// Nodes of all replicas. Of a node that several know, the one counts that has heard of it last: its stream ends
/// there.
pub(super) fn nodes(
    here: String,
    ours: pb::ListNodesResponse,
    answers: Answers<Response<pb::ListNodesResponse>>,
) -> pb::ListNodesResponse {
    let theirs = answers
        .answers
        .into_iter()
        .map(|(replica, answer)| (replica, answer.into_inner().nodes));
    let mut merged: BTreeMap<String, pb::NodeStatus> = BTreeMap::new();
    for (replica, nodes) in std::iter::once((here, ours.nodes)).chain(theirs) {
        for mut node in nodes {
            node.replica.clone_from(&replica);
            match merged.get(&node.name) {
                Some(known) if known.seen_unix_ms >= node.seen_unix_ms => {}
                _ => drop(merged.insert(node.name.clone(), node)),
            }
        }
    }
    pb::ListNodesResponse {
        revision: ours.revision,
        nodes: merged.into_values().collect(),
        absent: answers.absent,
    }
}

/// What runs for servers, by all replicas. A replica without a sidecar of a server says so; that counts only where
/// no other has one.
pub(super) fn servers(
    ours: pb::GetServerStatusResponse,
    answers: Answers<Response<pb::GetServerStatusResponse>>,
) -> pb::GetServerStatusResponse {
    let theirs = answers
        .answers
        .into_iter()
        .flat_map(|(_, answer)| answer.into_inner().servers);
    let mut rows: BTreeMap<(String, String), pb::ServerStatus> = BTreeMap::new();
    for row in ours.servers.into_iter().chain(theirs) {
        let key = (row.server.clone(), row.node.clone());
        match rows.get(&key) {
            Some(known) if known.since_unix_ms >= row.since_unix_ms => {}
            _ => drop(rows.insert(key, row)),
        }
    }
    let running = |row: &pb::ServerStatus| row.state != ABSENT;
    let served: Vec<String> = rows
        .values()
        .filter(|row| running(row))
        .map(|row| row.server.clone())
        .collect();
    let mut servers: Vec<pb::ServerStatus> = Vec::new();
    for row in rows.into_values() {
        let is_first = servers.last().is_none_or(|last| last.server != row.server);
        if running(&row) || (!served.contains(&row.server) && is_first) {
            servers.push(row);
        }
    }
    pb::GetServerStatusResponse {
        servers,
        absent: answers.absent,
    }
}

/// The state of a server that nobody runs.
const ABSENT: &str = "absent";

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, seen_unix_ms: i64) -> pb::NodeStatus {
        pb::NodeStatus {
            name: name.to_owned(),
            seen_unix_ms,
            ..Default::default()
        }
    }

    fn row(server: &str, node: &str, state: &str) -> pb::ServerStatus {
        pb::ServerStatus {
            server: server.to_owned(),
            node: node.to_owned(),
            state: state.to_owned(),
            ..Default::default()
        }
    }

    fn answered<T>(answer: T) -> Answers<Response<T>> {
        let absent = pb::AbsentReplica {
            replica: "cp-3".to_owned(),
            ..Default::default()
        };
        Answers {
            answers: vec![("cp-2".to_owned(), Response::new(answer))],
            absent: vec![absent],
        }
    }

    #[test]
    fn a_node_stands_once_where_it_was_heard_of_last() {
        let list = |nodes| pb::ListNodesResponse {
            revision: 1,
            nodes,
            absent: Vec::new(),
        };
        let ours = list(vec![node("a", 5), node("moved", 1)]);
        let theirs = list(vec![node("b", 5), node("moved", 2)]);
        let merged = nodes("cp-1".to_owned(), ours, answered(theirs));
        let seen: Vec<_> = merged
            .nodes
            .iter()
            .map(|n| (n.name.as_str(), n.replica.as_str()))
            .collect();
        assert_eq!(seen, [("a", "cp-1"), ("b", "cp-2"), ("moved", "cp-2")]);
        assert_eq!(merged.absent.len(), 1);
    }

    #[test]
    fn a_server_is_absent_only_where_no_replica_has_it() {
        let list = |servers| pb::GetServerStatusResponse {
            servers,
            absent: Vec::new(),
        };
        let ours = list(vec![row("a", "", ABSENT), row("b", "", ABSENT)]);
        let theirs = list(vec![row("a", "n1", "ready"), row("b", "gone", ABSENT)]);
        let merged = servers(ours, answered(theirs)).servers;
        let seen: Vec<_> = merged
            .iter()
            .map(|r| (r.server.as_str(), r.state.as_str()))
            .collect();
        assert_eq!(seen, [("a", "ready"), ("b", ABSENT)]);
    }
}
