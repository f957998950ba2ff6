//! The long behaviour tests: a cluster of real processes under load, and everything that can go wrong with it.
//!
//! Each is ignored in `make test` and run by `make e2e`. One cluster at a time: it has the machine for itself. What is
//! done is in `tests/src/scenes`; here it is said how long.

mod matrix;

use std::time::Duration;

use tests::scenes::kills::What;
use tests::scenes::{self, audit, kills, limits, rolling, store};

#[test]
#[ignore = "make e2e: a cluster of its own"]
fn a_change_is_live_on_all_nodes_when_wait_returns_whichever_replica_is_asked() {
    kills::changes(&scenes::cluster().start(), 20);
}

#[test]
#[ignore = "make e2e: it kills everything in turn"]
fn whatever_is_killed_under_load_costs_only_its_own_calls_and_is_back_in_ten_seconds() {
    let all = [
        What::Follower,
        What::Leader,
        What::ControlPlane(0),
        What::Edge(0),
        What::Sidecar(0),
        // The only one of its server.
        What::Sidecar(2),
        What::Leader,
        What::ControlPlane(1),
        What::Edge(1),
        What::Sidecar(1),
    ];
    kills::kills(&mut scenes::cluster().start(), &all, Duration::from_secs(4));
}

#[test]
#[ignore = "make e2e: it takes minutes"]
fn five_rolling_restarts_of_every_process_under_load_fail_no_request() {
    rolling::rolling(&mut scenes::cluster().start(), 5);
}

#[test]
#[ignore = "make e2e: a cluster of its own"]
fn a_replica_that_is_cut_off_from_etcd_leaves_its_nodes_to_the_other() {
    store::cut_off();
}

#[test]
#[ignore = "make e2e: it takes minutes"]
fn with_etcd_stopped_for_five_minutes_calls_go_on_and_rules_hold() {
    store::stopped(Duration::from_secs(300));
}

#[test]
#[ignore = "make e2e: a cluster of its own"]
fn an_etcd_restored_from_an_older_backup_is_refused_until_an_operator_agrees() {
    store::restored(Duration::from_secs(60));
}

#[test]
#[ignore = "make e2e: it takes more than ten minutes"]
fn receivers_of_spans_that_are_away_for_ten_minutes_and_then_moody_miss_nothing() {
    audit::receivers(Duration::from_secs(600), Duration::from_secs(30));
}

#[test]
#[ignore = "make e2e: it takes minutes"]
fn with_all_stores_of_records_away_for_two_minutes_each_call_is_on_record_once() {
    audit::stores_away(Duration::from_secs(120));
}

#[test]
#[ignore = "make e2e: it takes minutes"]
fn edges_and_sidecars_killed_in_mid_load_twenty_times_leave_each_answered_call_on_record_once() {
    audit::kills(20);
}

#[test]
#[ignore = "make e2e: it takes half a minute"]
fn over_half_a_minute_four_edges_let_through_what_one_limit_gives() {
    limits::holds(Duration::from_secs(30), Duration::ZERO);
}
