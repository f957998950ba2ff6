//! Every process is restarted, one at a time, as an operator does it: asked to end, started again, waited for. Nobody
//! notices.

use std::time::{Duration, Instant};

use tests::cluster::Running;
use tests::cluster::verdict::Verdict;
use tests::wait;

use crate::stage;

/// How often everything is restarted.
const ROUNDS: usize = 5;
/// How long one process may take from being asked to end to being ready again.
const RESTART: Duration = Duration::from_secs(60);

#[test]
#[ignore = "make e2e: it takes minutes"]
fn five_rolling_restarts_of_every_process_under_load_fail_no_request() {
    let mut cluster = stage::cluster().start();
    let key = stage::key(&cluster);
    let load = cluster.load(&key, &stage::targets());
    load.go_on(Duration::from_secs(2));
    let began = Instant::now();
    for _ in 0..ROUNDS {
        restart_all(&mut cluster);
    }
    let took = began.elapsed();
    load.go_on(Duration::from_secs(2));
    let verdict = Verdict::of(load.finish());
    let (longest, lost) = (verdict.slowest(), cluster.balancer.lost());
    stage::tell(&format!(
        "{verdict}{ROUNDS} rounds in {took:?}; {lost} connections lost; slowest {longest:?}"
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
        wait::wait_for("the balancer to see the edge", RESTART, || {
            cluster.balancer.is_ready(index)
        });
    }
    for index in 0..cluster.sidecars.len() {
        cluster.sidecars[index].stop();
        cluster.sidecars[index].restart();
    }
    cluster.settled();
}
