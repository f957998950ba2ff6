#![allow(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::envelope::{Limits, scan};
use serde_json::{Value, json};

const CLIENT: Client<'static> = Client {
    capabilities: br#"{"roots":{}}"#,
    info: Some(br#"{"name":"c","version":"1"}"#),
    log_level: Some("debug"),
};

fn sent(message: &Value, new: &New<'_>) -> Value {
    let bytes = message.to_string().into_bytes();
    let envelope = scan(&bytes, &Limits::REQUEST).unwrap();
    let mut edits = Edits::new(&bytes);
    request(&mut edits, &envelope, &CLIENT, new);
    let done = edits.apply().unwrap();
    scan(&done, &Limits::REQUEST).unwrap();
    serde_json::from_slice(&done).unwrap()
}

fn back(message: &Value, method: &str) -> Value {
    let bytes = message.to_string().into_bytes();
    let envelope = scan(&bytes, &Limits::RESPONSE).unwrap();
    let mut edits = Edits::new(&bytes);
    response(&mut edits, &envelope, method);
    serde_json::from_slice(&edits.apply().unwrap()).unwrap()
}

#[test]
fn a_request_gets_what_modern_servers_need() {
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "x", "task": {"ttl": 1}, "_meta": {"progressToken": "t", "acme/x": 1, "traceparent": "old"}}});
    let new = New {
        progress_token: Some(b"9"),
        traceparent: Some("00-new"),
        responses: Some(br#"{"a":{}}"#),
        state: Some(br#""s""#),
    };
    assert_eq!(
        sent(&message, &new)["params"],
        json!({"name": "x", "inputResponses": {"a": {}}, "requestState": "s", "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {"roots": {}},
            "io.modelcontextprotocol/clientInfo": {"name": "c", "version": "1"},
            "io.modelcontextprotocol/logLevel": "debug",
            "traceparent": "00-new", "progressToken": 9, "acme/x": 1}})
    );
    let bare = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let sent = sent(&bare, &New::default());
    assert_eq!(sent["params"]["_meta"].as_object().unwrap().len(), 4);
}

#[test]
fn a_result_loses_what_is_modern_and_keeps_the_rest() {
    let info = json!({"io.modelcontextprotocol/serverInfo": {"name": "s"}});
    let message = json!({"jsonrpc": "2.0", "id": 1, "result": {
        "resultType": "complete", "content": [], "structuredContent": [1], "_meta": info}});
    assert_eq!(
        back(&message, method::TOOLS_CALL)["result"],
        json!({"content": []})
    );
    let message = json!({"jsonrpc": "2.0", "id": 1, "result": {"ttlMs": 1, "cacheScope": "public",
        "contents": [], "structuredContent": {"a": 1},
        "_meta": {"io.modelcontextprotocol/serverInfo": {}, "acme/x": 1}}});
    assert_eq!(
        back(&message, method::RESOURCES_READ)["result"],
        json!({"contents": [], "structuredContent": {"a": 1}, "_meta": {"acme/x": 1}})
    );
}

#[test]
fn tools_that_no_client_may_use_are_left_out() {
    let tool = |name: &str, schema: Value| {
        json!({"name": name, "inputSchema": schema,
        "outputSchema": {"type": "array"}})
    };
    let good = json!({"type": "object", "properties": {"r": {"type": "string", "x-mcp-header": "Region"}}});
    let bad = json!({"type": "object", "properties": {"r": {"type": "number", "x-mcp-header": "Region"}}});
    let message = json!({"jsonrpc": "2.0", "id": 1, "result": {
        "tools": [tool("a", bad), tool("b", good.clone())]}});
    assert_eq!(
        back(&message, method::TOOLS_LIST)["result"],
        json!({"tools": [{"name": "b", "inputSchema": good}]})
    );
    let bytes = message.to_string().into_bytes();
    let envelope = scan(&bytes, &Limits::RESPONSE).unwrap();
    let mirrors = mirrors(&bytes, envelope.result.unwrap());
    assert_eq!(mirrors.len(), 1);
    assert_eq!((&*mirrors[0].0, &*mirrors[0].1[0].header), ("b", "Region"));
}

#[test]
fn codes_are_those_of_the_era() {
    let error =
        |code: i64| json!({"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": "m"}});
    let read = |code, method| back(&error(code), method)["error"]["code"].clone();
    assert_eq!(read(-32602, method::RESOURCES_READ), -32002);
    assert_eq!(read(-32602, method::TOOLS_CALL), -32602);
    assert_eq!(read(-32021, method::TOOLS_CALL), -32603);
}
