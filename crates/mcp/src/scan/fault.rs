//! Why a message was refused, and where.

use crate::error::code;

/// The longest piece of a message that is quoted in an explanation, characters.
const SHOWN_CHARS_MAX: usize = 64;

/// A message that [`crate::envelope::scan`] refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault} at byte {at}")]
pub struct ScanError {
    /// What is wrong.
    pub fault: ScanFault,
    /// Where, bytes from the start of the message.
    pub at: usize,
    id: Option<Box<[u8]>>,
}

impl ScanError {
    pub(crate) fn new(fault: ScanFault, at: usize, id: Option<&[u8]>) -> Self {
        Self {
            fault,
            at,
            id: id.map(Box::from),
        }
    }

    /// The JSON-RPC code: -32700 for what is no JSON, -32600 for what is no request, -32602 for bad parameters.
    #[must_use]
    pub fn code(&self) -> i64 {
        self.fault.code()
    }

    /// The raw id to echo, if the message is JSON and has one valid id.
    #[must_use]
    pub fn id(&self) -> Option<&[u8]> {
        self.id.as_deref()
    }

    /// Whether it is an array, which 2025-03-26 alone allows.
    #[must_use]
    pub fn is_batch(&self) -> bool {
        self.fault == ScanFault::Batch
    }
}

/// What can be wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScanFault {
    /// The text ends within a value.
    #[error("unexpected end")]
    End,
    /// The grammar of JSON does not allow this byte here.
    #[error("unexpected {:?}", char::from(*.0))]
    Unexpected(u8),
    /// A control character stands bare in a string.
    #[error("control character in a string")]
    Control,
    /// A backslash is followed by what is no escape.
    #[error("invalid escape")]
    Escape,
    /// Half of a surrogate pair: some parsers refuse it, others replace it.
    #[error("lone surrogate")]
    LoneSurrogate,
    /// Not UTF-8.
    #[error("invalid UTF-8")]
    Utf8,
    /// A byte order mark: some parsers skip it, others refuse it.
    #[error("byte order mark")]
    Bom,
    /// Something follows the message.
    #[error("trailing bytes")]
    Trailing,

    /// Longer than the limit.
    #[error("longer than {limit} bytes")]
    TooLong {
        /// The limit, bytes.
        limit: usize,
    },
    /// Nested deeper than the limit.
    #[error("nested deeper than {limit}")]
    Depth {
        /// The limit, open containers.
        limit: usize,
    },
    /// More values than the limit.
    #[error("more than {limit} values")]
    Nodes {
        /// The limit, values.
        limit: usize,
    },
    /// A number that overflows: infinite to some parsers, an error to others.
    #[error("number out of range")]
    NumberRange,
    /// A key occurs twice: parsers differ in which one counts.
    #[error("duplicate key {0:?}")]
    DuplicateKey(Box<str>),
    /// A key that some parsers take for another one, as they ignore case.
    #[error("key {key:?} looks like {like:?}")]
    LookAlike {
        /// The key as it came.
        key: Box<str>,
        /// What it could be taken for.
        like: &'static str,
    },
    /// An array of messages.
    #[error("batches are not supported")]
    Batch,
    /// Neither object nor array.
    #[error("a message is a JSON object")]
    NotObject,
    /// `jsonrpc` is missing or not `"2.0"`.
    #[error("jsonrpc must be \"2.0\"")]
    Jsonrpc,
    /// The id is neither a string nor an integer that all parsers read alike.
    #[error("an id is a string or an integer within ±(2^53-1)")]
    Id,
    /// A request without id would be a call nobody answers for.
    #[error("{0:?} is a request and needs an id")]
    IdMissing(Box<str>),
    /// A notification with id.
    #[error("a notification has no id")]
    IdOnNotification,
    /// Neither request nor notification nor response, or more than one of them.
    #[error("a message has exactly one of method, result and error")]
    Kind,
    /// `method` is not a string, or unreasonably long.
    #[error("method must be a string of at most {limit} bytes")]
    Method {
        /// The limit, bytes.
        limit: usize,
    },
    /// `result` is not an object.
    #[error("result must be an object")]
    Result,
    /// `error` is not an object with an integer `code`.
    #[error("error must be an object with an integer code")]
    Error,

    /// `params` is not an object.
    #[error("params must be an object")]
    Params,
    /// A member of `params` or `_meta` is missing or of the wrong type.
    #[error("{key} must be {wanted}")]
    Member {
        /// Which one.
        key: &'static str,
        /// What it must be.
        wanted: &'static str,
    },
}

impl ScanFault {
    /// The JSON-RPC code for it.
    #[must_use]
    pub fn code(&self) -> i64 {
        match self {
            Self::End
            | Self::Unexpected(_)
            | Self::Control
            | Self::Escape
            | Self::LoneSurrogate
            | Self::Utf8
            | Self::Bom
            | Self::Trailing => code::PARSE,
            Self::Params | Self::Member { .. } => code::INVALID_PARAMS,
            _ => code::INVALID_REQUEST,
        }
    }
}

/// A piece of a message, cut to a length that may be quoted.
pub(crate) fn shown(raw: &[u8]) -> Box<str> {
    String::from_utf8_lossy(raw.get(..SHOWN_CHARS_MAX * 4).unwrap_or(raw))
        .chars()
        .take(SHOWN_CHARS_MAX)
        .collect()
}
