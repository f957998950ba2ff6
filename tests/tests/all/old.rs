//! Clients and servers of 2024-11-05: HTTP+SSE, through any edge.

use std::process::Command;

use serde_json::{Value, json};
use tests::catalog;
use tests::fixture_server::FixtureServer;
use tests::http::{Open, Request};
use tests::mesh::Mesh;

/// A client that hears everything on one stream.
struct Old {
    stream: Open,
    /// Where it posts, on the edge that it posts to.
    endpoint: String,
    key: String,
}

fn by(request: Request, key: &str) -> Request {
    request.with("authorization", &format!("Bearer {key}"))
}

impl Old {
    fn connect(edge: &str, post_to: &str, server: &str, key: &str) -> Self {
        let get = by(Request::get(&format!("{edge}/sse/{server}")), key);
        let mut stream = get.with("accept", "text/event-stream").open();
        assert_eq!(stream.status(), 200);
        let path = stream.endpoint();
        assert!(path.starts_with(&format!("/sse/{server}?")), "{path}");
        Self {
            stream,
            endpoint: format!("{post_to}{path}"),
            key: key.to_owned(),
        }
    }

    fn post(&self, message: &Value) -> Request {
        let post = by(Request::post(&self.endpoint), &self.key);
        post.with("content-type", "application/json")
            .body(message.to_string())
    }

    /// Says hello, as a client must.
    fn hello(&mut self) {
        self.hello_in("2024-11-05", &json!({}));
    }

    /// … of a newer one, which can do this much.
    fn hello_in(&mut self, revision: &str, able: &Value) {
        let hello = json!({"protocolVersion": revision, "capabilities": able,
            "clientInfo": {"name": "old", "version": "1"}});
        let begun = self.asks(1, 1, "initialize", &hello);
        assert_eq!(begun["result"]["protocolVersion"], revision);
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        self.post(&initialized).send().expect_status(202);
    }

    /// Posts a call, and does not wait for its answer.
    fn calls(&self, id: u64, tool: &str, arguments: &Value) {
        let params = json!({"name": tool, "arguments": arguments});
        let message = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        self.post(&message).send().expect_status(202);
    }

    /// The so many-th message on the stream, after a request was posted.
    fn asks(&mut self, count: usize, id: u64, method: &str, params: &Value) -> Value {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.post(&message).send().expect_status(202);
        let said = self.stream.messages(count).pop().expect("a message");
        assert_eq!(said["id"], json!(id), "{said:#}");
        said
    }
}

#[test]
fn a_client_of_2024_hears_all_answers_on_its_stream_whichever_edge_it_posts_to() {
    let mesh = Mesh::new()
        .with(&[
            catalog::fixture("slow", &[]),
            catalog::allow("all", "engineering", &["*"]),
            catalog::deny_tool("no-count", "engineering", "slow", "cancelled"),
        ])
        .edges(2)
        .start();
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let sam = mesh.key("sam@example.com", &["engineering"]).text;
    let mut client = Old::connect(mesh.edge(0), mesh.edge(1), "slow", &key);
    client.hello();
    let listed = client.asks(2, 2, "tools/list", &json!({}));
    let tools = listed["result"]["tools"].to_string();
    assert!(
        tools.contains("\"sleep\"") && !tools.contains("\"cancelled\""),
        "{tools}"
    );
    // What the edge itself refuses comes on the stream, too.
    let denied = client.asks(
        3,
        3,
        "tools/call",
        &json!({"name": "cancelled", "arguments": {}}),
    );
    assert_eq!(denied["error"]["code"], -32602);
    let called = client.asks(
        4,
        4,
        "tools/call",
        &json!({"name": "sleep", "arguments": {"seconds": 0.01}}),
    );
    assert!(called.get("result").is_some(), "{called:#}");
    // The address is worth nothing to others, and a session id of another kind is none here.
    let ping = json!({"jsonrpc": "2.0", "id": 9, "method": "ping"});
    by(client.post(&ping).without("authorization"), &sam)
        .send()
        .expect_status(404);
    by(
        Request::post(&format!("{}/sse/slow?session=x", mesh.edge(0))),
        &key,
    )
    .with("content-type", "application/json")
    .body(ping.to_string())
    .send()
    .expect_status(404);
    by(Request::get(&format!("{}/sse/nowhere", mesh.edge(0))), &key)
        .send()
        .expect_status(404);
}

