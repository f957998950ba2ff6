//! The generator on servers that fail: what is counted as what, and what is never sent twice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use loadtest::failure::Kind;
use loadtest::{Era, Fixture, Load, Report, Scenario, Target};
use serde_json::json;

use crate::counted_to;
use crate::scripted::{Do, Scripted, echo, good, nobody, response};

/// Calls of a load, at least.
const CALLS: u64 = 30;

fn counted(load: &Load) -> Report {
    counted_to(load, CALLS)
}

fn target(url: &str) -> Target {
    Target::new([url]).expect("the URL is good")
}

/// A load on a server that does the same with each request.
fn on(script: impl Fn(usize, &serde_json::Value) -> Do + Send + Sync + 'static) -> (Report, usize) {
    let server = Scripted::start(script);
    let report = counted(&Load::of_clients(2, target(&server.url())));
    (report, server.requests())
}

#[test]
fn a_call_that_may_have_been_received_is_never_sent_again() {
    let json = "content-type: application/json\r\n";
    let events = "content-type: text/event-stream\r\n";
    let cut = |headers: &str, message: &serde_json::Value| {
        let mut whole = response("200 OK", headers, &echo(message));
        whole.truncate(whole.len() - 10);
        whole
    };
    // Nothing at all, a part of the head, a part of the body, a stream without its answer.
    type Broken<'a> = Box<dyn Fn(&serde_json::Value) -> Vec<u8> + Send + Sync + 'a>;
    let breaks: [Broken<'static>; 4] = [
        Box::new(|_| Vec::new()),
        Box::new(|_| b"HTTP/1.1 200 OK\r\ncontent-".to_vec()),
        Box::new(move |message| cut(json, message)),
        Box::new(move |_| response("200 OK", events, ": nothing\n\n")),
    ];
    for broken in breaks {
        // The first call of each connection is good, so that the second goes over one that was used before.
        let (report, requests) = on(move |nth, message| match nth % 4 {
            0 | 1 => Do::Answer(good(message)),
            _ => Do::AnswerAndClose(broken(message)),
        });
        let failed = report.failures.of(&Kind::Broken);
        assert!(failed > 0, "{report}");
        assert_eq!(failed, report.failures.count(), "{report}");
        assert_eq!(report.answered + failed, requests as u64, "{report}");
    }
}

#[test]
fn failures_are_told_apart() {
    let json = "content-type: application/json\r\n";
    let rpc = |message: &serde_json::Value, error: serde_json::Value| {
        json!({"jsonrpc": "2.0", "id": message["id"], "error": error}).to_string()
    };
    let unavailable = json!({"code": -31011, "message": "away", "data": {"reason": "unavailable"}});
    let told = |code, reason: Option<&str>| Kind::Rpc {
        code,
        reason: reason.map(str::to_owned),
    };
    type Answer = Box<dyn Fn(&serde_json::Value) -> Vec<u8> + Send + Sync>;
    let away = unavailable.clone();
    let cases: [(Kind, Answer); 6] = [
        (
            Kind::Status(503),
            Box::new(|_| response("503 Service Unavailable", "", "busy")),
        ),
        (
            Kind::Status(404),
            Box::new(|_| response("404 Not Found", "", "")),
        ),
        (
            told(-31011, Some("unavailable")),
            Box::new(move |m| response("200 OK", json, &rpc(m, unavailable.clone()))),
        ),
        (
            told(-31011, Some("unavailable")),
            Box::new(move |m| response("503 Service Unavailable", json, &rpc(m, away.clone()))),
        ),
        (
            told(-32601, None),
            Box::new(move |m| {
                let error = json!({"code": -32601, "message": "no"});
                response("404 Not Found", json, &rpc(m, error))
            }),
        ),
        (
            Kind::Wrong,
            Box::new(move |m| {
                let mut other = m.clone();
                other["params"]["arguments"]["message"] = json!("another one's");
                response("200 OK", json, &echo(&other))
            }),
        ),
    ];
    for (kind, answer) in cases {
        let (report, requests) = on(move |_, message| Do::Answer(answer(message)));
        assert_eq!(
            report.failures.of(&kind),
            requests as u64,
            "{kind}: {report}"
        );
        assert_eq!(
            (report.answered, report.latency.count()),
            (0, 0),
            "{report}"
        );
    }
}

