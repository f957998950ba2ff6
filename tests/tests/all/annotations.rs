//! Rules by annotations: what an approved definition says of its tool counts where its server is trusted, for calls and
//! lists, at the edge and the sidecar alike; and nowhere else.

use std::time::Duration;

use serde_json::{Value, json};
use tests::catalog;
use tests::http::Response;
use tests::mesh::{Mesh, Running};
use tests::remote::Changing;
use tests::rpc::{Modern, Session};
use tests::wait;

/// How long a revision of the control plane's own making may take to all nodes.
const PUSHED: Duration = Duration::from_secs(20);

const UNKNOWN: [&str; 0] = [];

fn reads() -> Value {
    let spec = json!({"effect": "allow", "everyone": true, "servers": ["*"], "annotations": {"readOnlyHint": true}});
    catalog::resource("AccessRule", "reads", &spec)
}

fn under(mut server: Value, trusts: bool) -> Value {
    server["spec"]["tools"] = json!({"pin": "review", "trustAnnotations": trusts});
    server
}

/// A tool that says this of itself.
fn tool(name: &str, annotations: Value) -> Value {
    let mut tool = json!({"name": name, "description": "Notes", "inputSchema": {"type": "object"}});
    if annotations.is_object() {
        tool["annotations"] = annotations;
    }
    tool
}

fn reading(name: &str) -> Value {
    tool(name, json!({"readOnlyHint": true}))
}

fn writing(name: &str) -> Value {
    tool(name, Value::Null)
}

fn mesh(resources: &[Value]) -> Running {
    Mesh::new().with(resources).start()
}

/// A client of either era.
enum Client {
    Legacy(Session),
    Modern(Modern),
}

impl Client {
    fn new(mesh: &Running, server: &str, is_modern: bool) -> Self {
        let key = mesh.key("ana@example.com", &["engineering"]).text;
        let url = mesh.url(0, server);
        match is_modern {
            true => Self::Modern(Modern::new(&url, &key)),
            false => Self::Legacy(Session::begin(&url, &key)),
        }
    }

    fn tools(&self) -> Vec<String> {
        match self {
            Self::Legacy(session) => session.tools(),
            Self::Modern(modern) => modern.tools(),
        }
    }

    fn call(&self, tool: &str, arguments: Value) -> Response {
        match self {
            Self::Legacy(session) => session.call(tool, arguments),
            Self::Modern(modern) => modern.call(tool, arguments),
        }
    }

    /// Waits until it is shown these tools: what is approved at first sight has to come to all nodes.
    #[track_caller]
    fn comes_to_see(&self, expected: &[&str]) {
        wait::until(&format!("tools {expected:?}"), PUSHED, || {
            let tools = self.tools();
            (tools == expected)
                .then_some(())
                .ok_or(format!("{tools:?}"))
        });
    }

    /// To whom a tool is never shown it does not exist.
    #[track_caller]
    fn cannot_call(&self, tool: &str) {
        let answer = self.call(tool, json!({}));
        assert_eq!(answer.error_code(), -32602, "{answer}");
    }
}

#[test]
fn a_trusted_program_s_tool_that_reads_only_is_allowed_and_no_other() {
    let mesh = mesh(&[
        under(catalog::fixture("hinting", &[]), true),
        under(catalog::named_fixture("doubted", "hinting", &[]), false),
        catalog::virtual_server("notes", &[("hinting", "n_"), ("doubted", "d_")]),
        reads(),
    ]);
    mesh.server_in("hinting", "ready");
    mesh.server_in("doubted", "ready");
    let clients = [false, true].map(|is_modern| Client::new(&mesh, "hinting", is_modern));
    for client in &clients {
        client.comes_to_see(&["read"]);
        assert_eq!(client.call("read", json!({})).content(), "Done: read");
        client.cannot_call("write");
        let doubted = Client::new(&mesh, "doubted", matches!(client, Client::Modern(_)));
        assert_eq!(doubted.tools(), UNKNOWN);
        doubted.cannot_call("read");
        // Under another name it is the member's tool.
        let notes = Client::new(&mesh, "notes", matches!(client, Client::Modern(_)));
        assert_eq!(notes.tools(), ["n_read"]);
        assert_eq!(notes.call("n_read", json!({})).content(), "Done: read");
        notes.cannot_call("n_write");
        notes.cannot_call("d_read");
    }

    // What it says after it was approved is held, and does not count.
    let turned = clients[0].call("read", json!({"turn": true}));
    assert_eq!(turned.content(), "Done: read");
    for client in &clients {
        client.cannot_call("write");
        assert_eq!(client.tools(), ["read"]);
        client.cannot_call("write");
    }
    let explained = ["--user", "ana@example.com", "--server", "hinting", "--tool"];
    let explain = |tool: &str| {
        let words = [&["explain"][..], &explained, &[tool]].concat();
        mesh.gatehouse(&words).stdout
    };
    let (read, write) = (explain("read"), explain("write"));
    assert!(read.contains("allow"), "{read}");
    let why = "the tool's approved definition does not say so";
    assert!(write.contains(why), "{write}");
    mesh.gatehouse(&["server", "accept", "hinting", "--all", "--yes", "--wait"])
        .ended_with(0);
    for client in &clients {
        client.comes_to_see(&["read", "write"]);
        assert_eq!(client.call("write", json!({})).content(), "Done: write");
    }
}

/// A remote server of either era, called by the edge itself: trusted, then not.
fn remote(is_modern: bool) {
    let server = Changing::start(is_modern, json!([reading("read"), writing("write")]));
    let docs = catalog::remote("docs", &server.listener.url("/mcp"));
    let mesh = mesh(&[under(docs.clone(), true), reads()]);
    let client = Client::new(&mesh, "docs", is_modern);
    client.comes_to_see(&["read"]);
    assert_eq!(
        client.call("read", json!({"message": "a"})).content(),
        "Echo: a"
    );
    client.cannot_call("write");

    server.show(json!([reading("read"), reading("write")]));
    assert_eq!(client.tools(), ["read"]);
    client.cannot_call("write");
    // A tool that reads only no longer is held as any that has changed.
    server.show(json!([writing("read"), writing("write")]));
    assert_eq!(client.tools(), UNKNOWN);
    let held = client.call("read", json!({}));
    assert_eq!(held.refusal(), (-31010, "tool_changed".to_owned()));

    server.show(json!([reading("read"), writing("write")]));
    client.comes_to_see(&["read"]);
    mesh.apply(&[under(docs, false)]);
    client.comes_to_see(&UNKNOWN);
    client.cannot_call("read");
}

#[test]
fn a_legacy_server_s_annotations_count_as_they_were_approved_and_while_it_is_trusted() {
    remote(false);
}

#[test]
fn a_modern_server_s_annotations_count_as_they_were_approved_and_while_it_is_trusted() {
    remote(true);
}
