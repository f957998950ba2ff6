#![allow(clippy::unwrap_used, reason = "tests")]
use http::{HeaderName, HeaderValue};

use super::*;
use crate::envelope::{Limits, scan};
use crate::error::RpcError;

const MODERN: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
    "io.modelcontextprotocol/clientCapabilities":{}}"#;

/// The caller in words, or code and status of the answer.
fn told(pairs: &[(&str, &str)], text: &str) -> Result<String, (i64, u16)> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(
            name.parse::<HeaderName>().unwrap(),
            value.parse::<HeaderValue>().unwrap(),
        );
    }
    let envelope = scan(text.as_bytes(), &Limits::REQUEST).unwrap();
    match classify(&headers, &envelope) {
        Ok(Caller::Modern { revision }) => Ok(format!("modern {revision}")),
        Ok(Caller::LegacyInitialize {
            requested,
            negotiated,
        }) => Ok(format!("initialize {requested} {negotiated}")),
        Ok(Caller::LegacySession { session, revision }) => {
            Ok(format!("session {session} {revision:?}"))
        }
        Err(fault) => {
            let error = RpcError::from(&fault);
            Err((error.code, error.http_status))
        }
    }
}

fn request(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#)
}

const V: &str = "mcp-protocol-version";
const M: &str = "mcp-method";
const S: &str = "mcp-session-id";

#[test]
fn modern_callers_are_known_by_meta_or_header() {
    let list = request("tools/list", MODERN);
    let modern = Ok("modern 2026-07-28".to_owned());
    assert_eq!(told(&[(V, "2026-07-28"), (M, "tools/list")], &list), modern);
    // A session id means nothing here.
    assert_eq!(
        told(&[(V, "2026-07-28"), (M, "tools/list"), (S, "s")], &list),
        modern
    );
    // Removed methods are the modern client's fault, told as unknown further on.
    assert_eq!(
        told(
            &[(V, "2026-07-28"), (M, "initialize")],
            &request("initialize", MODERN)
        ),
        modern
    );
}

#[test]
fn each_fault_of_a_modern_caller_has_its_code() {
    let list = request("tools/list", MODERN);
    assert_eq!(told(&[(M, "tools/list")], &list), Err((-32020, 400)));
    assert_eq!(
        told(&[(V, "2025-11-25"), (M, "tools/list")], &list),
        Err((-32020, 400))
    );
    assert_eq!(
        told(
            &[(V, "2026-07-28"), (V, "2026-07-28"), (M, "tools/list")],
            &list
        ),
        Err((-32020, 400))
    );
    assert_eq!(told(&[(V, "2026-07-28")], &list), Err((-32020, 400)));
    assert_eq!(
        told(&[(V, "2026-07-28"), (M, "tools/call")], &list),
        Err((-32020, 400))
    );
    // No _meta at all, then each key alone.
    assert_eq!(
        told(
            &[(V, "2026-07-28"), (M, "tools/list")],
            &request("tools/list", "")
        ),
        Err((-32602, 400))
    );
    let no_version = request(
        "tools/list",
        r#""_meta":{"io.modelcontextprotocol/clientCapabilities":{}}"#,
    );
    assert_eq!(
        told(&[(V, "2026-07-28"), (M, "tools/list")], &no_version),
        Err((-32602, 400))
    );
    let no_capabilities = request(
        "tools/list",
        r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#,
    );
    assert_eq!(
        told(&[(V, "2026-07-28"), (M, "tools/list")], &no_capabilities),
        Err((-32602, 400))
    );
}

#[test]
fn an_unknown_version_is_told_as_such_once_header_and_body_agree() {
    for version in ["2027-01-01", "2025-11-25", "nonsense"] {
        let list = request("tools/list", &MODERN.replace("2026-07-28", version));
        assert_eq!(
            told(&[(V, version), (M, "tools/list")], &list),
            Err((-32022, 400)),
            "{version}"
        );
        assert_eq!(
            told(&[(V, "2026-07-28"), (M, "tools/list")], &list),
            Err((-32020, 400)),
            "{version}"
        );
    }
}

#[test]
fn modern_clients_answer_nothing() {
    let response = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    assert_eq!(told(&[(V, "2026-07-28")], response), Err((-32600, 400)));
    let notification = r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#;
    assert_eq!(
        told(&[(V, "2026-07-28")], notification),
        Ok("modern 2026-07-28".to_owned())
    );
}

#[test]
fn legacy_callers_begin_with_initialize() {
    let ask = |version: &str| {
        request(
            "initialize",
            &format!(r#""protocolVersion":"{version}","capabilities":{{}}"#),
        )
    };
    assert_eq!(
        told(&[], &ask("2025-06-18")),
        Ok("initialize 2025-06-18 2025-06-18".to_owned())
    );
    assert_eq!(
        told(&[(S, "old")], &ask("2026-07-28")),
        Ok("initialize 2026-07-28 2025-11-25".to_owned())
    );
    assert_eq!(told(&[], &request("initialize", "")), Err((-32602, 400)));
}

#[test]
fn legacy_callers_go_on_in_a_session() {
    let list = request("tools/list", "");
    assert_eq!(told(&[(S, "s1")], &list), Ok("session s1 None".to_owned()));
    assert_eq!(
        told(&[(S, "s1"), (V, "2025-06-18")], &list),
        Ok("session s1 Some(V2025_06_18)".to_owned())
    );
    assert_eq!(told(&[(S, "s1"), (V, "1.0")], &list), Err((-32600, 400)));
    assert_eq!(told(&[(S, "s1"), (S, "s2")], &list), Err((-32600, 400)));
    assert_eq!(told(&[(S, "")], &list), Err((-32600, 400)));
    assert_eq!(told(&[], &list), Err((-32600, 400)));
    assert_eq!(
        told(&[(S, "s1"), (M, "tools/call")], &list),
        Err((-32600, 400))
    );
    let response = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    assert_eq!(
        told(&[(S, "s1")], response),
        Ok("session s1 None".to_owned())
    );
}

#[test]
fn a_caller_without_session_is_told_what_is_spoken_here() {
    let message = RpcError::from(&EraFault::SessionRequired).message;
    for revision in Revision::ALL {
        assert!(message.contains(revision.as_str()), "{message}");
    }
}
