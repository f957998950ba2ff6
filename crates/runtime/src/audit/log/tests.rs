//! The log dies at every possible place and goes on where it was.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Barrier;

use super::super::verify::{Verdict, verify};
use super::super::view::RecordView;
use super::*;
use crate::audit::samples::record;
use crate::audit::segment::Next;

const NODE: &str = "edge-1";

fn settings(dir: &Path) -> LogSettings {
    LogSettings::new(dir, NODE)
}

/// Small enough that a few records fill a segment.
fn small(dir: &Path) -> LogSettings {
    LogSettings {
        segment_bytes_max: 2048,
        total_bytes_max: 32 * 1024,
        ..settings(dir)
    }
}

fn open(settings: LogSettings) -> (Log, Recovered) {
    Log::open(settings).unwrap()
}

/// A call, opened and closed.
fn call(log: &Log, n: u64) {
    log.append(Phase::Open, &record(n)).unwrap();
    log.append(Phase::Close, &record(n)).unwrap();
}

/// Phase, span and reason of every record in one segment.
fn records(path: &Path) -> Vec<(bool, u64, String)> {
    let bytes = std::fs::read(path).unwrap();
    let (_, len) = segment::Header::parse(&bytes).unwrap();
    let mut rest = &bytes[len..];
    let mut found = Vec::new();
    while let Next::Frame(frame) = segment::next_frame(rest) {
        let view = RecordView::parse(frame.payload).unwrap();
        let span = u64::from_be_bytes(view.span_id.try_into().unwrap());
        found.push((view.is_close(), span, view.reason.to_owned()));
        rest = &rest[frame.len()..];
    }
    assert!(rest.is_empty());
    found
}

/// A copy of `from` as a process that was killed leaves it: nothing is closed or released in order.
fn as_killed(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

#[test]
fn numbers_and_chain_go_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (log, recovered) = open(settings(dir.path()));
    assert_eq!(recovered, Recovered::default());
    assert_eq!(log.append(Phase::Open, &record(1)).unwrap().seq, 1);
    let stamp = log.append(Phase::Close, &record(1)).unwrap();
    assert_eq!((stamp.seq, log.head()), (2, 2));
    drop(log);
    let (log, recovered) = open(settings(dir.path()));
    assert_eq!(
        recovered,
        Recovered {
            seq: 2,
            ..Recovered::default()
        }
    );
    assert_eq!(log.durable(), 2);
    call(&log, 2);
    let report = verify(dir.path()).unwrap();
    assert_eq!((report.verdict, report.records), (Verdict::Whole, 4));
    assert_eq!(
        (report.first_seq, report.last.0, report.node.as_str()),
        (1, 4, NODE)
    );
}

#[test]
fn what_was_appended_survives_a_kill_without_any_farewell() {
    let (alive, dead) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (log, _) = open(settings(alive.path()));
    for n in 0..20 {
        call(&log, n);
    }
    log.append(Phase::Open, &record(99)).unwrap();
    as_killed(alive.path(), dead.path());
    let (_, recovered) = open(settings(dead.path()));
    assert_eq!(
        recovered,
        Recovered {
            seq: 41,
            closed: 1,
            ..Recovered::default()
        }
    );
    let found = records(&segment::path(dead.path(), 1));
    assert_eq!(found.len(), 42);
    assert_eq!(found[41], (true, 99, "cancelled".to_owned()));
    assert_eq!(verify(dead.path()).unwrap().verdict, Verdict::Whole);
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_and_kept_aside() {
    let whole = tempfile::tempdir().unwrap();
    let (log, _) = open(settings(whole.path()));
    call(&log, 1);
    let before = std::fs::metadata(segment::path(whole.path(), 1))
        .unwrap()
        .len();
    log.append(Phase::Open, &record(2)).unwrap();
    drop(log);
    let bytes = std::fs::read(segment::path(whole.path(), 1)).unwrap();
    for end in before..bytes.len() as u64 {
        let dir = tempfile::tempdir().unwrap();
        let path = segment::path(dir.path(), 1);
        std::fs::write(&path, &bytes[..end as usize]).unwrap();
        let torn = if end > before {
            Verdict::TornTail {
                bytes: end - before,
            }
        } else {
            Verdict::Whole
        };
        assert_eq!(verify(dir.path()).unwrap().verdict, torn);
        let (log, recovered) = open(settings(dir.path()));
        let expected = Recovered {
            seq: 2,
            torn_bytes: end - before,
            ..Recovered::default()
        };
        assert_eq!(recovered, expected, "cut at {end}");
        assert_eq!(path.with_extension("torn").exists(), end > before);
        assert_eq!(log.append(Phase::Open, &record(3)).unwrap().seq, 3);
        let report = verify(dir.path()).unwrap();
        assert_eq!(
            (report.verdict, report.records),
            (Verdict::Whole, 3),
            "cut at {end}"
        );
    }
}

#[test]
fn a_segment_that_was_being_begun_is_begun_again() {
    let whole = tempfile::tempdir().unwrap();
    let (log, _) = open(settings(whole.path()));
    call(&log, 1);
    drop(log);
    let header = std::fs::read(segment::path(whole.path(), 1)).unwrap()[..60].to_vec();
    for end in 0..header.len() {
        let dir = tempfile::tempdir().unwrap();
        as_killed(whole.path(), dir.path());
        std::fs::write(segment::path(dir.path(), 3), &header[..end]).unwrap();
        let (log, recovered) = open(settings(dir.path()));
        assert_eq!(recovered.torn_bytes, end as u64);
        assert_eq!(log.append(Phase::Open, &record(2)).unwrap().seq, 3);
        assert_eq!(
            verify(dir.path()).unwrap().verdict,
            Verdict::Whole,
            "cut at {end}"
        );
    }
}

#[test]
fn a_flipped_bit_anywhere_breaks_the_chain_at_its_record() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(settings(dir.path()));
    let begin = log.bytes() as usize;
    log.append(Phase::Open, &record(1)).unwrap();
    let second = log.bytes() as usize;
    log.append(Phase::Close, &record(1)).unwrap();
    drop(log);
    let path = segment::path(dir.path(), 1);
    let bytes = std::fs::read(&path).unwrap();
    for at in (begin..bytes.len()).step_by(7) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        std::fs::write(&path, &changed).unwrap();
        let report = verify(dir.path()).unwrap();
        assert_ne!(report.verdict, Verdict::Whole, "byte {at}");
        assert_eq!(report.records, u64::from(at >= second), "byte {at}");
    }
}

