//! What a caller is told: JSON-RPC errors with their HTTP status, one constructor for each case.
//!
//! The one place that knows codes and statuses. Must not know why policy said what it said: reasons come in as text
//! from a closed list elsewhere.

use crate::edit::quoted;
use crate::era::EraFault;
use crate::headers::HeaderFault;
use crate::method::Target;
use crate::revision::{Era, Revision};
use crate::scan::ScanError;

/// The error codes of JSON-RPC, MCP and Gatehouse.
pub mod code {
    /// No JSON.
    pub const PARSE: i64 = -32700;
    /// No valid request.
    pub const INVALID_REQUEST: i64 = -32600;
    /// Method unknown.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// Parameters bad or missing; also an unknown tool or prompt, and in modern revisions an unknown resource.
    pub const INVALID_PARAMS: i64 = -32602;
    /// Our own failure.
    pub const INTERNAL: i64 = -32603;
    /// Legacy: resource unknown. Never sent to modern clients.
    pub const RESOURCE_NOT_FOUND: i64 = -32002;
    /// Modern: a header is missing, malformed or unequal to the body.
    pub const HEADER_MISMATCH: i64 = -32020;
    /// Modern: a client capability is needed that was not declared.
    pub const MISSING_CAPABILITY: i64 = -32021;
    /// Modern: the revision is not supported.
    pub const UNSUPPORTED_VERSION: i64 = -32022;
    /// 2025-11-25 only: an elicitation by URL must be completed first. Never sent to modern clients.
    pub const URL_ELICITATION_REQUIRED: i64 = -32042;
    /// Gatehouse: refused by rule, filter, limit or approval.
    pub const REFUSED: i64 = -31010;
    /// Gatehouse: the server cannot be had.
    pub const UNAVAILABLE: i64 = -31011;
}

/// The longest name of a caller's that is repeated to it, characters.
const NAME_CHARS_MAX: usize = 200;

/// An answer that is an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code})")]
pub struct RpcError {
    /// The JSON-RPC code.
    pub code: i64,
    /// For people: says what to do about it where we know.
    pub message: String,
    /// `error.data`, raw JSON.
    pub data: Option<String>,
    /// The status of the HTTP response that carries it.
    pub http_status: u16,
}

/// `error.data.reason` of a session that its client has ended.
pub const SESSION_ENDED: &str = "session_ended";

