#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::*;
use crate::catalog::fixture::{self, rule};
use crate::catalog::{Catalog, Options};
use crate::publish::Publisher;
use std::sync::Arc;

const START: i64 = 1_000_000;

/// A change of a rule that half of the nodes have, of which there is one: `edge-1`.
struct Ground {
    catalog: Arc<Catalog>,
    members: Arc<Members>,
    memory: Memory,
    _dir: tempfile::TempDir,
}

impl Ground {
    async fn new() -> Self {
        let (catalog, dir) = fixture::catalog().await;
        let stages = pb::Stages {
            shares: vec![50],
            watch_seconds: 60,
            errors_percent: 5,
        };
        let options = Options {
            stages: Some(stages),
            ..Options::default()
        };
        let publisher = Publisher::new(&catalog);
        catalog
            .apply("eva", vec![rule("r", &["*"])], options)
            .await
            .unwrap();
        let (_, members) = publisher.head();
        let below = members.unwrap().place("edge-1") + 1;
        let state = catalog.state();
        let spec = crate::catalog::running_staged(&state).unwrap();
        catalog.next_share(spec, below, 0).await.unwrap();
        Self {
            members: publisher.head().1.unwrap(),
            catalog,
            memory: Memory::default(),
            _dir: dir,
        }
    }

    fn judge(&mut self, live: &[pb::NodeStatus], edges: Sides, seconds: i64) -> Verdict {
        let state = self.catalog.state();
        let spec = pb::StagedRolloutSpec {
            since_unix_ms: START,
            ..crate::catalog::running_staged(&state).unwrap().clone()
        };
        let counts = Counts {
            revision: spec.revision,
            begun: spec.begun,
            edges,
            ..Counts::default()
        };
        let look = Look {
            spec: &spec,
            members: &self.members,
            live,
            counts: Some(counts),
            now: START + seconds * 1000,
        };
        look.judge(&mut self.memory)
    }
}

fn node(name: &str, revision: u64) -> pb::NodeStatus {
    pb::NodeStatus {
        name: name.to_owned(),
        revision,
        live: true,
        ..Default::default()
    }
}

fn tally(calls: u64, failed: u64) -> Tally {
    Tally { calls, failed }
}

fn halted(verdict: Verdict) -> String {
    match verdict {
        Verdict::Halt(why) => why,
        other => panic!("{other:?} where a halt was expected"),
    }
}

#[tokio::test]
async fn after_its_time_it_goes_on_if_all_have_taken_it() {
    let mut ground = Ground::new().await;
    let none = Sides::default();
    assert_eq!(
        ground.judge(&[node("edge-1", 0)], none, 61),
        Verdict::Wait,
        "not taken"
    );
    assert_eq!(ground.judge(&[node("edge-1", 2)], none, 59), Verdict::Wait);
    assert_eq!(ground.judge(&[node("edge-1", 2)], none, 60), Verdict::Next);
}

#[tokio::test]
async fn a_rejection_a_silence_and_a_node_that_does_not_take_it_halt_it() {
    let mut ground = Ground::new().await;
    let rejecting = pb::NodeStatus {
        rejected_revision: 2,
        faults: vec!["GH2001 no".to_owned()],
        ..node("edge-1", 0)
    };
    let why = halted(ground.judge(&[rejecting], Sides::default(), 1));
    assert_eq!(why, "edge/edge-1 rejects it: GH2001 no");
    let slow = [node("edge-1", 0)];
    let mut ground = Ground::new().await;
    assert_eq!(ground.judge(&slow, Sides::default(), 1), Verdict::Wait);
    assert_eq!(ground.judge(&slow, Sides::default(), 61), Verdict::Wait);
    let why = halted(ground.judge(&slow, Sides::default(), 62));
    assert_eq!(why, "edge-1 has not taken it in 60 s");
    let mut ground = Ground::new().await;
    let taken = [node("edge-1", 2)];
    assert_eq!(ground.judge(&taken, Sides::default(), 1), Verdict::Wait);
    let why = halted(ground.judge(&[], Sides::default(), 2));
    assert_eq!(why, "edge-1 took it and fell silent");
}

#[tokio::test]
async fn failures_halt_it_where_they_are_more_than_elsewhere_and_than_before() {
    let mut ground = Ground::new().await;
    let live = [node("edge-1", 2)];
    let mut judge = |having, others, before| {
        let sides = Sides {
            having,
            others,
            before,
        };
        ground.judge(&live, sides, 10)
    };
    let bad = tally(100, 20);
    let why = halted(judge(bad, tally(1000, 20), tally(1000, 30)));
    assert_eq!(
        why,
        "20 of 100 calls failed or were refused at edges that have it (20.0%), where 3.0% is usual"
    );
    assert_eq!(
        judge(bad, tally(1000, 160), tally(0, 0)),
        Verdict::Wait,
        "so it is everywhere"
    );
    assert_eq!(
        judge(bad, tally(0, 0), tally(1000, 160)),
        Verdict::Wait,
        "so it was before"
    );
    assert_eq!(
        judge(tally(19, 19), tally(0, 0), tally(0, 0)),
        Verdict::Wait,
        "too few calls"
    );
    assert_eq!(
        judge(tally(100, 4), tally(0, 0), tally(0, 0)),
        Verdict::Wait,
        "within 5 points"
    );
    halted(judge(bad, tally(0, 0), tally(0, 0)));
}
