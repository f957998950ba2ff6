//! Every process is restarted, one at a time, as an operator does it: asked to end, started again, waited for. Nobody
//! notices.

use std::time::{Duration, Instant};

use super::{key, targets, tell};
use crate::cluster::Running;
use crate::cluster::verdict::Verdict;
use crate::wait;

/// How long the balancer may take to see that an edge is back.
const SEEN: Duration = Duration::from_secs(10);

/// Restarts everything so many times under load; no request fails.
pub fn rolling(cluster: &mut Running, rounds: usize) {
    let key = key(cluster);
    let load = cluster.load(&key, &targets());
    load.go_on(Duration::from_secs(1));
    let began = Instant::now();
    for _ in 0..rounds {
        restart_all(cluster);
    }
    let took = began.elapsed();
    load.go_on(Duration::from_secs(1));
    let verdict = Verdict::of(load.finish());
    let (slowest, lost) = (verdict.slowest(), cluster.balancer.lost());
    tell(&format!(
        "{verdict}{rounds} rounds in {took:?}; {lost} connections lost; slowest {slowest:?}"
    ));
    verdict.none_failed();
    assert_eq!(lost, 0, "an edge was there for every connection");
}

/// One process after the other; each is waited for before the next one goes.
fn restart_all(cluster: &mut Running) {
    for member in 0..cluster.etcd.len() {
        cluster.etcd.stop_member(member);
        cluster.etcd.launch_member(member);
        cluster.etcd.wait_until_healthy();
    }
    for index in 0..cluster.control_planes.len() {
        cluster.control_planes[index].stop();
        cluster.control_planes[index].restart();
        cluster.settled();
    }
    for index in 0..cluster.edges.len() {
        cluster.edges[index].stop();
        cluster.edges[index].restart();
        wait::wait_for("the balancer to see the edge", SEEN, || {
            cluster.balancer.is_ready(index)
        });
    }
    for index in 0..cluster.sidecars.len() {
        cluster.sidecars[index].stop();
        cluster.sidecars[index].restart();
    }
    cluster.settled();
}
