//! Servers that misbehave: their callers get a typed error, the operator a clear line, and other servers go on.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::http::Response;
use tests::rpc::{Modern, Session};
use tests::shared::Guest;
use tests::wait;

use crate::stage;

const UNAVAILABLE: i64 = -31011;
/// How long a caller may wait for an error about a server that is not there.
const AT_ONCE: Duration = Duration::from_secs(10);

fn client(mesh: &Guest, server: &str) -> Modern {
    Modern::new(&mesh.url(0, server), &stage::ana(mesh))
}

#[track_caller]
fn unavailable(answer: &Response, reason: &str) {
    assert_eq!(answer.status, 200, "{answer}");
    assert_eq!(
        answer.refusal(),
        (UNAVAILABLE, reason.to_owned()),
        "{answer}"
    );
}

#[test]
fn up_is_ready_in_spite_of_servers_that_do_not_start_and_names_them() {
    let mesh = stage::infirmary();
    let said = mesh.stdout() + &mesh.stderr();
    for server in ["missing", "rubbish"] {
        assert!(
            said.lines()
                .any(|line| line.contains(server) && line.contains("failed")),
            "no word of {server}: {said}"
        );
    }
    assert_eq!(
        client(&mesh, "slow")
            .call("sleep", json!({"seconds": 0}))
            .content(),
        "slept 0 s"
    );
}

#[test]
fn a_server_that_cannot_start_is_unavailable_at_once_and_its_status_says_why() {
    let mesh = stage::infirmary();
    let began = Instant::now();
    let answer = client(&mesh, "missing").call("anything", json!({}));
    unavailable(&answer, "unavailable");
    assert!(began.elapsed() < AT_ONCE, "it took {:?}", began.elapsed());
    let status = status(&mesh, "missing");
    assert!(
        ["failed", "backoff"]
            .iter()
            .any(|state| status["state"] == *state),
        "{status}"
    );
    assert!(
        status["message"]
            .as_str()
            .is_some_and(|text| !text.is_empty()),
        "{status}"
    );
    assert!(status.to_string().contains("/no/such/program"), "{status}");
}

#[test]
fn a_server_that_talks_rubbish_is_unavailable_and_its_status_quotes_it() {
    let mesh = stage::infirmary();
    unavailable(
        &client(&mesh, "rubbish").call("anything", json!({})),
        "unavailable",
    );
    let status = wait::until("the rubbish to be seen", AT_ONCE, || {
        let status = status(&mesh, "rubbish");
        if status["rubbish_lines"].as_u64() >= Some(1) {
            Ok(status)
        } else {
            Err(status.to_string())
        }
    });
    assert!(
        status["last_exit"]
            .as_str()
            .is_some_and(|exit| exit.contains('3')),
        "{status}"
    );
    let stderr = status["stderr"].to_string();
    assert!(
        stderr.contains("out of words"),
        "its last words are kept: {status}"
    );
}

#[test]
fn a_server_that_dies_in_a_call_answers_its_caller_at_once_and_is_started_again() {
    let mesh = stage::infirmary();
    let client = client(&mesh, "dies");
    mesh.server_in("dies", "ready");
    let before = status(&mesh, "dies")["restarts"].as_u64();
    let began = Instant::now();
    unavailable(&client.call("die", json!({})), "unavailable");
    assert!(began.elapsed() < AT_ONCE, "it took {:?}", began.elapsed());
    wait::until(
        "the server to be started again",
        Duration::from_secs(30),
        || {
            let status = status(&mesh, "dies");
            let again = status["state"] == "ready" && status["restarts"].as_u64() > before;
            if again {
                Ok(())
            } else {
                Err(status.to_string())
            }
        },
    );
    assert_eq!(client.tools(), ["die"]);
    let row = mesh.recorded(&["--server", "dies"], |row| row["name"] == "die");
    assert_eq!(
        (&row["decision"], &row["reason"]),
        (&json!("error"), &json!("unavailable")),
        "{row}"
    );
}

#[test]
fn a_call_that_takes_too_long_times_out_and_is_cancelled_at_the_server() {
    let mesh = stage::infirmary();
    let client = client(&mesh, "hasty");
    let before = cancelled(&client);
    unavailable(&client.call("sleep", json!({"seconds": 30})), "timeout");
    wait::wait_for("the server to be told", AT_ONCE, || {
        cancelled(&client) > before
    });
}

