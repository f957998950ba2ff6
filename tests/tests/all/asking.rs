//! What servers ask their clients in mid-call, between clients and servers of either era, through any edge.

use serde_json::{Value, json};
use tests::catalog;
use tests::fixture_server::{FixtureServer, Made, Speaks, argv};
use tests::http::Open;
use tests::mesh::{Mesh, Running};
use tests::rpc::{Modern, Session};

mod aside;

/// All that a client can be asked for.
fn able() -> Value {
    json!({"elicitation": {}, "sampling": {}, "roots": {}})
}

/// What a client answers to a request of a server's.
fn answer(method: &str) -> Value {
    match method {
        "elicitation/create" => json!({"action": "accept", "content": {"name": "Ana"}}),
        "sampling/createMessage" => json!({"role": "assistant", "model": "m",
            "content": {"type": "text", "text": "Good morning"}}),
        "roots/list" => json!({"roots": [{"uri": "file:///here", "name": "here"}]}),
        other => panic!("{other} is asked"),
    }
}

/// Answers the requests that have come on a stream, by a client of `session`.
fn answer_all(session: &Session, asked: &[Value]) {
    for request in asked {
        let method = request["method"].as_str().expect("a request");
        let response = json!({"jsonrpc": "2.0", "id": request["id"], "result": answer(method)});
        session.post(&response).send().expect_status(202);
    }
}

fn mesh(servers: &[Value]) -> Running {
    let mut resources = vec![catalog::allow("all", "engineering", &["*"])];
    resources.extend_from_slice(servers);
    Mesh::new().with(&resources).edges(2).start()
}

/// A server over HTTP and one over stdio that speak this era alone: `http` and `stdio`.
fn both(speaks: Speaks) -> (FixtureServer, Running) {
    let remote = FixtureServer::start(Made::Python, speaks);
    let stdio = argv(Made::Rust, speaks, &["stdio"]);
    let mesh = mesh(&[
        catalog::remote("http", remote.url()),
        catalog::own_command("stdio", &stdio),
    ]);
    (remote, mesh)
}

