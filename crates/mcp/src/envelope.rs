//! The envelope of a message: what it is, who must answer it, what it is aimed at. Start from [`scan`].
//!
//! All values borrow from the message. The envelope is *the* reading of a message: whoever decides about a message
//! decides by it, and [`scan`] refuses what another parser could read differently. So an accepted message may be
//! forwarded as it came.
//!
//! What RFC 8259 leaves to implementations is decided so:
//!
//! | in a message | verdict |
//! |---|---|
//! | a number whose double is infinite (`1e400`) | refused: an error, infinity or a big number to others |
//! | a number that underflows to zero (`1e-400`) | accepted |
//! | an integer beyond 2^53 | accepted as a value, refused as an id |
//! | a lone, inverted or incomplete surrogate escape | refused |
//! | invalid, overlong or truncated UTF-8, UTF-8 of surrogates, UTF-16, Latin-1 | refused |
//! | a byte order mark | refused |
//! | nesting deeper than [`Limits::depth`] | refused |
//! | duplicate keys, at any depth, also if spelt differently (`"a"`, `"\u0061"`) | refused |

use std::borrow::Cow;

use crate::interpret;
use crate::method::Target;
pub use crate::scan::{Limits, ScanError, ScanFault, Strings, strings};
pub use crate::span::Span;

/// The longest method name taken; those of MCP stay below 60.
pub const METHOD_BYTES_MAX: usize = 256;
/// The longest id taken, as it stands in the message: ids are kept while a request runs.
pub const ID_BYTES_MAX: usize = 1024;

/// Reads a message: one pass, without building a tree, and without allocation unless a routed string has escapes or
/// an object more than 16 keys.
///
/// # Errors
/// [`ScanError`] for whatever is not exactly one JSON-RPC 2.0 message of MCP within `limits`, or could be read
/// differently by another parser. It carries the id to echo, if that much could be read.
pub fn scan<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Envelope<'a>, ScanError> {
    interpret::read(bytes, limits)
}

/// The three kinds of message; each message is exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `method` and `id`.
    Request,
    /// `method` without `id`.
    Notification,
    /// `result` or `error`.
    Response,
}

/// A message, read. Spans are places in `bytes`; texts are decoded.
#[derive(Clone)]
pub struct Envelope<'a> {
    /// The message.
    pub bytes: &'a [u8],
    /// What it is.
    pub kind: Kind,
    /// The id of a request or response. `None` for notifications, and for an error that answers nothing in particular.
    pub id: Option<Id<'a>>,
    /// The method of a request or notification.
    pub method: Option<Cow<'a, str>>,
    /// `params`, an object.
    pub params: Option<Span>,
    /// What the method is aimed at: `params.name`, `params.uri` or `params.taskId`, and for `completion/complete` the
    /// name or URI in `params.ref`. Present whenever [`Self::target_kind`] is not `None`, but for modern messages
    /// whose method 2026-07-28 has removed.
    pub target: Option<Cow<'a, str>>,
    /// What kind of thing the target is.
    pub target_kind: Target,
    /// The target as it stands in the message, with its quotes.
    pub target_span: Option<Span>,
    /// `params.arguments`, an object.
    pub arguments: Option<Span>,
    /// `params._meta`.
    pub meta: Option<Meta<'a>>,
    /// `params.requestId` of `notifications/cancelled`.
    pub request_id: Option<Id<'a>>,
    /// `params.progressToken` of `notifications/progress`, raw. A request's own token is in [`Meta`].
    pub progress_token: Option<Span>,
    /// What `initialize` asks for; `None` also for an `initialize` whose `protocolVersion` is not a string.
    pub initialize: Option<InitializeParams<'a>>,
    /// `result`, an object.
    pub result: Option<Span>,
    /// `result.resultType`; `None` if it is absent, which means complete (2026-07-28 basic/index).
    pub result_type: Option<ResultType<'a>>,
    /// Whether `result.isError` is true: the tool, not the protocol, failed.
    pub is_error: bool,
    /// `error`, an object.
    pub error: Option<Span>,
    /// `error.code`.
    pub error_code: Option<i64>,
    /// `error.code` as it stands in the message.
    pub error_code_span: Option<Span>,
}

