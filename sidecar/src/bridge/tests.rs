#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::sync::Arc;

use bytes::Bytes;
use dataplane::config::live::Config;
use http::HeaderMap;
use mcp::envelope::{self, Limits};
use model::name::ServerName;
use model::principal::Principal;
use model::record::{CallId, Trace};
use model::snapshot::Snapshot;
use serde_json::{Value, json};

use super::*;

const TRACEPARENT: &str = "00-01010101010101010101010101010101-0202020202020202-01";

fn greeting(revision: Revision) -> Greeting {
    let face = json!({"protocolVersion": revision.as_str(),
        "supportedVersions": [revision.as_str()],
        "capabilities": {"tools": {"listChanged": true}, "logging": {}},
        "serverInfo": {"name": "it", "version": "1"}})
    .to_string();
    match revision.era() {
        Era::Legacy => Greeting::of_initialize(face.as_bytes()).unwrap(),
        Era::Modern => Greeting::of_discover(face.as_bytes()).unwrap(),
    }
}

/// Calls `f` with a call of this message.
fn with_call<T>(revision: Revision, message: &Value, f: impl FnOnce(&Call<'_>) -> T) -> T {
    with_text(revision, &message.to_string(), f)
}

fn with_text<T>(revision: Revision, message: &str, f: impl FnOnce(&Call<'_>) -> T) -> T {
    let body = Bytes::from(message.to_owned());
    let config = Arc::new(Config::compile(Arc::new(Snapshot::default())).unwrap());
    f(&Call {
        id: CallId([1; 16]),
        server: &ServerName::new("it").unwrap(),
        principal: &Arc::new(Principal::new("ana", &[], None, "k")),
        client_address: None,
        config: &config,
        body: &body,
        message: &envelope::scan(&body, &Limits::REQUEST).unwrap(),
        revision,
        session: None,
        trace: Trace {
            trace_id: [1; 16],
            span_id: [2; 8],
            parent: None,
            sampled: true,
        },
        sse: true,
        headers: &HeaderMap::new(),
        client: "",
        came: None,
        tasks: &dataplane::deliver::tasks::NONE,
        approval: None,
    })
}

/// The side of a server whose one session all callers share.
fn shared(greeting: &Greeting) -> Side<'_> {
    Side {
        greeting,
        own: false,
    }
}

fn sent(revision: Revision, server: Revision, message: &str) -> Value {
    with_text(revision, message, |call| {
        let greeting = greeting(server);
        let translator = cross(call, &shared(&greeting)).unwrap();
        let text = translator.request(call.message, 77, None).unwrap();
        serde_json::from_slice(&text).unwrap()
    })
}

fn fault(revision: Revision, server: Revision, message: &Value) -> Fault {
    with_call(revision, message, |call| {
        cross(call, &shared(&greeting(server))).unwrap_err()
    })
}

fn modern_meta() -> Value {
    json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"sampling": {}}, "progressToken": "t"})
}

const LEGACY: Revision = Revision::V2025_11_25;
const MODERN: Revision = Revision::V2026_07_28;

#[test]
fn a_legacy_request_gets_our_id_and_trace_and_keeps_the_rest() {
    let params = |params: &str| {
        let message =
            format!(r#"{{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{params}}}"#);
        sent(LEGACY, LEGACY, &message)
    };
    let traced = json!({"traceparent": TRACEPARENT});
    let call = json!({"jsonrpc": "2.0", "id": 77, "method": "tools/call",
        "params": {"_meta": traced, "name": "echo", "arguments": {"task": 1}}});
    assert_eq!(params(r#"{"name":"echo","arguments":{"task":1}}"#), call);
    let tasked = r#"{"task":{"ttl":1},"name":"echo","arguments":{"task":1}}"#;
    assert_eq!(params(tasked), call, "a task is asked for");
    let with_meta = params(r#"{"name":"a","_meta":{"progressToken":"t","k":1},"task":{}}"#);
    let meta = json!({"progressToken": 77, "k": 1, "traceparent": TRACEPARENT});
    assert_eq!(with_meta["params"], json!({"name": "a", "_meta": meta}));
    let with_trace = params(r#"{"name":"a","_meta":{"traceparent":"00-old"}}"#);
    assert_eq!(with_trace["params"]["_meta"], traced);
}

#[test]
fn a_request_without_parameters_gets_some_for_the_trace() {
    let traced = json!({"_meta": {"traceparent": TRACEPARENT}});
    for message in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
        r#" {"jsonrpc":"2.0","id":1,"method":"tools/list" } "#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{ }}"#,
    ] {
        assert_eq!(sent(LEGACY, LEGACY, message)["params"], traced, "{message}");
    }
}

#[test]
fn a_modern_server_learns_of_no_clients_capabilities() {
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list",
        "params": {"_meta": modern_meta()}});
    let meta = sent(MODERN, MODERN, &message.to_string())["params"]["_meta"].clone();
    assert_eq!(
        meta["io.modelcontextprotocol/clientCapabilities"],
        json!({})
    );
    assert_eq!(
        meta["io.modelcontextprotocol/protocolVersion"],
        "2026-07-28"
    );
    assert_eq!(
        (&meta["progressToken"], &meta["traceparent"]),
        (&json!(77), &json!(TRACEPARENT))
    );
}

#[test]
fn a_legacy_server_learns_of_no_modern_keys() {
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "a", "_meta": modern_meta()}});
    let meta = json!({"progressToken": 77, "traceparent": TRACEPARENT});
    let params = json!({"name": "a", "_meta": meta});
    assert_eq!(sent(MODERN, LEGACY, &message.to_string())["params"], params);
}

