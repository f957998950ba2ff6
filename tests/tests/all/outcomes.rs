//! What policy decides, as the clients that people have meet it: each outcome on each SDK.

use std::time::Duration;

use serde_json::{Value, json};
use tests::catalog;
use tests::mesh::{Mesh, Running};
use tests::sdk::{Answer, Sdk};
use tests::wait;

const REFUSED: i64 = -31010;
const UNKNOWN: i64 = -32602;
/// How long a call may take to come to wait for a person.
const SOON: Duration = Duration::from_secs(30);

fn rule(name: &str, effect: &str, tool: &str) -> Value {
    let spec = json!({"effect": effect, "subjects": [{"group": "team"}], "servers": ["*"], "tools": [tool]});
    catalog::resource("AccessRule", name, &spec)
}

fn office() -> Running {
    let mut no_secrets = rule("no-secrets", "deny", "echo");
    no_secrets["spec"]["when"] = json!(r#"args.message.contains("secret")"#);
    let mut redact = catalog::words("redact", &[]);
    let spec = redact["spec"].as_object_mut().expect("a mapping");
    spec.remove("keywords");
    spec.insert(
        "pii".to_owned(),
        json!({"detect": ["email"], "action": "redact"}),
    );
    spec.insert("mayChange".to_owned(), json!(true));
    spec["match"]["direction"] = json!("response");
    let limit = json!({"match": {"servers": ["everything"], "tools": ["get-sum"]},
        "per": ["user"], "rate": "1/1h"});
    Mesh::new()
        .with(&[
            catalog::everything(),
            catalog::fixture("slow", &[]),
            catalog::allow("team", "team", &["*"]),
            rule("no-env", "deny", "get-env"),
            rule("four-eyes", "approve", "sleep"),
            no_secrets,
            catalog::words("no-hacking", &["hacking"]),
            redact,
            catalog::resource("Limit", "once", &limit),
        ])
        .setting("GATEHOUSE_CONTROL_PLANE__APPROVALS__EXPIRES_S", "8")
        .edges(2)
        .start()
}

/// Decides about the call of `user` that waits, once one does.
fn decide(mesh: &Running, user: &str, words: &[&str]) {
    let waits = wait::until(&format!("a call of {user} to wait"), SOON, || {
        let items = mesh.gatehouse(&["approve", "-o", "json"]).good().items();
        let mut own = items.into_iter().filter(|item| item["user"] == user);
        own.next().ok_or_else(|| "none does".to_owned())
    });
    let id = waits["id"].as_str().expect("it has an id");
    mesh.gatehouse(&[&["approve", id], words].concat()).good();
}

/// Each outcome, as one SDK meets it.
fn met_by(sdk: Sdk, mesh: &Running, user: &str) {
    let key = mesh.key(user, &["team"]).text;
    let everything = mesh.url(0, "everything");
    let call = |tool: &str, arguments: Value| sdk.call(&everything, &key, tool, &arguments);
    let echo = |message: &str| call("echo", json!({"message": message}));

    let listed = sdk.list(&everything, &key);
    assert!(listed.tools().contains(&"echo") && !listed.tools().contains(&"get-env"));
    assert_eq!(echo("hi").text(), "Echo: hi", "allowed");
    assert_eq!(echo("a secret").error_code(), REFUSED, "denied");
    assert_eq!(call("get-env", json!({})).error_code(), UNKNOWN, "hidden");
    assert_eq!(echo("hacking").error_code(), REFUSED, "filtered");
    let changed = echo("mail ana@example.com");
    assert_eq!(changed.text(), "Echo: mail [redacted:email]", "changed");
    let sum = || call("get-sum", json!({"a": 1, "b": 2}));
    assert!(sum().text().contains('3'), "within the limit");
    assert_eq!(sum().error_code(), REFUSED, "limited");

    let slow = mesh.url(1, "slow");
    let sleep = |seconds: f64| sdk.call(&slow, &key, "sleep", &json!({"seconds": seconds}));
    let asked = |seconds: f64, words: &[&str]| -> Answer {
        std::thread::scope(|scope| {
            let call = scope.spawn(|| sleep(seconds));
            decide(mesh, user, words);
            call.join().expect("the client ends well")
        })
    };
    assert_eq!(asked(0.01, &[]).text(), "slept 0.01 s", "granted");
    assert_eq!(asked(0.02, &["--refuse"]).error_code(), REFUSED, "refused");
    assert_eq!(sleep(0.03).error_code(), REFUSED, "nobody decided in time");

    for (reason, count) in [("rule", 1), ("filter", 1), ("limit", 1), ("approval", 2)] {
        let of = |row: &Value| row["reason"] == reason && row["method"] == "tools/call";
        let rows = mesh.audit(&["--user", user, "--outcome", "deny"]);
        let found = rows.iter().filter(|row| of(row)).count();
        // A hidden tool is denied by a rule, too.
        let expected = count + usize::from(reason == "rule");
        assert_eq!(found, expected, "{reason}: {rows:#?}");
    }
}

#[test]
fn the_clients_that_people_have_meet_each_outcome() {
    let mesh = office();
    let clients = [Sdk::PythonModern, Sdk::PythonLegacy, Sdk::TypeScript];
    for (n, sdk) in clients.into_iter().enumerate() {
        met_by(sdk, &mesh, &format!("user{n}@example.com"));
    }
}

#[test]
#[ignore = "make e2e: its clients are built for the long run"]
fn further_clients_meet_each_outcome() {
    let mesh = office();
    let clients = [Sdk::TypeScript2, Sdk::RustModern, Sdk::RustLegacy];
    for (n, sdk) in clients.into_iter().enumerate() {
        met_by(sdk, &mesh, &format!("user{n}@example.com"));
    }
}
