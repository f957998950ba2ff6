#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::future::Future;

use engine::limit::{Key, keys};
use model::access::Subjects;
use model::filter::OnError;
use model::limit::{Calls, Match, Part, Rate, Scope};
use model::name::Glob;
use model::snapshot::{Revision, Snapshot};
use proptest::prelude::*;
use tokio::time::{Instant, advance};

use super::rates::{ByteRate, CallRate};
use super::*;

fn limit(rate: &str, burst: u32) -> Limit {
    let calls = (!rate.is_empty()).then(|| Calls {
        rate: Rate::calls(rate).unwrap(),
        burst,
    });
    Limit {
        name: LimitName::new("l").unwrap(),
        matches: Match {
            servers: Vec::new(),
            methods: vec![Glob::new("tools/call").unwrap()],
            tools: Vec::new(),
        },
        subjects: Subjects::Everyone,
        per: vec![Part::User],
        calls,
        concurrency: None,
        request_bytes: None,
        response_bytes: None,
        scope: Scope::Edge,
        on_store_error: OnError::Deny,
        mode: Mode::Enforce,
    }
}

/// A key like no other.
pub(super) fn key_of(n: usize) -> Key {
    key(&n.to_string())
}

fn key(user: &str) -> Key {
    let principal = Principal::new(user, &[], None, "k");
    let server = ServerName::new("time").unwrap();
    let limit = limit("1/1s", 1);
    keys(&limit, &principal, &server, None).next().unwrap()
}

fn meter(limit: Limit) -> Arc<Meter> {
    let ground = Ground {
        keys_max: 1000,
        metrics: Metrics::new(),
        store: None,
    };
    Arc::new(Meter::new(&Arc::new(limit), Revision(1), &ground))
}

/// Runs with a clock that stands still unless it is turned.
fn still<T>(test: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(test)
}

proptest! {
    /// However calls come, in no stretch of time do more pass than the burst and what the rate gives in it.
    #[test]
    fn never_more_than_burst_and_rate_pass(
        pauses in prop::collection::vec(0..700u64, 1..200),
        amount in 1..50u64,
        burst in 1..20u32,
    ) {
        let calls = Calls { rate: Rate::calls(&format!("{amount}/10s")).unwrap(), burst };
        let (passed, refused) = still(async {
            let rate = CallRate::new(&calls, 100);
            let began = Instant::now();
            let (mut passed, mut refused) = (Vec::new(), Vec::new());
            for pause in pauses {
                advance(Duration::from_millis(pause)).await;
                match rate.take(&key("ana")) {
                    Ok(()) => passed.push(began.elapsed()),
                    Err(wait) => refused.push((began.elapsed(), wait)),
                }
            }
            (passed, refused)
        });
        let interval = calls.interval();
        for (i, from) in passed.iter().enumerate() {
            for (more, to) in passed[i..].iter().enumerate() {
                let room = u128::from(burst) + (*to - *from).as_nanos() / interval.as_nanos();
                prop_assert!((more as u128) < room, "{} in {:?}", more + 1, *to - *from);
            }
        }
        // Who is told to wait is not told to wait for longer than one call takes, as calls come one by one.
        prop_assert!(refused.iter().all(|(_, wait)| !wait.is_zero() && *wait <= interval));
    }

    /// What is given back is as if it had never been.
    #[test]
    fn what_is_given_back_was_never_counted(turns in 1..50usize, burst in 1..5u32) {
        let calls = Calls { rate: Rate::calls("5/1m").unwrap(), burst };
        still(async {
            let rate = CallRate::new(&calls, 100);
            for _ in 0..turns {
                assert!(rate.take(&key("ana")).is_ok());
                rate.give_back(&key("ana"));
            }
            let passed = (0..burst + 5).filter(|_| rate.take(&key("ana")).is_ok()).count();
            assert_eq!(passed, burst as usize);
        });
    }
}

