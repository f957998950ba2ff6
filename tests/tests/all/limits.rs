//! Limits as clients meet them: what is over is refused with a typed error that says when to come again, is on record with
//! the limit's name, and others go on.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::catalog;
use tests::http::Response;
use tests::mesh::{Mesh, Running};
use tests::redis::Redis;
use tests::rpc::{Modern, Session};
use tests::{scenes, wait};

use crate::metrics::metrics;

const REFUSED: i64 = -31010;
/// How long a call that is over may take to be noticed as such.
const SOON: Duration = Duration::from_secs(10);

/// A limit on some servers.
fn limit(name: &str, servers: &[&str], spec: &Value) -> Value {
    let mut spec = spec.clone();
    spec["match"] = json!({"servers": servers});
    catalog::resource("Limit", name, &spec)
}

/// The fixture `slow` under several names, everything allowed to `dev`, and some limits.
fn mesh(limits: &[Value]) -> Running {
    let names = ["rated", "busy", "bulky", "watched", "free"];
    let servers = names.map(|name| catalog::named_fixture(name, "slow", &[]));
    let mut resources = servers.to_vec();
    resources.push(catalog::allow("dev", "dev", &["*"]));
    let members: Vec<(&str, &str)> = names.map(|name| (name, name)).to_vec();
    resources.push(catalog::virtual_server("all", &members));
    resources.extend_from_slice(limits);
    Mesh::new().with(&resources).start()
}

fn client(mesh: &Running, user: &str, server: &str) -> Modern {
    Modern::new(&mesh.url(0, server), &mesh.key(user, &["dev"]).text)
}

fn call(client: &Modern) -> Response {
    client.call("sleep", json!({"seconds": 0}))
}

fn passes(answer: &Response) -> bool {
    answer.messages().iter().any(|m| m["result"].is_object())
}

/// What a refusal says: when to come again, in milliseconds.
#[track_caller]
fn refused_by(answer: &Response, limit: &str) -> u64 {
    assert_eq!(answer.status, 200, "{answer}");
    let error = answer.error();
    assert_eq!(error["code"], REFUSED, "{answer}");
    let data = &error["data"];
    assert_eq!(
        (&data["reason"], &data["limit"], &data["decision"]),
        (&json!("limit"), &json!(limit), &json!("deny")),
        "{answer}"
    );
    let after_ms = data["retryAfterMs"].as_u64().expect("it is a number");
    let after_s: u64 = answer.header("retry-after").parse().expect("it is whole");
    assert_eq!(after_s, after_ms.div_ceil(1000), "{answer}");
    after_ms
}

#[test]
fn limits_are_counted_refused_released_and_recorded_at_the_edge() {
    let mesh = mesh(&[
        limit(
            "per-user",
            &["rated"],
            &json!({"per": ["user", "tool"], "rate": "2/4s", "burst": 2}),
        ),
        limit(
            "busy",
            &["busy"],
            &json!({"per": ["user"], "concurrency": 1}),
        ),
        limit(
            "bulky",
            &["bulky"],
            &json!({"per": ["user"], "responseBytes": "150B/1h"}),
        ),
        limit(
            "watched",
            &["watched"],
            &json!({"rate": "1/1h", "mode": "observe"}),
        ),
    ]);
    a_user_has_its_burst_and_passes_again_when_told(&mesh);
    places_are_given_back_with_the_reply_and_when_the_client_leaves(&mesh);
    after_too_many_bytes_the_next_call_is_refused(&mesh);
    an_observed_limit_refuses_nothing_and_is_on_record(&mesh);
    a_virtual_server_counts_at_its_member_and_lists_do_not_count(&mesh);
    what_a_limit_is_can_be_seen(&mesh);
}

fn a_user_has_its_burst_and_passes_again_when_told(mesh: &Running) {
    let ana = client(mesh, "ana@example.com", "rated");
    assert!(passes(&call(&ana)) && passes(&call(&ana)));
    let refused = ana.calling("sleep", json!({"seconds": 0}));
    let answer = refused.send();
    let after = Duration::from_millis(refused_by(&answer, "per-user"));
    assert!(after <= Duration::from_secs(2), "{after:?}");
    let told = Instant::now();
    assert!(
        passes(&ana.call("cancelled", json!({}))),
        "another tool is counted apart"
    );
    let ben = client(mesh, "ben@example.com", "rated");
    assert!(passes(&call(&ben)), "another user is counted apart");
    // Whoever comes too early is refused, and told a shorter time; whoever waits passes.
    wait::wait_for("the time that was told", SOON, || told.elapsed() >= after);
    assert!(passes(&call(&ana)));
    let id = tests::rpc::id_of(&refused);
    let row = mesh.recorded(&["--user", "ana@example.com"], |row| {
        row["request_id"] == id
    });
    assert_eq!(
        (&row["decision"], &row["reason"], &row["limit"]),
        (&json!("deny"), &json!("limit"), &json!("per-user")),
        "{row}"
    );
}