#[test]
fn a_modern_server_is_told_what_it_needs_of_a_legacy_client() {
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "a", "_meta": {"progressToken": "t"}}});
    let params = sent(LEGACY, MODERN, &message.to_string())["params"].clone();
    assert_eq!(
        params,
        json!({"name": "a", "_meta": {"progressToken": 77, "traceparent": TRACEPARENT,
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {}}})
    );
}

#[test]
fn what_a_shared_session_cannot_give_is_unknown_there() {
    let level = json!({"jsonrpc": "2.0", "id": 1, "method": "logging/setLevel",
        "params": {"level": "info"}});
    assert_eq!(fault(LEGACY, LEGACY, &level).rpc.unwrap().code, -32601);
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tasks/list"});
    assert_eq!(fault(LEGACY, LEGACY, &list).rpc.unwrap().code, -32601);
    with_call(LEGACY, &level, |call| {
        let greeting = greeting(LEGACY);
        let own = Side {
            greeting: &greeting,
            own: true,
        };
        assert!(cross(call, &own).is_ok());
    });
}

#[test]
fn tasks_are_of_a_session_of_the_clients_own_and_its_era_and_of_whom_an_edge_says() {
    use std::collections::BTreeSet;

    use dataplane::auth::task::Stated;
    use dataplane::deliver::tasks::Tasks;

    let extensions = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
    let meta = json!({"io.modelcontextprotocol/clientCapabilities": extensions});
    let get = json!({"jsonrpc": "2.0", "id": 1, "method": "tasks/get",
        "params": {"taskId": "t", "_meta": meta}});
    let code = |revision, server, own, stated: Option<&Stated>| {
        with_call(revision, &get, |call| {
            let greeting = greeting(server);
            let side = Side {
                greeting: &greeting,
                own,
            };
            let tasks = Tasks::as_told(stated, (call.body, call.message));
            let call = Call {
                tasks: &tasks,
                ..*call
            };
            cross(&call, &side)
                .err()
                .map(|fault| fault.rpc.unwrap().code)
        })
    };
    let stated = Stated(BTreeSet::from(["make".to_owned()]));
    assert_eq!(code(MODERN, MODERN, true, Some(&stated)), None);
    assert_eq!(code(MODERN, MODERN, true, None), Some(-32601));
    assert_eq!(code(MODERN, MODERN, false, Some(&stated)), Some(-32601));
    assert_eq!(code(MODERN, LEGACY, true, Some(&stated)), Some(-32601));
    assert_eq!(code(LEGACY, MODERN, true, Some(&stated)), Some(-32601));
    assert_eq!(code(LEGACY, LEGACY, true, Some(&stated)), None);
    // As edges of a former version have it.
    assert_eq!(code(LEGACY, LEGACY, true, None), None);
}

#[test]
fn handshakes_are_answered_from_the_greeting() {
    let answered = |revision, server, method: &str, params: Value| {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        with_call(revision, &message, |call| {
            answer(call, &shared(&greeting(server)))
        })
    };
    let parse = |result: Result<Option<Vec<u8>>, Fault>| -> Value {
        serde_json::from_slice(&result.unwrap().unwrap()).unwrap()
    };
    let asks = json!({"protocolVersion": "2025-03-26", "capabilities": {},
        "clientInfo": {"name": "c", "version": "1"}});
    let initialized = parse(answered(
        Revision::V2025_03_26,
        LEGACY,
        "initialize",
        asks.clone(),
    ));
    assert_eq!(initialized["protocolVersion"], "2025-03-26");
    let told = json!({"tools": {"listChanged": true}});
    assert_eq!(initialized["capabilities"], told, "no logging is offered");
    let bridged = parse(answered(LEGACY, MODERN, "initialize", asks));
    assert_eq!(bridged["protocolVersion"], LEGACY.as_str());
    let meta = json!({"_meta": modern_meta()});
    let discovered = parse(answered(MODERN, LEGACY, "server/discover", meta.clone()));
    assert_eq!(discovered["supportedVersions"].as_array().unwrap().len(), 5);
    assert_eq!(discovered["capabilities"], told);
    let discovered = parse(answered(MODERN, MODERN, "server/discover", meta));
    assert_eq!(discovered["supportedVersions"].as_array().unwrap().len(), 5);
}
