//! The record under faults: receivers that are away or moody, stores that are away, nodes that are killed in mid-load.
//! What was answered is on record, each call once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::{USER, cluster, key, targets, tell};
use crate::cluster::verdict::Verdict;
use crate::cluster::{Load, Running};
use crate::otlp::{self, Mood, Receiver, letters};
use crate::wait;

/// How long records may take to the stores once all is well.
const RECORDED: Duration = Duration::from_secs(60);
/// What a receiver that is too busy asks for.
const AFTER: Duration = Duration::from_secs(3);
/// The clock of a receiver and that of a node are the same, but not their schedulers.
const SLACK: Duration = Duration::from_millis(100);
/// Missing or doubled calls that are shown.
const SHOWN_MAX: usize = 8;
/// What is kept of each span.
const KEPT: [&str; 4] = [
    "jsonrpc.request.id",
    "gatehouse.hop",
    "gatehouse.node",
    "gatehouse.seq",
];

/// Two foreign receivers, one over gRPC and one over HTTP, are away for `down` under load; then they are too busy,
/// then unavailable, then they refuse a part, each for `mood`.
pub fn receivers(down: Duration, mood: Duration) {
    let receivers = [Receiver::keeping(&KEPT), Receiver::http_keeping(&KEPT)];
    let cluster = receivers
        .iter()
        .fold(cluster(), |cluster, each| cluster.otlp(each.url()))
        .tolerating("audit records refused for good")
        .drain_delay_s(1)
        .start();
    let load = cluster.load(&key(&cluster), &targets());
    load.go_on(Duration::from_secs(2));
    receivers.iter().for_each(Receiver::go_away);
    load.go_on(down);
    let behind = load.ended();
    receivers.iter().for_each(Receiver::come_back);
    let back = Instant::now();
    wait::wait_for("receivers to have what they missed", down * 2, || {
        receivers.iter().all(|each| each.calls() >= behind)
    });
    let caught_up = back.elapsed();
    for answer in [Mood::TooMany(AFTER), Mood::Unavailable, Mood::Partial] {
        receivers.iter().for_each(|each| each.set(answer));
        load.go_on(mood);
    }
    receivers.iter().for_each(|each| each.set(Mood::Takes));
    let (verdict, replied) = finish(load);
    verdict.none_failed();
    let letters = all_there(&cluster, &receivers, &replied);
    receivers.iter().for_each(waits_as_asked);
    let recorded = each_once(&cluster, &replied);
    tell(&format!(
        "{verdict}away for {down:?}, {behind} calls caught up in {caught_up:?}; dead letters with {letters} spans \
         refused; {recorded} calls recorded once"
    ));
}

/// Both control planes, and with them the stores of records, are away for `time` under load.
pub fn stores_away(time: Duration) {
    let mut cluster = cluster().drain_delay_s(1).start();
    let load = cluster.load(&key(&cluster), &targets());
    load.go_on(Duration::from_secs(2));
    let kills = [cluster.kill_control_plane(0), cluster.kill_control_plane(1)];
    load.go_on(time);
    for control_plane in &mut cluster.control_planes {
        control_plane.launch();
    }
    cluster.wait_until_all_ready();
    load.go_on(Duration::from_secs(2));
    let (verdict, replied) = finish(load);
    verdict.only_lost_with(&kills);
    let back = Instant::now();
    let recorded = each_once(&cluster, &replied);
    let took = back.elapsed();
    tell(&format!(
        "{verdict}away for {time:?}; {recorded} calls recorded once, {took:?} after"
    ));
}

/// An edge and a sidecar are killed in mid-load, so many times.
pub fn kills(times: usize) {
    let mut cluster = cluster().drain_delay_s(1).start();
    let load = cluster.load(&key(&cluster), &targets());
    let mut kills = Vec::new();
    for turn in 0..times {
        // Not always at the same point of whatever goes on by the clock.
        load.more(100 + 17 * turn % 50);
        let edge = turn % cluster.edges.len();
        kills.push(cluster.kill_edge(edge));
        cluster.edges[edge].restart();
        load.more(30);
        let sidecar = turn % cluster.sidecars.len();
        kills.push(cluster.kill_sidecar(sidecar));
        cluster.sidecars[sidecar].restart();
    }
    load.more(100);
    let (verdict, replied) = finish(load);
    let recorded = each_once(&cluster, &replied);
    let lost = verdict.failed().count();
    tell(&format!(
        "{verdict}{} kills, {lost} calls lost with them; {recorded} calls recorded once",
        kills.len()
    ));
    verdict.only_lost_with(&kills);
}

