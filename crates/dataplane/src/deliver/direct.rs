//! Straight to a server over HTTP that speaks the client's own era: the message goes as it came, and nothing is held
//! here for the next one.
//!
//! A legacy session is the server's: its id is the handle that is sealed into ours. Nothing of the client's headers
//! goes on but what mirrors the message, and nothing of the server's headers comes back but the session id.

use std::time::Duration;

use bytes::Bytes;
use engine::upstream::Upstream;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use mcp::envelope::Kind;
use mcp::headers::{MCP_PROTOCOL_VERSION, MCP_SESSION_ID};
use mcp::method;

use super::mirror::mirror;
use super::{Forwarded, Reply, finish, tasks};
use crate::call::{self, Call, TRACEPARENT};
use crate::egress::{Egress, Error};
use crate::refusal::Fault;

/// What servers see of us.
const AGENT: &str = concat!("gatehouse/", env!("CARGO_PKG_VERSION"));
/// Longest message of a server, bytes.
pub const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Longest session id of a server that is carried.
pub const SESSION_BYTES_MAX: usize = 256;

/// Sends a call to `upstream`. `session` is the server's own session id; `None` where it gave none, and for modern
/// calls. The answer's `session` is the server's id, where the call began one.
///
/// # Errors
/// What keeps it from being delivered.
pub async fn send(
    egress: &Egress,
    upstream: &Upstream,
    call: &Call<'_>,
    session: Option<&str>,
) -> Result<Reply, Fault> {
    // Whose a task is in a list cannot be told.
    if call.method() == method::TASKS_LIST {
        return Err(tasks::unserved(call));
    }
    let body = tasks::going_on(call)?;
    let request = request(upstream, call, body, session)?;
    let server = call.config.engine.server(call.server.as_str());
    let within = server.map_or(Duration::from_secs(60), |server| server.limits.call);
    let sent = if call.is_modern() || call.message.kind != Kind::Request {
        let sent = tokio::time::timeout(within, egress.send(&upstream.url, request));
        sent.await.ok()
    } else {
        finish::send(egress, &upstream.url, request, within).await
    };
    match sent {
        Some(Ok(response)) => answered(call, response),
        Some(Err(error)) => Err(unreachable(call, &error)),
        None => Err(Fault::timeout("the server did not answer in time")),
    }
}

/// Why a server cannot be reached, for its caller: not where it is.
fn unreachable(call: &Call<'_>, error: &Error) -> Fault {
    tracing::warn!(%error, server = %call.server, "a remote server cannot be reached");
    match error {
        Error::Forbidden(_) => Fault::unavailable(
            "the server may not be reached from here: see the edge's log, and egress.allow_private",
        ),
        Error::Connect { .. } => Fault::unavailable("the server cannot be reached").retry_after(2),
        Error::Broken { .. } => {
            Fault::unavailable("the connection to the server broke in mid-call")
        }
    }
}

fn request(
    upstream: &Upstream,
    call: &Call<'_>,
    body: Bytes,
    session: Option<&str>,
) -> Result<Request<Full<Bytes>>, Fault> {
    let mut request = post(upstream, body)?;
    let headers = request.headers_mut();
    headers.insert(TRACEPARENT, text(&call::traceparent(&call.trace))?);
    if let Some(session) = session.filter(|session| !session.is_empty()) {
        headers.insert(MCP_SESSION_ID, text(session)?);
    }
    if call.is_modern() {
        let revision = HeaderValue::from_static(call.revision.as_str());
        headers.insert(MCP_PROTOCOL_VERSION, revision);
        mirror(call, headers)?;
    } else if let Some(version) = call.headers.get(MCP_PROTOCOL_VERSION) {
        headers.insert(MCP_PROTOCOL_VERSION, version.clone());
    }
    Ok(request)
}

/// A message for `upstream`, with all that is sent with each: what goes with this one alone is the caller's to add.
///
/// # Errors
/// None that a compiled configuration could cause.
pub fn post(upstream: &Upstream, body: Bytes) -> Result<Request<Full<Bytes>>, Fault> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // What the protocol has clients accept, whatever ours does: some servers insist.
    let both = HeaderValue::from_static("application/json, text/event-stream");
    headers.insert(ACCEPT, both);
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    let unusable =
        |_: http::Error| Fault::unavailable("a header of the server's entry cannot be sent");
    for (name, value) in &upstream.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|e| unusable(e.into()))?;
        let value = HeaderValue::from_str(value.expose()).map_err(|e| unusable(e.into()));
        let mut value: HeaderValue = value?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(request)
}

