//! The generator on good servers: both eras, closed and open, JSON and events, straight and through the floor.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use loadtest::{Era, Fixture, Floor, Load, Report, Scenario, Target};
use serde_json::json;

use crate::scripted::{Do, Scripted, good, nobody};

const SHORT: Duration = Duration::from_millis(120);

fn target(url: &str) -> Target {
    Target::new([url]).expect("the URL is good")
}

/// A load that is stopped after a while; everything it has counted.
fn counted(load: &Load, time: Duration) -> Report {
    let running = load.start().expect("a load starts");
    crate::pause(time);
    running.stop()
}

/// Whether about so many a second were answered; on a busy machine the last ones may be late, and more are never due.
fn is_about(report: &Report, per_second: f64) -> bool {
    let due = per_second * report.elapsed.as_secs_f64();
    (0.75 * due..1.02 * due + 2.0).contains(&(report.answered as f64))
}

#[track_caller]
fn all_good(report: &Report) {
    assert!(
        report.failures.is_empty() && report.answered > 0,
        "{report}"
    );
    assert_eq!(report.begun, report.answered, "{report}");
    assert_eq!(report.latency.count(), report.answered, "{report}");
}

#[test]
fn every_call_arrives_once_in_both_eras_and_paces_and_forms() {
    for events in [false, true] {
        let fixture = Fixture::new().remembering();
        let fixture = if events { fixture.as_events() } else { fixture };
        let serving = fixture.start().expect("a fixture starts");
        let floor = Floor::before(target(&serving.url()))
            .start()
            .expect("a floor starts");
        let mut answered = 0;
        for era in [Era::Modern, Era::Legacy] {
            for url in [serving.url(), floor.url()] {
                let target = || target(&url).speaking(era);
                for load in [
                    Load::of_clients(4, target()),
                    Load::at_rate(200.0, target()),
                ] {
                    let report = counted(&load, SHORT);
                    all_good(&report);
                    answered += report.answered;
                    let stats = serving.stats();
                    assert_eq!((stats.echo, stats.repeated), (answered, 0), "{era:?} {url}");
                }
            }
        }
        let stats = serving.stats();
        assert!(stats.sessions_begun > 0, "{stats:?}");
        assert_eq!(stats.sessions_begun, stats.sessions_ended, "{stats:?}");
    }
}

#[test]
fn threads_share_a_load_and_its_ids() {
    let serving = Fixture::new()
        .remembering()
        .start()
        .expect("a fixture starts");
    for load in [
        Load::of_clients(5, target(&serving.url())),
        Load::at_rate(500.0, target(&serving.url())),
    ] {
        let before = serving.stats().echo;
        let report = counted(&load.on_threads(3), SHORT);
        all_good(&report);
        assert_eq!(serving.stats().echo - before, report.answered);
    }
    assert_eq!(serving.stats().repeated, 0);
}

#[test]
fn an_open_loop_keeps_its_rate_whatever_the_answers_take() {
    let serving = Fixture::new().start().expect("a fixture starts");
    let sleep = Scenario::tool("sleep", json!({"ms": 50}));
    let load = Load::at_rate(200.0, target(&serving.url())).calling(sleep);
    let report = counted(&load, Duration::from_millis(500));
    all_good(&report);
    assert!(is_about(&report, 200.0), "{report}");
    assert!(
        report.latency.p50() >= Duration::from_millis(50),
        "{report}"
    );
    assert_eq!(report.lag.count(), report.answered);
}

/// At 100 calls a second a stall of 200 ms holds up twenty calls. One client that waits for each answer sees one.
#[test]
fn a_stall_shows_in_an_open_loop_for_every_call_that_it_held_up() {
    let report = |pace: &dyn Fn(Target) -> Load| {
        let (began, gate) = (Instant::now(), Mutex::new(()));
        let stalled = Mutex::new(false);
        let server = Scripted::start(move |_, message| {
            let _turn = gate.lock().expect("no script panics");
            let mut stalled = stalled.lock().expect("no script panics");
            if !*stalled && began.elapsed() > Duration::from_millis(300) {
                *stalled = true;
                crate::pause(Duration::from_millis(200));
            }
            Do::Answer(good(message))
        });
        counted(&pace(target(&server.url())), Duration::from_secs(1))
    };
    let open = report(&|target| Load::at_rate(100.0, target));
    all_good(&open);
    assert!(is_about(&open, 100.0), "{open}");
    assert!(open.latency.p99() > Duration::from_millis(150), "{open}");
    assert!(open.latency.at(85.0) > Duration::from_millis(20), "{open}");
    let closed = report(&|target| Load::of_clients(1, target));
    assert!(
        closed.latency.p99() < Duration::from_millis(100),
        "{closed}"
    );
    assert!(
        closed.latency.max() > Duration::from_millis(150),
        "{closed}"
    );
}