/// Which rule, filter or limit refused a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedBy<'a> {
    /// The rule of that name.
    Rule(&'a str),
    /// The filter of that name.
    Filter(&'a str),
    /// The limit of that name, which lets such a call through again after so many milliseconds.
    Limit(&'a str, u64),
    /// None in particular: no rule allows it, or the reason says all.
    Nothing,
}

impl RpcError {
    fn new(code: i64, http_status: u16, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
            http_status,
        }
    }

    fn with_data(self, data: String) -> Self {
        Self {
            data: Some(data),
            ..self
        }
    }

    /// The body is no JSON.
    #[must_use]
    pub fn parse(message: impl Into<String>) -> Self {
        Self::new(code::PARSE, 400, message)
    }

    /// The body is no message that may be sent here.
    #[must_use]
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(code::INVALID_REQUEST, 400, message)
    }

    /// The parameters are not what the method wants.
    #[must_use]
    pub fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(code::INVALID_PARAMS, 400, message)
    }

    /// A modern request without a required key in `params._meta`.
    #[must_use]
    pub fn missing_meta(key: &str) -> Self {
        Self::invalid_params(format!("params._meta lacks {key:?}"))
    }

    /// A header that is missing, malformed or unequal to the body, in the form of `era`.
    #[must_use]
    pub fn header_mismatch(fault: &HeaderFault, era: Era) -> Self {
        let code = match era {
            Era::Modern => code::HEADER_MISMATCH,
            Era::Legacy => code::INVALID_REQUEST,
        };
        Self::new(code, 400, fault.to_string())
    }

    /// A modern revision that is not spoken here.
    #[must_use]
    pub fn unsupported_version(requested: &str, supported: &[Revision]) -> Self {
        let requested = cut(requested);
        let names: Vec<_> = supported
            .iter()
            .map(|revision| json(revision.as_str()))
            .collect();
        let data = format!(
            r#"{{"supported":[{}],"requested":{}}}"#,
            names.join(","),
            json(&requested)
        );
        Self::new(
            code::UNSUPPORTED_VERSION,
            400,
            format!("unsupported protocol version {requested:?}"),
        )
        .with_data(data)
    }

    /// A modern request that needs a capability which its client does not declare; `required` is the raw
    /// ClientCapabilities object (2026-07-28 basic/index).
    #[must_use]
    pub fn missing_capability(what: &str, required: &str) -> Self {
        let message = format!("the client does not declare {what}");
        Self::new(code::MISSING_CAPABILITY, 400, message)
            .with_data(format!(r#"{{"requiredCapabilities":{required}}}"#))
    }

    /// A method that is unknown, removed, or not served.
    #[must_use]
    pub fn method_not_found(method: &str, era: Era) -> Self {
        let message = format!("method not found: {}", cut(method));
        Self::new(
            code::METHOD_NOT_FOUND,
            status_of(code::METHOD_NOT_FOUND, era),
            message,
        )
    }

    /// A tool, prompt, resource or task that does not exist, or that the caller may not know of: the same words for
    /// both.
    #[must_use]
    pub fn unknown_target(target: Target, name: &str, era: Era) -> Self {
        let (noun, code) = match (target, era) {
            (Target::Tool, _) => ("tool", code::INVALID_PARAMS),
            (Target::Prompt, _) => ("prompt", code::INVALID_PARAMS),
            (Target::Resource, Era::Legacy) => ("resource", code::RESOURCE_NOT_FOUND),
            (Target::Resource, Era::Modern) => ("resource", code::INVALID_PARAMS),
            (Target::Task, _) => ("task", code::INVALID_PARAMS),
            (Target::None, _) => ("target", code::INVALID_PARAMS),
        };
        Self::new(code, 200, format!("unknown {noun}: {}", cut(name)))
    }

    /// A call that policy refuses. `reason` and `decision` are words of the closed lists of replies and audit.
    #[must_use]
    pub fn refused(reason: &'static str, by: RefusedBy<'_>, decision: &'static str) -> Self {
        let (message, member) = match by {
            RefusedBy::Rule(name) => (
                format!("refused by rule {name}"),
                format!(r#","rule":{}"#, json(name)),
            ),
            RefusedBy::Filter(name) => (
                format!("refused by filter {name}"),
                format!(r#","filter":{}"#, json(name)),
            ),
            RefusedBy::Limit(name, _) => (
                format!("refused by limit {name}"),
                format!(r#","limit":{}"#, json(name)),
            ),
            RefusedBy::Nothing => (format!("refused: {reason}"), String::new()),
        };
        let again = match by {
            RefusedBy::Limit(_, after_ms) => format!(r#","retryAfterMs":{after_ms}"#),
            _ => String::new(),
        };
        let data = format!(
            r#"{{"reason":{}{member},"decision":{}{again}}}"#,
            json(reason),
            json(decision)
        );
        Self::new(code::REFUSED, 200, message).with_data(data)
    }

    /// A server that cannot be had now; `reason` is a word of the closed list, `message` says more.
    #[must_use]
    pub fn unavailable(reason: &'static str, message: impl Into<String>) -> Self {
        let status = if reason == "overloaded" { 503 } else { 200 };
        Self::new(code::UNAVAILABLE, status, message)
            .with_data(format!(r#"{{"reason":{}}}"#, json(reason)))
    }

    /// A legacy request without a session. Names the supported revisions, since old clients can show nothing else.
    #[must_use]
    pub fn session_required() -> Self {
        let names: Vec<_> = Revision::ALL
            .iter()
            .map(|revision| revision.as_str())
            .collect();
        let message = format!(
            "a session is required: send initialize first, or a request of a stateless revision (supported: {})",
            names.join(", ")
        );
        Self::new(code::INVALID_REQUEST, 400, message)
    }

    /// A legacy session that has ended or never was: the client must initialize again.
    #[must_use]
    pub fn session_unknown() -> Self {
        Self::new(
            code::INVALID_REQUEST,
            404,
            "session not found: send initialize again, without a session id",
        )
    }

    /// A legacy session that its client has ended, wherever else it may have parts.
    #[must_use]
    pub fn session_ended() -> Self {
        Self {
            data: Some(format!(r#"{{"reason":"{SESSION_ENDED}"}}"#)),
            ..Self::session_unknown()
        }
    }

    /// A failure of our own, about which the caller learns nothing.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(code::INTERNAL, 500, "internal error")
    }

    /// The answer as a JSON-RPC message. `id` is the raw id of the request; null is sent where it is not known.
    #[must_use]
    pub fn body(&self, id: Option<&[u8]>) -> Vec<u8> {
        let mut out = Vec::with_capacity(128 + self.message.len());
        out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
        out.extend_from_slice(id.unwrap_or(b"null"));
        out.extend_from_slice(br#","error":{"code":"#);
        out.extend_from_slice(self.code.to_string().as_bytes());
        out.extend_from_slice(br#","message":"#);
        out.extend_from_slice(&quoted(&self.message));
        if let Some(data) = &self.data {
            out.extend_from_slice(br#","data":"#);
            out.extend_from_slice(data.as_bytes());
        }
        out.extend_from_slice(b"}}");
        out
    }
}

impl From<&ScanError> for RpcError {
    fn from(error: &ScanError) -> Self {
        Self::new(error.code(), 400, error.to_string())
    }
}

/// For modern callers; see [`RpcError::header_mismatch`] for the others.
impl From<&HeaderFault> for RpcError {
    fn from(fault: &HeaderFault) -> Self {
        Self::header_mismatch(fault, Era::Modern)
    }
}

impl From<&EraFault> for RpcError {
    fn from(fault: &EraFault) -> Self {
        match fault {
            EraFault::MissingMeta { key } => Self::missing_meta(key),
            EraFault::Header { fault, era } => Self::header_mismatch(fault, *era),
            EraFault::Unsupported { requested } => {
                Self::unsupported_version(requested, &Revision::ALL)
            }
            EraFault::SessionRequired => Self::session_required(),
            EraFault::LegacyVersion { .. } | EraFault::ResponseFromModern => {
                Self::invalid_request(fault.to_string())
            }
            EraFault::Initialize => Self::invalid_params(fault.to_string()),
        }
    }
}

/// The HTTP status that an upstream's error gets on its way to a client of `era`: legacy clients expect 200, modern
/// ones what 2026-07-28 fixes. -32602 is not fixed there and keeps 200.
#[must_use]
pub fn status_of(code: i64, era: Era) -> u16 {
    match (era, code) {
        (Era::Legacy, _) => 200,
        (Era::Modern, code::METHOD_NOT_FOUND) => 404,
        (
            Era::Modern,
            code::PARSE
            | code::INVALID_REQUEST
            | code::HEADER_MISMATCH
            | code::MISSING_CAPABILITY
            | code::UNSUPPORTED_VERSION,
        ) => 400,
        (Era::Modern, _) => 200,
    }
}

fn cut(text: &str) -> String {
    text.chars().take(NAME_CHARS_MAX).collect()
}

fn json(text: &str) -> String {
    String::from_utf8_lossy(&quoted(text)).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::envelope::{Limits, scan};
    use serde_json::{Value, json};

    fn body(error: &RpcError, id: Option<&[u8]>) -> Value {
        serde_json::from_slice(&error.body(id)).unwrap()
    }

    #[test]
    fn an_error_is_a_json_rpc_response_that_echoes_the_id() {
        let error = RpcError::refused("rule", RefusedBy::Rule("no \"x\""), "deny");
        assert_eq!(
            body(&error, Some(br#""a\u0062""#)),
            json!({"jsonrpc": "2.0", "id": "ab", "error": {
                "code": -31010, "message": "refused by rule no \"x\"",
                "data": {"reason": "rule", "rule": "no \"x\"", "decision": "deny"},
            }})
        );
        let bytes = error.body(None);
        let read = scan(&bytes, &Limits::RESPONSE).unwrap();
        assert_eq!((read.id, read.error_code), (None, Some(-31010)));
    }

    #[test]
    fn an_unsupported_version_names_what_is_supported() {
        let error = RpcError::unsupported_version("2030-01-01", &[Revision::LATEST]);
        assert_eq!(error.http_status, 400);
        assert_eq!(
            body(&error, Some(b"1"))["error"]["data"],
            json!({"supported": ["2026-07-28"], "requested": "2030-01-01"})
        );
    }

    #[test]
    fn statuses_follow_the_era() {
        assert_eq!(
            RpcError::method_not_found("x", Era::Modern).http_status,
            404
        );
        assert_eq!(
            RpcError::method_not_found("x", Era::Legacy).http_status,
            200
        );
        assert_eq!(status_of(code::HEADER_MISMATCH, Era::Modern), 400);
        assert_eq!(status_of(code::INVALID_PARAMS, Era::Modern), 200);
        assert_eq!(RpcError::unavailable("overloaded", "busy").http_status, 503);
        assert_eq!(RpcError::unavailable("timeout", "late").http_status, 200);
    }

    #[test]
    fn only_legacy_clients_see_the_old_resource_code() {
        assert_eq!(
            RpcError::unknown_target(Target::Resource, "u", Era::Legacy).code,
            -32002
        );
        assert_eq!(
            RpcError::unknown_target(Target::Resource, "u", Era::Modern).code,
            -32602
        );
    }

    #[test]
    fn long_names_are_not_repeated_whole() {
        let error = RpcError::unknown_target(Target::Tool, &"x".repeat(1 << 20), Era::Modern);
        assert!(error.message.len() < 300);
    }
}
