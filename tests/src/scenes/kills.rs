//! Processes are killed with -9, one at a time, under load: nobody but whoever was just being served notices.

use std::time::{Duration, Instant};

use super::{GROUP, key, targets, tell};
use crate::catalog;
use crate::cluster::Running;
use crate::cluster::verdict::{Kill, Verdict};
use crate::rpc::Modern;

/// How long everything may take to be back.
const BACK: Duration = Duration::from_secs(10);

/// Something that is killed, and started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The member of etcd that leads.
    Leader,
    /// One that follows.
    Follower,
    /// A control plane.
    ControlPlane(usize),
    /// An edge.
    Edge(usize),
    /// A sidecar.
    Sidecar(usize),
}

/// A change is live on all nodes when `--wait` returns, whichever replica is asked, so many times.
pub fn changes(cluster: &Running, turns: usize) {
    let key = key(cluster);
    let urls = cluster.edge_urls("slow");
    for turn in 0..turns {
        let through = turn % 2;
        let deny = catalog::deny_tool("no-counting", GROUP, "slow", "cancelled");
        cluster.apply(through, &[deny]);
        for url in &urls {
            let tools = Modern::new(url, &key).tools();
            assert_eq!(tools, ["sleep"], "turn {turn}, {url}");
        }
        let words = ["delete", "AccessRule", "no-counting", "--wait"];
        cluster.gatehouse(1 - through, &words).good();
        for url in &urls {
            let tools = Modern::new(url, &key).tools();
            assert_eq!(tools, ["sleep", "cancelled"], "turn {turn}, {url}");
        }
    }
}

/// Kills these under load, one after the other, each followed by `pause` of load: no call fails but those under way
/// in what was killed, and everything is back in ten seconds.
pub fn kills(cluster: &mut Running, all: &[What], pause: Duration) {
    let key = key(cluster);
    let load = cluster.load(&key, &targets());
    load.go_on(pause);
    let (mut kills, mut back) = (Vec::new(), Vec::new());
    for what in all {
        let kill = kill_and_start(cluster, *what);
        back.push((kill.name.clone(), all_back(cluster, kill.gap.gone)));
        kills.push(kill);
        load.go_on(pause);
    }
    let verdict = Verdict::of(load.finish());
    let cost = verdict.cost(&kills);
    tell(&format!("{verdict}back: {back:?}\ncost: {cost:?}"));
    verdict.only_lost_with(&kills);
    for (name, time) in back {
        assert!(
            time <= BACK,
            "{name} was killed, and all was back in {time:?}"
        );
    }
}

/// Kills it, has what must go on without it go on, and starts it again.
fn kill_and_start(cluster: &mut Running, what: What) -> Kill {
    let member = match what {
        What::Leader => Some(cluster.etcd.leader()),
        What::Follower => Some(cluster.etcd.follower()),
        _ => None,
    };
    if let Some(member) = member {
        let kill = cluster.kill_member(member);
        // Two of three are enough.
        writable(cluster, 0, kill.gap.gone);
        writable(cluster, 1, kill.gap.gone);
        cluster.etcd.launch_member(member);
        return kill;
    }
    match what {
        What::ControlPlane(index) => {
            let kill = cluster.kill_control_plane(index);
            // One of two is enough.
            writable(cluster, 1 - index, kill.gap.gone);
            cluster.control_planes[index].launch();
            kill
        }
        What::Edge(index) => {
            let kill = cluster.kill_edge(index);
            cluster.edges[index].launch();
            kill
        }
        What::Sidecar(index) => {
            let kill = cluster.kill_sidecar(index);
            cluster.sidecars[index].launch();
            kill
        }
        What::Leader | What::Follower => unreachable!("they are members"),
    }
}

/// A change can be made through a control plane, and comes to all nodes, within ten seconds since `since`.
pub(super) fn writable(cluster: &Running, through: usize, since: Instant) {
    let name = format!("more-{through}");
    let file = cluster.file(&[catalog::allow(&name, "nobody", &["slow"])]);
    cluster.works(through, &["apply", "-f", &file, "--wait"], since, BACK);
    let words = ["delete", "AccessRule", &name, "--wait"];
    cluster.gatehouse(through, &words).good();
}

/// Waits until every process is ready and every node at the head, and tells how long that took.
fn all_back(cluster: &mut Running, since: Instant) -> Duration {
    cluster.wait_until_all_ready();
    cluster.settled();
    let took = since.elapsed();
    writable(cluster, 0, since);
    writable(cluster, 1, since);
    took
}
