//! A receiver is away: what `onError` says holds for every call of a storm, and the breaker spares callers the wait.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::catalog;
use tests::http::Response;
use tests::listener::{Answer, Listener};
use tests::mesh::Mesh;
use tests::remote;
use tests::rpc::Modern;

use super::{allow, ground};

const CALLS: usize = 1000;
const CALLERS: usize = 8;
const TIMEOUT: Duration = Duration::from_millis(500);

/// So many calls from several callers at once.
fn storm(url: &str, key: &str, check: impl Fn(&Response) + Sync) {
    std::thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                let client = Modern::new(url, key);
                for _ in 0..CALLS / CALLERS {
                    check(&client.call("echo", json!({"message": "a"})));
                }
            });
        }
    });
}

#[test]
fn of_a_thousand_calls_in_an_outage_none_slips_through_and_none_is_lost() {
    let far = remote::modern();
    let receiver = Listener::start(|_| Answer::never());
    let hook =
        |name: &str, server: &str| catalog::webhook(name, &[server], &receiver.url("/hook"), "key");
    let mut lax = hook("lax", "lax");
    lax["spec"]["onError"] = json!("allow");
    let mut resources = vec![
        catalog::remote("strict", &far.url("/mcp")),
        catalog::remote("lax", &far.url("/mcp")),
        hook("strict", "strict"),
        lax,
    ];
    resources.extend(ground());
    let mesh = Mesh::new().with(&resources).start();
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let (strict, lax) = (mesh.url(0, "strict"), mesh.url(0, "lax"));
    // What the server speaks is asked once, before anything is measured.
    assert!(!Modern::new(&lax, &key).tools().is_empty());
    assert!(!Modern::new(&strict, &key).tools().is_empty());
    far.take();

    let began = Instant::now();
    storm(&strict, &key, |refused| {
        assert_eq!(
            refused.refusal(),
            (-31010, "filter_error".to_owned()),
            "{refused}"
        );
    });
    let took = began.elapsed();
    assert_eq!(far.count(), 0, "the server never hears of one");
    // Each waiting its turn would be a minute.
    assert!(took < TIMEOUT * 40, "the breaker is open: {took:?}");

    storm(&lax, &key, |passed| assert_eq!(passed.content(), "Echo: a"));
    assert_eq!(far.count(), CALLS);
    tests::wait::until("all calls to be on record", Duration::from_secs(20), || {
        let rows = mesh.audit(&[
            "--server",
            "lax",
            "--method",
            "tools/call",
            "--limit",
            "1000",
        ]);
        let noted = |row: &&serde_json::Value| row["findings"] == json!(["lax: error allow"]);
        match rows.iter().filter(noted).count() {
            CALLS => Ok(()),
            others => Err(format!("{others} of {}", rows.len())),
        }
    });

    receiver.answer(|_| allow());
    tests::wait::until(
        "the receiver to be asked again",
        Duration::from_secs(10),
        || {
            let answer = Modern::new(&strict, &key).call("echo", json!({"message": "b"}));
            if answer.text().contains("Echo: b") {
                Ok(())
            } else {
                Err(answer.to_string())
            }
        },
    );
}

#[test]
fn an_answer_of_ten_megabytes_is_a_failure_within_the_receivers_time() {
    let far = remote::modern();
    let large = "x".repeat(10 << 20);
    let answer = Answer::json(&json!({"verdict": "allow", "note": large}));
    let receiver = Listener::start(move |_| answer.clone());
    let mut resources = vec![
        catalog::remote("far", &far.url("/mcp")),
        catalog::webhook("large", &["far"], &receiver.url("/"), "key"),
    ];
    resources.extend(ground());
    let mesh = Mesh::new().with(&resources).start();
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let client = Modern::new(&mesh.url(0, "far"), &key);
    let mut least = Duration::MAX;
    for _ in 0..3 {
        let began = Instant::now();
        let refused = client.call("echo", json!({"message": "a"}));
        least = least.min(began.elapsed());
        assert_eq!(
            refused.refusal(),
            (-31010, "filter_error".to_owned()),
            "{refused}"
        );
    }
    assert!(least <= TIMEOUT + Duration::from_millis(50), "{least:?}");
}