impl Envelope<'_> {
    /// The method, or an empty text for a response.
    #[must_use]
    pub fn method(&self) -> &str {
        self.method.as_deref().unwrap_or_default()
    }

    /// The raw id, as [`crate::error::RpcError::body`] wants it.
    #[must_use]
    pub fn raw_id(&self) -> Option<&[u8]> {
        self.id.as_ref().map(|id| id.raw)
    }

    /// The modern revision named in `_meta`, as text.
    #[must_use]
    pub fn meta_version(&self) -> Option<&str> {
        self.meta.as_ref()?.protocol_version.as_deref()
    }
}

/// Without the message itself, which may hold what logs must not.
impl std::fmt::Debug for Envelope<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Envelope")
            .field("kind", &self.kind)
            .field("id", &self.id)
            .field("method", &self.method)
            .field("error_code", &self.error_code)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// A JSON-RPC id: a string, or an integer within ±(2^53-1).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Id<'a> {
    /// Where it stands.
    pub span: Span,
    /// The JSON token, quotes included; what an answer must repeat.
    pub raw: &'a [u8],
}

/// An id as a key of maps: ids that are equal as JSON values are equal keys, however they were spelt.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum IdKey {
    /// An integer.
    Int(i64),
    /// A string, decoded.
    Str(Box<str>),
}

impl Id<'_> {
    /// Whether it is a string; else it is an integer.
    #[must_use]
    pub fn is_str(&self) -> bool {
        self.raw.first() == Some(&b'"')
    }

    /// The id as a map key.
    #[must_use]
    pub fn key(&self) -> IdKey {
        match crate::scan::number::safe_integer(self.raw) {
            Some(value) => IdKey::Int(value),
            None => IdKey::Str(crate::walk::text(self.raw).unwrap_or_default().into()),
        }
    }
}

impl std::fmt::Debug for Id<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Id({})", String::from_utf8_lossy(self.raw))
    }
}

/// `params._meta` of a message. Keys without prefix are of all revisions, the others of modern ones.
#[derive(Debug, Clone, Default)]
pub struct Meta<'a> {
    /// The whole object.
    pub span: Span,
    /// `progressToken`, a string or integer, raw.
    pub progress_token: Option<Span>,
    /// `traceparent`, if it is a string.
    pub traceparent: Option<Cow<'a, str>>,
    /// `io.modelcontextprotocol/protocolVersion`.
    pub protocol_version: Option<Cow<'a, str>>,
    /// `io.modelcontextprotocol/clientCapabilities`, an object.
    pub client_capabilities: Option<Span>,
    /// `io.modelcontextprotocol/clientInfo`, an object.
    pub client_info: Option<Span>,
    /// Its `name`. Not verified by anybody: for display and logs only.
    pub client_name: Option<Cow<'a, str>>,
    /// Its `version`.
    pub client_version: Option<Cow<'a, str>>,
    /// `io.modelcontextprotocol/logLevel`.
    pub log_level: Option<Cow<'a, str>>,
}

/// `params` of a legacy `initialize`.
#[derive(Debug, Clone)]
pub struct InitializeParams<'a> {
    /// The revision that the client asks for.
    pub protocol_version: Cow<'a, str>,
    /// Its capabilities, an object.
    pub capabilities: Option<Span>,
    /// `clientInfo.name`. Not verified by anybody: for display and logs only.
    pub client_name: Option<Cow<'a, str>>,
    /// `clientInfo.version`.
    pub client_version: Option<Cow<'a, str>>,
}

/// `result.resultType`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResultType<'a> {
    /// `complete`
    Complete,
    /// `input_required`: the client is asked for more, and sends the request again.
    InputRequired,
    /// Of an extension, such as `task`; to whoever does not know the extension the result is invalid.
    Other(Cow<'a, str>),
}

#[cfg(test)]
mod tests;
