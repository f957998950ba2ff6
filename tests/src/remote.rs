//! Remote MCP servers as small as they can be, over [`crate::listener`]: one of each era.

use std::collections::BTreeSet;
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::listener::{Answer, Heard, Listener};

const MODERN: &str = "2026-07-28";
const LEGACY: &str = "2025-11-25";

/// A server of 2026-07-28 alone.
pub fn modern() -> Listener {
    Listener::start(|heard| {
        let message = heard.json();
        let complete = |mut result: Value| {
            result["resultType"] = json!("complete");
            reply(&message, result)
        };
        match message["method"].as_str().unwrap_or_default() {
            "server/discover" => complete(json!({"supportedVersions": [MODERN],
                "capabilities": {"tools": {}}, "ttlMs": 0, "cacheScope": "private"})),
            "tools/list" => {
                complete(json!({"tools": tools(), "ttlMs": 0, "cacheScope": "private"}))
            }
            "tools/call" => complete(said(&message)),
            _ => {
                let data = json!({"supported": [MODERN], "requested": "unknown"});
                let error = json!({"code": -32022, "message": "Unsupported", "data": data});
                let body = json!({"jsonrpc": "2.0", "id": message["id"], "error": error});
                Answer {
                    status: 400,
                    ..Answer::json(&body)
                }
            }
        }
    })
}

/// A server of 2025-11-25 alone, with sessions.
pub fn legacy() -> Listener {
    let sessions = Mutex::new(BTreeSet::new());
    Listener::start(move |heard| {
        let mut sessions = sessions.lock().expect("no test panicked");
        answer_legacy(&mut sessions, heard)
    })
}

fn answer_legacy(sessions: &mut BTreeSet<String>, heard: &Heard) -> Answer {
    let (message, session) = (heard.json(), heard.header("mcp-session-id"));
    let method = message["method"].as_str().unwrap_or_default();
    if heard.method == "DELETE" {
        sessions.remove(session);
        return Answer::status(200);
    }
    if method == "initialize" {
        let id = format!("session-{}", sessions.len());
        sessions.insert(id.clone());
        let result = json!({"protocolVersion": LEGACY, "capabilities": {"tools": {}},
            "serverInfo": {"name": "old", "version": "1"}});
        return reply(&message, result).with("mcp-session-id", &id);
    }
    match (session, method) {
        ("", _) => Answer::status(400).body("no session"),
        _ if !sessions.contains(session) => Answer::status(404),
        (_, "tools/list") => reply(&message, json!({"tools": tools()})),
        (_, "tools/call") => reply(&message, said(&message)),
        _ if message.get("id").is_none() => Answer::status(202),
        _ => reply(&message, json!({})),
    }
}

fn tools() -> Value {
    json!([{"name": "echo", "inputSchema": {"type": "object"}}])
}

fn said(message: &Value) -> Value {
    let text = message["params"]["arguments"]["message"]
        .as_str()
        .unwrap_or_default();
    json!({"content": [{"type": "text", "text": format!("Echo: {text}")}]})
}

fn reply(message: &Value, result: Value) -> Answer {
    Answer::json(&json!({"jsonrpc": "2.0", "id": message["id"], "result": result}))
}