#[test]
fn calls_that_the_bound_holds_up_count_from_when_they_were_due() {
    let serving = Fixture::new().start().expect("a fixture starts");
    let pace = loadtest::Pace::Rate {
        per_second: 100.0,
        under_way_max: 1,
    };
    let sleep = Scenario::tool("sleep", json!({"ms": 50}));
    let load = Load::new(pace, target(&serving.url())).calling(sleep);
    let report = counted(&load, Duration::from_millis(600));
    // A fifth of what is due can be called; the rest is told.
    let unsent = report.failures.of(&loadtest::failure::Kind::Unsent);
    assert!((8..=14).contains(&report.answered), "{report}");
    assert!(unsent > 3 * report.answered, "{report}");
    assert!(
        report.latency.max() > Duration::from_millis(400),
        "{report}"
    );
    assert!(report.lag.max() > Duration::from_millis(350), "{report}");
}

#[test]
fn a_dead_url_is_passed_over_without_a_failure() {
    let one = Fixture::new().start().expect("a fixture starts");
    let other = Fixture::new().start().expect("a fixture starts");
    let all = Target::new([one.url(), nobody(), other.url()]).expect("the URLs are good");
    for load in [Load::of_clients(4, all.clone()), Load::at_rate(300.0, all)] {
        let report = counted(&load, SHORT);
        all_good(&report);
        assert!(report.connections.refused > 0, "{report}");
    }
    let (one, other) = (one.stats().echo, other.stats().echo);
    assert!(one.min(other) * 2 > one.max(other), "{one} and {other}");
}

#[test]
fn a_load_moves_to_the_url_that_is_left_and_back() {
    let one = Fixture::new().start().expect("a fixture starts");
    let other = Fixture::new().start().expect("a fixture starts");
    let both = Target::new([one.url(), other.url()]).expect("the URLs are good");
    let load = Load::at_rate(100.0, both).start().expect("a load starts");
    crate::pause(SHORT);
    let at = other.address();
    drop(other);
    crate::pause(SHORT);
    let again = Fixture::new()
        .at(at)
        .start()
        .expect("the port is free again");
    crate::pause(3 * SHORT);
    let report = load.stop();
    // Calls that were just under way when it ended may have failed; no other.
    assert!(report.failures.count() <= 2, "{report}");
    assert!(is_about(&report, 100.0), "{report}");
    assert!(again.stats().echo > 10, "{:?}", again.stats());
}

#[test]
fn laps_add_up_and_a_load_can_be_watched() {
    let serving = Fixture::new().start().expect("a fixture starts");
    let load = Load::of_clients(2, target(&serving.url()));
    let mut running = load.start().expect("a load starts");
    crate::pause(SHORT);
    let first = running.lap();
    crate::pause(SHORT);
    let second = running.lap();
    let so_far = running.so_far();
    let whole = running.stop();
    assert!(first.answered > 0 && second.answered > 0);
    assert!(so_far.answered >= first.answered + second.answered);
    assert!(whole.answered >= so_far.answered);
    assert_eq!(whole.answered, serving.stats().echo);
    assert!(
        second.elapsed >= SHORT && second.elapsed < 3 * SHORT,
        "{second}"
    );
}

#[test]
fn lists_large_messages_and_progress_are_read() {
    let serving = Fixture::new().start().expect("a fixture starts");
    let floor = Floor::before(target(&serving.url()))
        .start()
        .expect("a floor starts");
    let stream = Scenario::tool("stream", json!({"count": 3})).with_progress();
    let big = Scenario::tool("big", json!({"bytes": 300_000})).expecting(&"x".repeat(300_000));
    // Each with the notifications that come before its answer.
    let scenarios = [
        (Scenario::list(), 0),
        (Scenario::echo(200_000), 0),
        (big, 0),
        (stream, 3),
    ];
    for url in [serving.url(), floor.url()] {
        for (scenario, notifications) in &scenarios {
            for era in [Era::Modern, Era::Legacy] {
                let load = Load::of_clients(2, target(&url).speaking(era));
                let report = counted(&load.calling(scenario.clone()), SHORT / 4);
                all_good(&report);
                assert_eq!(report.notifications, notifications * report.answered);
                assert!(report.connections.opened <= 4, "used again: {report}");
            }
        }
    }
}
