//! A remote server that has one thing of each kind to show and one to hide, in either era, and remembers what reached it.

use serde_json::{Value, json};
use tests::listener::{Answer, Heard, Listener};
use tests::rpc::MODERN;

/// Which eras a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// Both: edges call it themselves.
    Both,
    /// Legacy alone: a sidecar stands before it for modern clients.
    Legacy,
    /// Modern alone: … for legacy clients.
    Modern,
}

/// Starts one.
pub(crate) fn start(speaks: Speaks) -> Listener {
    Listener::start(move |heard: &Heard| answer(speaks, heard))
}

fn answer(speaks: Speaks, heard: &Heard) -> Answer {
    let message = heard.json();
    if heard.method != "POST" {
        return Answer::status(if heard.method == "DELETE" { 204 } else { 405 });
    }
    let method = message["method"].as_str().unwrap_or_default();
    if message.get("id").is_none() {
        return Answer::status(202);
    }
    let is_modern = heard.header("mcp-protocol-version") == MODERN;
    let is_spoken = match speaks {
        Speaks::Both => true,
        Speaks::Legacy => !is_modern,
        Speaks::Modern => is_modern,
    };
    if !is_spoken {
        let error = json!({"code": -32600, "message": "this is not spoken here"});
        let body = json!({"jsonrpc": "2.0", "id": message["id"], "error": error});
        return Answer {
            status: 400,
            ..Answer::json(&body)
        };
    }
    if method == "subscriptions/listen" {
        return listening(&message);
    }
    let Some(mut result) = result(method, &message["params"]) else {
        let error = json!({"code": -32601, "message": "unknown here"});
        let body = json!({"jsonrpc": "2.0", "id": message["id"], "error": error});
        return Answer::json(&body);
    };
    if is_modern {
        result["resultType"] = json!("complete");
        result["ttlMs"] = json!(0);
        result["cacheScope"] = json!("private");
    }
    let answer = Answer::json(&json!({"jsonrpc": "2.0", "id": message["id"], "result": result}));
    match method {
        "initialize" => answer.with("mcp-session-id", "of-the-vault"),
        _ => answer,
    }
}

/// The acknowledgement, and the end: there is nothing to tell of.
fn listening(message: &Value) -> Answer {
    let meta = json!({"io.modelcontextprotocol/subscriptionId": message["id"]});
    let wanted = &message["params"]["notifications"];
    let acknowledged = json!({"jsonrpc": "2.0",
        "method": "notifications/subscriptions/acknowledged",
        "params": {"_meta": meta.clone(), "notifications": wanted}});
    let over = json!({"jsonrpc": "2.0", "id": message["id"],
        "result": {"resultType": "complete", "_meta": meta}});
    Answer::status(200)
        .with("content-type", "text/event-stream")
        .body(format!("data: {acknowledged}\n\ndata: {over}\n\n"))
}

fn result(method: &str, params: &Value) -> Option<Value> {
    let capabilities = json!({"tools": {"listChanged": true}, "prompts": {}, "completions": {},
        "resources": {"subscribe": true}, "logging": {}});
    let info = json!({"name": "vault", "version": "1"});
    let schema = json!({"type": "object"});
    Some(match method {
        "initialize" => json!({"protocolVersion": params["protocolVersion"],
            "capabilities": capabilities, "serverInfo": info}),
        "server/discover" => json!({"supportedVersions": [MODERN], "capabilities": capabilities,
            "_meta": {"io.modelcontextprotocol/serverInfo": info}}),
        "tools/list" => json!({"tools": [
            {"name": "open", "inputSchema": schema}, {"name": "hidden", "inputSchema": schema}]}),
        "tools/call" => {
            let say = params["arguments"]["say"].as_str().unwrap_or("called");
            json!({"content": [{"type": "text", "text": say}]})
        }
        "prompts/list" => json!({"prompts": [{"name": "open"}, {"name": "hidden"}]}),
        "prompts/get" => json!({"messages": []}),
        "resources/list" => json!({"resources": [
            {"name": "open", "uri": "test://open"}, {"name": "hidden", "uri": "test://hidden"}]}),
        "resources/templates/list" => json!({"resourceTemplates": []}),
        "resources/read" => json!({"contents": [{"uri": params["uri"], "text": "read"}]}),
        "completion/complete" => json!({"completion": {"values": ["a"]}}),
        "resources/subscribe" | "resources/unsubscribe" | "ping" | "logging/setLevel" => json!({}),
        _ => return None,
    })
}
