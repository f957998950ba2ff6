//! A receiver sees every message exactly once in each direction: what clients sent and what they were sent, message for
//! message. Real servers on SDKs, clients of both eras, direct, over sidecars, over bridges and through virtual servers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use tests::catalog;
use tests::fixture_server::{FixtureServer, Made, Speaks, argv};
use tests::http::Request;
use tests::listener::{Heard, Listener};
use tests::mesh::{Mesh, Running};
use tests::rpc::{Modern, Session};

use super::{allow, ground, of_all};

/// How long what was sent without an answer may take to be seen.
const SEEN: Duration = Duration::from_secs(10);

/// What one client sent and was sent.
#[derive(Default)]
struct Log(Vec<(&'static str, Value)>);

impl Log {
    fn sent(&mut self, request: &Request) {
        let message = serde_json::from_str(&request.text()).expect("a message");
        self.0.push(("request", message));
    }

    fn got(&mut self, messages: Vec<Value>) {
        self.0
            .extend(messages.into_iter().map(|message| ("response", message)));
    }

    /// Sends a request and reads its reply to the end.
    fn asks(&mut self, request: &Request) -> Value {
        self.sent(request);
        let messages = request.send().messages();
        let last = messages.last().expect("an answer").clone();
        self.got(messages);
        last
    }

    /// Tells something that has no answer.
    fn tells(&mut self, request: &Request) {
        self.sent(request);
        request.send().expect_status(202);
    }
}

/// One text for each message, whatever the order of its keys.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            // Who may keep a list is said by whoever cuts it, after the filters.
            let map = map.iter().filter(|(key, _)| *key != "cacheScope");
            let sorted: BTreeMap<_, _> = map.collect();
            let members = sorted
                .iter()
                .map(|(k, v)| format!("{k:?}:{}", canonical(v)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        Value::Array(all) => {
            let all: Vec<_> = all.iter().map(canonical).collect();
            format!("[{}]", all.join(","))
        }
        other => other.to_string(),
    }
}

fn counted(messages: impl Iterator<Item = (String, Value)>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (way, message) in messages {
        *counts
            .entry(format!("{way} {}", canonical(&message)))
            .or_insert(0) += 1;
    }
    counts
}

/// What a receiver was shown, by direction.
fn shown(heard: &[Heard]) -> Vec<(String, Value)> {
    let one = |question: Value| {
        let way = question["direction"].as_str().expect("a direction");
        (way.to_owned(), question["message"].clone())
    };
    heard.iter().map(Heard::json).map(one).collect()
}

/// Every message once, and nothing else.
fn same(what: &str, log: Log, heard: &[Heard]) {
    let theirs = counted(
        log.0
            .into_iter()
            .map(|(way, message)| (way.into(), message)),
    );
    let seen = counted(shown(heard).into_iter());
    let all: BTreeSet<_> = theirs.keys().chain(seen.keys()).collect();
    let wrong: Vec<_> = all
        .into_iter()
        .map(|message| (theirs.get(message), seen.get(message), message))
        .filter(|(theirs, seen, _)| theirs != seen)
        .map(|(theirs, seen, message)| {
            let count = |n: Option<&usize>| n.copied().unwrap_or_default();
            format!("sent {} seen {}: {message}", count(theirs), count(seen))
        })
        .collect();
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
    assert!(seen.len() > 10, "{what}: the script does something");
}

fn with_progress(tool: &str) -> Value {
    json!({"name": tool, "arguments": {}, "_meta": {"progressToken": format!("p-{tool}")}})
}

/// All that a legacy client does.
fn legacy(url: &str, key: &str, watches: bool) -> Log {
    let mut log = Log::default();
    let beginning = Session::beginning_with(url, key, &json!({"elicitation": {}, "roots": {}}));
    log.sent(&beginning);
    let begun = beginning.send().expect_status(200);
    log.got(begun.messages());
    let session = Session::granted(url, key, &begun).expect("a session");
    log.tells(&session.initialized());
    log.asks(&session.request("ping", json!({})));
    log.asks(&session.request("tools/list", json!({})));
    log.asks(&session.request("prompts/list", json!({})));
    log.asks(&session.request("logging/setLevel", json!({"level": "debug"})));
    for tool in ["test_tool_with_progress", "test_tool_with_logging"] {
        let request = session.request("tools/call", with_progress(tool));
        log.sent(&request);
        let messages = request.send().messages();
        assert_eq!(messages.len(), 4, "{tool}: {messages:#?}");
        log.got(messages);
    }
    let asking = session.calling("test_elicitation", json!({"message": "who?"}));
    log.sent(&asking);
    let mut open = asking.open();
    let asked = open.messages(1).pop().expect("a question");
    let result = json!({"action": "accept", "content": {"username": "ana", "email": "a@b"}});
    let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": result});
    log.tells(&session.post(&answer));
    log.got(open.whole().messages());
    log.asks(&session.calling("test_error_handling", json!({})));
    log.asks(&session.request("prompts/get", json!({"name": "no-such-prompt"})));
    log.asks(&session.request("resources/read", json!({"uri": "test://static-text"})));
    let changed = json!({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"});
    log.tells(&session.post(&changed));
    if watches {
        let uri = json!({"uri": "test://watched-resource"});
        log.asks(&session.request("resources/subscribe", uri));
        let get = Request::get(url)
            .with("authorization", &format!("Bearer {key}"))
            .with("accept", "text/event-stream")
            .with("mcp-session-id", &session.id)
            .with("mcp-protocol-version", &session.revision);
        let mut stream = get.open();
        assert_eq!(stream.status(), 200);
        log.asks(&session.calling("test_trigger_resource_update", json!({})));
        log.got(stream.messages(1));
    }
    log
}

/// All that a modern client does.
fn modern(url: &str, key: &str) -> Log {
    let mut log = Log::default();
    let client = Modern::new(url, key).able(&json!({"elicitation": {}}));
    log.asks(&client.request("server/discover", json!({})));
    log.asks(&client.request("tools/list", json!({})));
    log.asks(&client.request("prompts/list", json!({})));
    log.asks(&client.request("resources/templates/list", json!({})));
    for tool in ["test_tool_with_progress", "test_tool_with_logging"] {
        let mut params = with_progress(tool);
        params["_meta"]["io.modelcontextprotocol/logLevel"] = json!("debug");
        let request = client.request("tools/call", params);
        log.sent(&request);
        let messages = request.send().messages();
        assert_eq!(messages.len(), 4, "{tool}: {messages:#?}");
        log.got(messages);
    }
    let asked = log.asks(&client.calling("test_elicitation", json!({"message": "who?"})));
    let (key, _) = asked["result"]["inputRequests"]
        .as_object()
        .and_then(|all| all.iter().next())
        .unwrap_or_else(|| panic!("a question: {asked:#}"));
    let result = json!({"action": "accept", "content": {"username": "ana", "email": "a@b"}});
    let mut params = json!({"name": "test_elicitation", "arguments": {"message": "who?"}});
    params["inputResponses"][key] = result;
    params["requestState"] = asked["result"]["requestState"].clone();
    log.asks(&client.request("tools/call", params));
    log.asks(&client.calling("test_error_handling", json!({})));
    log.asks(&client.request("prompts/get", json!({"name": "no-such-prompt"})));
    log.asks(&client.request("resources/read", json!({"uri": "test://static-text"})));
    log
}

fn servers() -> (Vec<FixtureServer>, Vec<Value>) {
    let http = [Speaks::Legacy, Speaks::Modern].map(|era| FixtureServer::start(Made::Python, era));
    let stdio = |era| argv(Made::Python, era, &["stdio"]);
    let resources = vec![
        catalog::remote("http-old", http[0].url()),
        catalog::remote("http-new", http[1].url()),
        catalog::own_command("stdio-old", &stdio(Speaks::Legacy)),
        catalog::own_command("stdio-new", &stdio(Speaks::Modern)),
    ];
    (http.into(), resources)
}

fn mesh(recorder: &Listener, mut resources: Vec<Value>) -> Running {
    resources.extend(ground());
    resources.push(of_all("recorder", &["*"], &recorder.url("/hook")));
    let mesh = Mesh::new().with(&resources).start();
    for server in ["http-old", "http-new", "stdio-old", "stdio-new"] {
        mesh.server_in(server, "ready");
    }
    mesh
}

#[test]
fn each_message_is_seen_once_in_each_direction_between_all_eras_and_ways() {
    let recorder = Listener::start(|_| allow());
    let (_http, resources) = servers();
    let mesh = mesh(&recorder, resources);
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    for server in ["http-old", "http-new", "stdio-old", "stdio-new"] {
        let url = mesh.url(0, server);
        recorder.take();
        let log = modern(&url, &key);
        same(&format!("modern client, {server}"), log, &recorder.take());
        let watches = server.ends_with("old");
        let log = legacy(&url, &key, watches);
        same(&format!("legacy client, {server}"), log, &recorder.take());
    }
    cancelled_once(&mesh, &recorder, &key);
    batched_once(&mesh, &recorder, &key);
    old_transport_once(&mesh, &recorder, &key);
}

/// How often a receiver was shown messages of this method and direction.
fn times(heard: &[Heard], way: &str, method: &str) -> usize {
    let fits =
        |(direction, message): &(String, Value)| direction == way && message["method"] == method;
    shown(heard).iter().filter(|shown| fits(shown)).count()
}

fn cancelled_once(mesh: &Running, recorder: &Listener, key: &str) {
    for server in ["http-old", "stdio-old", "stdio-new"] {
        let session = Session::begin(&mesh.url(0, server), key);
        recorder.take();
        let waiting = session.request("tools/call", with_progress("test_wait"));
        let id = tests::rpc::id_of(&waiting);
        let began = std::thread::spawn(move || waiting.try_send().map(drop));
        tests::wait::wait_for("the call to be seen", SEEN, || recorder.count() > 0);
        let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
            "params": {"requestId": id}});
        session.post(&cancel).send().expect_status(202);
        let heard = recorder.take();
        assert_eq!(
            times(&heard, "request", "notifications/cancelled"),
            1,
            "{server}"
        );
        assert_eq!(times(&heard, "request", "tools/call"), 1, "{server}");
        let _ended = began.join();
    }
}

fn batched_once(mesh: &Running, recorder: &Listener, key: &str) {
    let session = Session::begin_speaking(&mesh.url(0, "stdio-old"), key, "2025-03-26");
    recorder.take();
    let request = |id: u64, method: &str, params: &Value| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    let batch = json!([
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        request(1, "tools/list", &json!({})),
        request(2, "tools/call", &json!({"name": "test_simple_text", "arguments": {}})),
    ]);
    let answers = session.post(&batch).send().expect_status(200);
    let answers: Vec<Value> = serde_json::from_slice(&answers.body).expect("an array");
    let sent = batch.as_array().expect("an array").iter().cloned();
    let all = sent.map(|message| ("request".to_owned(), message));
    let all = all.chain(
        answers
            .into_iter()
            .map(|message| ("response".to_owned(), message)),
    );
    assert_eq!(counted(all), counted(shown(&recorder.take()).into_iter()));
}

fn old_transport_once(mesh: &Running, recorder: &Listener, key: &str) {
    let bearer = format!("Bearer {key}");
    let get = Request::get(&format!("{}/sse/stdio-old", mesh.edge(0)));
    let get = get
        .with("authorization", &bearer)
        .with("accept", "text/event-stream");
    let mut stream = get.open();
    let endpoint = format!("{}{}", mesh.edge(0), stream.endpoint());
    recorder.take();
    let mut log = Log::default();
    let hello = json!({"protocolVersion": "2024-11-05", "capabilities": {},
        "clientInfo": {"name": "old", "version": "1"}});
    let messages = [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}),
        json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call",
            "params": with_progress("test_tool_with_progress")}),
        json!({"jsonrpc": "2.0", "id": 4, "method": "tools/call",
            "params": {"name": "test_error_handling", "arguments": {}}}),
        json!({"jsonrpc": "2.0", "id": 5, "method": "resources/read",
            "params": {"uri": "test://static-text"}}),
    ];
    let mut count = 0;
    let mut got = Vec::new();
    for message in &messages {
        let post = Request::post(&endpoint)
            .with("authorization", &bearer)
            .with("content-type", "application/json")
            .body(message.to_string());
        log.tells(&post);
        if let Some(id) = message.get("id") {
            // Progress comes before the answer.
            loop {
                count += 1;
                got = stream.messages(count);
                if got.last().is_some_and(|last| last["id"] == *id) {
                    break;
                }
            }
        }
    }
    log.got(got);
    same("2024-11-05", log, &recorder.take());
}

