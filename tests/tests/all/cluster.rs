//! Several control planes on an etcd of several members, edges behind a balancer: in short what `make e2e` does at length
//! (see `tests/src/scenes`).

use std::time::Duration;

use tests::scenes::kills::What;
use tests::scenes::{self, audit, kills, snapshots, store};

/// Load between two things that happen.
const PAUSE: Duration = Duration::from_millis(500);

#[test]
fn on_two_control_planes_a_change_is_live_when_wait_returns_and_what_is_killed_costs_only_its_own_calls()
 {
    let mut cluster = scenes::cluster().drain_delay_s(1).start();
    kills::changes(&cluster, 4);
    let all = [
        What::Leader,
        What::ControlPlane(0),
        What::Edge(0),
        What::Sidecar(2),
    ];
    kills::kills(&mut cluster, &all, PAUSE);
}

#[test]
fn etcd_compacted_past_our_watch_while_we_are_cut_off_with_deletes_in_the_gap_leaves_no_old_rule() {
    store::compacted_in_the_gap(Duration::from_secs(6));
}

#[test]
fn with_etcd_stopped_calls_go_on_and_rules_hold() {
    store::stopped(Duration::from_secs(8));
}

#[test]
fn an_etcd_that_went_back_is_refused_until_an_operator_agrees() {
    store::restored(Duration::from_secs(4));
}

#[test]
fn receivers_of_spans_that_are_away_or_moody_miss_nothing() {
    audit::receivers(Duration::from_secs(4), Duration::from_secs(4));
}

#[test]
fn nodes_that_are_killed_in_mid_load_leave_each_answered_call_on_record_once() {
    audit::kills(2);
}

#[test]
fn a_snapshot_that_was_tampered_with_in_a_hundred_ways_is_refused_and_opens_no_door() {
    snapshots::spoilt();
}