fn places_are_given_back_with_the_reply_and_when_the_client_leaves(mesh: &Running) {
    let ana = client(mesh, "ana@example.com", "busy");
    for _ in 0..5 {
        assert!(passes(&call(&ana)), "one after the other is one at a time");
    }
    let key = mesh.key("ana@example.com", &["dev"]).text;
    let session = Session::begin(&mesh.url(0, "busy"), &key);
    let arguments = json!({"seconds": 60, "steps": 600});
    let meta = json!({"progressToken": "p"});
    let params = json!({"name": "sleep", "arguments": arguments, "_meta": meta});
    for streamed in [
        ana.calling_with_progress("sleep", arguments.clone()),
        session.request("tools/call", params),
    ] {
        let open = streamed.open();
        is_taken(mesh, &ana);
        drop(open);
        wait::wait_for("the place to be free again", SOON, || passes(&call(&ana)));
    }
    // Nothing has come yet when this one is given up.
    let silent = ana.calling("sleep", json!({"seconds": 60}));
    std::thread::scope(|threads| {
        // Where a look has the place at that moment, once more.
        let waits = silent.deadline(Duration::from_secs(4));
        threads.spawn(move || while waits.try_send().is_ok_and(|answer| !passes(&answer)) {});
        is_taken(mesh, &ana);
    });
    wait::wait_for("the place to be free again", SOON, || passes(&call(&ana)));
}

/// The one place of a user is taken, and of no other.
fn is_taken(mesh: &Running, user: &Modern) {
    wait::wait_for("the call to take its place", SOON, || !passes(&call(user)));
    assert_eq!(refused_by(&call(user), "busy"), 1000);
    let ben = client(mesh, "ben@example.com", "busy");
    assert!(passes(&call(&ben)), "another user has a place of its own");
}

fn after_too_many_bytes_the_next_call_is_refused(mesh: &Running) {
    let ana = client(mesh, "ana@example.com", "bulky");
    let mut passed = 0;
    let refused = loop {
        let answer = call(&ana);
        if !passes(&answer) {
            break answer;
        }
        passed += 1;
        assert!(passed < 10, "an answer has more than 15 bytes");
    };
    assert!(passed > 0);
    assert!(refused_by(&refused, "bulky") > 1000);
    assert!(passes(&call(&client(mesh, "ben@example.com", "bulky"))));
}

fn an_observed_limit_refuses_nothing_and_is_on_record(mesh: &Running) {
    let ana = client(mesh, "ana@example.com", "watched");
    assert!(passes(&call(&ana)));
    let over = ana.calling("sleep", json!({"seconds": 0}));
    assert!(passes(&over.send()));
    let id = tests::rpc::id_of(&over);
    let row = mesh.recorded(&["--server", "watched"], |row| row["request_id"] == id);
    assert_eq!(
        (&row["decision"], &row["reason"], &row["limit"]),
        (&json!("allow"), &Value::Null, &json!("watched")),
        "{row}"
    );
}

fn a_virtual_server_counts_at_its_member_and_lists_do_not_count(mesh: &Running) {
    let eve = client(mesh, "eve@example.com", "all");
    for _ in 0..5 {
        assert!(eve.tools().len() >= 10);
    }
    let rated = |client: &Modern| client.call("ratedsleep", json!({"seconds": 0}));
    let direct = client(mesh, "eve@example.com", "rated");
    assert!(passes(&rated(&eve)) && passes(&call(&direct)));
    refused_by(&rated(&eve), "per-user");
    assert!(passes(&eve.call("freesleep", json!({"seconds": 0}))));
}

fn what_a_limit_is_can_be_seen(mesh: &Running) {
    let explained = mesh.gatehouse(&[
        "explain",
        "--user",
        "ana@example.com",
        "--group",
        "dev",
        "--server",
        "rated",
        "--tool",
        "sleep",
        "-o",
        "json",
    ]);
    assert_eq!(explained.good().json()["limits"], json!(["per-user"]));
    let table = mesh.gatehouse(&["get", "limits"]).good().stdout;
    assert!(
        table.contains("2/4s, burst 2") && table.contains("user,tool"),
        "{table}"
    );
    let sheet = mesh
        .gatehouse(&["describe", "Limit", "per-user"])
        .good()
        .stdout;
    assert!(
        sheet.contains("last calls over it") && sheet.contains("rated/sleep"),
        "{sheet}"
    );
    let yaml = mesh
        .gatehouse(&["get", "Limit", "per-user", "-o", "yaml"])
        .good()
        .stdout;
    assert!(
        yaml.contains("rate: \"2/4s\"") || yaml.contains("rate: 2/4s"),
        "{yaml}"
    );
}