/// The text of a tool's result.
fn text(message: &Value) -> &str {
    let text = message["result"]["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("no result: {message:#}"))
}

#[test]
fn a_legacy_client_is_asked_what_a_modern_server_wants_and_answers_through_any_edge() {
    let (_remote, mesh) = both(Speaks::Modern);
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let sam = mesh.key("sam@example.com", &["engineering"]).text;
    for server in ["http", "stdio"] {
        mesh.server_in(server, "ready");
        let (first, second) = (mesh.url(0, server), mesh.url(1, server));
        let session = Session::begin_with(&first, &key, &able());
        let tool = "test_input_required_result_multiple_inputs";
        let mut open: Open = session.calling(tool, json!({})).open();
        let asked = open.messages(3);
        // Nobody else can answer in the client's place, not even with its session id.
        let stolen = json!({"jsonrpc": "2.0", "id": asked[0]["id"], "result": {}});
        session
            .at(&second)
            .by(&sam)
            .post(&stolen)
            .send()
            .expect_status(404);
        answer_all(&session.at(&second), &asked);
        let done = open.whole();
        let last = done.reply();
        assert!(text(&last).contains("Ana"), "{server}: {done}");
        assert!(text(&last).contains("Good morning"), "{server}: {done}");
        // A question has one answer.
        let again = json!({"jsonrpc": "2.0", "id": asked[0]["id"], "result": {}});
        session.post(&again).send().expect_status(400);
        // Who cannot be asked is not.
        let unable = Session::begin_with(&first, &key, &json!({}));
        let refused = unable.call(tool, json!({}));
        assert!(
            refused.reply().get("error").is_some(),
            "{server}: {refused}"
        );
        // A client that says no ends the call in order.
        let mut open = session
            .calling("test_input_required_result_sampling", json!({}))
            .open();
        let asked = open.messages(1);
        let no = json!({"jsonrpc": "2.0", "id": asked[0]["id"],
            "error": {"code": -1, "message": "the user does not want it"}});
        session.at(&second).post(&no).send().expect_status(202);
        let refused = open.whole();
        let why = refused.error()["message"].to_string();
        assert!(
            why.contains("the user does not want it"),
            "{server}: {refused}"
        );
    }
}

/// A modern call that goes on: the same again, with what was asked for.
fn goes_on(client: &Modern, tool: &str, result: &Value) -> tests::http::Request {
    let asked = result["inputRequests"].as_object().expect("questions");
    let responses: serde_json::Map<String, Value> = asked
        .iter()
        .map(|(key, asked)| (key.clone(), answer(asked["method"].as_str().expect("text"))))
        .collect();
    let params = json!({"name": tool, "arguments": {"message": "who?", "prompt": "hello"},
        "inputResponses": responses, "requestState": result["requestState"]});
    client.request("tools/call", params)
}

#[test]
fn a_modern_client_is_asked_what_a_legacy_server_wants_and_goes_on_through_any_edge() {
    let (_remote, mesh) = both(Speaks::Legacy);
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let sam = mesh.key("sam@example.com", &["engineering"]).text;
    for server in ["http", "stdio"] {
        mesh.server_in(server, "ready");
        let client = |edge, key: &str| Modern::new(&mesh.url(edge, server), key).able(&able());
        let arguments = json!({"message": "who?", "prompt": "hello"});
        for (tool, said) in [
            ("test_elicitation", "Ana"),
            ("test_sampling", "Good morning"),
            ("test_list_roots", "file:///here"),
        ] {
            let first = client(0, &key).call(tool, arguments.clone()).result();
            assert_eq!(first["resultType"], "input_required", "{server}: {first:#}");
            let state = first["requestState"].as_str().expect("a state").to_owned();
            // Possession proves nothing, and a state is good for its own call alone.
            let stolen = goes_on(&client(1, &sam), tool, &first).send();
            assert_eq!(stolen.error_code(), -32602, "{server}: {stolen}");
            let mut bent = first.clone();
            bent["requestState"] = json!(format!("{}x", &state[..state.len() - 1]));
            let refused = goes_on(&client(1, &key), tool, &bent).send();
            assert_eq!(refused.error_code(), -32602, "{server}: {refused}");
            // What is missing is asked for again.
            let empty = json!({"name": tool, "arguments": arguments, "inputResponses": {},
                "requestState": state});
            let again = client(1, &key).request("tools/call", empty).send().result();
            assert_eq!(again["inputRequests"], first["inputRequests"], "{server}");
            let done = goes_on(&client(1, &key), tool, &again).send();
            assert!(text(&done.reply()).contains(said), "{server}: {done}");
            assert_eq!(done.result()["resultType"], "complete");
            // Each state is good once: the call is never done twice.
            let replayed = goes_on(&client(0, &key), tool, &again).send();
            assert_eq!(replayed.error_code(), -32602, "{server}: {replayed}");
        }
        // Who cannot be asked is not: the server is told, and says so itself.
        let unable = Modern::new(&mesh.url(0, server), &key);
        let refused = unable.call("test_sampling", arguments.clone());
        assert_ne!(
            refused.reply()["result"]["resultType"],
            "input_required",
            "{refused}"
        );
        assert_eq!(refused.result()["isError"], true, "{refused}");
    }
}

#[test]
fn a_process_of_its_own_asks_its_legacy_client_and_nobody_else() {
    let stdio = argv(Made::Python, Speaks::Legacy, &["stdio"]);
    let mesh = mesh(&[catalog::own_command("stdio", &stdio)]);
    mesh.server_in("stdio", "ready");
    let url = mesh.url(0, "stdio");
    let sessions: Vec<Session> = ["ana@example.com", "sam@example.com"]
        .iter()
        .map(|user| {
            let key = mesh.key(user, &["engineering"]).text;
            Session::begin_with(&url, &key, &able())
        })
        .collect();
    let mut open: Vec<Open> = sessions
        .iter()
        .map(|session| session.calling("test_list_roots", json!({})).open())
        .collect();
    for (index, open) in open.iter_mut().enumerate() {
        let asked = open.messages(1);
        let root = format!("file:///of-{index}");
        let answer = json!({"jsonrpc": "2.0", "id": asked[0]["id"],
            "result": {"roots": [{"uri": root}]}});
        let elsewhere = sessions[index].at(&mesh.url(1, "stdio"));
        elsewhere.post(&answer).send().expect_status(202);
    }
    for (index, open) in open.into_iter().enumerate() {
        let done = open.whole();
        assert!(
            text(&done.reply()).contains(&format!("of-{index}")),
            "{done}"
        );
    }
}

#[test]
fn a_legacy_client_goes_on_with_a_stream_that_it_lost_on_another_edge() {
    let remote = FixtureServer::start(Made::Python, Speaks::Modern);
    let stdio = argv(Made::Python, Speaks::Legacy, &["stdio"]);
    let mesh = mesh(&[
        catalog::remote("http", remote.url()),
        catalog::own_command("stdio", &stdio),
    ]);
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let sam = mesh.key("sam@example.com", &["engineering"]).text;
    for (server, tool, said) in [
        ("http", "test_input_required_result_elicitation", "Ana"),
        ("stdio", "test_elicitation", "Ana"),
    ] {
        mesh.server_in(server, "ready");
        let session = Session::begin_with(&mesh.url(0, server), &key, &able());
        let mut open = session.calling(tool, json!({"message": "who?"})).open();
        let asked = open.messages(1);
        let ids = open.event_ids();
        assert_eq!(
            ids.len(),
            2,
            "{server}: a first event says how to come back: {ids:?}"
        );
        drop(open);
        // The question is open still, though its stream is gone.
        let elsewhere = session.at(&mesh.url(1, server));
        answer_all(&elsewhere, &asked);
        let rest = elsewhere.resuming(&ids[1]).send().expect_status(200);
        assert!(text(&rest.reply()).contains(said), "{server}: {rest}");
        let again = elsewhere.resuming(&ids[0]).send().expect_status(200);
        assert_eq!(again.messages().len(), 2, "{server}: {again}");
        elsewhere
            .by(&sam)
            .resuming(&ids[0])
            .send()
            .expect_status(404);
    }
}
