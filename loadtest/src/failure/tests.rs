#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

fn failure(kind: Kind, millis: u64) -> Failure {
    Failure {
        kind,
        detail: "x".to_owned(),
        after: Duration::from_millis(millis),
        at: SystemTime::UNIX_EPOCH + Duration::from_millis(1000 + millis),
    }
}

fn rpc(code: i64) -> Kind {
    Kind::Rpc { code, reason: None }
}

#[test]
fn all_are_counted_and_the_first_are_kept() {
    let mut failures = Failures::default();
    for millis in 0..100 {
        failures.add(failure(Kind::Timeout, millis));
    }
    failures.add_many(7, failure(Kind::Unsent, 3));
    assert_eq!((failures.count(), failures.of(&Kind::Timeout)), (107, 100));
    assert_eq!(failures.samples.len(), SAMPLES_MAX);
    let timeouts = failures.by_kind[&Kind::Timeout];
    assert_eq!(timeouts.last, Duration::from_millis(99));
}

#[test]
fn two_together_keep_the_earliest_samples() {
    let mut late = Failures::default();
    let mut early = Failures::default();
    for millis in 0..SAMPLES_MAX as u64 {
        late.add(failure(Kind::Broken, 100 + millis));
        early.add(failure(Kind::Broken, millis));
    }
    late.merge(&early);
    assert_eq!(late.count(), 2 * SAMPLES_MAX as u64);
    assert_eq!(late.samples, early.samples);
    assert_eq!(late.by_kind[&Kind::Broken].first, Duration::ZERO);
}

#[test]
fn a_server_that_invents_codes_fills_no_memory() {
    let mut failures = Failures::default();
    for code in 0..10_000 {
        failures.add(failure(rpc(code), 0));
    }
    assert!(failures.by_kind.len() <= KINDS_MAX + 1);
    assert_eq!(failures.count(), 10_000);
}

#[test]
fn kinds_are_told_as_people_read_them() {
    let refused = Kind::Rpc {
        code: -31011,
        reason: Some("unavailable".to_owned()),
    };
    assert_eq!(refused.to_string(), "JSON-RPC -31011 unavailable");
    assert_eq!(rpc(-32602).to_string(), "JSON-RPC -32602");
    assert_eq!(Kind::Status(503).to_string(), "HTTP 503");
    assert_eq!(
        Fault::new(Kind::Timeout, "x".repeat(5000)).detail.len(),
        300
    );
}

#[test]
fn the_written_form_has_times() {
    let mut failures = Failures::default();
    failures.add(failure(Kind::Connect, 5));
    let json = serde_json::to_value(&failures).unwrap();
    assert_eq!(json["by_kind"]["no connection"]["count"], 1);
    assert_eq!(json["samples"][0]["after_ms"], 5.0);
    assert_eq!(json["samples"][0]["at_unix_ms"], 1005);
    assert!(
        failures.to_string().contains("1 x no connection"),
        "{failures}"
    );
}
