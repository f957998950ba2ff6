//! Filters by schema: a call whose arguments are not what the tool's definition asks for reaches no server, and a result
//! that is not what it promises reaches no client.

use serde_json::{Value, json};
use tests::by_hand::ByHand;
use tests::catalog;
use tests::http::{Request, Response};
use tests::listener::{Answer, Heard, Listener};
use tests::mesh::{Mesh, Running};
use tests::remote::{self, Changing};
use tests::rpc::{Modern, Session, id_of};

/// A tool that wants a number up to ten, and promises one.
fn tools() -> Value {
    let number = json!({"type": "number", "maximum": 10});
    json!([{"name": "echo", "description": "Says it again",
        "inputSchema": {"type": "object", "properties": {"n": number}, "required": ["n"]},
        "outputSchema": {"type": "object", "properties": {"n": number}, "required": ["n"]}}])
}

fn filter(name: &str, servers: &[&str], on_error: &str) -> Value {
    let spec = json!({
        "match": {"servers": servers, "methods": ["tools/call"]},
        "schema": {}, "onError": on_error, "mode": "enforce", "order": 100,
    });
    catalog::resource("Filter", name, &spec)
}

fn mesh(resources: &[Value]) -> Running {
    let allow = catalog::allow("engineers", "engineering", &["*"]);
    let all: Vec<Value> = resources.iter().cloned().chain([allow]).collect();
    Mesh::new().with(&all).start()
}

fn ana(mesh: &Running) -> String {
    mesh.key("ana@example.com", &["engineering"]).text
}

/// A client of one era at one server.
enum Client {
    Modern(Modern),
    Legacy(Session),
}

impl Client {
    fn both(mesh: &Running, server: &str) -> [Self; 2] {
        let (url, key) = (mesh.url(0, server), ana(mesh));
        let legacy = Session::begin(&url, &key);
        [Self::Modern(Modern::new(&url, &key)), Self::Legacy(legacy)]
    }

    fn calling(&self, arguments: Value) -> Request {
        match self {
            Self::Modern(client) => client.calling("echo", arguments),
            Self::Legacy(client) => client.calling("echo", arguments),
        }
    }

    fn call(&self, arguments: Value) -> Response {
        self.calling(arguments).send()
    }
}

#[track_caller]
fn refused(response: &Response, reason: &str) {
    assert_eq!(
        response.refusal(),
        (-31010, reason.to_owned()),
        "{response}"
    );
}

/// How often a server was asked for this since it was last looked at.
fn asked(listener: &Listener, method: &str) -> usize {
    let heard = listener.take();
    heard
        .iter()
        .filter(|heard| heard.json()["method"] == method)
        .count()
}

#[test]
fn what_does_not_match_reaches_nobody_and_the_rest_goes_as_it_is() {
    let (new, old) = (
        Changing::start(true, tools()),
        Changing::start(false, tools()),
    );
    let mesh = mesh(&[
        catalog::remote("new", &new.listener.url("/mcp")),
        catalog::remote("old", &old.listener.url("/mcp")),
        filter("fits", &["*"], "deny"),
    ]);
    for (server, listener) in [("new", &new.listener), ("old", &old.listener)] {
        for client in Client::both(&mesh, server) {
            listener.take();
            for bad in [json!({"n": 11}), json!({"n": "1"}), json!({})] {
                let call = client.calling(bad);
                refused(&call.send(), "filter");
                // Of two hops the one that delivers has filters, and either's record may come first.
                let row = mesh.recorded(&["--server", server], |row| {
                    row["request_id"] == id_of(&call) && row["filters"] != json!([])
                });
                assert_eq!(row["findings"], json!(["fits: deny"]), "{row:#}");
            }
            assert_eq!(asked(listener, "tools/call"), 0, "{server} got the call");
            for content in [json!({"n": 11}), json!({}), json!(null)] {
                refused(
                    &client.call(json!({"n": 1, "structured": content})),
                    "filter",
                );
            }
            // It promises what it does not give.
            refused(&client.call(json!({"n": 1})), "filter");
            assert_eq!(asked(listener, "tools/call"), 4);
            let good = client.call(json!({"n": 10, "structured": {"n": 2.5}, "message": "a"}));
            assert_eq!(good.content(), "Echo: a");
            assert_eq!(good.result()["structuredContent"], json!({"n": 2.5}));
        }
    }
}