#[test]
fn who_waits_as_long_as_told_passes() {
    still(async {
        let calls = Calls {
            rate: Rate::calls("5/1m").unwrap(),
            burst: 2,
        };
        let rate = CallRate::new(&calls, 100);
        assert!(rate.take(&key("ana")).is_ok() && rate.take(&key("ana")).is_ok());
        let wait = rate.take(&key("ana")).unwrap_err();
        assert!(rate.take(&key("ben")).is_ok(), "others are not concerned");
        advance(wait - Duration::from_millis(1)).await;
        assert!(rate.take(&key("ana")).is_err());
        advance(Duration::from_millis(1)).await;
        assert!(rate.take(&key("ana")).is_ok());
    });
}

#[test]
fn keys_are_bounded_and_those_without_room_are_counted_together() {
    still(async {
        const KEYS: usize = 64;
        let calls = Calls {
            rate: Rate::calls("5/1m").unwrap(),
            burst: 5,
        };
        let rate = CallRate::new(&calls, KEYS);
        let all: Vec<Key> = (0..5000).map(|n| key(&n.to_string())).collect();
        let passed = all.iter().filter(|key| rate.take(key).is_ok()).count();
        assert_eq!(rate.keys(), KEYS);
        // Each key that has room, and a burst for each shard's others.
        assert!(
            (KEYS..=KEYS + 16 * 5).contains(&passed),
            "{passed} of 5000 passed"
        );
        assert!(
            rate.take(&all[0]).is_ok(),
            "a key that is there keeps its own count"
        );
        // Once all is worked off, there is room for others.
        advance(Duration::from_secs(60)).await;
        let passed = all.iter().rev().take(KEYS / 2);
        assert_eq!(
            passed.filter(|key| rate.take(key).is_ok()).count(),
            KEYS / 2
        );
        assert!(rate.keys() <= KEYS);
    });
}

#[test]
fn bytes_that_are_over_are_worked_off_first() {
    still(async {
        let rate = ByteRate::new(Rate::bytes("600B/1m").unwrap(), 100);
        let ana = key("ana");
        assert!(rate.check(&ana).is_ok());
        rate.spend(&ana, 599);
        assert!(rate.check(&ana).is_ok(), "there is a byte left");
        rate.spend(&ana, 11);
        let wait = rate.check(&ana).unwrap_err();
        assert_eq!(wait.as_millis(), 1000, "10 bytes over, at 10 a second");
        advance(wait).await;
        assert!(rate.check(&ana).is_ok());
        assert!(rate.check(&key("ben")).is_ok());
    });
}

#[tokio::test]
async fn who_leaves_makes_room_however_it_leaves() {
    let meter = meter(Limit {
        concurrency: Some(2),
        ..limit("", 0)
    });
    let first = meter.take(key("ana")).await.unwrap();
    let second = meter.take(key("ana")).await.unwrap();
    assert!(meter.take(key("ana")).await.is_err());
    assert!(meter.take(key("ben")).await.is_ok());
    assert!(first.follows());
    drop(first);
    let third = meter.take(key("ana")).await.unwrap();
    assert!(meter.take(key("ana")).await.is_err());
    second.give_back();
    assert!(meter.take(key("ana")).await.is_ok());
    drop(third);
}

#[tokio::test]
async fn a_call_that_has_no_place_is_not_counted_either() {
    let meter = meter(Limit {
        concurrency: Some(1),
        ..limit("3/1h", 3)
    });
    let held = meter.take(key("ana")).await.unwrap();
    for _ in 0..10 {
        assert!(meter.take(key("ana")).await.is_err());
    }
    drop(held);
    drop(meter.take(key("ana")).await.unwrap());
    drop(meter.take(key("ana")).await.unwrap());
    assert!(meter.take(key("ana")).await.is_err(), "three were counted");
}