#[test]
fn a_failure_has_its_time() {
    let server = Scripted::start(|nth, message| match nth {
        5 => Do::AnswerAndClose(Vec::new()),
        _ => Do::Answer(good(message)),
    });
    let before = SystemTime::now();
    let report = counted_to(&Load::at_rate(100.0, target(&server.url())), 12);
    let [failure] = &report.failures.samples[..] else {
        panic!("{report}");
    };
    let after = failure.after;
    assert!(
        after > Duration::from_millis(40) && after < 2 * report.elapsed,
        "{failure}"
    );
    assert!(failure.at > before && failure.at < SystemTime::now());
    assert_eq!(report.failures.by_kind[&Kind::Broken].count, 1);
}

#[test]
fn where_nobody_listens_nothing_is_sent() {
    let urls = [nobody(), nobody()];
    let load = Load::of_clients(2, Target::new(urls).expect("the URLs are good"));
    let report = counted(&load);
    assert_eq!(report.failures.of(&Kind::Connect), report.begun, "{report}");
    assert!(
        report.failures.samples.len() <= 20 && report.begun > 20,
        "{report}"
    );
    assert!(report.begun < 1000, "it is not hammered: {report}");
}

#[test]
fn an_answer_that_takes_too_long_is_a_timeout() {
    let serving = Fixture::new().start().expect("a fixture starts");
    let load = Load::of_clients(2, target(&serving.url()))
        .calling(Scenario::tool("sleep", json!({"ms": 2000})))
        .giving_up_after(Duration::from_millis(40));
    let report = counted_to(&load, 4);
    assert_eq!(report.failures.of(&Kind::Timeout), report.begun, "{report}");
}

#[test]
fn a_connection_that_the_answer_closes_is_not_used_again() {
    let (report, _) = on(|_, message| {
        let headers = "content-type: application/json\r\nconnection: close\r\n";
        Do::AnswerAndClose(response("200 OK", headers, &echo(message)))
    });
    assert!(
        report.failures.is_empty() && report.answered > 10,
        "{report}"
    );
    assert_eq!(report.connections.opened, report.answered, "{report}");
}

#[test]
fn an_idle_connection_that_was_closed_meanwhile_fails_no_call() {
    // Closed without a word behind the answer; the next call comes 20 ms later.
    let server = Scripted::start(|_, message| Do::AnswerAndClose(good(message)));
    let report = counted(&Load::at_rate(50.0, target(&server.url())));
    assert!(
        report.failures.is_empty() && report.answered >= 7,
        "{report}"
    );
    assert_eq!(report.answered, server.requests() as u64, "{report}");
}

#[test]
fn a_session_that_its_server_has_forgotten_is_begun_anew() {
    let forgets = AtomicBool::new(true);
    let server = Scripted::start(move |nth, message| {
        let json = "content-type: application/json\r\nmcp-session-id: s\r\n";
        match message["method"].as_str() {
            Some("initialize") => {
                let result = json!({"protocolVersion": "2025-11-25", "capabilities": {},
                    "serverInfo": {"name": "x", "version": "1"}});
                let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
                Do::Answer(response("200 OK", json, &answer.to_string()))
            }
            Some("tools/call") if nth > 6 && forgets.swap(false, Ordering::SeqCst) => {
                Do::Answer(response("404 Not Found", "", ""))
            }
            Some("tools/call") => Do::Answer(good(message)),
            _ => Do::Answer(response("202 Accepted", "", "")),
        }
    });
    let load = Load::of_clients(1, target(&server.url()).speaking(Era::Legacy));
    let report = counted(&load);
    assert_eq!(report.failures.of(&Kind::Status(404)), 1, "{report}");
    assert_eq!(report.failures.count(), 1, "{report}");
    assert!(report.answered > 10, "{report}");
}

#[test]
fn a_load_that_makes_no_sense_is_refused() {
    let target = target("http://127.0.0.1:1/");
    for load in [
        Load::of_clients(0, target.clone()),
        Load::at_rate(0.0, target.clone()),
        Load::at_rate(f64::NAN, target.clone()),
        Load::of_clients(1, target.clone()).on_threads(0),
    ] {
        assert!(load.start().is_err(), "{load:?}");
    }
}
