//! Servers of the TypeScript SDK that ask on the own stream of a session, where nothing says for which call, and that end
//! streams before their answer.

use std::process::Command;

use serde_json::{Value, json};
use tests::catalog;
use tests::fixture_server::FixtureServer;
use tests::http::{Request, Response};
use tests::mesh::{Mesh, Running};
use tests::place;
use tests::rpc::{Modern, Session};

const TOOLS: [&str; 2] = ["ask", "ask_twice"];

fn start(words: &[&str]) -> FixtureServer {
    let program = place::file("tests/clients/ts/servers/aside.mjs");
    FixtureServer::of(
        Command::new(place::program("node"))
            .arg(program)
            .args(words),
    )
}

fn mesh(servers: &[(&str, &FixtureServer)]) -> Running {
    let mut resources = vec![catalog::allow("all", "engineering", &["*"])];
    let remotes = servers
        .iter()
        .map(|(name, server)| catalog::remote(name, server.url()));
    resources.extend(remotes);
    let mesh = Mesh::new().with(&resources).edges(2).start();
    for (server, _) in servers {
        mesh.server_in(server, "ready");
    }
    mesh
}

fn able() -> Value {
    json!({"elicitation": {}})
}

/// The question of a result, and the call that answers it.
fn answered(client: &Modern, tool: &str, about: &str, asked: &Value, name: &str) -> Request {
    assert_eq!(asked["resultType"], "input_required", "{asked:#}");
    let requests = asked["inputRequests"].as_object().expect("questions");
    assert_eq!(requests.len(), 1, "{asked:#}");
    let responses: serde_json::Map<String, Value> = requests
        .iter()
        .map(|(key, asked)| {
            assert_eq!(asked["method"], "elicitation/create");
            assert_eq!(asked["params"]["message"], about, "whose question is it?");
            let answer = json!({"action": "accept", "content": {"name": name}});
            (key.clone(), answer)
        })
        .collect();
    let params = json!({"name": tool, "arguments": {"message": about},
        "inputResponses": responses, "requestState": asked["requestState"]});
    client.request("tools/call", params)
}

fn ask(client: &Modern, tool: &str, about: &str) -> Value {
    client.call(tool, json!({"message": about})).result()
}

#[test]
fn what_is_asked_on_a_sessions_own_stream_reaches_the_call_that_it_is_for() {
    let (events, json) = (start(&[]), start(&["json"]));
    let mesh = mesh(&[("events", &events), ("json", &json)]);
    let ana = mesh.key("ana@example.com", &["engineering"]).text;
    let sam = mesh.key("sam@example.com", &["engineering"]).text;
    for server in ["events", "json"] {
        let client = |edge, key: &str| Modern::new(&mesh.url(edge, server), key).able(&able());
        // Side by side, each is asked what its own session's server asks.
        let (hers, his) = (client(0, &ana), client(1, &sam));
        let first = ask(&hers, "ask", "who is she?");
        let second = ask(&his, "ask", "who is he?");
        let done = answered(&client(0, &sam), "ask", "who is he?", &second, "Sam").send();
        assert_eq!(done.content(), "accept Sam", "{server}");
        let done = answered(&client(1, &ana), "ask", "who is she?", &first, "Ana").send();
        assert_eq!(done.content(), "accept Ana", "{server}");
        // Again and again, on a stream that is there already.
        let mut asked = ask(&hers, "ask_twice", "and again?");
        let mut done: Option<Response> = None;
        for name in TOOLS {
            let next = answered(&hers, "ask_twice", "and again?", &asked, name).send();
            asked = next.result();
            done = Some(next);
        }
        let done = done.expect("it was asked twice");
        assert_eq!(done.content(), "accept ask_twice", "{server}");
        // Several calls at once: one that waits for its client is asked nothing more.
        let first = ask(&hers, "ask", "one?");
        let second = ask(&hers, "ask", "two?");
        for (asked, about) in [(second, "two?"), (first, "one?")] {
            let done = answered(&hers, "ask", about, &asked, "Ana").send();
            assert_eq!(done.content(), "accept Ana", "{server}");
        }
        // Who cannot be asked is not: the server is told so.
        let unable = Modern::new(&mesh.url(0, server), &ana);
        let refused = unable.call("ask", json!({"message": "who?"}));
        assert_eq!(refused.result()["isError"], true, "{server}: {refused}");
    }
}

#[test]
fn a_stream_that_its_server_ends_early_goes_on() {
    let server = start(&[]);
    let mesh = mesh(&[("events", &server)]);
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let url = mesh.url(0, "events");
    let arguments = json!({"ms": 300, "streams": 3});
    let modern = Modern::new(&url, &key);
    let called = modern.call("wait", arguments.clone());
    assert_eq!(called.content(), "waited on 3 streams");
    let told = modern
        .calling_with_progress("wait", arguments.clone())
        .send();
    let messages = told.messages();
    let progress: Vec<&Value> = messages
        .iter()
        .filter_map(|message| message["params"].get("progress"))
        .collect();
    assert_eq!(progress, [1, 2, 3], "{told}");
    assert_eq!(told.content(), "waited on 3 streams", "{told}");
    // A client that can poll does so itself.
    let session = Session::begin(&url, &key);
    let mut open = session
        .calling("wait", json!({"ms": 300, "streams": 1}))
        .open();
    assert_eq!(open.status(), 200);
    let primed = open.first_event_id();
    drop(open);
    let elsewhere = session.at(&mesh.url(1, "events"));
    let rest = elsewhere.resuming(&primed).send().expect_status(200);
    assert_eq!(rest.content(), "waited on 1 streams", "{rest}");
}
