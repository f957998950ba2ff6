//! The built-in MCP client: one modern request (2026-07-28) through an edge, as `gatehouse tools` and
//! `gatehouse call` make it.
//!
//! Knows HTTP and as much MCP as a client needs; must not know the admin API. Start from [`Caller::request`].

mod transport;

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use mcp::headers::{MCP_METHOD, MCP_NAME, MCP_PROTOCOL_VERSION, encode_value};
use mcp::method;
use mcp::revision::Revision;
use mcp::sse::Decoder;
use serde_json::{Value, json};

use crate::codes;
use crate::context::Context;
use crate::fault::Fault;

/// Largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Most pages of one list: a server that always has a next page must come to an end.
const PAGES_MAX: usize = 100;
/// JSON-RPC code of a method that is not known.
const METHOD_NOT_FOUND: i64 = -32601;
/// The name by which this client is on record.
const CLIENT_NAME: &str = "gatehouse";

/// A client of one edge, as one caller.
#[derive(Clone)]
pub struct Caller {
    edge: String,
    key: String,
    /// JSON-RPC id of its requests.
    id: Value,
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller")
            .field("edge", &self.edge)
            .finish_non_exhaustive()
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The `result` object.
    Result(Value),
    /// The `error` object.
    Error(Value),
    /// No server of that name, or none that the caller may use.
    NoServer,
}

/// Why nothing came back that can be worked with.
#[derive(Debug)]
pub enum Error {
    /// No connection to the edge, or it broke.
    Connection(String),
    /// The key is not good.
    Key,
    /// The time was over.
    Timeout(Duration),
    /// Something came back that is not MCP.
    NotMcp(String),
}

impl Caller {
    /// A client with the key and the edge of the context.
    ///
    /// # Errors
    /// The context holds no key or no edge.
    pub fn new(context: &Context) -> Result<Self, Fault> {
        let missing = |what: &str| {
            Fault::new(
                codes::BAD_CONTEXT,
                format!("the context holds no `{what}`, which calls need"),
            )
            .fix("use the client.toml that `gatehouse up` writes, or add it there")
        };
        let edge = context.edge.clone().ok_or_else(|| missing("edge"))?;
        let key = context.key.clone().ok_or_else(|| missing("key"))?;
        Ok(Self {
            edge: edge.trim_end_matches('/').to_owned(),
            key,
            id: json!(1),
        })
    }

    /// The same, with requests of this id: by which their records are found again.
    #[must_use]
    pub fn with_id(mut self, id: &str) -> Self {
        self.id = json!(id);
        self
    }

    /// The URL of a server.
    pub fn url(&self, server: &str) -> String {
        format!("{}/mcp/{server}", self.edge)
    }

    /// One request and its answer.
    ///
    /// # Errors
    /// [`Error`]: nothing came back that can be worked with.
    pub async fn request(
        &self,
        server: &str,
        message: Message<'_>,
        timeout: Duration,
    ) -> Result<Answer, Error> {
        tokio::time::timeout(timeout, self.exchange(server, &message))
            .await
            .map_err(|_| Error::Timeout(timeout))?
    }

    /// All tools of a server that this caller may see.
    ///
    /// # Errors
    /// As [`Self::request`]; an answer that is an error comes back as such.
    pub async fn tools(
        &self,
        server: &str,
        timeout: Duration,
    ) -> Result<Result<Vec<Value>, Answer>, Error> {
        let mut tools = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let params = cursor
                .as_ref()
                .map_or_else(|| json!({}), |cursor| json!({ "cursor": cursor }));
            let message = Message {
                method: method::TOOLS_LIST,
                name: None,
                params,
            };
            let mut result = match self.request(server, message, timeout).await? {
                Answer::Result(result) => result,
                other => return Ok(Err(other)),
            };
            match result["tools"].take() {
                Value::Array(page) => tools.extend(page),
                _ => {
                    return Err(Error::NotMcp(
                        "the answer to tools/list holds no tools".to_owned(),
                    ));
                }
            }
            match result["nextCursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(Ok(tools)),
            }
        }
        Err(Error::NotMcp(format!(
            "the list of tools has more than {PAGES_MAX} pages"
        )))
    }

    async fn exchange(&self, server: &str, message: &Message<'_>) -> Result<Answer, Error> {
        let uri: Uri = self
            .url(server)
            .parse()
            .map_err(|e| Error::Connection(format!("{}: {e}", self.edge)))?;
        let request = self.http_request(&uri, message)?;
        let response = transport::send(&uri, request)
            .await
            .map_err(Error::Connection)?;
        let (parts, body) = response.into_parts();
        match parts.status {
            StatusCode::UNAUTHORIZED => return Err(Error::Key),
            StatusCode::NOT_FOUND if !is_json(&parts.headers) => return Ok(Answer::NoServer),
            _ => {}
        }
        let answer = if is_stream(&parts.headers) {
            last_event(body).await?
        } else {
            whole(body).await?
        };
        read_answer(&answer, parts.status)
    }

    fn http_request(
        &self,
        uri: &Uri,
        message: &Message<'_>,
    ) -> Result<Request<Full<Bytes>>, Error> {
        let body = serde_json::to_vec(&message.body(&self.id))
            .map_err(|e| Error::NotMcp(e.to_string()))?;
        let host = uri.authority().map_or("", |authority| authority.as_str());
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(uri.path())
            .header(http::header::HOST, host)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, text/event-stream")
            .header(AUTHORIZATION, format!("Bearer {}", self.key))
            .header(MCP_PROTOCOL_VERSION, Revision::LATEST.as_str())
            .header(MCP_METHOD, message.method);
        if let Some(name) = message.name {
            request = request.header(MCP_NAME, encode_value(name).as_ref());
        }
        request
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| Error::Connection(e.to_string()))
    }
}

