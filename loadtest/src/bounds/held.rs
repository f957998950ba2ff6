//! Clients that hold something open: a connection, on it a session with its stream, or a call that waits for them.
//!
//! A connection that only waits is driven by nobody: what little comes over it stays in the kernel. So ten thousand of
//! them cost this process no task and no time.

use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use futures_util::future::ready;
use futures_util::stream::{StreamExt, iter};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use mcp::headers::{MCP_METHOD, MCP_NAME, MCP_PROTOCOL_VERSION, MCP_SESSION_ID};
use mcp::method::{INITIALIZE, INITIALIZED, TOOLS_CALL};
use mcp::revision::Revision;
use serde_json::{Value, json};

use crate::Target;
use crate::body;
use crate::client::link::{self, Link, RequestBody};
use crate::client::template::{aim, client_info, common_head, post};

/// Largest answer, bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Clients that begin at once.
const AT_ONCE: usize = 32;
/// How long the end of a stream may take to be seen.
const SOON: Duration = Duration::from_millis(20);

/// A client with its connection, and its stream if it has one. Dropping it lets go of both.
#[derive(Debug)]
pub(super) struct Client<'a> {
    target: &'a Target,
    link: Link,
    stream: Option<Incoming>,
}

/// What began well of `count`, so many at once; and the first fault of the others.
pub(super) async fn many<T, F: Future<Output = anyhow::Result<T>>>(
    count: usize,
    begin: impl Fn(usize) -> F,
) -> (Vec<T>, Option<anyhow::Error>) {
    let (mut held, mut fault) = (Vec::new(), None);
    let mut begun = iter((0..count).map(begin)).buffer_unordered(AT_ONCE);
    while let Some(client) = begun.next().await {
        match client {
            Ok(client) => held.push(client),
            Err(error) => fault = fault.or(Some(error)),
        }
    }
    (held, fault)
}

/// How many of them have a stream that is open.
pub(super) async fn open(held: &mut [Client<'_>]) -> usize {
    let looks = iter(held.iter_mut().map(Client::is_open));
    let open = looks.buffer_unordered(AT_ONCE);
    open.filter(|open| ready(*open)).count().await
}

impl<'a> Client<'a> {
    /// A legacy client with a session and its stream.
    pub(super) async fn with_stream(target: &'a Target) -> anyhow::Result<Self> {
        let mut client = Self::connect(target).await?;
        let params = json!({"protocolVersion": Revision::LATEST_LEGACY.as_str(),
            "capabilities": {"elicitation": {}, "roots": {}}, "clientInfo": client_info()});
        let begin = message(&json!({"id": 1, "method": INITIALIZE, "params": params}));
        let (status, head, answer) = client.asked(post(common_head(target), begin)).await?;
        ensure!(status == StatusCode::OK, "initialize: {status}: {answer:?}");
        let session = head.get(MCP_SESSION_ID).context("no session is granted")?;
        let mut head = common_head(target);
        head.insert(MCP_SESSION_ID, session.clone());
        let revision = HeaderValue::from_static(Revision::LATEST_LEGACY.as_str());
        head.insert(MCP_PROTOCOL_VERSION, revision);
        let begun = message(&json!({ "method": INITIALIZED }));
        let (status, _, answer) = client.asked(post(head.clone(), begun)).await?;
        ensure!(status.is_success(), "{INITIALIZED}: {status}: {answer:?}");
        let mut listen = post(head, Bytes::new());
        *listen.method_mut() = Method::GET;
        let response = client.sent(listen).await?;
        let status = response.status();
        ensure!(status == StatusCode::OK, "GET: {status}");
        client.stream = Some(response.into_body());
        Ok(client)
    }

    /// A modern client calls `tool`, is told what it is asked, and leaves: it is the call that waits, not a connection.
    pub(super) async fn leave(target: &'a Target, tool: &'static str) -> anyhow::Result<()> {
        let mut client = Self::connect(target).await?;
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": Revision::LATEST.as_str(),
            "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
            "io.modelcontextprotocol/clientInfo": client_info()});
        let params = json!({"name": tool, "arguments": {}, "_meta": meta});
        let call = message(&json!({"id": 1, "method": TOOLS_CALL, "params": params}));
        let mut head = common_head(target);
        for (name, value) in [
            (MCP_PROTOCOL_VERSION, Revision::LATEST.as_str()),
            (MCP_METHOD, TOOLS_CALL),
            (MCP_NAME, tool),
        ] {
            head.insert(name, HeaderValue::from_static(value));
        }
        let (status, _, answer) = client.asked(post(head, call)).await?;
        let text = String::from_utf8_lossy(&answer);
        let waits = status == StatusCode::OK && text.contains(r#""input_required""#);
        ensure!(waits, "the call does not wait: {status}: {text}");
        Ok(())
    }

    /// Whether its stream, as far as can be seen, is open still.
    async fn is_open(&mut self) -> bool {
        let Some(stream) = &mut self.stream else {
            return false;
        };
        let link = &mut self.link;
        // Whatever has come is taken; an open stream then has nothing more to give for now.
        let end = async { while let Ok(Some(_)) = body::next(stream).await {} };
        let ended = link::drive(&mut link.driver, end);
        tokio::time::timeout(SOON, ended).await.is_err()
    }

    async fn connect(target: &'a Target) -> anyhow::Result<Self> {
        let url = target.urls.first().context("a target has a URL")?;
        Ok(Self {
            target,
            link: Link::open(url.address).await?,
            stream: None,
        })
    }

    /// Sends a request and reads its answer whole.
    async fn asked(
        &mut self,
        request: Request<RequestBody>,
    ) -> anyhow::Result<(StatusCode, HeaderMap, Bytes)> {
        let (parts, body) = self.sent(request).await?.into_parts();
        let read = body::whole(body, ANSWER_BYTES_MAX);
        let answer = link::drive(&mut self.link.driver, read).await?;
        Ok((parts.status, parts.headers, answer))
    }

    async fn sent(
        &mut self,
        mut request: Request<RequestBody>,
    ) -> anyhow::Result<Response<Incoming>> {
        if let Some(url) = self.target.urls.first() {
            aim(&mut request, url);
        }
        let usable = self.link.is_usable().await;
        ensure!(usable, "the connection was closed");
        let sent = self.link.sender.send_request(request);
        Ok(link::drive(&mut self.link.driver, sent).await?)
    }
}

fn message(parts: &Value) -> Bytes {
    let mut message = parts.clone();
    message["jsonrpc"] = json!("2.0");
    message.to_string().into()
}
