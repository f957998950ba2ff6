//! The record: one row a call, one span a hop, in a chain, at home and at any other receiver.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use tests::catalog;
use tests::mesh::Mesh;
use tests::otlp::{Receiver, Span};
use tests::rpc::{Modern, Session, id_of};
use tests::wait;

use crate::stage;

/// How long spans may take.
const SPANS: Duration = Duration::from_secs(15);
/// The members of a row of `audit list -o json`.
const MEMBERS: [&str; 26] = [
    "call_id",
    "time",
    "seq",
    "node",
    "user",
    "groups",
    "client",
    "server",
    "method",
    "name",
    "decision",
    "reason",
    "rule",
    "filters",
    "revision",
    "duration_ms",
    "upstream_ms",
    "trace_id",
    "request_id",
    "hash",
    "limit",
    "findings",
    "request_sha256",
    "request_changed_sha256",
    "response_sha256",
    "response_changed_sha256",
];

#[test]
fn a_call_is_one_row_that_says_who_what_why_and_how_long() {
    let mesh = stage::workshop();
    let client = Modern::new(&mesh.url(0, "slow"), &stage::ana(&mesh));
    let call = client.calling("sleep", json!({"seconds": 0.2}));
    assert_eq!(call.send().content(), "slept 0.2 s");
    let id = id_of(&call);
    let row = mesh.recorded(&["--user", "ana@example.com"], |row| {
        row["request_id"] == id && row["upstream_ms"] != 0
    });
    let members: BTreeSet<_> = row
        .as_object()
        .expect("a row is an object")
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(members, BTreeSet::from(MEMBERS));
    let expected = json!({
        "user": "ana@example.com", "groups": ["engineering"], "client": "gatehouse-test", "server": "slow",
        "method": "tools/call", "name": "sleep", "decision": "allow", "rule": "engineers", "reason": null,
        "filters": ["no-hacking"],
    });
    for (member, value) in expected.as_object().expect("it is an object") {
        assert_eq!(&row[member], value, "{member}: {row:#}");
    }
    let (whole, upstream) = (row["duration_ms"].as_f64(), row["upstream_ms"].as_f64());
    assert!(
        upstream >= Some(200.0) && whole >= upstream && whole < Some(20_000.0),
        "{row:#}"
    );
    assert!(
        row["seq"].as_u64() >= Some(1) && row["revision"].as_u64() >= Some(1),
        "{row:#}"
    );
    assert_eq!(row["hash"].as_str().map(str::len), Some(64), "{row:#}");
    assert_eq!(row["trace_id"].as_str().map(str::len), Some(32), "{row:#}");
    let rows = mesh.audit(&["--user", "ana@example.com", "--limit", "1000"]);
    assert_eq!(
        rows.iter().filter(|row| row["request_id"] == id).count(),
        1,
        "two hops, one row"
    );
}

