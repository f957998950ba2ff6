#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use runtime::tls::Peer;

use super::*;
use crate::nodes::{Arrival, Connection};
use crate::store::fixture;

fn replica(store: &Arc<dyn Store>, name: &str) -> (Arc<Replicas>, Arc<Nodes>) {
    let nodes = Arc::new(Nodes::default());
    let replicas = Replicas::new(store.clone(), nodes.clone(), name, &format!("{name}:7700"));
    (replicas, nodes)
}

fn connect(nodes: &Nodes, name: &str, revision: u64) -> Connection {
    let arrival = Arrival {
        peer: Peer::edge(name).unwrap(),
        certificate_ends_unix_ms: 0,
        version: String::new(),
        revision,
        addresses: Vec::new(),
    };
    nodes.connect(arrival).unwrap()
}

async fn tell(replica: &Replicas) {
    replica.tell(&replica.summary()).await.unwrap();
}

#[tokio::test]
async fn each_learns_what_the_others_say_of_their_nodes() {
    let (store, _dir) = fixture::embedded();
    let ((one, _), (two, nodes)) = (replica(&store, "cp-1"), replica(&store, "cp-2"));
    nodes.head_moved(7, None);
    connect(&nodes, "a", 7);
    let behind = connect(&nodes, "b", 5);
    nodes.rejected(&behind, 7, vec!["GH2001 no".to_owned()]);
    tell(&two).await;
    one.learn(0).await.unwrap();
    let others = one.others();
    assert_eq!(others.len(), 1);
    let summary = &others[0].summary;
    assert_eq!((summary.head, summary.live, summary.lowest), (7, 2, 5));
    let b = summary.nodes[0].status("cp-2", 7);
    assert_eq!((b.name.as_str(), b.state.as_str()), ("b", "rejected"));
    assert_eq!(b.faults, ["GH2001 no"]);
    let states: Vec<_> = one.list().into_iter().map(|r| r.state).collect();
    assert_eq!(states, ["here", "live"]);
    two.learn(0).await.unwrap();
    assert!(two.others().is_empty(), "a replica is no other to itself");
}

#[tokio::test]
async fn who_is_gone_is_kept_as_long_as_its_nodes_may_live_or_until_they_are_elsewhere() {
    let (store, _dir) = fixture::embedded();
    let ((one, ours), (two, theirs)) = (replica(&store, "cp-1"), replica(&store, "cp-2"));
    connect(&theirs, "a", 1);
    tell(&two).await;
    one.learn(0).await.unwrap();
    store.delete(vec![two.key()]).await.unwrap();
    for (now, known) in [
        (1000, 1),
        (1000 + clock::ms(LIVE), 1),
        (1001 + clock::ms(LIVE), 0),
    ] {
        one.learn(now).await.unwrap();
        assert_eq!(one.others().len(), known, "at {now}");
    }
    tell(&two).await;
    one.learn(0).await.unwrap();
    store.delete(vec![two.key()]).await.unwrap();
    connect(&ours, "a", 1);
    one.learn(1).await.unwrap();
    assert!(one.others().is_empty(), "its only node has come here");
}

#[tokio::test]
async fn a_replica_that_comes_back_under_another_name_takes_the_place_of_the_old_one() {
    let (store, _dir) = fixture::embedded();
    let (one, _) = replica(&store, "cp-1");
    let (old, nodes) = replica(&store, "cp-2");
    connect(&nodes, "a", 1);
    tell(&old).await;
    one.learn(0).await.unwrap();
    store.delete(vec![old.key()]).await.unwrap();
    let new = Replicas::new(store.clone(), Arc::default(), "cp-9", "cp-2:7700");
    tell(&new).await;
    one.learn(1).await.unwrap();
    let names: Vec<_> = one.others().iter().map(|o| o.name.clone()).collect();
    assert_eq!(names, ["cp-9"]);
}

#[test]
fn a_summary_of_many_names_those_that_are_furthest_behind() {
    let nodes = Nodes::default();
    for n in 0..1200 {
        connect(&nodes, &format!("n{n}"), if n == 1199 { 3 } else { 9 });
    }
    let summary = Summary::of("cp:1", 9, nodes.live(), None);
    assert!(!summary.is_whole());
    assert_eq!(
        (summary.live, summary.lowest, summary.nodes.len()),
        (1200, 3, 1000)
    );
    assert_eq!(summary.nodes[0].name, "n1199");
    assert_eq!(Summary::decode(&summary.encode()).unwrap(), summary);
    assert!(summary.encode().len() < crate::store::VALUE_BYTES_MAX);
}
