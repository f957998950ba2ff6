//! The headers of MCP over HTTP: read once and strictly, and compared with the body they mirror.
//!
//! A header that says something else than the body is the hole through which a call slips past whoever looks at one
//! of the two only: such requests are refused, never repaired. Must not know who calls (see [`crate::era`]).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName};

use crate::envelope::{Envelope, Kind};
use crate::method;

/// The revision; on every modern POST, and from 2025-06-18 on after `initialize`.
pub const MCP_PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The session of a legacy client.
pub const MCP_SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// The method, as in the body.
pub const MCP_METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// The tool, prompt, resource or task, as in the body.
pub const MCP_NAME: HeaderName = HeaderName::from_static("mcp-name");
/// What the names of headers begin with that mirror single arguments.
pub const MCP_PARAM_PREFIX: &str = "mcp-param-";

/// The longest piece of a value that a fault quotes, characters.
const SHOWN_CHARS_MAX: usize = 100;
const WRAPPER_START: &str = "=?base64?";
const WRAPPER_END: &str = "?=";

/// A header that cannot be relied on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// It must be there.
    #[error("header {header} is missing; the body says {body:?}")]
    Missing {
        /// Which one.
        header: HeaderName,
        /// What it should say.
        body: String,
    },
    /// It came more than once.
    #[error("header {header} occurs more than once")]
    Twice {
        /// Which one.
        header: HeaderName,
    },
    /// It has bytes beyond visible ASCII.
    #[error("header {header} is not plain ASCII")]
    NotText {
        /// Which one.
        header: HeaderName,
    },
    /// It looks like a Base64 wrapper and is none.
    #[error("header {header} is not well encoded: {value:?}")]
    Encoding {
        /// Which one.
        header: HeaderName,
        /// What it says.
        value: String,
    },
    /// It mirrors what the message does not have.
    #[error("header {header} says {value:?}, the body nothing")]
    Stray {
        /// Which one.
        header: HeaderName,
        /// What it says.
        value: String,
    },
    /// Header and body disagree.
    #[error("header {header} says {value:?}, the body {body:?}")]
    Unequal {
        /// Which one.
        header: HeaderName,
        /// What it says, decoded.
        value: String,
        /// What the body says.
        body: String,
    },
}

/// The value of a header that may come once only.
///
/// # Errors
/// [`HeaderFault::Twice`] and [`HeaderFault::NotText`].
pub fn single<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'h str>, HeaderFault> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(HeaderFault::Twice {
            header: name.clone(),
        });
    }
    value.to_str().map(Some).map_err(|_| HeaderFault::NotText {
        header: name.clone(),
    })
}

/// The text that a value of `Mcp-Name` or `Mcp-Param-*` stands for: as it is, or out of `=?base64?…?=`, decoded
/// once. What lacks one of the two markers is no wrapper and stands for itself. `None` if it has both but is not exactly
/// a wrapper: lowercase markers, canonical Base64 of UTF-8.
#[must_use]
pub fn decode_value(value: &str) -> Option<Cow<'_, str>> {
    let Some(start) = value
        .get(..WRAPPER_START.len())
        .filter(|start| start.eq_ignore_ascii_case(WRAPPER_START))
    else {
        return Some(Cow::Borrowed(value));
    };
    // Markers in capitals are no wrapper to the letter, but could be one to a reader that ignores case.
    if start != WRAPPER_START {
        return None;
    }
    let Some(encoded) = value.get(WRAPPER_START.len()..)?.strip_suffix(WRAPPER_END) else {
        return Some(Cow::Borrowed(value));
    };
    let decoded = STANDARD.decode(encoded).ok()?;
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// A value for `Mcp-Name` or `Mcp-Param-*`: plain where that is possible, else wrapped.
#[must_use]
pub fn encode_value(value: &str) -> Cow<'_, str> {
    let visible = value
        .bytes()
        .all(|byte| matches!(byte, b' ' | b'\t' | 0x21..=0x7e));
    let edges = value.trim_matches([' ', '\t']).len() == value.len();
    let wrapper = value.get(..2).is_some_and(|start| start == "=?");
    if visible && edges && !wrapper {
        return Cow::Borrowed(value);
    }
    Cow::Owned(format!(
        "{WRAPPER_START}{}{WRAPPER_END}",
        STANDARD.encode(value)
    ))
}

