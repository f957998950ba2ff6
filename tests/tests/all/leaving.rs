//! Clients that leave before their answer: in the era of sessions a lost connection says nothing, in the modern one it
//! takes the call back (PROTOCOL 4.2, "cancel").

use std::time::Duration;

use serde_json::{Value, json};
use tests::catalog;
use tests::http::Request;
use tests::listener::{Answer, Heard, Listener};
use tests::mesh::{Mesh, Running};
use tests::rpc::{MODERN, Modern, Session};
use tests::wait;

const SOON: Duration = Duration::from_secs(20);
/// How long a call takes: as long as everything that a server may hear of it by mistake.
const CALL: Duration = Duration::from_secs(3);

/// A server whose every call takes its time.
fn slow(era_is_modern: bool) -> Listener {
    Listener::start(move |heard: &Heard| {
        let message = heard.json();
        let result = |result: Value| {
            Answer::json(&json!({"jsonrpc": "2.0", "id": message["id"], "result": result}))
        };
        match message["method"].as_str() {
            Some("server/discover") if era_is_modern => result(json!({"resultType": "complete",
                "supportedVersions": [MODERN], "capabilities": {"tools": {}},
                "ttlMs": 0, "cacheScope": "private"})),
            Some("initialize") if !era_is_modern => result(json!({"protocolVersion": "2025-11-25",
                "capabilities": {"tools": {}}, "serverInfo": {"name": "slow", "version": "1"}}))
            .with("mcp-session-id", "its-own"),
            Some("tools/call") => {
                let text = json!([{"type": "text", "text": "done"}]);
                result(json!({"resultType": "complete", "content": text})).after(CALL)
            }
            Some("tools/list") => result(json!({"tools": [
                {"name": "wait", "inputSchema": {"type": "object"}}], "resultType": "complete",
                "ttlMs": 0, "cacheScope": "private"})),
            Some(method) if method.starts_with("notifications/") => Answer::status(202),
            _ => Answer::status(400),
        }
    })
}

fn mesh(server: &Listener) -> Running {
    let mesh = Mesh::new()
        .with(&[
            catalog::remote("slow", &server.url("/mcp")),
            catalog::allow("all", "engineering", &["*"]),
        ])
        .start();
    mesh.server_in("slow", "ready");
    mesh
}

fn heard(server: &Listener, method: &str, all: &mut Vec<Value>) -> usize {
    all.extend(server.take().iter().map(Heard::json));
    let of_method = all.iter().filter(|message| message["method"] == method);
    of_method.count()
}

/// Sends a call, and leaves once the server has it.
fn leave(server: &Listener, call: &Request, all: &mut Vec<Value>) {
    call.leave_when(|| heard(server, "tools/call", all) == 1);
}

/// The server keeps its connection until it has answered, without anybody to hear it.
fn comes_to_its_end(server: &Listener) {
    let before = server.answered();
    wait::wait_for("the server to answer", CALL + SOON, || {
        server.answered() + server.left() > before
    });
    assert_eq!(server.left(), 0, "it lost its connection");
}

#[test]
fn a_legacy_client_that_loses_its_connection_has_not_cancelled_its_call() {
    // Its server is called by the edge itself where it speaks the same era, and by the sidecar where it does not.
    let server = slow(false);
    let mesh = mesh(&server);
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let session = Session::begin(&mesh.url(0, "slow"), &key);
    let mut all = Vec::new();
    leave(&server, &session.calling("wait", json!({})), &mut all);
    comes_to_its_end(&server);
    assert_eq!(heard(&server, "notifications/cancelled", &mut all), 0);
    // What the client says goes.
    let call = session.calling("wait", json!({}));
    let id = tests::rpc::id_of(&call);
    all.clear();
    leave(&server, &call, &mut all);
    let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": {"requestId": id}});
    session.post(&cancelled).send().expect_status(202);
    wait::wait_for("the server to be told", SOON, || {
        heard(&server, "notifications/cancelled", &mut all) == 1
    });
}

#[test]
fn a_legacy_client_of_a_modern_server_has_not_cancelled_its_call_either() {
    let server = slow(true);
    let mesh = mesh(&server);
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let session = Session::begin(&mesh.url(0, "slow"), &key);
    let mut all = Vec::new();
    leave(&server, &session.calling("wait", json!({})), &mut all);
    comes_to_its_end(&server);
}

#[test]
fn a_modern_client_that_leaves_takes_its_call_back_from_servers_of_either_era() {
    for is_modern in [true, false] {
        let server = slow(is_modern);
        let mesh = mesh(&server);
        let key = mesh.key("ana@example.com", &["engineering"]).text;
        let client = Modern::new(&mesh.url(0, "slow"), &key);
        let mut all = Vec::new();
        leave(&server, &client.calling("wait", json!({})), &mut all);
        // A modern server sees its connection closed, a legacy one has to be told in words.
        let what = format!("the server to know, modern: {is_modern}");
        wait::wait_for(&what, CALL, || {
            if is_modern {
                server.left() == 1
            } else {
                heard(&server, "notifications/cancelled", &mut all) == 1
            }
        });
        let row = mesh.recorded(&["--server", "slow"], |row| row["method"] == "tools/call");
        assert_eq!(row["reason"], "cancelled", "{row:#}");
    }
}