/// A request of a legacy session that carries no message. `session` is the server's own id of it; empty: it gave none.
///
/// # Errors
/// The id cannot be sent; else as [`post`].
pub fn bodiless(
    upstream: &Upstream,
    method: Method,
    session: &str,
) -> Result<Request<Full<Bytes>>, Fault> {
    let mut request = post(upstream, Bytes::new())?;
    *request.method_mut() = method;
    let headers = request.headers_mut();
    headers.remove(CONTENT_TYPE);
    if !session.is_empty() {
        headers.insert(MCP_SESSION_ID, text(session)?);
    }
    Ok(request)
}

/// Ends a legacy session that nobody needs any more (2025-11-25, basic/transports, "Session Management"). A server may
/// refuse. Nothing here bounds the time.
pub async fn end_session(egress: &Egress, upstream: &Upstream, session: &str) {
    if session.is_empty() {
        return;
    }
    let Ok(request) = bodiless(upstream, Method::DELETE, session) else {
        return;
    };
    if let Err(error) = egress.send(&upstream.url, request).await {
        tracing::debug!(%error, "a session with a server was not ended");
    }
}

fn text(text: &str) -> Result<HeaderValue, Fault> {
    HeaderValue::from_str(text).map_err(|_| Fault::unavailable("a header is not text"))
}

fn answered(call: &Call<'_>, response: Response<Incoming>) -> Result<Reply, Fault> {
    let status = response.status();
    if call.message.kind != Kind::Request {
        return if status.is_success() {
            Ok(Reply::Accepted)
        } else {
            Err(Fault::unavailable(format!(
                "the server answers HTTP {status}"
            )))
        };
    }
    if let Some(fault) = refused(call, status) {
        return Err(fault);
    }
    let kind = response.headers().get(CONTENT_TYPE);
    let kind = kind.map(HeaderValue::as_bytes).unwrap_or_default();
    if !kind.starts_with(b"application/json") && !kind.starts_with(b"text/event-stream") {
        return Err(Fault::unavailable(format!(
            "the server answers HTTP {status} with what is neither JSON nor an event stream"
        )));
    }
    if response.headers().contains_key(CONTENT_ENCODING) {
        return Err(Fault::unavailable(
            "the server encodes its answer, which it was not asked to",
        ));
    }
    let begins = call.method() == method::INITIALIZE && !call.is_modern();
    let session = if begins && status.is_success() {
        Some(session_of(&response)?)
    } else {
        None
    };
    Ok(Reply::Direct(Forwarded {
        response,
        session,
        node: None,
    }))
}

/// Answers that are not the client's to hear: they are about our own way to the server.
fn refused(call: &Call<'_>, status: StatusCode) -> Option<Fault> {
    let unavailable = |what: &str| Some(Fault::unavailable(what.to_owned()));
    match status.as_u16() {
        401 | 403 => {
            tracing::error!(server = %call.server, %status, "a remote server refuses our credential");
            unavailable("the server refuses the credential that its entry in the catalog gives")
        }
        404 if call.session.is_some() && !call.is_modern() => Some(Fault::session_ended()),
        408 | 504 => Some(Fault::timeout(format!("the server answers HTTP {status}"))),
        429 | 503 => Some(Fault::overloaded(format!(
            "the server answers HTTP {status}"
        ))),
        300..=399 => unavailable("the server redirects, which is not followed"),
        500.. => Some(Fault::unavailable(format!(
            "the server answers HTTP {status}"
        ))),
        _ => None,
    }
}

/// The session id that the server gave; empty where it gave none.
///
/// # Errors
/// It cannot be carried.
pub fn session_of(response: &Response<Incoming>) -> Result<String, Fault> {
    let mut values = response.headers().get_all(MCP_SESSION_ID).iter();
    let Some(value) = values.next() else {
        return Ok(String::new());
    };
    // Visible ASCII (2025-11-25, basic/transports, "Session Management").
    let id = value
        .to_str()
        .ok()
        .filter(|id| id.bytes().all(|b| b.is_ascii_graphic()) && id.len() <= SESSION_BYTES_MAX);
    match (id, values.next()) {
        (Some(id), None) => Ok(id.to_owned()),
        _ => Err(Fault::unavailable(
            "the server's session id cannot be carried",
        )),
    }
}
