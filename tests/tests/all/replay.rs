//! What a rule asks to be put on record of calls, and calls of the past decided again by a change that is not made yet.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use loadtest::Fixture;
use serde_json::{Value, json};
use tests::catalog;
use tests::http::{self, Pool, Response};
use tests::mesh::{Mesh, Running};
use tests::rpc::Modern;
use tests::scenes::tell;
use tests::wait;

/// Calls that are made, and made again.
const CALLS: usize = 10_000;
/// How long a replay of them may take, on any machine.
const IN_TIME: Duration = Duration::from_secs(10);
/// Calls under way at once.
const AT_ONCE: usize = 16;
/// How long records of all calls may take to the audit store.
const RECORDS: Duration = Duration::from_secs(90);

/// A rule that allows a group everything, and asks for what is said.
fn recording(name: &str, group: &str) -> Value {
    let mut rule = catalog::allow(name, group, &["*"]);
    rule["spec"]["record"] = json!({"arguments": true, "results": true});
    rule
}

/// Three callers: of ana and ben what they say is on record, of sam it is not.
fn mesh(url: &str) -> (Running, [Modern; 3]) {
    let resources = [
        catalog::remote("work", url),
        catalog::fixture("slow", &[]),
        recording("engineers", "engineering"),
        catalog::allow("support", "support", &["work"]),
    ];
    let mesh = Mesh::new().with(&resources).start();
    let client = |user: &str, groups: &[&str]| {
        let key = mesh.key(user, groups);
        Modern::new(&mesh.url(0, "work"), &key.text)
    };
    let clients = [
        client("ana@example.com", &["engineering"]),
        client("ben@example.com", &["engineering", "ops"]),
        client("sam@example.com", &["support"]),
    ];
    (mesh, clients)
}

#[test]
fn what_is_said_is_on_record_redacted_where_a_rule_asks_and_nowhere_else() {
    let fixture = Fixture::new().modern_only().start().expect("it listens");
    let (mesh, [ana, _, sam]) = mesh(&fixture.url());
    let secret = "mail ana.maria@example.com";
    for client in [&ana, &sam] {
        let said = client.call("echo", json!({"message": secret}));
        assert!(
            said.text().contains("ana.maria"),
            "the call itself is not touched"
        );
    }
    let row = mesh.recorded(&["--user", "ana@example.com"], |row| row["name"] == "echo");
    assert_eq!(row["arguments_redacted"], json!(true), "{row:#}");
    let message = row["arguments"]["message"].as_str().expect("a text");
    assert!(
        message.starts_with("mail ") && !message.contains("ana.maria"),
        "{row:#}"
    );
    let result = row["result"].to_string();
    assert!(
        result.contains("content") && !result.contains("ana.maria"),
        "{row:#}"
    );
    let row = mesh.recorded(&["--user", "sam@example.com"], |row| row["name"] == "echo");
    assert_eq!(
        (&row["arguments"], &row["result"]),
        (&Value::Null, &Value::Null)
    );

    // Through a sidecar it is the same; what is long is cut.
    let slow = mesh.key("ana@example.com", &["engineering"]);
    let slow = Modern::new(&mesh.url(0, "slow"), &slow.text);
    let _ = slow.call("sleep", json!({"seconds": 0, "note": "x".repeat(20_000)}));
    let row = mesh.recorded(&["--tool", "sleep"], |row| row["server"] == "slow");
    assert_eq!(row["arguments_cut"], json!(true));
    assert!(row["result"].to_string().contains("slept 0 s"), "{row:#}");
}

/// What the n-th call says.
fn call(n: usize) -> (usize, &'static str, Value) {
    let word = if n.is_multiple_of(10) {
        "f\u{f6}rbidden"
    } else {
        "fine"
    };
    let (tool, arguments) = match n % 4 {
        0 => ("echo", json!({"message": format!("{word} {n}")})),
        1 => ("sleep", json!({"ms": 0, "note": {"deep": [word]}})),
        2 => ("big", json!({"bytes": 10})),
        _ => ("echo", json!({"message": "", word: n})),
    };
    (n % 3, tool, arguments)
}

