//! MCP messages as well-behaved clients of both eras send them, each open to be changed before it goes.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::http::{Request, Response};

/// The modern revision.
pub const MODERN: &str = "2026-07-28";
/// The newest legacy revision.
pub const LEGACY: &str = "2025-11-25";

/// Ids of all requests of this process: each is found again in `audit list`.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

fn next_id() -> String {
    format!(
        "t{}-{}",
        std::process::id(),
        NEXT_ID.fetch_add(1, Ordering::Relaxed)
    )
}

/// A modern client: every request stands for itself.
#[derive(Debug, Clone)]
pub struct Modern {
    url: String,
    key: String,
    capabilities: Value,
}

impl Modern {
    /// A client of the server at `url`.
    pub fn new(url: &str, key: &str) -> Self {
        Self {
            url: url.to_owned(),
            key: key.to_owned(),
            capabilities: json!({}),
        }
    }

    /// The same, and it can do this much.
    #[must_use]
    pub fn able(self, capabilities: &Value) -> Self {
        Self {
            capabilities: capabilities.clone(),
            ..self
        }
    }

    /// A request, with an id of its own.
    pub fn request(&self, method: &str, params: Value) -> Request {
        self.request_with_id(&next_id(), method, params)
    }

    /// A request with this id.
    pub fn request_with_id(&self, id: &str, method: &str, mut params: Value) -> Request {
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(MODERN);
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = self.capabilities.clone();
        params["_meta"]["io.modelcontextprotocol/clientInfo"] =
            json!({"name": "gatehouse-test", "version": "1.0.0"});
        let name = params
            .get("name")
            .or(params.get("uri"))
            .or(params.get("taskId"))
            .and_then(Value::as_str)
            .map(str::to_owned);
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let request = post(&self.url, &self.key)
            .with("mcp-protocol-version", MODERN)
            .with("mcp-method", method)
            .body(body.to_string());
        match name {
            Some(name) => request.with("mcp-name", &name),
            None => request,
        }
    }

