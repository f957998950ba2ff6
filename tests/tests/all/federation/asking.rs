//! What members ask of clients in mid-call, through a virtual server: the answer finds back to who asked, at any edge.

use serde_json::{Value, json};
use tests::catalog;
use tests::fixture_server::{FixtureServer, Made, Speaks, argv};
use tests::http::Request;
use tests::mesh::Mesh;
use tests::rpc::{Modern, Session};

#[test]
fn a_member_asks_and_the_clients_answer_finds_back_at_any_edge() {
    let remote = FixtureServer::start(Made::Python, Speaks::Legacy);
    let stdio = argv(Made::Rust, Speaks::Legacy, &["stdio"]);
    let mesh = Mesh::new()
        .with(&[
            catalog::remote("http", remote.url()),
            catalog::own_command("stdio", &stdio),
            catalog::virtual_server("desk", &[("http", "h_"), ("stdio", "s_")]),
            catalog::allow("all", "engineering", &["*"]),
        ])
        .edges(2)
        .start();
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let able = json!({"elicitation": {}, "sampling": {}, "roots": {}});
    let (here, there) = (mesh.url(0, "desk"), mesh.url(1, "desk"));
    let accepted = json!({"action": "accept", "content": {"name": "Ana", "username": "ana", "email": "a@b.c"}});
    let arguments = json!({"message": "who?"});
    let session = Session::begin_with(&here, &key, &able);
    for (member, tool) in [
        ("http", "h_test_elicitation"),
        ("stdio", "s_test_elicitation"),
    ] {
        mesh.server_in(member, "ready");
        let mut open = session.calling(tool, arguments.clone()).open();
        let asked = open.first_message();
        assert_eq!(asked["method"], "elicitation/create", "{asked}");
        let id = asked["id"].as_str().expect("the id is text");
        assert!(id.starts_with(&format!("{member}:")), "{id}");
        let answer = json!({"jsonrpc": "2.0", "id": id, "result": accepted});
        session.at(&there).post(&answer).send().expect_status(202);
        let done = open.whole();
        assert!(done.content().contains("Ana"), "{done}");
        if member == "stdio" {
            goes_on(&session, &there, &arguments, &accepted);
        }
        // Who asked nothing is answered nothing.
        let stray = json!({"jsonrpc": "2.0", "id": "nobody:1", "result": {}});
        session.post(&stray).send().expect_status(400);
    }
    // Without a session the client is asked by the result, and goes on wherever it likes.
    for tool in ["h_test_elicitation", "s_test_elicitation"] {
        let first = Modern::new(&here, &key)
            .able(&able)
            .call(tool, arguments.clone())
            .result();
        assert_eq!(first["resultType"], "input_required", "{first:#}");
        let questions = first["inputRequests"].as_object().expect("questions");
        let answers: serde_json::Map<String, Value> = questions
            .keys()
            .map(|key| (key.clone(), accepted.clone()))
            .collect();
        let params = json!({"name": tool, "arguments": arguments,
            "inputResponses": answers, "requestState": first["requestState"]});
        let done = Modern::new(&there, &key)
            .able(&able)
            .request("tools/call", params)
            .send();
        assert!(done.content().contains("Ana"), "{done}");
    }
    standing(&session, &key, &there);
}

/// A stream that is lost in the middle goes on at any edge, under ids that say whose it is.
fn goes_on(session: &Session, there: &str, arguments: &Value, accepted: &Value) {
    let calling = session.calling("s_test_elicitation", arguments.clone());
    let mut open = calling.open();
    let asked = open.first_message();
    let ids = open.event_ids();
    assert_eq!(ids.len(), 2, "{ids:?}");
    assert!(ids.iter().all(|id| id.starts_with("stdio:")), "{ids:?}");
    drop(open);
    let elsewhere = session.at(there);
    let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": accepted});
    elsewhere.post(&answer).send().expect_status(202);
    let rest = elsewhere.resuming(&ids[1]).send().expect_status(200);
    assert!(rest.content().contains("Ana"), "{rest}");
    let again = elsewhere.resuming(&ids[0]).send().expect_status(200);
    assert_eq!(again.messages()[0], asked, "{again}");
}

/// What members say by themselves is on one stream, and the session ends for all of them.
fn standing(session: &Session, key: &str, url: &str) {
    let request = |method| {
        Request::new(method, url)
            .with("authorization", &format!("Bearer {key}"))
            .with("accept", "text/event-stream")
            .with("mcp-session-id", &session.id)
            .with("mcp-protocol-version", &session.revision)
    };
    let mut stream = request(http::Method::GET).open();
    let changed = "notifications/tools/list_changed";
    let changes = ["h_test_trigger_tool_change", "s_test_trigger_tool_change"];
    for (n, tool) in changes.into_iter().enumerate() {
        session.call(tool, json!({})).expect_status(200);
        let heard = stream.messages(n + 1);
        assert!(
            heard.iter().all(|message| message["method"] == changed),
            "{heard:?}"
        );
    }
    drop(stream);
    request(http::Method::DELETE).send().expect_status(200);
    // What its client has ended is over, also where all that it was is in its id.
    let over = |method: &str, params: Value| {
        let asked = session.request(method, params);
        asked.send().expect_status(404);
        asked.to(url).send().expect_status(404);
    };
    over("tools/list", json!({}));
    over("ping", json!({}));
    over(
        "tools/call",
        json!({"name": "h_test_simple_text", "arguments": {}}),
    );
    request(http::Method::GET).send().expect_status(404);
    request(http::Method::DELETE).send();
    Session::begin(url, key).tools();
}
