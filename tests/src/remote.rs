//! Remote MCP servers as small as they can be, over [`crate::listener`]: one of each era.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::listener::{Answer, Heard, Listener};

const MODERN: &str = "2026-07-28";
const LEGACY: &str = "2025-11-25";

/// A server of 2026-07-28 alone.
pub fn modern() -> Listener {
    Listener::start(modern_answer)
}

/// What such a server answers.
pub fn modern_answer(heard: &Heard) -> Answer {
    modern_answer_with(heard, tools())
}

/// The same, with these tools.
pub fn modern_answer_with(heard: &Heard, tools: Value) -> Answer {
    let message = heard.json();
    let complete = |mut result: Value| {
        result["resultType"] = json!("complete");
        reply(&message, result)
    };
    match message["method"].as_str().unwrap_or_default() {
        "server/discover" => complete(json!({"supportedVersions": [MODERN],
            "capabilities": {"tools": {}}, "ttlMs": 0, "cacheScope": "private"})),
        "tools/list" => complete(json!({"tools": tools, "ttlMs": 0, "cacheScope": "private"})),
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
}

/// A server of one era whose tools a test changes, for all callers or for one.
#[derive(Debug)]
pub struct Changing {
    /// Where it listens.
    pub listener: Listener,
    shown: Arc<Mutex<Shown>>,
}

#[derive(Debug)]
struct Shown {
    all: Value,
    /// By session; of a modern client, by what it says that it can do.
    one: BTreeMap<String, Value>,
}

impl Changing {
    /// A server of 2026-07-28, or of 2025-11-25, with these tools.
    pub fn start(is_modern: bool, tools: Value) -> Self {
        let shown = Shown {
            all: tools,
            one: BTreeMap::new(),
        };
        let shown = Arc::new(Mutex::new(shown));
        let (sessions, own) = (Mutex::new(BTreeSet::new()), shown.clone());
        let listener = Listener::start(move |heard| {
            let who = if is_modern {
                let meta = &heard.json()["params"]["_meta"];
                meta["io.modelcontextprotocol/clientCapabilities"].to_string()
            } else {
                heard.header("mcp-session-id").to_owned()
            };
            let shown = own.lock().expect("no test panicked");
            let tools = shown.one.get(&who).unwrap_or(&shown.all).clone();
            if is_modern {
                return modern_answer_with(heard, tools);
            }
            let mut sessions = sessions.lock().expect("no test panicked");
            answer_legacy(&mut sessions, heard, tools)
        });
        Self { listener, shown }
    }

    /// Shows everybody these tools from now on.
    pub fn show(&self, tools: Value) {
        self.shown.lock().expect("no test panicked").all = tools;
    }

    /// Shows one caller these tools: the session that was begun last, or modern clients that can do this much.
    pub fn show_one(&self, who: &str, tools: Value) {
        let mut shown = self.shown.lock().expect("no test panicked");
        shown.one.insert(who.to_owned(), tools);
    }

    /// The session that a call with this text was made in.
    pub fn session_of(&self, text: &str) -> String {
        let heard = self.listener.take();
        let call = heard
            .iter()
            .find(|heard| heard.json()["params"]["arguments"]["message"] == text);
        let call = call.unwrap_or_else(|| panic!("no call said {text:?}"));
        call.header("mcp-session-id").to_owned()
    }
}

/// A server of 2025-11-25 alone, with sessions.
pub fn legacy() -> Listener {
    let sessions = Mutex::new(BTreeSet::new());
    Listener::start(move |heard| {
        let mut sessions = sessions.lock().expect("no test panicked");
        answer_legacy(&mut sessions, heard, tools())
    })
}

fn answer_legacy(sessions: &mut BTreeSet<String>, heard: &Heard, tools: Value) -> Answer {
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
        (_, "tools/list") => reply(&message, json!({"tools": tools})),
        (_, "tools/call") => reply(&message, said(&message)),
        _ if message.get("id").is_none() => Answer::status(202),
        _ => reply(&message, json!({})),
    }
}

fn tools() -> Value {
    json!([{"name": "echo", "inputSchema": {"type": "object"}}])
}

/// The text that it was called with, and what it was told to answer as `structuredContent`.
fn said(message: &Value) -> Value {
    let arguments = &message["params"]["arguments"];
    let text = arguments["message"].as_str().unwrap_or_default();
    let mut result = json!({"content": [{"type": "text", "text": format!("Echo: {text}")}]});
    if let Some(structured) = arguments.get("structured") {
        result["structuredContent"] = structured.clone();
    }
    result
}

fn reply(message: &Value, result: Value) -> Answer {
    Answer::json(&json!({"jsonrpc": "2.0", "id": message["id"], "result": result}))
}