#[test]
fn a_refusal_says_which_limit_and_when_to_come_again() {
    let limited = Limited {
        limit: LimitName::new("per-user").unwrap(),
        after: Duration::from_micros(1_200_300),
    };
    assert_eq!(limited.after_s(), 2);
    assert_eq!(
        limited.error().data.unwrap(),
        r#"{"reason":"limit","limit":"per-user","decision":"deny","retryAfterMs":1201}"#
    );
    let at_once = Limited {
        after: Duration::ZERO,
        ..limited
    };
    assert_eq!(at_once.after_s(), 1);
}

fn config(revision: u64, limits: Vec<Limit>) -> Config {
    let mut snapshot = Snapshot {
        revision: Revision(revision),
        ..Snapshot::default()
    };
    for limit in limits {
        snapshot.limits.insert(limit.name.clone(), Arc::new(limit));
    }
    Config::compile(Arc::new(snapshot)).unwrap()
}

fn named(name: &str, per: &[Part], limit: Limit) -> Limit {
    Limit {
        name: LimitName::new(name).unwrap(),
        per: per.to_vec(),
        ..limit
    }
}

/// Which limit refuses a call of `user`; empty: none.
async fn refuses(limiter: &Limiter, config: &Config, user: &str) -> String {
    let principal = Principal::new(user, &[], None, "k");
    let server = ServerName::new("time").unwrap();
    let call = Counted {
        principal: &principal,
        server: &server,
        method: method::TOOLS_CALL,
        tool: Some("x"),
        bytes: 10,
    };
    let passed = limiter.check(config, &call).await;
    passed
        .err()
        .map_or_else(String::new, |limited| limited.limit.to_string())
}

#[tokio::test]
async fn who_is_over_a_limit_of_its_own_takes_nothing_from_one_of_all() {
    let config = config(
        1,
        vec![
            named("all", &[], limit("10/1h", 10)),
            named("own", &[Part::User], limit("2/1h", 2)),
        ],
    );
    let limiter = Limiter::new(100, &Metrics::new());
    for (n, refused) in [(2, ""), (50, "own")] {
        for _ in 0..n {
            assert_eq!(refuses(&limiter, &config, "ana").await, refused);
        }
    }
    for user in ["ben", "cem", "dan", "eve"] {
        for _ in 0..2 {
            assert_eq!(refuses(&limiter, &config, user).await, "");
        }
    }
    assert_eq!(refuses(&limiter, &config, "fay").await, "all");
    let help = "gatehouse_limit_calls_total{limit=\"own\",outcome=\"refused\"} 50";
    assert!(limiter.0.ground.metrics.render().contains(help));
}

#[tokio::test]
async fn what_another_limit_refuses_is_not_counted() {
    // The wider one is asked last, and refuses.
    let config = config(
        1,
        vec![
            named("all", &[], limit("1/1h", 1)),
            named("own", &[Part::User], limit("2/1h", 2)),
        ],
    );
    let limiter = Limiter::new(100, &Metrics::new());
    assert_eq!(refuses(&limiter, &config, "ana").await, "");
    for _ in 0..20 {
        assert_eq!(refuses(&limiter, &config, "ana").await, "all");
    }
}

#[tokio::test]
async fn counts_stay_unless_the_limit_is_changed() {
    let limiter = Limiter::new(100, &Metrics::new());
    let first = config(1, vec![limit("1/1h", 1)]);
    assert_eq!(refuses(&limiter, &first, "ana").await, "");
    assert_eq!(refuses(&limiter, &first, "ana").await, "l");
    let same = config(2, vec![limit("1/1h", 1), named("m", &[], limit("9/1h", 9))]);
    assert_eq!(refuses(&limiter, &same, "ana").await, "l");
    let changed = config(3, vec![limit("2/1h", 2)]);
    assert_eq!(refuses(&limiter, &changed, "ana").await, "");
    assert_eq!(limiter.0.meters.len(), 1, "what is gone is forgotten");
    // A call that began before the change changes nothing back.
    assert_eq!(refuses(&limiter, &first, "ana").await, "");
    assert_eq!(refuses(&limiter, &changed, "ana").await, "l");
}