#[test]
fn other_servers_go_on_while_one_keeps_dying() {
    let mesh = stage::infirmary();
    let (dies, slow) = (client(&mesh, "dies-often"), client(&mesh, "slow"));
    for _ in 0..3 {
        let dying = dies.calling("die", json!({}));
        std::thread::scope(|scope| {
            scope.spawn(|| dying.send());
            assert_eq!(
                slow.call("sleep", json!({"seconds": 0})).content(),
                "slept 0 s"
            );
        });
    }
}

#[test]
fn a_modern_client_that_leaves_cancels_its_call_at_the_server() {
    let mesh = stage::workshop();
    let client = Modern::new(
        &mesh.url(0, "slow"),
        &mesh.key("lea@example.com", &["leavers", "admin"]).text,
    );
    let before = cancelled(&client);
    let mut call = client
        .calling_with_progress("sleep", json!({"seconds": 60, "steps": 600}))
        .open();
    assert_eq!(call.first_message()["method"], "notifications/progress");
    drop(call);
    wait::wait_for("the server to be told", AT_ONCE, || {
        cancelled(&client) > before
    });
    let row = mesh.recorded(&["--user", "lea@example.com"], |row| row["name"] == "sleep");
    assert_eq!(
        (&row["decision"], &row["reason"]),
        (&json!("error"), &json!("cancelled")),
        "{row}"
    );
}

#[test]
fn a_legacy_client_that_leaves_cancels_nothing() {
    // Not the server at which the modern client cancels: what is counted here would be its call.
    let mesh = stage::infirmary();
    let key = mesh.key("leo@example.com", &["engineering"]).text;
    let session = Session::begin(&mesh.url(0, "slow"), &key);
    let params = json!({"name": "sleep", "arguments": {"seconds": 1, "steps": 20}, "_meta": {"progressToken": "p"}});
    let mut call = session.request("tools/call", params).open();
    assert_eq!(call.first_message()["params"]["progressToken"], "p");
    drop(call);
    // Were it a cancel, the server would have heard of it long before this call of the same length is answered.
    let counter = Modern::new(&mesh.url(0, "slow"), &key);
    let before = cancelled(&counter);
    assert_eq!(
        session.call("sleep", json!({"seconds": 1})).content(),
        "slept 1 s"
    );
    assert_eq!(cancelled(&counter), before);
}

#[test]
fn progress_comes_before_the_result_with_the_callers_own_token() {
    let mesh = stage::workshop();
    let client = Modern::new(&mesh.url(0, "slow"), &stage::ana(&mesh));
    let params = json!({
        "name": "sleep", "arguments": {"seconds": 0.3, "steps": 3}, "_meta": {"progressToken": 42},
    });
    let answer = client
        .request("tools/call", params)
        .send()
        .expect_status(200);
    let messages = answer.messages();
    let tokens: Vec<_> = messages
        .iter()
        .filter_map(|each| each["params"].get("progressToken"))
        .collect();
    assert_eq!(tokens, [&json!(42), &json!(42), &json!(42)], "{answer}");
    assert_eq!(answer.content(), "slept 0.3 s");
}

#[test]
fn clients_of_both_eras_are_served_by_a_server_that_speaks_the_modern_one_alone() {
    let mesh = stage::workshop();
    let (url, key) = (mesh.url(0, "modern-only"), stage::ana(&mesh));
    let modern = Modern::new(&url, &key);
    assert_eq!(modern.tools(), ["echo"]);
    assert_eq!(
        modern.call("echo", json!({"message": "hi"})).content(),
        "Echo: hi"
    );
    let legacy = Session::begin(&url, &key);
    assert_eq!(legacy.tools(), ["echo"]);
    let said = legacy.call("echo", json!({"message": "hi"}));
    assert_eq!(said.content(), "Echo: hi");
}

#[test]
fn replies_are_never_crossed_though_all_callers_use_the_same_id() {
    let mesh = stage::workshop();
    let client = Modern::new(&mesh.url(1, "everything"), &stage::ana(&mesh));
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let client = &client;
            scope.spawn(move || {
                for turn in 0..10 {
                    let text = format!("{worker}-{turn}");
                    let params = json!({"name": "echo", "arguments": {"message": text}});
                    let answer = client.request_with_id("1", "tools/call", params).send();
                    assert_eq!(answer.content(), format!("Echo: {text}"));
                    assert_eq!(answer.reply()["id"], "1");
                }
            });
        }
    });
}

fn status(mesh: &Guest, server: &str) -> Value {
    mesh.gatehouse(&["server", "status", server, "-o", "json"])
        .good()
        .items()
        .remove(0)
}

/// How many calls the server was told to cancel.
fn cancelled(client: &Modern) -> u64 {
    client
        .call("cancelled", json!({}))
        .content()
        .parse()
        .expect("it is a number")
}
