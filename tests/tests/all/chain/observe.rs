//! Filters that only look: nothing is refused, changed or delayed by them, and what they would have done is on record.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::catalog;
use tests::listener::{Answer, Listener};
use tests::mesh::Mesh;
use tests::remote;
use tests::rpc::{Modern, Session, id_of};

use super::{allow, ground, of_all};

/// How long the observed receiver takes: longer than a call may.
const SLOW: Duration = Duration::from_secs(2);

fn observed(mut filter: Value) -> Value {
    filter["spec"]["mode"] = json!("observe");
    filter
}

#[test]
fn who_observes_delays_and_decides_nothing_and_is_on_record() {
    let far = remote::modern();
    let slow =
        Listener::start(|_| Answer::json(&json!({"verdict": "deny", "reason": "no"})).after(SLOW));
    let changing = Listener::start(|heard| {
        let mut message = heard.json()["message"].clone();
        message["params"]["arguments"]["message"] = json!("changed");
        Answer::json(&json!({"verdict": "change", "message": message}))
    });
    let hung = Listener::start(|_| Answer::never());
    let mut changes = observed(of_all("changes", &["*"], &changing.url("/")));
    changes["spec"]["mayChange"] = json!(true);
    changes["spec"]["match"]["direction"] = json!("request");
    let mut hangs = observed(of_all("hangs", &["*"], &hung.url("/")));
    hangs["spec"]["webhook"]["timeout"] = json!("300ms");
    hangs["spec"]["match"]["direction"] = json!("request");
    let mut resources = vec![
        catalog::remote("far", &far.url("/mcp")),
        catalog::fixture("slow", &[]),
        observed(catalog::words("watched", &["hacking"])),
        observed(of_all("denies", &["*"], &slow.url("/"))),
        changes,
        hangs,
    ];
    resources.extend(ground());
    let mesh = Mesh::new().with(&resources).start();
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    mesh.server_in("slow", "ready");
    let direct = Modern::new(&mesh.url(0, "far"), &key);
    let through = Session::begin(&mesh.url(0, "slow"), &key);
    for (request, said) in [
        (
            direct.calling("echo", json!({"message": "hacking"})),
            "Echo: hacking",
        ),
        (
            through.calling("sleep", json!({"seconds": 0, "note": "hacking"})),
            "slept 0 s",
        ),
    ] {
        let began = Instant::now();
        assert_eq!(request.send().content(), said, "it goes as it is");
        let took = began.elapsed();
        assert!(took < SLOW, "nobody waits: {took:?}");
        // Also what is found only after the call is over comes to its row.
        let id = id_of(&request);
        let row = mesh.recorded(&[], |row| {
            let findings = row["findings"].to_string();
            let all = ["watched: observed deny", "denies: observed deny"];
            let more = ["changes: observed change", "hangs: observed error"];
            row["request_id"] == id && all.iter().chain(&more).all(|one| findings.contains(one))
        });
        assert_eq!(row["decision"], "allow", "{row:#}");
        assert_eq!(row["reason"], Value::Null, "{row:#}");
        assert_eq!(row["request_sha256"], Value::Null, "{row:#}");
        let mut filters: Vec<_> = row["filters"].as_array().expect("a list").clone();
        filters.sort_by_key(Value::to_string);
        assert_eq!(
            json!(filters),
            json!(["changes", "denies", "hangs", "watched"])
        );
        let rows = mesh.audit(&["--limit", "1000"]);
        let rows = rows.iter().filter(|row| row["request_id"] == id).count();
        assert_eq!(rows, 1, "it stays one row");
    }
    drop(allow());
}

#[test]
fn too_many_observed_questions_are_left_out_and_counted() {
    let far = remote::modern();
    let hung = Listener::start(|_| Answer::never());
    let mut resources = vec![
        catalog::remote("far", &far.url("/mcp")),
        observed(of_all("hangs", &["far"], &hung.url("/"))),
    ];
    resources.extend(ground());
    let mesh = Mesh::new().with(&resources).start();
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let client = Modern::new(&mesh.url(0, "far"), &key);
    // Two questions a call: a filter has 256 under way at most, and its receiver answers none.
    for _ in 0..150 {
        let answer = client.call("echo", json!({"message": "a"}));
        assert_eq!(answer.content(), "Echo: a");
    }
    mesh.recorded(&["--server", "far"], |row| {
        row["findings"]
            .to_string()
            .contains("hangs: observed dropped")
    });
}
