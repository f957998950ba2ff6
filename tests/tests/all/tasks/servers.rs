//! Servers that have tasks, as small as they can be.

use serde_json::{Value, json};
use tests::listener::{Answer, Heard};

use super::EXTENSION;

/// A legacy server of which one tool makes tasks.
pub(super) fn old(heard: &Heard) -> Answer {
    let message = heard.json();
    let reply = |result: Value| {
        Answer::json(&json!({"jsonrpc": "2.0", "id": message["id"], "result": result}))
    };
    let at = "2026-01-01T00:00:00Z";
    let state = |id: &str| {
        json!({"taskId": id, "status": "completed", "createdAt": at,
        "lastUpdatedAt": at, "ttl": null})
    };
    match message["method"].as_str().unwrap_or_default() {
        "initialize" => reply(
            json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {},
            "tasks": {"list": {}, "requests": {"tools": {"call": {}}}}},
            "serverInfo": {"name": "old", "version": "1"}}),
        )
        .with("mcp-session-id", "session-1"),
        "tools/call" => reply(json!({"task": state("task-of-all")})),
        "tasks/get" if message["params"]["taskId"] == "task-of-all" => reply(state("task-of-all")),
        "tasks/result" if message["params"]["taskId"] == "task-of-all" => reply(
            json!({"content": [{"type": "text", "text": "made by a task"}], "_meta":
                {"io.modelcontextprotocol/related-task": {"taskId": "task-of-all"}}}),
        ),
        "server/discover" => Answer::status(400).body("no session"),
        "notifications/initialized" => Answer::status(202),
        _ => Answer::json(&json!({"jsonrpc": "2.0", "id": message["id"],
            "error": {"code": -32602, "message": "unknown"}})),
    }
}

/// A modern server that begins the task `raw-1`, and tells whoever listens of it, and of somebody else's.
pub(super) fn telling(heard: &Heard) -> Answer {
    let message = heard.json();
    let id = &message["id"];
    let reply = |mut result: Value| {
        let kind = if result.get("taskId").is_some() {
            "task"
        } else {
            "complete"
        };
        result["resultType"] = json!(kind);
        Answer::json(&json!({"jsonrpc": "2.0", "id": id, "result": result}))
    };
    let subscription = json!({"io.modelcontextprotocol/subscriptionId": id});
    let state = |task: &str| {
        json!({"jsonrpc": "2.0", "method": "notifications/tasks", "params": {"taskId": task,
            "status": "completed", "result": {"content": [{"type": "text", "text": "made"}]},
            "_meta": subscription}})
    };
    match message["method"].as_str().unwrap_or_default() {
        "server/discover" => reply(json!({"supportedVersions": ["2026-07-28"], "ttlMs": 0,
            "capabilities": {"tools": {}, "extensions": {EXTENSION: {}}}, "cacheScope": "private"})),
        "tools/call" => reply(json!({"taskId": "raw-1", "status": "working"})),
        "subscriptions/listen" => {
            let granted = &message["params"]["notifications"];
            let ack = json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
                "params": {"notifications": granted, "_meta": subscription}});
            let end = json!({"jsonrpc": "2.0", "id": id,
                "result": {"resultType": "complete", "_meta": subscription}});
            let all = [ack, state("raw-9"), state("raw-1"), end];
            let events: String = all.iter().map(|each| format!("data: {each}\n\n")).collect();
            Answer::status(200)
                .with("content-type", "text/event-stream")
                .body(events)
        }
        _ => Answer::json(&json!({"jsonrpc": "2.0", "id": id,
            "error": {"code": -32601, "message": "unknown"}})),
    }
}