#[test]
fn rows_come_newest_first_page_by_page_and_filtered() {
    let mesh = stage::workshop();
    let client = Modern::new(
        &mesh.url(0, "slow"),
        &mesh.key("pam@example.com", &["engineering"]).text,
    );
    let calls: Vec<_> = (0..7)
        .map(|_| client.calling("sleep", json!({"seconds": 0})))
        .collect();
    for call in &calls {
        call.send().expect_status(200);
    }
    let mut expected: Vec<_> = calls.iter().map(id_of).collect();
    expected.reverse();
    mesh.recorded(&["--user", "pam@example.com"], |row| {
        row["request_id"] == expected[0]
    });
    let ids = |rows: &[Value]| {
        rows.iter()
            .map(|row| row["request_id"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let all: Vec<String> = ids(&mesh.audit(&["--user", "pam@example.com"]));
    assert_eq!(all, expected);

    let mut paged: Vec<String> = Vec::new();
    let mut cursor = String::new();
    loop {
        let mut words = vec![
            "audit",
            "list",
            "-o",
            "json",
            "--user",
            "pam@example.com",
            "--limit",
            "3",
        ];
        if !cursor.is_empty() {
            words.extend(["--after", &cursor]);
        }
        let page = mesh.gatehouse(&words).good();
        assert!(page.items().len() <= 3, "{page}");
        paged.extend::<Vec<String>>(ids(&page.items()));
        cursor = page.json()["next"].as_str().unwrap_or_default().to_owned();
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(paged, expected);

    let none = ["--user", "pam@example.com", "--outcome", "deny"];
    assert_eq!(mesh.audit(&none), Vec::<Value>::new());
    assert_eq!(
        mesh.audit(&[
            "--user",
            "pam@example.com",
            "--tool",
            "sleep",
            "--server",
            "slow"
        ])
        .len(),
        7
    );
}

#[test]
fn another_receiver_gets_one_server_span_a_hop_in_one_trace_and_in_an_unbroken_chain() {
    let receiver = Receiver::start();
    let resources = [
        catalog::fixture("slow", &[]),
        catalog::allow("all", "engineering", &["*"]),
        catalog::deny_tool("no-counting", "engineering", "slow", "cancelled"),
        catalog::words("no-hacking", &["hacking"]),
    ];
    let mesh = Mesh::new().with(&resources).otlp(receiver.url()).start();
    let client = Modern::new(
        &mesh.url(0, "slow"),
        &mesh.key("ana@example.com", &["engineering"]).text,
    );
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let params = json!({
        "name": "sleep", "arguments": {"seconds": 0},
        "_meta": {"traceparent": format!("00-{trace}-00f067aa0ba902b7-01")},
    });
    client
        .request_with_id("traced", "tools/call", params)
        .send()
        .expect_status(200);
    client.call("cancelled", json!({})).expect_status(200);
    client
        .call("sleep", json!({"seconds": "Hacking"}))
        .expect_status(200);

    let of_calls = |spans: &[Span]| -> Vec<Span> {
        let ours = spans
            .iter()
            .filter(|span| span.is_server && span.text("mcp.method.name") == "tools/call");
        ours.cloned().collect()
    };
    let spans = wait::until("the spans of three calls", SPANS, || {
        let spans = of_calls(&receiver.spans());
        // The denied one never reached the sidecar.
        if spans.len() >= 5 {
            Ok(spans)
        } else {
            Err(format!("{spans:#?}"))
        }
    });
    assert_eq!(spans.len(), 5, "{spans:#?}");

    let traced: Vec<_> = spans.iter().filter(|span| span.trace_id == trace).collect();
    let of = |service: &str| {
        let found = traced.iter().find(|span| span.service == service);
        *found.unwrap_or_else(|| panic!("no span of {service}: {traced:#?}"))
    };
    let (edge, sidecar) = (of("gatehouse-edge"), of("gatehouse-sidecar"));
    assert_eq!(
        edge.parent_id, "00f067aa0ba902b7",
        "the client's own span stands above ours"
    );
    assert_eq!(sidecar.parent_id, edge.span_id);
    for span in [edge, sidecar] {
        assert_eq!(span.name, "tools/call sleep");
        assert_eq!(span.text("gatehouse.decision"), "allow");
        assert_eq!(span.text("gatehouse.rule"), "all");
        assert_eq!(span.text("gatehouse.user"), "ana@example.com");
        assert_eq!(span.text("gatehouse.server"), "slow");
        assert_eq!(span.text("gen_ai.tool.name"), "sleep");
        assert_eq!(span.text("jsonrpc.request.id"), "traced");
        assert_eq!(span.text("mcp.protocol.version"), "2026-07-28");
    }
    assert_eq!(
        edge.text("gatehouse.call_id"),
        sidecar.text("gatehouse.call_id")
    );

    chains_are_unbroken(&receiver.spans());
    let arguments = format!("{:?}", receiver.spans()).contains("Hacking");
    assert!(!arguments, "arguments are left out");
}

/// Each node numbers all its records from 1. Open records are not exported, so numbers may be left out, but none comes
/// twice, none goes back, and no two hashes are the same.
#[track_caller]
fn chains_are_unbroken(spans: &[Span]) {
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    let mut hashes = BTreeSet::new();
    for span in spans
        .iter()
        .filter(|span| span.number("gatehouse.seq").is_some())
    {
        let seq = span.number("gatehouse.seq").unwrap_or_default();
        let before = last.insert(span.text("gatehouse.node"), seq).unwrap_or(0);
        assert!(seq > before, "{} after {before}: {span:#?}", seq);
        let hash = span.text("gatehouse.hash");
        assert_eq!(hash.len(), 64, "{span:#?}");
        assert!(hashes.insert(hash), "twice: {span:#?}");
    }
    assert!(last.len() >= 2, "an edge and a sidecar: {last:?}");
}

#[test]
fn what_is_not_valid_or_not_allowed_is_on_record_as_such() {
    let mesh = stage::workshop();
    let key = mesh.key("rob@example.com", &["support"]).text;
    let client = Modern::new(&mesh.url(0, "hacker"), &key);
    client
        .request("tools/list", json!({}))
        .body("{")
        .send()
        .expect_status(400);
    let row = mesh.recorded(&["--user", "rob@example.com"], |row| {
        row["reason"] == "invalid"
    });
    assert_eq!(row["decision"], "error", "{row}");
    let denied = Modern::new(&mesh.url(0, "slow"), &key).request("tools/list", json!({}));
    denied.send().expect_status(404);
    let row = mesh.recorded(&["--user", "rob@example.com", "--server", "slow"], |row| {
        row["reason"] == "no_rule"
    });
    assert_eq!(row["decision"], "deny", "{row}");
}

#[test]
fn a_session_is_on_record_from_its_first_message_with_the_clients_name() {
    let mesh = stage::workshop();
    let key = mesh.key("liv@example.com", &["engineering"]).text;
    let session = Session::begin(&mesh.url(0, "slow"), &key);
    assert_eq!(
        session.call("sleep", json!({"seconds": 0})).content(),
        "slept 0 s"
    );
    let row = mesh.recorded(&["--user", "liv@example.com"], |row| {
        row["method"] == "tools/call"
    });
    assert_eq!(row["client"], "gatehouse-test", "{row}");
    let methods: BTreeSet<_> = mesh
        .audit(&["--user", "liv@example.com"])
        .iter()
        .map(|row| row["method"].to_string())
        .collect();
    assert!(methods.contains("\"initialize\""), "{methods:?}");
}

#[test]
fn tail_shows_calls_as_they_come() {
    let mesh = stage::workshop();
    let client = Modern::new(
        &mesh.url(0, "slow"),
        &mesh.key("tia@example.com", &["engineering"]).text,
    );
    let mut command = mesh.command();
    command.args(["audit", "tail", "--user", "tia@example.com", "-o", "json"]);
    let tail = tests::process::Process::start(&mut command, None);
    // A tail begins with what comes after it is connected, which only a call that it shows can tell.
    let row = wait::until("a call in the tail", SPANS, || {
        let call = client.calling("sleep", json!({"seconds": 0}));
        call.send().expect_status(200);
        let line = tail.stdout().lines().next().map(str::to_owned);
        line.ok_or_else(|| format!("nothing yet; {}", tail.stderr()))
    });
    let row: Value = serde_json::from_str(&row).expect("one JSON document a line");
    assert_eq!(
        (&row["user"], &row["name"]),
        (&json!("tia@example.com"), &json!("sleep")),
        "{row}"
    );
}
