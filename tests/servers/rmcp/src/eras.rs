//! What a server that speaks one era alone refuses, and how.
//!
//! The SDK can be told which revisions it serves, but refuses the others in the words of the newest
//! one. What stands here answers instead as real servers of one era do, and hands on the rest untouched.

use std::borrow::Cow;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, DiscoverRequestMethod, ErrorCode, ErrorData,
    ProtocolVersion, RequestId, ServerJsonRpcMessage,
};
use rmcp::service::{RoleServer, RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde_json::{Value, json};

const VERSION_HEADER: &str = "mcp-protocol-version";
const SESSION_HEADER: &str = "mcp-session-id";
const MODERN: &[ProtocolVersion] = &[ProtocolVersion::V_2026_07_28];

/// A request that belongs to the wrong era is read whole to find its id; it is no longer than this.
const BODY_BYTES_MAX: usize = 4 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    Dual,
    /// Up to 2025-11-25: `initialize` and a session.
    Legacy,
    /// From 2026-07-28 on: every request carries its own version.
    Modern,
}

impl Era {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "dual" => Some(Self::Dual),
            "legacy" => Some(Self::Legacy),
            "modern" => Some(Self::Modern),
            _ => None,
        }
    }

    pub fn versions(self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(match self {
            Self::Dual => ProtocolVersion::KNOWN_VERSIONS,
            Self::Legacy => handshake_versions(),
            Self::Modern => MODERN,
        })
    }
}

fn handshake_versions() -> &'static [ProtocolVersion] {
    ProtocolVersion::known_up_to(&ProtocolVersion::LATEST_WITH_INITIALIZE)
}

/// HTTP: stands before the SDK.
pub async fn door(State(era): State<Era>, mut request: Request, next: Next) -> Response {
    let version = (request.headers().get(VERSION_HEADER))
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let handshake = |version: &str| handshake_versions().iter().any(|it| it.as_str() == version);
    match (era, version) {
        // A revision that it does not know is a 400 with a code that says nothing of eras.
        (Era::Legacy, Some(version)) if !handshake(&version) => {
            let text = format!("Bad Request: Unsupported protocol version: {version}");
            refusal(
                &json!("server-error"),
                &ErrorData::invalid_request(text, None),
            )
        }
        (Era::Modern, _) if request.method() != Method::POST => {
            (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST")]).into_response()
        }
        (Era::Modern, version) if version.as_deref().is_none_or(handshake) => {
            refuse_legacy(request.into_body(), version).await
        }
        (Era::Modern, _) => {
            // A session header is ignored, whatever it says.
            request.headers_mut().remove(SESSION_HEADER);
            next.run(request).await
        }
        _ => next.run(request).await,
    }
}

async fn refuse_legacy(body: Body, version: Option<String>) -> Response {
    let body = to_bytes(body, BODY_BYTES_MAX).await.unwrap_or_default();
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let error = if message["method"] == "initialize" {
        no_handshake(&message["params"]["protocolVersion"])
    } else if let Some(version) = version {
        unsupported(
            format!("Unsupported protocol version: {version}"),
            &json!(version),
        )
    } else {
        ErrorData::header_mismatch("Missing header: MCP-Protocol-Version", None)
    };
    refusal(&message["id"], &error)
}

fn refusal(id: &Value, error: &ErrorData) -> Response {
    let body = json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string();
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (StatusCode::BAD_REQUEST, headers, body).into_response()
}

fn no_handshake(requested: &Value) -> ErrorData {
    unsupported("No handshake here".to_owned(), requested)
}

fn unsupported(message: String, requested: &Value) -> ErrorData {
    let data = json!({"supported": MODERN, "requested": requested});
    ErrorData::new(ErrorCode::UNSUPPORTED_PROTOCOL_VERSION, message, Some(data))
}

/// Stdio: stands between the SDK and its transport, because in the SDK the first request decides on
/// the era, and a refused handshake ends the connection.
pub struct Screened<T> {
    era: Era,
    inner: T,
    initialized: bool,
}

impl<T> Screened<T> {
    pub fn new(era: Era, inner: T) -> Self {
        Self {
            era,
            inner,
            initialized: false,
        }
    }

    fn refuse(&mut self, message: &ClientJsonRpcMessage) -> Option<(RequestId, ErrorData)> {
        let ClientJsonRpcMessage::Request(request) = message else {
            return None;
        };
        let error = match (self.era, &request.request) {
            (Era::Dual, _) => return None,
            (Era::Modern, ClientRequest::InitializeRequest(initialize)) => {
                no_handshake(&json!(initialize.params.protocol_version))
            }
            (Era::Modern, _) => return None,
            (Era::Legacy, ClientRequest::InitializeRequest(_)) => {
                self.initialized = true;
                return None;
            }
            (Era::Legacy, ClientRequest::DiscoverRequest(_)) => {
                ErrorData::method_not_found::<DiscoverRequestMethod>()
            }
            (Era::Legacy, ClientRequest::PingRequest(_)) => return None,
            (Era::Legacy, _) if self.initialized => return None,
            (Era::Legacy, _) => ErrorData::invalid_request("Not initialized", None),
        };
        Some((request.id.clone(), error))
    }
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for Screened<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.inner.send(item)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            let message = self.inner.receive().await?;
            let Some((id, error)) = self.refuse(&message) else {
                return Some(message);
            };
            // On its own, because whoever waits for a message may stop doing so at any await.
            tokio::spawn(
                self.inner
                    .send(ServerJsonRpcMessage::error(error, Some(id))),
            );
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.inner.close().await
    }
}
