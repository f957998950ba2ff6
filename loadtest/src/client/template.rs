//! Requests of one scenario: everything that is the same in all of them is made once.
//!
//! ```text
//! Scenario + Era -> Template        once
//! Template + id  -> body, Asked     a call: a splice of the body
//! body + headers -> Request         a call: a copy of the headers
//! ```

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::Full;
use mcp::headers::{MCP_METHOD, MCP_NAME, MCP_PROTOCOL_VERSION, encode_value, wants_name};
use mcp::revision::{Era, Revision};
use serde_json::{Value, json};

use super::answer::{Asked, Content};
use crate::scenario::{Expect, MESSAGE, Scenario};
use crate::target::{Target, Url};

/// The name by which this client is on record.
const CLIENT_NAME: &str = "gatehouse-loadtest";
/// Stands in a message where the id of each call goes. Of a private plane, as [`MESSAGE`].
const ID: &str = "\u{f0000}id\u{f0000}";
/// Room for what goes into the gaps of a body, besides the message.
const IDS_BYTES: usize = 2 * 20;

/// A message with gaps.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    head: HeaderMap,
    pieces: Vec<Piece>,
    expect: Expect,
    /// Tells the messages of this load from those of others.
    load: u32,
    /// What fills messages up.
    filler: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Fixed(String),
    Id,
    Message,
}

impl Template {
    /// The calls of a scenario. `load` is another number for each load.
    pub(crate) fn new(scenario: &Scenario, target: &Target, load: u32) -> Self {
        let mut params = scenario.params.clone();
        if scenario.progress {
            params["_meta"]["progressToken"] = json!(ID);
        }
        let mut head = common_head(target);
        if target.era == Era::Modern {
            modern_meta(&mut params);
            modern_head(&mut head, scenario);
        }
        let call = json!({"jsonrpc": "2.0", "id": ID, "method": scenario.method, "params": params});
        let filler = match scenario.expect {
            Expect::Echo(bytes) => "x".repeat(bytes),
            _ => String::new(),
        };
        Self {
            head,
            pieces: pieces(&call.to_string()),
            expect: scenario.expect.clone(),
            load,
            filler,
        }
    }

