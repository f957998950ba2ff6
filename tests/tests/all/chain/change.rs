//! What filters change is decided on again: lists are cut after them, headers say what the message says, and the record has
//! the hash of what it was and of what it became.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tests::catalog;
use tests::listener::{Answer, Heard, Listener};
use tests::mesh::{Mesh, Running};
use tests::process;
use tests::remote;
use tests::rpc::{Modern, Session, id_of};

use super::{allow, ground, of_all};

fn change(message: &Value) -> Answer {
    Answer::json(&json!({"verdict": "change", "message": message}))
}

/// A filter that may change what goes this way.
fn changing(name: &str, servers: &[&str], url: &str, direction: &str) -> Value {
    let mut filter = of_all(name, servers, url);
    filter["spec"]["mayChange"] = json!(true);
    filter["spec"]["match"]["direction"] = json!(direction);
    filter
}

#[test]
fn no_filter_puts_a_hidden_tool_into_a_list() {
    let (new, old) = (remote::modern(), remote::legacy());
    let adding = Listener::start(|heard: &Heard| {
        let mut message = heard.json()["message"].clone();
        let Some(tools) = message["result"]["tools"].as_array_mut() else {
            return allow();
        };
        for name in ["secret", "added"] {
            tools.push(json!({"name": name, "inputSchema": {"type": "object"}}));
        }
        change(&message)
    });
    let mut resources = vec![
        catalog::remote("new", &new.url("/mcp")),
        catalog::remote("old", &old.url("/mcp")),
        catalog::fixture("slow", &[]),
        catalog::virtual_server("desk", &[("new", "n_"), ("slow", "s_")]),
        changing("adding", &["*"], &adding.url("/"), "response"),
    ];
    for server in ["new", "old", "slow"] {
        let rule = format!("no-{server}");
        resources.push(catalog::deny_tool(&rule, "engineering", server, "secret"));
    }
    resources.extend(ground());
    let mesh = Mesh::new().with(&resources).start();
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    for server in ["new", "old", "slow"] {
        mesh.server_in(server, "ready");
        let url = mesh.url(0, server);
        for tools in [
            Modern::new(&url, &key).tools(),
            Session::begin(&url, &key).tools(),
        ] {
            assert!(
                tools.iter().any(|tool| tool == "added"),
                "{server}: {tools:?}"
            );
            assert!(
                !tools.iter().any(|tool| tool == "secret"),
                "{server}: {tools:?}"
            );
        }
    }
    let all = Modern::new(&mesh.url(0, "desk"), &key).tools();
    assert!(all.contains(&"n_added".to_owned()), "{all:?}");
    assert!(all.contains(&"s_added".to_owned()), "{all:?}");
    assert!(!all.iter().any(|tool| tool.contains("secret")), "{all:?}");
}

/// SHA-256 of this text, as a program says that is not ours.
fn sha256(mesh: &Running, text: &str) -> String {
    let file = mesh.file("message", text);
    let output = process::run(Command::new("sha256sum").arg(file), Duration::from_secs(10));
    let hash = output.stdout.split_whitespace().next();
    hash.expect("a hash").to_owned()
}

#[test]
fn what_was_changed_is_on_record_by_both_hashes() {
    let far = remote::modern();
    let receiver = Listener::start(|heard: &Heard| {
        let question = heard.json();
        let mut message = question["message"].clone();
        if question["direction"] == "request" {
            message["params"]["arguments"]["message"] = json!("changed");
        } else {
            message["result"]["content"][0]["text"] = json!("another answer");
        }
        change(&message)
    });
    let mut resources = vec![
        catalog::remote("far", &far.url("/mcp")),
        catalog::fixture("slow", &[]),
        catalog::fixture("hacker", &[]),
        changing("both", &["far"], &receiver.url("/"), "both"),
        changing("response", &["slow"], &receiver.url("/"), "response"),
    ];
    for filter in &mut resources[3..] {
        filter["spec"]["match"]["methods"] = json!(["tools/call"]);
    }
    resources.extend(ground());
    let mesh = Mesh::new().with(&resources).start();
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let call = Modern::new(&mesh.url(0, "far"), &key).calling("echo", json!({"message": "a"}));
    assert_eq!(call.send().content(), "another answer");
    let of = |server: &str, call: &tests::http::Request| {
        mesh.recorded(&["--server", server], |row| {
            row["request_id"] == id_of(call) && row["decision"] == "change"
        })
    };
    let row = of("far", &call);
    assert_eq!(
        row["request_sha256"],
        sha256(&mesh, &call.text()),
        "{row:#}"
    );
    let sent = far.take();
    let sent = sent
        .iter()
        .find(|heard| heard.json()["method"] == "tools/call");
    let sent = String::from_utf8_lossy(&sent.expect("the call").body).into_owned();
    assert_eq!(
        row["request_changed_sha256"],
        sha256(&mesh, &sent),
        "{row:#}"
    );
    let got = call.send().text();
    let again = of("far", &call);
    assert_eq!(
        again["response_changed_sha256"],
        sha256(&mesh, &got),
        "{again:#}"
    );
    assert_ne!(again["response_sha256"], again["response_changed_sha256"]);
    assert_eq!(again["findings"], json!(["both: change"]));
    // At a sidecar, one way only.
    mesh.server_in("slow", "ready");
    let call = Session::begin(&mesh.url(0, "slow"), &key).calling("sleep", json!({"seconds": 0}));
    let answer = call.send();
    assert_eq!(answer.content(), "another answer");
    let row = of("slow", &call);
    assert_eq!(row["request_sha256"], Value::Null, "{row:#}");
    assert_eq!(
        row["response_changed_sha256"],
        sha256(&mesh, &answer.text()),
        "{row:#}"
    );
    // What nobody changed has no hashes.
    let call = Modern::new(&mesh.url(0, "hacker"), &key).calling("say", json!({}));
    mesh.server_in("hacker", "ready");
    call.send().expect_status(200);
    let row = mesh.recorded(&["--server", "hacker"], |row| {
        row["request_id"] == id_of(&call)
    });
    assert_eq!(row["response_sha256"], Value::Null, "{row:#}");
}