    /// A tool call, not sent yet.
    pub fn calling(&self, tool: &str, arguments: Value) -> Request {
        self.request("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// A tool call that asks for progress, not sent yet.
    pub fn calling_with_progress(&self, tool: &str, arguments: Value) -> Request {
        let params =
            json!({"name": tool, "arguments": arguments, "_meta": {"progressToken": next_id()}});
        self.request("tools/call", params)
    }

    /// Calls a tool.
    #[track_caller]
    pub fn call(&self, tool: &str, arguments: Value) -> Response {
        self.calling(tool, arguments).send()
    }

    /// The names of all tools.
    #[track_caller]
    pub fn tools(&self) -> Vec<String> {
        names(&self.request("tools/list", json!({})).send())
    }
}

/// A legacy client in its session.
#[derive(Debug, Clone)]
pub struct Session {
    url: String,
    key: String,
    /// The session id that the gateway gave.
    pub id: String,
    /// The revision that was agreed on.
    pub revision: String,
}

impl Session {
    /// The request that begins a session.
    pub fn beginning(url: &str, key: &str) -> Request {
        Self::beginning_with(url, key, &json!({}))
    }

    /// … of a client that can do this much.
    pub fn beginning_with(url: &str, key: &str, capabilities: &Value) -> Request {
        let params = json!({
            "protocolVersion": LEGACY,
            "capabilities": capabilities,
            "clientInfo": {"name": "gatehouse-test", "version": "1.0.0"},
        });
        let body =
            json!({"jsonrpc": "2.0", "id": next_id(), "method": "initialize", "params": params});
        post(url, key).body(body.to_string())
    }

    /// Begins a session, and says so as a client must.
    ///
    /// # Panics
    /// Where it is not granted.
    #[track_caller]
    pub fn begin(url: &str, key: &str) -> Self {
        Self::begin_with(url, key, &json!({}))
    }

    /// Begins a session of a client that speaks this revision.
    ///
    /// # Panics
    /// Where it is not granted.
    #[track_caller]
    pub fn begin_speaking(url: &str, key: &str, revision: &str) -> Self {
        let beginning = Self::beginning(url, key);
        let text = beginning.text().replace(LEGACY, revision);
        let response = beginning.body(text).send().expect_status(200);
        let session = Self::granted(url, key, &response);
        session.unwrap_or_else(|| panic!("no session was granted: {response}"))
    }

    /// Begins a session of a client that can do this much.
    ///
    /// # Panics
    /// Where it is not granted.
    #[track_caller]
    pub fn begin_with(url: &str, key: &str, capabilities: &Value) -> Self {
        let beginning = Self::beginning_with(url, key, capabilities);
        let response = beginning.send().expect_status(200);
        let session = Self::granted(url, key, &response)
            .unwrap_or_else(|| panic!("no session was granted: {response}"));
        session.initialized().send().expect_status(202);
        session
    }

    /// The session that the answer to [`Self::beginning`] grants, if it does.
    pub fn granted(url: &str, key: &str, response: &Response) -> Option<Self> {
        let messages = response.try_messages().ok()?;
        let revision = messages.last()?["result"]["protocolVersion"].as_str()?;
        let id = response.header("mcp-session-id");
        let session = Self {
            url: url.to_owned(),
            key: key.to_owned(),
            id: id.to_owned(),
            revision: revision.to_owned(),
        };
        (!id.is_empty()).then_some(session)
    }

    /// What a client must say when it was granted a session.
    pub fn initialized(&self) -> Request {
        self.post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
    }

    /// The same session, continued elsewhere.
    #[must_use]
    pub fn at(&self, url: &str) -> Self {
        Self {
            url: url.to_owned(),
            ..self.clone()
        }
    }

    /// The same session id in another caller's hands.
    #[must_use]
    pub fn by(&self, key: &str) -> Self {
        Self {
            key: key.to_owned(),
            ..self.clone()
        }
    }

    /// A POST in the session.
    pub fn post(&self, message: &Value) -> Request {
        post(&self.url, &self.key)
            .with("mcp-session-id", &self.id)
            .with("mcp-protocol-version", &self.revision)
            .body(message.to_string())
    }

    /// Asks for the session's own stream.
    pub fn listening(&self) -> Request {
        self.standing(http::Method::GET)
    }

    /// Asks for the rest of a stream, after the event with this id.
    pub fn resuming(&self, event: &str) -> Request {
        self.listening().with("last-event-id", event)
    }

    /// Says that the session is over.
    pub fn ending(&self) -> Request {
        self.standing(http::Method::DELETE)
    }

    fn standing(&self, method: http::Method) -> Request {
        Request::new(method, &self.url)
            .with("authorization", &format!("Bearer {}", self.key))
            .with("accept", "text/event-stream")
            .with("mcp-session-id", &self.id)
            .with("mcp-protocol-version", &self.revision)
    }

    /// A request, with an id of its own.
    pub fn request(&self, method: &str, params: Value) -> Request {
        self.post(&json!({"jsonrpc": "2.0", "id": next_id(), "method": method, "params": params}))
    }

    /// A tool call, not sent yet.
    pub fn calling(&self, tool: &str, arguments: Value) -> Request {
        self.request("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// Calls a tool.
    #[track_caller]
    pub fn call(&self, tool: &str, arguments: Value) -> Response {
        self.calling(tool, arguments).send()
    }

    /// The names of all tools.
    #[track_caller]
    pub fn tools(&self) -> Vec<String> {
        names(&self.request("tools/list", json!({})).send())
    }
}

/// The id of a request that was built here.
pub fn id_of(request: &Request) -> String {
    let message: Value = serde_json::from_str(&request.text()).expect("the body is JSON");
    message["id"].as_str().expect("the id is text").to_owned()
}

fn post(url: &str, key: &str) -> Request {
    let request = Request::post(url)
        .with("content-type", "application/json")
        .with("accept", "application/json, text/event-stream");
    if key.is_empty() {
        request
    } else {
        request.with("authorization", &format!("Bearer {key}"))
    }
}

/// The names of the tools of an answer to `tools/list`.
#[track_caller]
pub fn names(response: &Response) -> Vec<String> {
    let result = response.result();
    let tools = result["tools"]
        .as_array()
        .unwrap_or_else(|| panic!("no tools: {response}"));
    tools
        .iter()
        .filter_map(|tool| tool["name"].as_str())
        .map(str::to_owned)
        .collect()
}