#[test]
fn what_filters_refuse_does_not_come_on_such_a_stream_either() {
    let mut words = catalog::words("words", &["hacking"]);
    words["spec"]["match"]["methods"] = json!(["*"]);
    let mesh = Mesh::new()
        .with(&[
            catalog::own_fixture("notes", "notes"),
            catalog::fixture("hacker", &[]),
            catalog::allow("all", "engineering", &["*"]),
            words,
        ])
        .edges(2)
        .start();
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    // What a server says of itself.
    mesh.server_in("notes", "ready");
    let mut client = Old::connect(mesh.edge(0), mesh.edge(1), "notes", &key);
    client.hello();
    let backwards = |text: &str| json!({"text": text.chars().rev().collect::<String>()});
    client.calls(2, "say", &backwards("about hacking"));
    client.calls(3, "say", &backwards("about gardening"));
    let said = client.stream.messages(4);
    let logged: Vec<&Value> = said
        .iter()
        .filter(|message| message["method"] == "notifications/message")
        .collect();
    assert_eq!(logged.len(), 1, "{said:#?}");
    assert_eq!(logged[0]["params"]["data"], "about gardening", "{said:#?}");
    // What it answers.
    mesh.server_in("hacker", "ready");
    let mut client = Old::connect(mesh.edge(0), mesh.edge(1), "hacker", &key);
    client.hello();
    let params = json!({"name": "say", "arguments": {"escaped": true}});
    let refused = client.asks(2, 2, "tools/call", &params);
    assert_eq!(refused["error"]["code"], -31010, "{refused:#}");
}

#[test]
fn such_a_session_ends_with_the_process_that_it_shares() {
    let mesh = Mesh::new()
        .with(&[
            catalog::fixture("notes", &[]),
            catalog::allow("all", "engineering", &["*"]),
        ])
        .edges(2)
        .start();
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    mesh.server_in("notes", "ready");
    let connect = || {
        let mut client = Old::connect(mesh.edge(0), mesh.edge(1), "notes", &key);
        client.hello();
        client
    };
    let listens = connect();
    let ends = connect();
    let end = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "end"}});
    // Where the session's end is faster than the answer, there is nobody to answer to.
    let status = ends.post(&end).send().status;
    assert!(matches!(status, 202 | 404), "{status}");
    // Nothing would come any more, so nobody is left to wait for it.
    listens.stream.whole();
    let last = ends.stream.whole();
    let results = last
        .messages()
        .iter()
        .filter(|m| m.get("result").is_some())
        .count();
    assert!(results <= 1, "nothing was answered but initialize: {last}");
    mesh.server_in("notes", "ready");
    let params = json!({"name": "process", "arguments": {}});
    let answer = connect().asks(2, 2, "tools/call", &params);
    assert!(answer.get("result").is_some(), "{answer:#}");
}

#[test]
fn such_a_client_is_asked_what_its_server_asks_on_its_own_stream() {
    let program = tests::place::file("tests/clients/ts/servers/aside.mjs");
    let server = FixtureServer::of(Command::new(tests::place::program("node")).arg(program));
    let mesh = Mesh::new()
        .with(&[
            catalog::remote("aside", server.url()),
            catalog::allow("all", "engineering", &["*"]),
        ])
        .edges(2)
        .start();
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    mesh.server_in("aside", "ready");
    let mut client = Old::connect(mesh.edge(0), mesh.edge(1), "aside", &key);
    client.hello_in("2025-11-25", &json!({"elicitation": {}}));
    client.calls(2, "ask", &json!({"message": "who?"}));
    let asked = client.stream.messages(2).pop().expect("a question");
    assert_eq!(asked["method"], "elicitation/create", "{asked:#}");
    let answer = json!({"action": "accept", "content": {"name": "Ana"}});
    let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": answer});
    client.post(&answer).send().expect_status(202);
    let done = client.stream.messages(3).pop().expect("an answer");
    assert_eq!(
        done["result"]["content"][0]["text"], "accept Ana",
        "{done:#}"
    );
}
