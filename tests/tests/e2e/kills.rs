//! Processes are killed with -9, one at a time, under load: nobody but whoever was just being served notices.

use std::time::{Duration, Instant};

use tests::catalog;
use tests::cluster::Running;
use tests::cluster::verdict::{Kill, Verdict};
use tests::rpc::Modern;

use crate::stage;

/// How long everything may take to be back.
const BACK: Duration = Duration::from_secs(10);
/// Load before the first kill, and after each.
const PAUSE: Duration = Duration::from_secs(3);

#[test]
#[ignore = "make e2e: it kills everything in turn"]
fn a_change_is_live_on_all_nodes_when_wait_returns_whichever_replica_is_asked() {
    let cluster = stage::cluster().start();
    let key = stage::key(&cluster);
    let urls = cluster.edge_urls("slow");
    for turn in 0..10 {
        let through = turn % 2;
        let deny = catalog::deny_tool("no-counting", stage::GROUP, "slow", "cancelled");
        cluster.apply(through, &[deny]);
        for url in &urls {
            let tools = Modern::new(url, &key).tools();
            assert_eq!(tools, ["sleep"], "turn {turn}, {url}");
        }
        for other in 0..2 {
            cluster.is_settled(other).expect("all nodes run it");
        }
        let words = ["delete", "AccessRule", "no-counting", "--wait"];
        cluster.gatehouse(1 - through, &words).good();
        for url in &urls {
            let tools = Modern::new(url, &key).tools();
            assert_eq!(tools, ["sleep", "cancelled"], "turn {turn}, {url}");
        }
    }
}

#[test]
#[ignore = "make e2e: it kills everything in turn"]
fn whatever_is_killed_under_load_costs_only_its_own_calls_and_is_back_in_ten_seconds() {
    let mut cluster = stage::cluster().start();
    let key = stage::key(&cluster);
    let load = cluster.load(&key, &stage::targets());
    load.go_on(PAUSE);

    let mut kills = Vec::new();
    let mut back = Vec::new();
    let leader = cluster.etcd.leader();
    let follower = (leader + 1) % cluster.etcd.len();
    for index in [follower, leader] {
        let kill = cluster.kill_member(index);
        let since = kill.gap.gone;
        writable(&cluster, since);
        cluster.etcd.launch_member(index);
        back.push((kill.name.clone(), all_back(&mut cluster, since)));
        kills.push(kill);
        load.go_on(PAUSE);
    }
    let steps: [fn(&mut Running) -> Kill; 4] = [
        |cluster| {
            let kill = cluster.kill_control_plane(0);
            writable_through(cluster, 1, kill.gap.gone);
            cluster.control_planes[0].launch();
            kill
        },
        |cluster| {
            let kill = cluster.kill_edge(0);
            cluster.edges[0].launch();
            kill
        },
        |cluster| {
            let kill = cluster.kill_sidecar(0);
            cluster.sidecars[0].launch();
            kill
        },
        // The only one of its server.
        |cluster| {
            let kill = cluster.kill_sidecar(2);
            cluster.sidecars[2].launch();
            kill
        },
    ];
    for step in steps {
        let kill = step(&mut cluster);
        back.push((kill.name.clone(), all_back(&mut cluster, kill.gap.gone)));
        kills.push(kill);
        load.go_on(PAUSE);
    }
    let verdict = Verdict::of(load.finish());
    stage::tell(&format!(
        "{verdict}back: {back:?}\ncost: {:?}",
        verdict.cost(&kills)
    ));
    verdict.only_lost_with(&kills);
    for (name, time) in back {
        assert!(
            time <= BACK,
            "{name} was killed, and all was back in {time:?}"
        );
    }
}

/// A change can be made through either control plane.
fn writable(cluster: &Running, since: Instant) {
    for through in 0..cluster.control_planes.len() {
        writable_through(cluster, through, since);
    }
}

fn writable_through(cluster: &Running, through: usize, since: Instant) {
    let rule = catalog::allow(&format!("more-{through}"), "nobody", &["slow"]);
    let file = cluster.file(&[rule]);
    cluster.works(through, &["apply", "-f", &file], since, BACK);
    let words = ["delete", "AccessRule", &format!("more-{through}"), "--wait"];
    cluster.gatehouse(through, &words).good();
}

/// Waits until every process is ready and every node at the head, and tells how long that took.
fn all_back(cluster: &mut Running, since: Instant) -> Duration {
    cluster.wait_until_all_ready();
    cluster.settled();
    writable(cluster, since);
    since.elapsed()
}