/// A modern server with a tool whose `region` is mirrored in a header.
fn mirroring() -> Listener {
    Listener::start(|heard: &Heard| {
        let message = heard.json();
        let region = json!({"type": "string", "x-mcp-header": "Region"});
        let schema = json!({"type": "object", "properties":
            {"region": region, "text": {"type": "string"}}});
        let result = match message["method"].as_str().unwrap_or_default() {
            "server/discover" => json!({"supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {}}, "ttlMs": 0, "cacheScope": "private"}),
            "tools/list" => json!({"tools": [{"name": "put", "inputSchema": schema}],
                "ttlMs": 0, "cacheScope": "private"}),
            _ => {
                let said = message["params"]["arguments"]["region"].as_str();
                // As the protocol has it: who reads the body compares.
                if heard.header("mcp-param-region") != said.unwrap_or_default() {
                    let error = json!({"code": -32020, "message": "the header says otherwise"});
                    let body = json!({"jsonrpc": "2.0", "id": message["id"], "error": error});
                    return Answer {
                        status: 400,
                        ..Answer::json(&body)
                    };
                }
                json!({"content": [{"type": "text", "text": said}]})
            }
        };
        let mut result = result;
        result["resultType"] = json!("complete");
        Answer::json(&json!({"jsonrpc": "2.0", "id": message["id"], "result": result}))
    })
}

#[test]
fn headers_that_mirror_arguments_say_what_a_filter_made_of_them() {
    let far = mirroring();
    let moving = Listener::start(|heard: &Heard| {
        let mut message = heard.json()["message"].clone();
        let arguments = &mut message["params"]["arguments"];
        match arguments["text"].as_str() {
            Some("clear") => arguments["region"] = Value::Null,
            Some("eu") => arguments["text"] = json!("moved"),
            _ => arguments["region"] = json!("us \u{e4}"),
        }
        change(&message)
    });
    let mut filter = changing("moving", &["far"], &moving.url("/"), "request");
    filter["spec"]["match"]["methods"] = json!(["tools/call"]);
    let mut resources = vec![catalog::remote("far", &far.url("/mcp")), filter];
    resources.extend(ground());
    let mesh = Mesh::new().with(&resources).start();
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let client = Modern::new(&mesh.url(0, "far"), &key);
    let call = |text: &str| {
        let arguments = json!({"region": "eu", "text": text});
        client
            .calling("put", arguments)
            .with("mcp-param-region", "eu")
            .send()
    };
    // What is not plain is wrapped, and what is gone has no header.
    far.take();
    let moved = call("a");
    assert_eq!(
        moved.error_code(),
        -32020,
        "a fixture that compares plain texts: {moved}"
    );
    let heard = far.take();
    let header = heard.iter().map(|heard| heard.header("mcp-param-region"));
    let header: Vec<_> = header.filter(|header| !header.is_empty()).collect();
    assert_eq!(header, ["=?base64?dXMgw6Q=?="]);
    call("clear").result();
    let heard = far.take();
    assert_eq!(
        heard.last().expect("the call").header("mcp-param-region"),
        ""
    );
    // Two arguments said what the header says, and differ now: it is not guessed which one it mirrors.
    let refused = call("eu");
    assert_eq!(
        refused.refusal(),
        (-31011, "not_bridgeable".to_owned()),
        "{refused}"
    );
    // Over a sidecar, which knows the schema, the header is made from what the filter has left.
    mesh.server_in("far", "ready");
    let legacy = Session::begin(&mesh.url(0, "far"), &key);
    legacy.tools();
    far.take();
    legacy.call("put", json!({"region": "eu", "text": "a"}));
    let heard = far.take();
    assert_eq!(
        heard.last().expect("the call").header("mcp-param-region"),
        "=?base64?dXMgw6Q=?="
    );
}