/// Whether 2026-07-28 or the tasks extension wants `Mcp-Name` on this request.
#[must_use]
pub fn wants_name(method: &str) -> bool {
    matches!(
        method,
        method::TOOLS_CALL
            | method::PROMPTS_GET
            | method::RESOURCES_READ
            | method::TASKS_GET
            | method::TASKS_UPDATE
            | method::TASKS_CANCEL
    )
}

/// Whether a header says again what stands in a modern message.
#[must_use]
pub fn is_mirror(name: &HeaderName) -> bool {
    *name == MCP_METHOD || *name == MCP_NAME || name.as_str().starts_with(MCP_PARAM_PREFIX)
}

/// Compares what a modern message mirrors in headers with its body: version, method and name must be there and
/// equal, or absent where the message has no such thing; each `Mcp-Param-*` well-formed (only whoever knows the tool's
/// schema can compare those).
///
/// # Errors
/// The first [`HeaderFault`] found.
pub fn check_modern(headers: &HeaderMap, envelope: &Envelope<'_>) -> Result<(), HeaderFault> {
    if let Some(body) = envelope.meta_version() {
        equal(headers, &MCP_PROTOCOL_VERSION, body, true, false)?;
    }
    mirrored(headers, envelope, envelope.kind == Kind::Request)
}

/// Compares what a legacy message need not mirror: headers of later revisions that come all the same must not
/// contradict the body, lest somebody behind us go by them.
///
/// # Errors
/// The first [`HeaderFault`] found.
pub fn check_legacy(headers: &HeaderMap, envelope: &Envelope<'_>) -> Result<(), HeaderFault> {
    mirrored(headers, envelope, false)
}

fn mirrored(
    headers: &HeaderMap,
    envelope: &Envelope<'_>,
    required: bool,
) -> Result<(), HeaderFault> {
    match &envelope.method {
        Some(method) => equal(headers, &MCP_METHOD, method, required, false)?,
        None => absent(headers, &MCP_METHOD)?,
    }
    let method = envelope.method();
    match &envelope.target {
        Some(target) => {
            let required = required && wants_name(method);
            equal(headers, &MCP_NAME, target, required, true)?;
        }
        // What an extension's method mirrors is for the extension to say.
        None if envelope.method.is_some() && !method::is_ours(method) => {
            well_formed(headers, &MCP_NAME)?;
        }
        None => absent(headers, &MCP_NAME)?,
    }
    headers
        .keys()
        .filter(|name| name.as_str().starts_with(MCP_PARAM_PREFIX))
        .try_for_each(|name| well_formed(headers, name))
}

/// A header that mirrors something we cannot compare it with: still it must come once, and mean one thing.
fn well_formed(headers: &HeaderMap, name: &HeaderName) -> Result<(), HeaderFault> {
    let value = single(headers, name)?.unwrap_or_default();
    match decode_value(value) {
        Some(_) => Ok(()),
        None => Err(HeaderFault::Encoding {
            header: name.clone(),
            value: shown(value),
        }),
    }
}

/// A header that has nothing to mirror in this message.
fn absent(headers: &HeaderMap, name: &HeaderName) -> Result<(), HeaderFault> {
    match single(headers, name)? {
        None => Ok(()),
        Some(value) => Err(HeaderFault::Stray {
            header: name.clone(),
            value: shown(value),
        }),
    }
}

fn equal(
    headers: &HeaderMap,
    name: &HeaderName,
    body: &str,
    required: bool,
    wrapped: bool,
) -> Result<(), HeaderFault> {
    let Some(value) = single(headers, name)? else {
        let missing = || HeaderFault::Missing {
            header: name.clone(),
            body: shown(body),
        };
        return if required { Err(missing()) } else { Ok(()) };
    };
    let encoding = || HeaderFault::Encoding {
        header: name.clone(),
        value: shown(value),
    };
    let decoded = if wrapped {
        decode_value(value).ok_or_else(encoding)?
    } else {
        Cow::Borrowed(value)
    };
    if decoded == body {
        return Ok(());
    }
    Err(HeaderFault::Unequal {
        header: name.clone(),
        value: shown(&decoded),
        body: shown(body),
    })
}

fn shown(value: &str) -> String {
    value.chars().take(SHOWN_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