/// Whether an edge says that it is ready: the status of its page for load balancers, and its text.
///
/// # Errors
/// [`Error`]: it cannot be reached, or says nothing in time.
pub async fn readiness(edge: &str, timeout: Duration) -> Result<(u16, String), Error> {
    let uri: Uri = format!("{}/readyz", edge.trim_end_matches('/'))
        .parse()
        .map_err(|e| Error::Connection(format!("{edge}: {e}")))?;
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let request = Request::builder()
        .method(Method::GET)
        .uri(uri.path())
        .header(http::header::HOST, host)
        .body(Full::new(Bytes::new()))
        .map_err(|e| Error::Connection(e.to_string()))?;
    let asked = async {
        let response = transport::send(&uri, request)
            .await
            .map_err(Error::Connection)?;
        let (parts, body) = response.into_parts();
        let text = whole(body).await?;
        Ok((
            parts.status.as_u16(),
            String::from_utf8_lossy(&text).into_owned(),
        ))
    };
    tokio::time::timeout(timeout, asked)
        .await
        .map_err(|_| Error::Timeout(timeout))?
}

/// One request to be made.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// The MCP method.
    pub method: &'a str,
    /// What it is aimed at, mirrored in a header.
    pub name: Option<&'a str>,
    /// Its parameters, an object, without `_meta`.
    pub params: Value,
}

impl Message<'_> {
    fn body(&self, id: &Value) -> Value {
        let mut params = self.params.clone();
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": Revision::LATEST.as_str(),
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": CLIENT_NAME, "version": env!("CARGO_PKG_VERSION")},
        });
        json!({"jsonrpc": "2.0", "id": id, "method": self.method, "params": params})
    }
}

fn content_type(headers: &http::HeaderMap) -> &str {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn is_json(headers: &http::HeaderMap) -> bool {
    content_type(headers).starts_with("application/json")
}

fn is_stream(headers: &http::HeaderMap) -> bool {
    content_type(headers).starts_with("text/event-stream")
}

async fn whole(body: Incoming) -> Result<Vec<u8>, Error> {
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    body.map(|body| body.to_bytes().to_vec())
        .map_err(|e| Error::Connection(e.to_string()))
}

/// The response at the end of an event stream; what comes before it (progress, logs) is passed over.
async fn last_event(mut body: Incoming) -> Result<Vec<u8>, Error> {
    let mut decoder = Decoder::new(ANSWER_BYTES_MAX);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| Error::Connection(e.to_string()))?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        decoder.push(data);
        while let Some(event) = decoder.next_event() {
            let event = event.map_err(|e| Error::NotMcp(e.to_string()))?;
            let message: Value = serde_json::from_slice(&event.data).unwrap_or_default();
            if message.get("result").is_some() || message.get("error").is_some() {
                return Ok(event.data.to_vec());
            }
        }
    }
    Err(Error::Connection(
        "the stream ended before the answer".to_owned(),
    ))
}

fn read_answer(body: &[u8], status: StatusCode) -> Result<Answer, Error> {
    let not_mcp = || {
        let shown: String = String::from_utf8_lossy(body)
            .chars()
            .filter(|c| !c.is_control())
            .take(200)
            .collect();
        Error::NotMcp(format!("HTTP {}: {shown}", status.as_u16()))
    };
    let mut message: Value = serde_json::from_slice(body).map_err(|_| not_mcp())?;
    if message["jsonrpc"] != "2.0" {
        return if status == StatusCode::NOT_FOUND {
            Ok(Answer::NoServer)
        } else {
            Err(not_mcp())
        };
    }
    match (message["result"].take(), message["error"].take()) {
        (result @ Value::Object(_), Value::Null) => Ok(Answer::Result(result)),
        // A method that the server does not know is a 404, too.
        (Value::Null, Value::Object(error))
            if status == StatusCode::NOT_FOUND && error["code"] != METHOD_NOT_FOUND =>
        {
            Ok(Answer::NoServer)
        }
        (Value::Null, error @ Value::Object(_)) => Ok(Answer::Error(error)),
        _ => Err(not_mcp()),
    }
}

#[cfg(test)]
mod tests;
