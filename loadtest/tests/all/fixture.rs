//! The fixture as clients of both eras see it, over HTTP and over stdio.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use loadtest::failure::Kind;
use loadtest::{Era, Fixture, Load, Target};
use serde_json::{Value, json};

/// Status, head and body of one exchange; the connection is closed after it.
fn exchange(
    fixture: &str,
    method: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String, String) {
    let address = fixture.trim_start_matches("http://");
    let (address, path) = address.split_once('/').expect("the URL has a path");
    let mut stream = TcpStream::connect(address).expect("the fixture listens");
    let mut head = format!("{method} /{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    let length = body.len();
    write!(stream, "{head}content-length: {length}\r\n\r\n{body}").expect("it reads");
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).expect("it answers");
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .expect("a response has a head");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    (
        status.expect("a response has a status"),
        head.to_owned(),
        body.to_owned(),
    )
}

fn initialize() -> String {
    let params = json!({"protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"}});
    json!({"jsonrpc": "2.0", "id": "a", "method": "initialize", "params": params}).to_string()
}

fn modern(method: &str) -> String {
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}});
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": meta}}).to_string()
}

fn modern_headers(method: &str) -> [(&str, &str); 2] {
    [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", method),
    ]
}

fn parse(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

#[test]
fn a_legacy_session_is_granted_asked_for_and_ended() {
    let serving = Fixture::new().start().expect("a fixture starts");
    let url = serving.url();
    let (status, head, body) = exchange(&url, "POST", &[], &initialize());
    assert_eq!(
        (status, &parse(&body)["result"]["protocolVersion"]),
        (200, &json!("2025-06-18"))
    );
    let id = head
        .lines()
        .find_map(|line| line.strip_prefix("mcp-session-id: "));
    let session = [("mcp-session-id", id.expect("a session id"))];
    let ping = r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#;
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    assert_eq!(exchange(&url, "POST", &session, initialized).0, 202);
    assert_eq!(
        parse(&exchange(&url, "POST", &session, ping).2)["result"],
        json!({})
    );
    assert_eq!(exchange(&url, "POST", &[], ping).0, 400);
    assert_eq!(
        exchange(&url, "POST", &[("mcp-session-id", "other")], ping).0,
        404
    );
    assert_eq!(exchange(&url, "DELETE", &session, "").0, 204);
    assert_eq!(exchange(&url, "POST", &session, ping).0, 404);
    assert_eq!(exchange(&url, "GET", &[], "").0, 405);
}

#[test]
fn a_modern_request_stands_for_itself() {
    let serving = Fixture::new().start().expect("a fixture starts");
    let url = serving.url();
    let discover = "server/discover";
    let (status, _, body) = exchange(&url, "POST", &modern_headers(discover), &modern(discover));
    let result = &parse(&body)["result"];
    assert_eq!(
        (status, &result["supportedVersions"]),
        (200, &json!(["2026-07-28"]))
    );
    assert_eq!(
        (&result["resultType"], &result["ttlMs"]),
        (&json!("complete"), &json!(60000))
    );
    // What the revision has removed, and what headers and body disagree about.
    let (status, _, body) = exchange(&url, "POST", &modern_headers("ping"), &modern("ping"));
    assert_eq!(
        (status, &parse(&body)["error"]["code"]),
        (404, &json!(-32601))
    );
    let (status, _, body) = exchange(&url, "POST", &modern_headers("ping"), &modern(discover));
    assert_eq!(
        (status, &parse(&body)["error"]["code"]),
        (400, &json!(-32020))
    );
    assert_eq!(exchange(&url, "POST", &[], "{").0, 400);
}

#[test]
fn a_server_of_one_era_refuses_the_other() {
    let legacy = Fixture::new()
        .legacy_only()
        .start()
        .expect("a fixture starts");
    let modern_only = Fixture::new()
        .modern_only()
        .start()
        .expect("a fixture starts");
    for (serving, good, bad) in [
        (&legacy, Era::Legacy, Era::Modern),
        (&modern_only, Era::Modern, Era::Legacy),
    ] {
        let report = |era| {
            let target = Target::new([serving.url()]).expect("the URL is good");
            let load = Load::of_clients(1, target.speaking(era));
            load.run(Duration::ZERO, Duration::from_millis(50))
                .expect("a load starts")
        };
        assert!(report(good).failures.is_empty());
        let refused = report(bad);
        let is_rpc = |kind: &Kind| {
            matches!(
                kind,
                Kind::Rpc {
                    code: -32600 | -32022,
                    ..
                }
            )
        };
        assert!(refused.failures.by_kind.keys().all(is_rpc), "{refused}");
        assert_eq!(refused.answered, 0);
    }
    let url = modern_only.url();
    assert_eq!(
        exchange(&url, "DELETE", &[("mcp-session-id", "x")], "").0,
        405
    );
}

#[test]
fn what_it_has_seen_can_be_asked_for() {
    let serving = Fixture::new().start().expect("a fixture starts");
    let url = serving.url();
    let discover = "server/discover";
    exchange(&url, "POST", &modern_headers(discover), &modern(discover));
    let stats = exchange(&url.replace("/mcp", "/stats"), "GET", &[], "").2;
    assert_eq!(parse(&stats)["messages"], 1);
    assert_eq!(parse(&stats)["calls"], 0);
}

#[test]
fn over_stdio_it_answers_by_lines_and_ends_with_its_input() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gatehouse-loadtest"))
        .args(["fixture", "--stdio"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary lies beside the test");
    let mut input = child.stdin.take().expect("it is piped");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut next = || parse(&lines.next().expect("a line").expect("it is text"));
    let call = |id: &str, tool: &str, arguments: Value| {
        let params = json!({"name": tool, "arguments": arguments, "_meta": {"progressToken": id}});
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string()
    };
    // A line in two pieces, and several lines in one.
    let line = initialize();
    input.write_all(&line.as_bytes()[..20]).expect("it reads");
    input.flush().expect("it reads");
    crate::pause(Duration::from_millis(20));
    input.write_all(&line.as_bytes()[20..]).expect("it reads");
    let began = Instant::now();
    let lines_in = [
        String::new(),
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_owned(),
        call("slow", "sleep", json!({"ms": 100})),
        call("fast", "echo", json!({"message": "h\u{e9}\n"})),
        call("steps", "stream", json!({"count": 2})),
        modern("server/discover"),
        "no JSON".to_owned(),
    ];
    input
        .write_all((lines_in.join("\n") + "\n").as_bytes())
        .expect("it reads");
    assert_eq!(next()["result"]["protocolVersion"], "2025-06-18");
    // Who sleeps holds up nobody.
    let fast = next();
    assert_eq!(
        (&fast["id"], &fast["result"]["content"][0]["text"]),
        (&json!("fast"), &json!("h\u{e9}\n"))
    );
    assert_eq!(
        next()["params"],
        json!({"progressToken": "steps", "progress": 1, "total": 2})
    );
    assert_eq!(next()["params"]["progress"], 2);
    assert_eq!(next()["id"], "steps");
    assert_eq!(next()["error"]["code"], -32601);
    assert_eq!(next()["error"]["code"], -32700);
    assert_eq!(next()["id"], "slow");
    assert!(began.elapsed() >= Duration::from_millis(100));
    drop(input);
    assert!(child.wait().expect("it can be waited for").success());
}

#[test]
fn over_stdio_it_may_be_modern_alone() {
    let lines = [
        initialize(),
        modern("server/discover"),
        modern("tools/list"),
    ];
    let answers = over_stdio(&["--modern-only"], &lines);
    assert_eq!(answers[0]["error"]["code"], -32022);
    assert_eq!(answers[1]["result"]["resultType"], "complete");
    let tools = answers[2]["result"]["tools"].as_array();
    assert_eq!(tools.map(Vec::len), Some(4));
}

#[test]
fn who_is_asked_gets_the_answer_when_it_has_answered() {
    let call =
        json!({"jsonrpc": "2.0", "id": "c", "method": "tools/call", "params": {"name": "ask"}});
    let yes = json!({"jsonrpc": "2.0", "id": "ask-1", "result": {"action": "accept"}});
    let lines = [initialize(), call.to_string(), yes.to_string()];
    let answers = over_stdio(&[], &lines);
    assert_eq!(answers[1]["method"], "elicitation/create");
    assert_eq!(
        (
            &answers[2]["id"],
            &answers[2]["result"]["content"][0]["text"]
        ),
        (&json!("c"), &json!("answered"))
    );
}

/// What a fixture of its own answers to these lines, until its input ends.
fn over_stdio(words: &[&str], lines: &[String]) -> Vec<Value> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gatehouse-loadtest"))
        .args(["fixture", "--stdio"])
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary lies beside the test");
    let mut input = child.stdin.take().expect("it is piped");
    input
        .write_all((lines.join("\n") + "\n").as_bytes())
        .expect("it reads");
    drop(input);
    let done = child.wait_with_output().expect("it can be waited for");
    let text = String::from_utf8(done.stdout).expect("it is text");
    text.lines().map(parse).collect()
}