#[test]
fn a_missing_segment_is_named_by_its_first_record() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(small(dir.path()));
    for n in 0..10 {
        call(&log, n);
    }
    let segments = log.segments();
    assert!(segments.len() > 3);
    drop(log);
    assert_eq!(verify(dir.path()).unwrap().verdict, Verdict::Whole);
    std::fs::remove_file(segment::path(dir.path(), segments[1])).unwrap();
    let report = verify(dir.path()).unwrap();
    assert!(
        matches!(report.verdict, Verdict::Broken { seq, .. } if seq == segments[1]),
        "{report:?}"
    );
}

#[test]
fn a_call_left_open_in_an_older_segment_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(small(dir.path()));
    log.append(Phase::Open, &record(500)).unwrap();
    for n in 0..10 {
        call(&log, n);
    }
    drop(log);
    let (_, recovered) = open(small(dir.path()));
    assert_eq!((recovered.seq, recovered.closed), (21, 1));
    let (_, again) = open(small(dir.path()));
    assert_eq!((again.seq, again.closed), (22, 0));
    assert_eq!(verify(dir.path()).unwrap().verdict, Verdict::Whole);
}

#[test]
fn a_full_log_refuses_open_records_first_and_then_all() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(small(dir.path()));
    let mut n = 0;
    let refused = loop {
        match log.append(Phase::Open, &record(n)) {
            Ok(_) => n += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::Full { .. }), "{refused}");
    // Calls that are under way can still be closed: an eighth is kept back for that.
    log.append(Phase::Close, &record(0)).unwrap();
    let mut closed = 1;
    while log.append(Phase::Close, &record(closed)).is_ok() {
        closed += 1;
    }
    assert!(closed > 5 && log.bytes() <= 32 * 1024);
    assert_eq!(log.head(), n + closed, "a refused record takes no number");
    assert_eq!(verify(dir.path()).unwrap().verdict, Verdict::Whole);
}

#[test]
fn segments_go_when_all_destinations_have_them() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(small(dir.path()));
    for n in 0..10 {
        call(&log, n);
    }
    let segments = log.segments();
    log.taken("slow", 0);
    log.taken("fast", 20);
    assert_eq!(
        log.segments(),
        segments,
        "nothing goes right after the start"
    );
    let inner = Arc::get_mut(&mut log.0).unwrap();
    inner.opened -= KEEP_AFTER_OPEN;
    log.taken("fast", 20);
    assert_eq!(log.segments(), segments, "one destination has nothing yet");
    let bytes = log.bytes();
    log.taken("slow", segments[2] - 1);
    assert_eq!(log.segments(), segments[2..]);
    assert!(!segment::path(dir.path(), segments[1]).exists() && log.bytes() < bytes);
    log.taken("slow", 20);
    assert_eq!(
        log.segments(),
        segments[segments.len() - 1..],
        "the newest stays"
    );
    assert_eq!(verify(dir.path()).unwrap().verdict, Verdict::Whole);
}

#[test]
fn records_of_many_threads_have_numbers_without_a_gap() {
    const THREADS: u64 = 8;
    const EACH: u64 = 200;
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(LogSettings {
        segment_bytes_max: 64 * 1024,
        ..settings(dir.path())
    });
    let start = Barrier::new(THREADS as usize);
    let mut seqs: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|t| {
                let (log, start) = (log.clone(), &start);
                scope.spawn(move || {
                    start.wait();
                    let close = |n| log.append(Phase::Close, &record(t * EACH + n)).unwrap().seq;
                    (0..EACH).map(close).collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=THREADS * EACH).collect::<Vec<_>>());
    assert_eq!(verify(dir.path()).unwrap().verdict, Verdict::Whole);
}

#[tokio::test]
async fn records_are_durable_soon_and_the_waiting_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(settings(dir.path()));
    let moved = log.moved();
    call(&log, 1);
    tokio::time::timeout(Duration::from_secs(5), moved)
        .await
        .unwrap();
    assert!(log.durable() >= 1);
}

#[test]
fn another_process_and_another_node_are_kept_out() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(settings(dir.path()));
    assert!(matches!(
        Log::open(settings(dir.path())),
        Err(Error::Locked { .. })
    ));
    drop(log);
    let other = LogSettings::new(dir.path(), "edge-2");
    assert!(matches!(Log::open(other), Err(Error::Foreign { .. })));
    std::fs::write(segment::path(dir.path(), 7), "something else").unwrap();
    assert!(matches!(
        Log::open(settings(dir.path())),
        Err(Error::Foreign { .. })
    ));
}

#[test]
fn a_record_that_is_too_large_is_refused_and_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(settings(dir.path()));
    let mut large = record(1);
    large.name = "x".repeat(300_000).into();
    assert!(matches!(
        log.append(Phase::Open, &large),
        Err(Error::TooLarge { .. })
    ));
    assert_eq!(log.append(Phase::Open, &record(1)).unwrap().seq, 1);
    assert_eq!(verify(dir.path()).unwrap().records, 1);
}