#[test]
fn what_matches_goes_byte_for_byte() {
    let answer = |heard: &Heard| {
        let message = heard.json();
        if message["method"] != "tools/call" {
            return remote::modern_answer_with(heard, tools());
        }
        let body = r#"{"jsonrpc":"2.0","id":ID,"result":{"resultType":"complete", "content":[],"structuredContent":{"n" : 1.250e0}}}"#;
        let id = message["id"].to_string();
        Answer::status(200)
            .with("content-type", "application/json")
            .body(body.replace("ID", &id))
    };
    let far = Listener::start(answer);
    let mesh = mesh(&[
        catalog::remote("far", &far.url("/mcp")),
        filter("fits", &["far"], "deny"),
    ]);
    let client = Modern::new(&mesh.url(0, "far"), &ana(&mesh));
    let call = client.calling("echo", json!({"n": 777}));
    let odd = r#"{ "n" : 0.0100e2, "m":"\u0061" }"#;
    let call = call.clone().body(call.text().replace(r#"{"n":777}"#, odd));
    let response = call.send();
    assert!(
        response
            .text()
            .contains(r#""structuredContent":{"n" : 1.250e0}"#),
        "{response}"
    );
    let heard = far.take();
    let is_call = |heard: &&Heard| heard.json()["method"] == "tools/call";
    let body = &heard.iter().find(is_call).expect("it came").body;
    assert!(String::from_utf8_lossy(body).contains(odd));
}

#[test]
fn who_observes_refuses_nothing_and_is_on_record() {
    let far = Changing::start(true, tools());
    let mut observed = filter("watched", &["far"], "deny");
    observed["spec"]["mode"] = json!("observe");
    let mesh = mesh(&[catalog::remote("far", &far.listener.url("/mcp")), observed]);
    for client in Client::both(&mesh, "far") {
        let call = client.calling(json!({"n": 11, "message": "a"}));
        assert_eq!(call.send().content(), "Echo: a");
        let row = mesh.recorded(&["--server", "far"], |row| {
            row["request_id"] == id_of(&call)
        });
        assert_eq!(row["decision"], "allow", "{row:#}");
        assert!(
            row["findings"]
                .to_string()
                .contains("watched: observed deny"),
            "{row:#}"
        );
    }
    far.listener.answer(unlisting);
    for client in Client::both(&mesh, "far") {
        let call = client.calling(json!({"n": 11, "message": "a"}));
        assert_eq!(call.send().content(), "Echo: a");
        let row = mesh.recorded(&["--server", "far"], |row| {
            row["request_id"] == id_of(&call)
        });
        assert!(
            row["findings"]
                .to_string()
                .contains("watched: observed error"),
            "{row:#}"
        );
    }
}

/// A server that does not say which tools it has.
fn unlisting(heard: &Heard) -> Answer {
    let message = heard.json();
    if message["method"] != "tools/list" {
        return remote::modern_answer(heard);
    }
    let error = json!({"code": -32603, "message": "not today"});
    Answer::json(&json!({"jsonrpc": "2.0", "id": message["id"], "error": error}))
}

#[test]
fn where_there_is_nothing_to_go_by_the_filter_has_failed() {
    let unlisting = Listener::start(unlisting);
    let mut broken = tools();
    broken[0]["inputSchema"] = json!({"$ref": "https://schemas.example.com/echo.json"});
    broken[0]["outputSchema"].take();
    let broken = Changing::start(true, broken);
    let remote = |name: &str, listener: &Listener| catalog::remote(name, &listener.url("/mcp"));
    let mesh = mesh(&[
        remote("strict-unlisting", &unlisting),
        remote("lax-unlisting", &unlisting),
        remote("strict-broken", &broken.listener),
        remote("lax-broken", &broken.listener),
        filter("strict", &["strict-*"], "deny"),
        filter("lax", &["lax-*"], "allow"),
    ]);
    for (kind, listener) in [("unlisting", &unlisting), ("broken", &broken.listener)] {
        for client in Client::both(&mesh, &format!("strict-{kind}")) {
            listener.take();
            refused(&client.call(json!({"n": 1})), "filter_error");
            assert_eq!(asked(listener, "tools/call"), 0);
        }
        for client in Client::both(&mesh, &format!("lax-{kind}")) {
            let call = client.calling(json!({"n": 1, "message": "a"}));
            assert_eq!(call.send().content(), "Echo: a");
            let row = mesh.recorded(&[], |row| row["request_id"] == id_of(&call));
            assert!(
                row["findings"].to_string().contains("lax: error allow"),
                "{row:#}"
            );
        }
    }
    // A tool that is in no list.
    let unknown = Modern::new(&mesh.url(0, "strict-broken"), &ana(&mesh));
    refused(&unknown.call("other", json!({})), "filter_error");
}

#[test]
fn it_goes_by_what_the_caller_is_shown_now_and_asks_once_for_filters_and_pins() {
    let plain = json!([{"name": "echo", "description": "Says it again", "inputSchema": {"type": "object"}}]);
    let far = Changing::start(true, plain.clone());
    let mut server = catalog::remote("far", &far.listener.url("/mcp"));
    server["spec"]["tools"] = json!({"pin": "auto"});
    let mesh = mesh(&[server, filter("fits", &["far"], "deny")]);
    let client = Modern::new(&mesh.url(0, "far"), &ana(&mesh));
    let call = || client.call("echo", json!({"n": 11, "message": "a"}));
    assert_eq!(call().content(), "Echo: a");
    far.listener.take();
    assert_eq!(call().content(), "Echo: a");
    assert_eq!(asked(&far.listener, "tools/list"), 1);
    far.show(tools());
    refused(&call(), "filter");
    far.show(plain);
    assert_eq!(call().content(), "Echo: a");
    // What it does not see costs no question.
    far.listener.take();
    let list = client.request("tools/list", json!({})).send();
    assert_eq!(list.result()["tools"][0]["name"], "echo");
    assert_eq!(asked(&far.listener, "tools/list"), 1);
}

#[test]
fn a_program_and_a_member_of_a_virtual_server_are_looked_at_alike() {
    let mesh = mesh(&[
        catalog::fixture("changing", &[]),
        catalog::virtual_server("desk", &[("changing", "c_")]),
        filter("fits", &["changing"], "deny"),
    ]);
    mesh.server_in("changing", "ready");
    let key = ana(&mesh);
    for (server, tool) in [("changing", "define"), ("desk", "c_define")] {
        let url = mesh.url(0, server);
        let (modern, legacy) = (Modern::new(&url, &key), Session::begin(&url, &key));
        for _ in 0..2 {
            refused(&modern.call(tool, json!({"says": 5})), "filter");
            refused(&legacy.call(tool, json!({"says": 5})), "filter");
            assert_eq!(modern.call(tool, json!({"says": "a"})).content(), "Echo: ");
            assert_eq!(legacy.call(tool, json!({"says": "b"})).content(), "Echo: ");
        }
    }
}

#[test]
fn what_it_could_never_match_is_refused_at_apply_and_explain_names_it() {
    let far = remote::modern();
    let mesh = mesh(&[
        catalog::remote("far", &far.url("/mcp")),
        filter("fits", &["far"], "deny"),
    ]);
    let told = |change: Value| {
        let mut bad = filter("bad", &["far"], "deny");
        for (key, value) in change.as_object().expect("changes") {
            bad["spec"][key] = value.clone();
        }
        let path = mesh.file("bad.yaml", &catalog::file(&[bad]));
        mesh.gatehouse(&["apply", "-f", &path]).ended_with(1).stderr
    };
    let never = told(json!({"match": {"methods": ["tools/list"]}}));
    assert!(never.contains("spec.match.methods"), "{never}");
    let changes = told(json!({"mayChange": true}));
    assert!(changes.contains("spec.mayChange"), "{changes}");
    let shown = mesh.gatehouse(&["get", "filters"]).ended_with(0).stdout;
    assert!(shown.contains("schema"), "{shown}");
    let yaml = mesh
        .gatehouse(&["get", "filter", "fits", "-o", "yaml"])
        .ended_with(0)
        .stdout;
    assert!(yaml.contains("schema: {}"), "{yaml}");
}

/// A server of 2025-11-25 that makes a task of each call, whose result is what the call was told to answer.
fn making_tasks() -> Listener {
    let promised = std::sync::Mutex::new(Value::Null);
    Listener::start(move |heard| {
        let message = heard.json();
        let mut promised = promised.lock().expect("no test panicked");
        let result = match message["method"].as_str().unwrap_or_default() {
            "initialize" => {
                let result = json!({"protocolVersion": "2025-11-25", "serverInfo": {"name": "slow", "version": "1"},
                    "capabilities": {"tools": {}, "tasks": {"requests": {"tools": {"call": {}}}}}});
                let body = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
                return Answer::json(&body).with("mcp-session-id", "one");
            }
            "tools/list" => json!({"tools": tools()}),
            "tools/call" => {
                *promised = message["params"]["arguments"]["structured"].clone();
                json!({"task": {"taskId": "7", "status": "working", "createdAt": "2026-01-01T00:00:00Z", "ttl": null}})
            }
            "tasks/result" => json!({"content": [], "structuredContent": promised.clone()}),
            _ if message.get("id").is_none() => return Answer::status(202),
            _ => json!({}),
        };
        Answer::json(&json!({"jsonrpc": "2.0", "id": message["id"], "result": result}))
    })
}

#[test]
fn what_comes_of_a_task_is_what_its_tool_promises() {
    let far = making_tasks();
    let mesh = mesh(&[
        catalog::remote("far", &far.url("/mcp")),
        catalog::external("behind"),
        filter("fits", &["far", "behind"], "deny"),
    ]);
    let _sidecar = ByHand::sidecar(&mesh, "behind", &far.url("/mcp"));
    mesh.server_in("behind", "ready");
    for server in ["far", "behind"] {
        tasks_are_compared(&Session::begin(&mesh.url(0, server), &ana(&mesh)));
    }
}

#[track_caller]
fn tasks_are_compared(session: &Session) {
    let result_of = |structured: Value| {
        let arguments = json!({"n": 1, "structured": structured});
        let params = json!({"name": "echo", "arguments": arguments, "task": {}});
        let begun = session.request("tools/call", params).send().result();
        let id = begun["task"]["taskId"].clone();
        session
            .request("tasks/result", json!({ "taskId": id }))
            .send()
    };
    let good = result_of(json!({"n": 1}));
    assert_eq!(good.result()["structuredContent"], json!({"n": 1}));
    refused(&result_of(json!({"n": 11})), "filter");
}