#[test]
fn four_edges_let_through_what_one_limit_gives() {
    scenes::limits::holds(Duration::from_secs(5), Duration::from_secs(1));
}

#[test]
fn without_its_store_a_shared_limit_does_as_it_says_and_counts_again_when_it_is_back() {
    let mut redis = Redis::start();
    let shared = |name: &str, on_error: &str| {
        let spec = json!({"per": ["user"], "rate": "3/1h", "onStoreError": on_error});
        limit(name, &[name], &spec)
    };
    let mesh = Mesh::new()
        .with(&[
            catalog::named_fixture("closed", "slow", &[]),
            catalog::named_fixture("open", "slow", &[]),
            catalog::allow("dev", "dev", &["*"]),
            shared("closed", "deny"),
            shared("open", "allow"),
        ])
        .edges(2)
        .setting("GATEHOUSE_EDGE__LIMITS__REDIS", &redis.url())
        .setting("GATEHOUSE_EDGE__LIMITS__WAIT_MS", "2000")
        .start();
    let key = |user: &str| mesh.key(user, &["dev"]).text;
    let at = |edge: usize, server: &str, key: &str| Modern::new(&mesh.url(edge, server), key);
    connected(&mesh);

    // Exact, whichever edge is asked.
    let ana = key("ana@example.com");
    for server in ["closed", "open"] {
        for edge in [0, 1, 1] {
            assert!(passes(&call(&at(edge, server, &ana))), "{server} {edge}");
        }
        for edge in [0, 1] {
            let after = refused_by(&call(&at(edge, server, &ana)), server);
            assert!(after > 1_000_000, "{after} ms");
        }
    }

    redis.kill9();
    let ben = key("ben@example.com");
    let closed = || call(&at(0, "closed", &ben));
    for _ in 0..20 {
        assert_eq!(refused_by(&closed(), "closed"), 1000);
        assert!(passes(&call(&at(0, "open", &ben))), "not even counted");
    }
    let began = Instant::now();
    closed();
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "nobody waits for what is not there"
    );

    redis.restart();
    wait::wait_for("the edge to count again", SOON, || passes(&closed()));
    connected(&mesh);
    // What the store gave to a call that had given up waiting may be lost; more than there is never passes.
    let more = |turn: &usize| passes(&call(&at((turn + 1) % 2, "closed", &ben)));
    let passed = (0..6).filter(more).count();
    assert!((1..=2).contains(&passed), "{passed} of 2 passed");
    refused_by(&call(&at(1, "closed", &ben)), "closed");

    // One that hangs is as good as gone.
    redis.pause();
    let cem = key("cem@example.com");
    refused_by(&call(&at(0, "closed", &cem)), "closed");
    assert!(passes(&call(&at(0, "open", &cem))));
    redis.go_on();
    wait::wait_for("the edge to count again", SOON, || {
        passes(&call(&at(0, "closed", &cem)))
    });
}

#[test]
fn edges_learn_from_each_other_how_many_bytes_have_passed() {
    let redis = Redis::start();
    let spec = json!({"per": ["user"], "responseBytes": "10000B/1h"});
    let mesh = Mesh::new()
        .with(&[
            catalog::fixture("slow", &[]),
            catalog::allow("dev", "dev", &["*"]),
            limit("bytes", &["slow"], &spec),
        ])
        .edges(2)
        .setting("GATEHOUSE_EDGE__LIMITS__REDIS", &redis.url())
        .setting("GATEHOUSE_EDGE__LIMITS__WAIT_MS", "2000")
        .start();
    connected(&mesh);
    let key = mesh.key("ana@example.com", &["dev"]).text;
    let at = |edge| Modern::new(&mesh.url(edge, "slow"), &key);
    // The first edge uses it up; the second hears so by its own first answer.
    let mut passed = 0;
    while passes(&call(&at(0))) {
        passed += 1;
        assert!(passed < 1000, "an answer has more than 10 bytes");
    }
    assert!(passed > 20, "an answer has less than 500 bytes");
    let mut late = 0;
    wait::wait_for("the second edge to hear of it", SOON, || {
        late += 1;
        !passes(&call(&at(1)))
    });
    assert!(
        late < passed,
        "{late} calls passed at the second edge, {passed} at the first"
    );
    refused_by(&call(&at(1)), "bytes");
}

/// Waits until all edges have a connection to the store.
fn connected(mesh: &Running) {
    for edge in mesh.parts("edge") {
        wait::wait_for("a connection to redis", SOON, || {
            metrics(&edge).contains("gatehouse_limit_store_connected 1")
        });
    }
}
