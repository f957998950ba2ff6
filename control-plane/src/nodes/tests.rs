#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::*;

fn arrival(peer: Peer, revision: u64) -> Arrival {
    Arrival {
        peer,
        certificate_ends_unix_ms: 1,
        version: "0.1.0".to_owned(),
        revision,
        addresses: vec!["127.0.0.1:1".to_owned()],
    }
}

fn edge(revision: u64) -> Arrival {
    arrival(Peer::edge("edge-1").unwrap(), revision)
}

fn state(nodes: &Nodes) -> String {
    nodes.list()[0].state.clone()
}

#[test]
fn a_node_is_current_behind_or_rejected() {
    let nodes = Nodes::default();
    nodes.head_moved(3, None);
    let connection = nodes.connect(edge(0)).unwrap();
    assert_eq!(state(&nodes), "behind");
    nodes.acknowledged(&connection, 3);
    assert_eq!(state(&nodes), "current");
    nodes.head_moved(4, None);
    assert_eq!(state(&nodes), "behind");
    nodes.rejected(&connection, 4, vec!["GH2001 no such thing".to_owned()]);
    let shown = &nodes.list()[0];
    assert_eq!(
        (
            shown.state.as_str(),
            shown.rejected_revision,
            shown.revision
        ),
        ("rejected", 4, 3)
    );
    assert_eq!(shown.faults, ["GH2001 no such thing"]);
    // A heartbeat with the old revision does not make a refusal good; a later revision taken does.
    nodes.heartbeat(&connection, &beat(3));
    assert_eq!(state(&nodes), "rejected");
    nodes.head_moved(5, None);
    nodes.acknowledged(&connection, 5);
    assert_eq!(state(&nodes), "current");
    assert!(nodes.list()[0].faults.is_empty());
}

#[test]
fn the_end_of_an_old_stream_does_not_end_the_new_one() {
    let nodes = Nodes::default();
    let old = nodes.connect(edge(1)).unwrap();
    let new = nodes.connect(edge(1)).unwrap();
    assert!(old.replaced.is_cancelled() && !new.replaced.is_cancelled());
    nodes.disconnect(&old);
    nodes.acknowledged(&old, 99);
    assert_eq!(
        nodes.list()[0].revision,
        1,
        "an old stream speaks for nobody"
    );
    assert!(nodes.table.lock().entries["edge-1"].connected.is_some());
    nodes.disconnect(&new);
    assert!(nodes.table.lock().entries["edge-1"].connected.is_none());
}

#[test]
fn silent_nodes_are_shown_then_forgotten() {
    let nodes = Nodes::default();
    let connection = nodes.connect(edge(1)).unwrap();
    nodes.disconnect(&connection);
    let ago = |by: Duration| {
        nodes
            .table
            .lock()
            .entries
            .get_mut("edge-1")
            .unwrap()
            .seen_unix_ms = clock::now_ms() - clock::ms(by);
    };
    assert!(nodes.list()[0].live, "it was heard of just now");
    ago(LIVE + Duration::from_secs(1));
    assert_eq!(state(&nodes), "silent");
    assert!(!nodes.list()[0].live);
    ago(FORGET_AFTER + Duration::from_secs(1));
    assert!(nodes.list().is_empty());
}

#[test]
fn when_full_the_longest_silent_makes_room_and_a_live_one_never() {
    let nodes = Nodes::default();
    for n in 0..NODES_MAX {
        nodes
            .connect(arrival(Peer::edge(&format!("edge-{n}")).unwrap(), 0))
            .unwrap();
    }
    let another = || arrival(Peer::edge("edge-new").unwrap(), 0);
    assert_eq!(nodes.connect(another()).unwrap_err(), Full);
    let long_ago = clock::now_ms() - clock::ms(LIVE) - 1000;
    nodes
        .table
        .lock()
        .entries
        .get_mut("edge-7")
        .unwrap()
        .seen_unix_ms = long_ago;
    nodes.connect(another()).unwrap();
    let table = nodes.table.lock();
    assert!(table.entries.len() == NODES_MAX && !table.entries.contains_key("edge-7"));
}

#[test]
fn servers_show_their_sidecars_or_that_there_is_none() {
    let nodes = Nodes::default();
    let (everything, time) = (
        ServerName::new("everything").unwrap(),
        ServerName::new("time").unwrap(),
    );
    let peer = Peer::sidecar(everything.clone(), "everything-1").unwrap();
    let connection = nodes.connect(arrival(peer, 0)).unwrap();
    let rows = || nodes.servers([&everything, &time].into_iter());
    let states = |rows: &[pb::ServerStatus]| -> Vec<String> {
        rows.iter().map(|r| r.state.clone()).collect()
    };
    assert_eq!(states(&rows()), ["starting", "absent"]);
    let said = pb::ServerStatus {
        server: "time".to_owned(),
        node: "someone-else".to_owned(),
        state: "ready".to_owned(),
        stderr: (0..50).map(|n| n.to_string()).collect(),
        ..Default::default()
    };
    nodes.server_status(&connection, said);
    let rows = rows();
    assert_eq!(states(&rows), ["ready", "absent"]);
    assert_eq!(
        (rows[0].server.as_str(), rows[0].node.as_str()),
        ("everything", "everything-1")
    );
    assert_eq!(
        rows[0].stderr.first().unwrap(),
        "40",
        "the last lines are kept"
    );
}

fn beat(revision: u64) -> pb::Heartbeat {
    pb::Heartbeat {
        revision,
        ..Default::default()
    }
}
