//! What a server sent, with the places that matter noted by the one scan that it gets.

use bytes::Bytes;
use mcp::envelope::{Envelope, Id, Kind, ResultType, Span};
use mcp::method::Target;

/// A response, as it came.
#[derive(Debug, Clone)]
pub struct Response {
    bytes: Bytes,
    id: Span,
    result: Option<Span>,
    complete: bool,
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

impl Response {
    /// Keeps what `envelope`, which was read from `bytes`, says of a response with an id.
    pub(super) fn new(bytes: Bytes, envelope: &Envelope<'_>, id: Span) -> Self {
        Self {
            id,
            result: envelope.result,
            complete: envelope.result_type == Some(ResultType::Complete),
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