#[test]
fn members_of_a_virtual_server_are_seen_as_often_as_they_are_asked() {
    let recorder = Listener::start(|_| allow());
    let (_http, mut resources) = servers();
    resources.push(catalog::virtual_server(
        "desk",
        &[
            ("http-old", "a_"),
            ("http-new", "b_"),
            ("stdio-old", "c_"),
            ("stdio-new", "d_"),
        ],
    ));
    let mesh = mesh(&recorder, resources);
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let url = mesh.url(0, "desk");
    let client = Modern::new(&url, &key);
    let session = Session::begin(&url, &key);
    recorder.take();
    let of = |heard: &[Heard], server: &str| {
        let all = heard.iter().map(Heard::json);
        let counts = counted(
            all.filter(|question| question["server"] == server)
                .map(|question| {
                    let way = question["direction"]
                        .as_str()
                        .expect("a direction")
                        .to_owned();
                    let what = match &question["message"]["method"] {
                        Value::Null => json!("response"),
                        method => method.clone(),
                    };
                    (way, what)
                }),
        );
        let counts: Vec<_> = counts.into_iter().collect();
        counts
    };
    let entry = |way: &str, what: &str, count: usize| (format!("{way} \"{what}\""), count);
    let lists = |request: Request| {
        request.send().expect_status(200);
        let heard = recorder.take();
        for server in ["http-old", "http-new", "stdio-old", "stdio-new"] {
            let expected = [
                entry("request", "tools/list", 1),
                entry("response", "response", 1),
            ];
            assert_eq!(of(&heard, server), expected, "{server}");
        }
        assert_eq!(heard.len(), 8, "nobody else is seen");
    };
    lists(client.request("tools/list", json!({})));
    lists(session.request("tools/list", json!({})));
    for (prefix, server) in [
        ("a_", "http-old"),
        ("b_", "http-new"),
        ("c_", "stdio-old"),
        ("d_", "stdio-new"),
    ] {
        let params = with_progress(&format!("{prefix}test_tool_with_progress"));
        for request in [
            client.request("tools/call", params.clone()),
            session.request("tools/call", params.clone()),
        ] {
            let answer = request.send();
            assert_eq!(answer.messages().len(), 4, "{server}: {answer}");
            let heard = recorder.take();
            let expected = [
                entry("request", "tools/call", 1),
                entry("response", "notifications/progress", 3),
                entry("response", "response", 1),
            ];
            assert_eq!(of(&heard, server), expected, "{server}");
            assert_eq!(heard.len(), 5, "nobody else is seen");
        }
    }
}
