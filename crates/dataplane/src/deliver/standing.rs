//! What a legacy client asks of its session without a message: a stream of what the server says by itself (GET), and
//! that the session is over (DELETE); 2025-11-25, basic/transports, "Listening for Messages from the Server" and "Session
//! Management".

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use engine::upstream::Upstream;
use http::header::{ACCEPT, CONTENT_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use hyper::body::Incoming;
use mcp::headers::MCP_PROTOCOL_VERSION;
use model::name::ServerName;
use model::principal::Principal;
use model::record::CallId;
use tokio::sync::mpsc;

use super::{Asker, Message, direct, messages};
use crate::config::live::Config;
use crate::egress::{Egress, Error};
use crate::refusal::Refused;

/// The header by which a client that lost a stream asks for the rest.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// How long a server may take to begin its answer.
const ANSWER: Duration = Duration::from_secs(30);

/// A request of a legacy session that carries no message.
#[derive(Debug)]
pub struct Standing<'a> {
    /// GET or DELETE.
    pub method: &'a Method,
    /// Names the request between the hops.
    pub id: CallId,
    /// The server.
    pub server: &'a ServerName,
    /// Who asks.
    pub principal: &'a Arc<Principal>,
    /// From where.
    pub client_address: Option<IpAddr>,
    /// The configuration at its begin.
    pub config: &'a Arc<Config>,
    /// The session's handle.
    pub session: &'a str,
    /// The request's headers.
    pub headers: &'a HeaderMap,
}

/// What came of it.
pub enum Stood {
    /// The session is over, and this is said of it.
    Ended(StatusCode),
    /// A stream of somebody else's, still to come.
    Stream {
        /// As it came.
        response: Response<Incoming>,
        /// Whether it is the server's own: then its messages are to be looked at here.
        is_servers: bool,
        /// Dropped when nobody listens any more.
        guard: Box<dyn Send>,
    },
    /// What a server says, as this hop hears it: its messages are to be looked at here.
    Messages {
        /// The messages.
        messages: mpsc::Receiver<Message>,
        /// Dropped when nobody listens any more.
        guard: Box<dyn Send>,
        /// Whether they have been looked at, when they were said the first time.
        is_seen: bool,
        /// Who asks, where its questions may be refused.
        asker: Option<Arc<dyn Asker>>,
    },
}

impl std::fmt::Debug for Stood {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ended(_) => "Ended",
            Self::Stream { .. } => "Stream",
            Self::Messages { .. } => "Messages",
        })
    }
}

impl Stood {
    /// What somebody else answered.
    pub fn of(method: &Method, response: Response<Incoming>, is_servers: bool) -> Self {
        if method == Method::DELETE {
            return Self::Ended(response.status());
        }
        Self::Stream {
            response,
            is_servers,
            guard: Box::new(()),
        }
    }
}

/// This is not offered (the same revision: MUST be 405).
pub fn not_offered(method: &Method) -> Refused {
    let message = format!("{method} is not served here");
    Refused::new(StatusCode::METHOD_NOT_ALLOWED, message)
}

/// Asks a server over HTTP. `session` is its own id of the session; empty where it gave none.
///
/// # Errors
/// What the client is told.
pub async fn send(
    egress: &Egress,
    upstream: &Upstream,
    standing: &Standing<'_>,
    session: &str,
) -> Result<Response<Incoming>, Refused> {
    let request = direct::bodiless(upstream, standing.method.clone(), session);
    let mut request = request.map_err(|fault| bad_gateway(fault.message))?;
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    for name in [MCP_PROTOCOL_VERSION, LAST_EVENT_ID] {
        if let Some(value) = standing.headers.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    let sent = tokio::time::timeout(ANSWER, egress.send(&upstream.url, request)).await;
    let sent = sent.map_err(|_| {
        let message = "the server did not answer in time";
        Refused::new(StatusCode::GATEWAY_TIMEOUT, message)
    })?;
    let response = sent.map_err(|error| unreachable(standing, &error))?;
    judged(standing, response, "the server")
}

fn unreachable(standing: &Standing<'_>, error: &Error) -> Refused {
    tracing::warn!(%error, server = %standing.server, "a remote server cannot be reached");
    bad_gateway("the server cannot be reached")
}

fn bad_gateway(why: impl Into<String>) -> Refused {
    Refused::new(StatusCode::BAD_GATEWAY, why)
}

/// An answer of `who` that may go on: what was asked for.
///
/// # Errors
/// It is a plain no, or of no use.
pub fn judged(
    standing: &Standing<'_>,
    response: Response<Incoming>,
    who: &str,
) -> Result<Response<Incoming>, Refused> {
    let status = response.status();
    match status.as_u16() {
        404 => return Err(Refused::session_ended()),
        405 => return Err(not_offered(standing.method)),
        200..=299 => {}
        _ => return Err(bad_gateway(format!("{who} answers HTTP {status}"))),
    }
    let headers = response.headers();
    let is_stream = messages::is_event_stream(headers) && !headers.contains_key(CONTENT_ENCODING);
    if standing.method == Method::GET && !is_stream {
        return Err(bad_gateway(format!(
            "{who} answers with what is no event stream"
        )));
    }
    Ok(response)
}