    /// The body of the call `id`, and what its answer is held to.
    pub(crate) fn body(&self, id: u64) -> (Bytes, Asked) {
        let message = match self.expect {
            Expect::Echo(bytes) => self.message(id, bytes),
            _ => String::new(),
        };
        let fixed: usize = self.pieces.iter().map(Piece::len).sum();
        let mut out = Vec::with_capacity(fixed + message.len() + IDS_BYTES);
        for piece in &self.pieces {
            match piece {
                Piece::Fixed(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Id => out.extend_from_slice(id.to_string().as_bytes()),
                Piece::Message => out.extend_from_slice(message.as_bytes()),
            }
        }
        let content = match &self.expect {
            Expect::Echo(_) => Content::Text(message),
            Expect::Text(text) => Content::Text(text.clone()),
            Expect::Tools(least) => Content::Tools(*least),
            Expect::Result => Content::Any,
        };
        (out.into(), Asked { id, content })
    }

    /// A message of so many bytes, which begins with what tells it from all others; a short one is the end of that.
    fn message(&self, id: u64, bytes: usize) -> String {
        let mut message = format!("{:08x}{id:012x}", self.load);
        match message.len().checked_sub(bytes) {
            Some(too_many) => message.split_off(too_many),
            None => {
                message.push_str(&self.filler[message.len()..]);
                message
            }
        }
    }

    /// The headers of all requests, but for the host and what a session adds.
    pub(crate) fn head(&self) -> HeaderMap {
        self.head.clone()
    }
}

impl Piece {
    fn len(&self) -> usize {
        match self {
            Self::Fixed(text) => text.len(),
            Self::Id | Self::Message => 0,
        }
    }
}

/// A POST that is not yet for one URL.
pub(crate) fn post(head: HeaderMap, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.headers_mut() = head;
    request
}

/// Makes it a request for this URL.
pub(crate) fn aim(request: &mut Request<Full<Bytes>>, url: &Url) {
    *request.uri_mut() = url.path.clone();
    request.headers_mut().insert(HOST, url.host.clone());
}

/// The headers that every POST to a target has.
pub(crate) fn common_head(target: &Target) -> HeaderMap {
    let mut head = HeaderMap::with_capacity(10);
    let both = HeaderValue::from_static("application/json, text/event-stream");
    head.insert(ACCEPT, both);
    head.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(authorization) = &target.authorization {
        head.insert(AUTHORIZATION, authorization.clone());
    }
    head
}

/// Who calls, as both eras say it.
pub(crate) fn client_info() -> Value {
    json!({"name": CLIENT_NAME, "version": env!("CARGO_PKG_VERSION")})
}

fn modern_meta(params: &mut Value) {
    let version = Revision::LATEST.as_str();
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(version);
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    params["_meta"]["io.modelcontextprotocol/clientInfo"] = client_info();
}

fn modern_head(head: &mut HeaderMap, scenario: &Scenario) {
    let version = HeaderValue::from_static(Revision::LATEST.as_str());
    head.insert(MCP_PROTOCOL_VERSION, version);
    head.insert(MCP_METHOD, HeaderValue::from_static(scenario.method));
    if let Some(name) = scenario.name().filter(|_| wants_name(scenario.method)) {
        let name = HeaderValue::from_str(&encode_value(name));
        head.insert(MCP_NAME, name.expect("an encoded value is plain text"));
    }
}

/// A JSON text, cut where ids and messages go.
fn pieces(text: &str) -> Vec<Piece> {
    let id = format!("\"{ID}\"");
    let mut found = Vec::new();
    for (nth, around_id) in text.split(&id).enumerate() {
        if nth > 0 {
            found.push(Piece::Id);
        }
        for (nth, fixed) in around_id.split(MESSAGE).enumerate() {
            if nth > 0 {
                found.push(Piece::Message);
            }
            found.push(Piece::Fixed(fixed.to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn template(scenario: &Scenario, era: Era) -> Template {
        let target = Target::new(["http://127.0.0.1:1/mcp"]).unwrap();
        Template::new(scenario, &target.speaking(era), 0xfeed)
    }

    fn json_of(template: &Template, id: u64) -> (Value, Asked) {
        let (body, asked) = template.body(id);
        (serde_json::from_slice(&body).unwrap(), asked)
    }

    #[test]
    fn a_modern_call_says_all_that_the_revision_asks_for() {
        let template = template(&Scenario::echo(30).with_progress(), Era::Modern);
        let (body, asked) = json_of(&template, 7);
        let message = "0000feed000000000007xxxxxxxxxx";
        assert_eq!(body["id"], 7);
        assert_eq!(body["method"], "tools/call");
        assert_eq!(body["params"]["name"], "echo");
        assert_eq!(body["params"]["arguments"], json!({ "message": message }));
        let meta = &body["params"]["_meta"];
        assert_eq!(meta["progressToken"], 7);
        assert_eq!(
            meta["io.modelcontextprotocol/protocolVersion"],
            "2026-07-28"
        );
        assert_eq!(
            meta["io.modelcontextprotocol/clientCapabilities"],
            json!({})
        );
        assert_eq!(
            meta["io.modelcontextprotocol/clientInfo"]["name"],
            CLIENT_NAME
        );
        assert_eq!(asked.content, Content::Text(message.to_owned()));
        let head = template.head();
        assert_eq!(head[MCP_PROTOCOL_VERSION], "2026-07-28");
        assert_eq!(head[MCP_METHOD], "tools/call");
        assert_eq!(head[MCP_NAME], "echo");
    }

    #[test]
    fn a_legacy_call_says_nothing_of_that() {
        let template = template(&Scenario::list(), Era::Legacy);
        let (body, asked) = json_of(&template, 9);
        let expected = json!({"jsonrpc": "2.0", "id": 9, "method": "tools/list", "params": {}});
        assert_eq!((body, asked.content), (expected, Content::Tools(1)));
        assert_eq!(template.head().len(), 2);
    }

    #[test]
    fn names_beyond_ascii_are_wrapped_in_their_header() {
        let scenario = Scenario::tool("größe", json!({}));
        let head = template(&scenario, Era::Modern).head();
        assert_eq!(head[MCP_NAME], "=?base64?Z3LDtsOfZQ==?=");
    }

    #[test]
    fn messages_have_their_size_and_differ() {
        for bytes in [1, 8, 19, 20, 21, 4096] {
            let template = template(&Scenario::echo(bytes), Era::Modern);
            let (one, other) = (template.message(10, bytes), template.message(11, bytes));
            assert_eq!((one.len(), other.len()), (bytes, bytes));
            assert_ne!(one, other);
        }
    }

    #[test]
    fn arguments_go_as_they_were_given() {
        let arguments = json!({"message": "a \"quoted\"\nline", "n": 1.5});
        let template = template(&Scenario::tool("x", arguments.clone()), Era::Legacy);
        let (body, asked) = json_of(&template, 1);
        assert_eq!(body["params"]["arguments"], arguments);
        assert_eq!(asked.content, Content::Any);
    }
}