/// Ends a load; tells what became of it, and the ids of all requests that were replied to.
fn finish(load: Load) -> (Verdict, BTreeSet<String>) {
    let verdict = Verdict::of(load.finish());
    let replied = verdict.calls.iter().filter(|call| call.was_replied_to());
    // Without an id it was the session that was refused.
    let ids = replied
        .map(|call| call.id.clone())
        .filter(|id| !id.is_empty());
    let ids = ids.collect();
    (verdict, ids)
}

/// Waits until every call that was replied to is on record, and requires that each is so once, whichever control
/// plane is asked; tells how many there are.
fn each_once(cluster: &Running, replied: &BTreeSet<String>) -> usize {
    for through in 0..cluster.control_planes.len() {
        let recorded = wait::until("all calls to be on record", RECORDED, || {
            let recorded = cluster.recorded(through, USER);
            missing(replied, |id| recorded.contains_key(id))?;
            Ok(recorded)
        });
        let more: Vec<_> = recorded.iter().filter(|(_, times)| **times > 1).collect();
        assert!(
            more.is_empty(),
            "more than once: {:?}",
            &more[..more.len().min(SHOWN_MAX)]
        );
    }
    replied.len()
}

/// Waits until every receiver has both hops of every call, but for what is among the dead letters of the nodes;
/// tells how many spans were refused.
fn all_there(cluster: &Running, receivers: &[Receiver], replied: &BTreeSet<String>) -> u64 {
    let nodes = cluster.edges.iter().chain(&cluster.sidecars);
    let dead: Vec<_> = nodes.flat_map(|node| letters::of(&node.data())).collect();
    let refused = dead.iter().map(|letter| letter.refused).sum();
    let said: usize = receivers
        .iter()
        .map(|each| {
            each.came()
                .iter()
                .filter(|came| came.mood == Mood::Partial)
                .count()
        })
        .sum();
    assert_eq!(
        refused, said as u64,
        "what was refused is in the dead letters, once"
    );
    let dead: Vec<_> = dead.into_iter().flat_map(|letter| letter.spans).collect();
    for receiver in receivers {
        wait::until("all spans to be there", RECORDED, || {
            let spans = receiver.spans();
            for hop in ["edge", "sidecar"] {
                let there: BTreeSet<_> = spans
                    .iter()
                    .chain(&dead)
                    .filter(|span| span.is_server && span.text("gatehouse.hop") == hop)
                    .map(|span| span.text("jsonrpc.request.id"))
                    .collect();
                missing(replied, |id| there.contains(id)).map_err(|why| format!("{hop}: {why}"))?;
            }
            Ok(())
        });
        is_one_record_one_span(receiver);
    }
    refused
}

/// What came twice is the same span: whoever keeps them by their id has each record once.
fn is_one_record_one_span(receiver: &Receiver) {
    let mut ids: BTreeMap<(String, i64), String> = BTreeMap::new();
    for span in receiver.spans() {
        let record = (
            span.text("gatehouse.node").to_owned(),
            span.number("gatehouse.seq").unwrap_or_default(),
        );
        let known = ids.entry(record).or_insert_with(|| span.span_id.clone());
        assert_eq!(*known, span.span_id, "{span:?}");
    }
}

/// Nobody asks a receiver again before the time that it has asked for.
fn waits_as_asked(receiver: &Receiver) {
    let came = receiver.came();
    let busy = otlp::by_node(&came, |mood| matches!(mood, Mood::TooMany(_)));
    assert!(!busy.is_empty(), "somebody met it when it was busy");
    for (node, times) in busy {
        for pair in times.windows(2) {
            let waited = pair[1] - pair[0];
            assert!(
                waited + SLACK >= AFTER,
                "{node} asked again after {waited:?}"
            );
        }
    }
}

fn missing(replied: &BTreeSet<String>, is_there: impl Fn(&str) -> bool) -> Result<(), String> {
    let missing: Vec<_> = replied.iter().filter(|id| !is_there(id)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let shown = &missing[..missing.len().min(SHOWN_MAX)];
    Err(format!(
        "{} of {} miss: {shown:?}",
        missing.len(),
        replied.len()
    ))
}
