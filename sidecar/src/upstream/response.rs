//! What a server sent, with the places that matter noted by the one scan that it gets.

use std::borrow::Cow;

use bytes::Bytes;
use mcp::envelope::{Envelope, Id, Kind, ResultType, Span};
use mcp::error::RpcError;
use mcp::federate::listen::SUBSCRIPTION_ID;
use mcp::method::{self, Target};
use mcp::revision::Era;
use mcp::walk;

/// A response, as it came.
#[derive(Debug, Clone)]
pub struct Response {
    bytes: Bytes,
    id: Span,
    result: Option<Span>,
    complete: bool,
    asks: bool,
    is_error: bool,
    error: Option<Span>,
    error_code: Option<i64>,
    error_code_span: Option<Span>,
}

/// A progress notification, as it came.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The message.
    pub bytes: Bytes,
    /// Where our token stands in it.
    pub token: Span,
}

/// Something else that a server says or asks, as it came.
#[derive(Debug, Clone)]
pub struct Heard {
    /// The message.
    pub bytes: Bytes,
    /// A notification or a request.
    pub kind: Kind,
    /// Its method.
    pub method: String,
    /// Where the id of a request stands in it.
    pub id: Option<Span>,
    /// Where its parameters stand in it.
    pub params: Option<Span>,
}

impl Heard {
    /// Keeps what `envelope`, which was read from `bytes`, says.
    pub fn new(bytes: Bytes, envelope: &Envelope<'_>) -> Self {
        Self {
            kind: envelope.kind,
            method: envelope.method().to_owned(),
            id: envelope.id.map(|id| id.span),
            params: envelope.params,
            bytes,
        }
    }

    /// The same with another text, of which only `params` has changed.
    pub fn with_bytes(self, bytes: Bytes) -> Self {
        let params = walk::find(&bytes, walk::root(&bytes), "params");
        Self {
            bytes,
            params,
            ..self
        }
    }

    /// The raw id of a request; empty for a notification.
    pub fn raw_id(&self) -> &[u8] {
        self.id.map(|id| id.of(&self.bytes)).unwrap_or_default()
    }

    /// The raw parameters; empty where there are none.
    pub fn raw_params(&self) -> &[u8] {
        self.params
            .map(|span| span.of(&self.bytes))
            .unwrap_or_default()
    }

    /// The raw id of the subscription that it belongs to (2026-07-28 basic/patterns/subscriptions).
    pub fn subscription(&self) -> Option<&[u8]> {
        let meta = walk::find(&self.bytes, self.params?, "_meta")?;
        let id = walk::find(&self.bytes, meta, SUBSCRIPTION_ID)?;
        Some(id.of(&self.bytes))
    }

    /// The text of one of its parameters.
    pub fn param(&self, key: &str) -> Option<Cow<'_, str>> {
        let value = walk::find(&self.bytes, self.params?, key)?;
        walk::text(value.of(&self.bytes))
    }
}

/// What a server says about a call before it answers.
#[derive(Debug, Clone)]
pub enum Told {
    /// Some of it is done.
    Progress(Progress),
    /// Something else.
    Heard(Heard),
}

impl Response {
    /// Keeps what `envelope`, which was read from `bytes`, says of a response with an id.
    pub(super) fn new(bytes: Bytes, envelope: &Envelope<'_>, id: Span) -> Self {
        Self {
            id,
            result: envelope.result,
            complete: envelope.result_type == Some(ResultType::Complete),
            asks: envelope.result_type == Some(ResultType::InputRequired),
            is_error: envelope.is_error,
            error: envelope.error,
            error_code: envelope.error_code,
            error_code_span: envelope.error_code_span,
            bytes,
        }
    }

    /// The message.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The raw result object; `None` for an error.
    pub fn result(&self) -> Option<&[u8]> {
        self.result.map(|span| span.of(&self.bytes))
    }

    /// Where the result stands; `None` for an error.
    pub fn result_span(&self) -> Option<Span> {
        self.result
    }

    /// The raw error object; `None` for a result.
    pub fn error(&self) -> Option<&[u8]> {
        self.error.map(|span| span.of(&self.bytes))
    }

    /// Whether the result asks the client for more, in the form of 2026-07-28.
    pub fn asks(&self) -> bool {
        self.asks
    }

    /// The error's code; `None` for a result.
    pub fn error_code(&self) -> Option<i64> {
        self.error_code
    }

    /// Whether the result says that the tool failed.
    pub fn is_error(&self) -> bool {
        self.is_error
    }

    /// The response as it was read, without reading it again. A `resultType` other than `complete` is
    /// not kept: [`mcp::bridge`] asks no more than that.
    pub fn envelope(&self) -> Envelope<'_> {
        Envelope {
            bytes: &self.bytes,
            kind: Kind::Response,
            id: Some(Id {
                span: self.id,
                raw: self.id.of(&self.bytes),
            }),
            method: None,
            params: None,
            target: None,
            target_kind: Target::None,
            target_span: None,
            arguments: None,
            meta: None,
            request_id: None,
            progress_token: None,
            initialize: None,
            result: self.result,
            result_type: self.complete.then_some(ResultType::Complete),
            is_error: self.is_error,
            error: self.error,
            error_code: self.error_code,
            error_code_span: self.error_code_span,
        }
    }
}

/// The answer to what a server asks where nobody can be asked: only a ping has one.
pub(super) fn own_answer(request: &Envelope<'_>) -> Vec<u8> {
    let id = request.raw_id().unwrap_or(b"null");
    if request.method() == method::PING {
        [br#"{"jsonrpc":"2.0","id":"#, id, br#","result":{}}"#].concat()
    } else {
        RpcError::method_not_found(request.method(), Era::Legacy).body(Some(id))
    }
}