/// Makes all calls; whether each was refused.
fn run(clients: &[Modern; 3], turn: &str) -> Vec<bool> {
    let pool = Pool::default();
    let one = async |n: usize| {
        let (who, tool, arguments) = call(n);
        let params = json!({"name": tool, "arguments": arguments});
        let id = format!("{turn}-{n}");
        let request = clients[who].request_with_id(&id, "tools/call", params);
        let (response, _) = pool.send(&request).await.expect("an answer");
        (n, is_refused(&response))
    };
    let all = stream::iter((0..CALLS).map(one)).buffer_unordered(AT_ONCE);
    let mut outcomes: Vec<(usize, bool)> = http::runtime().block_on(all.collect());
    outcomes.sort_unstable();
    outcomes.into_iter().map(|(_, refused)| refused).collect()
}

fn is_refused(response: &Response) -> bool {
    let answer = response.reply();
    assert!(
        answer["result"].is_object() || answer["error"].is_object(),
        "{answer}"
    );
    answer["error"].is_object()
}

/// The numbers of the calls on record, by call id.
fn numbers(mesh: &Running) -> BTreeMap<String, usize> {
    let rows = wait::until("records of all calls", RECORDS, || {
        let rows = mesh.audit(&["--method", "tools/call", "--limit", "100000"]);
        if rows.len() == CALLS {
            return Ok(rows);
        }
        Err(format!("only {}", rows.len()))
    });
    let number = |row: &Value| {
        let id = row["request_id"].as_str()?.strip_prefix("first-")?;
        Some((row["call_id"].as_str()?.to_owned(), id.parse().ok()?))
    };
    rows.iter().filter_map(number).collect()
}

#[test]
fn a_replay_of_ten_thousand_calls_names_exactly_those_that_a_change_decides_otherwise() {
    let fixture = Fixture::new().modern_only().start().expect("it listens");
    let (mesh, clients) = mesh(&fixture.url());
    let began = Instant::now();
    let first = run(&clients, "first");
    tell(&format!(
        "{CALLS} calls in {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    assert!(!first.contains(&true), "all may do all");
    let numbers = numbers(&mesh);
    assert_eq!(numbers.len(), CALLS);

    let mut words = catalog::words("no-word", &["f\u{f6}rbidden"]);
    words["spec"]["match"]["direction"] = json!("request");
    let mut big = catalog::deny_tool("no-big", "nobody", "work", "big");
    big["spec"]["subjects"] = json!([{"user": "ana@example.com"}]);
    let change = [
        catalog::deny_tool("no-sleep", "ops", "work", "sleep"),
        big,
        words,
    ];
    let file = mesh.file("change.yaml", &catalog::file(&change));
    let flags = ["apply", "-f", &file, "--dry-run", "--replay", "1h"];
    let began = Instant::now();
    let replay = mesh
        .gatehouse(&[&flags[..], &["-o", "json"]].concat())
        .good()
        .json()["replay"]
        .clone();
    let replayed = began.elapsed();
    tell(&format!("replayed in {:.2} s", replayed.as_secs_f64()));
    assert!(replayed < IN_TIME, "{replayed:?}");
    let changed: BTreeSet<usize> = replay["changed"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|call| numbers.get(call["call_id"].as_str()?).copied())
        .collect();
    assert_eq!(replay["changed_in_all"], json!(changed.len()));
    assert_eq!(replay["differed"], json!(0));
    let people = mesh.gatehouse(&flags).good();
    assert!(people.stdout.contains("allow -> deny"), "{people}");
    assert!(people.stdout.contains("filter:no-word"), "{people}");

    // What really happens.
    mesh.gatehouse(&["apply", "-f", &file, "--wait"]).good();
    let second = run(&clients, "second");
    let is_known = |n: &usize| call(*n).0 != 2;
    let really: BTreeSet<usize> = (0..CALLS).filter(is_known).filter(|n| second[*n]).collect();
    let missed: Vec<_> = really.difference(&changed).take(5).collect();
    let invented: Vec<_> = changed.difference(&really).take(5).collect();
    assert!(
        missed.is_empty() && invented.is_empty(),
        "missed {missed:?}, invented {invented:?}"
    );
    assert!(really.len() > CALLS / 10, "{}", really.len());
    let unknown = (0..CALLS).filter(|n| !is_known(n)).count();
    assert_eq!(
        replay["unknown_by"],
        json!({"arguments not recorded": unknown}),
        "sam's, of which it cannot be known"
    );
    // Whoever looked for tools meanwhile is among them.
    assert!(replay["looked"].as_u64() >= Some(CALLS as u64), "{replay}");
}
