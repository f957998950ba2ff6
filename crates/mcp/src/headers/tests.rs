#![allow(clippy::unwrap_used, reason = "tests")]
use http::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::envelope::{Limits, scan};

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (
            name.parse::<HeaderName>().unwrap(),
            value.parse::<HeaderValue>().unwrap(),
        )
    };
    let mut map = HeaderMap::new();
    for (name, value) in pairs.iter().map(pair) {
        map.append(name, value);
    }
    map
}

fn check(method: &str, params: &str, pairs: &[(&str, &str)]) -> Result<(), HeaderFault> {
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
    let text =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}{meta}}}}}"#);
    check_modern(
        &headers(pairs),
        &scan(text.as_bytes(), &Limits::REQUEST).unwrap(),
    )
}

const VERSION: (&str, &str) = ("MCP-Protocol-Version", "2026-07-28");
const METHOD: (&str, &str) = ("Mcp-Method", "tools/call");

#[test]
fn headers_that_say_what_the_body_says_pass() {
    let name = r#""name":"echo","#;
    assert_eq!(
        check("tools/call", name, &[VERSION, METHOD, ("mcp-name", "echo")]),
        Ok(())
    );
    assert_eq!(
        check(
            "tools/call",
            name,
            &[VERSION, METHOD, ("mcp-name", "=?base64?ZWNobw==?=")]
        ),
        Ok(())
    );
    assert_eq!(
        check("tools/list", "", &[VERSION, ("mcp-method", "tools/list")]),
        Ok(())
    );
    let uri = r#""uri":"file:///ä","#;
    let encoded = encode_value("file:///ä");
    assert_eq!(
        check(
            "resources/read",
            uri,
            &[
                VERSION,
                ("mcp-method", "resources/read"),
                ("mcp-name", &encoded)
            ]
        ),
        Ok(())
    );
}

#[test]
fn each_disagreement_is_refused() {
    let name = r#""name":"echo","#;
    let good = ("mcp-name", "echo");
    let missing = |pairs: &[(&str, &str)], header: &str| {
        assert!(
            matches!(check("tools/call", name, pairs), Err(HeaderFault::Missing { header: h, .. }) if h == header),
            "{header}"
        );
    };
    missing(&[METHOD, good], "mcp-protocol-version");
    missing(&[VERSION, good], "mcp-method");
    missing(&[VERSION, METHOD], "mcp-name");
    for pairs in [
        [("mcp-protocol-version", "2025-11-25"), METHOD, good],
        [VERSION, ("mcp-method", "Tools/Call"), good],
        [VERSION, ("mcp-method", "tools/list"), good],
        [VERSION, METHOD, ("mcp-name", "Echo")],
        [VERSION, METHOD, ("mcp-name", "secret")],
        [VERSION, METHOD, ("mcp-name", "=?base64?c2VjcmV0?=")],
    ] {
        assert!(
            matches!(
                check("tools/call", name, &pairs),
                Err(HeaderFault::Unequal { .. })
            ),
            "{pairs:?}"
        );
    }
    for twice in [VERSION, METHOD, good] {
        let pairs = [VERSION, METHOD, good, twice];
        assert!(
            matches!(
                check("tools/call", name, &pairs),
                Err(HeaderFault::Twice { .. })
            ),
            "{twice:?}"
        );
    }
}

#[test]
fn a_wrapper_is_exact_or_refused() {
    for value in [
        "=?base64?ZWNobw?=",
        "=?base64?ZWNobx==?=",
        "=?base64?ZWNo bw==?=",
        "=?base64?ZW?=Nobw==?=",
        "=?base64?/w==?=",
        "=?BASE64?ZWNobw==?=",
        "=?Base64?ZWNobw==?=",
        "=?base64?_-__?=",
    ] {
        assert_eq!(decode_value(value), None, "{value}");
        let pairs = [VERSION, METHOD, ("mcp-name", value)];
        assert!(
            matches!(
                check("tools/call", r#""name":"echo","#, &pairs),
                Err(HeaderFault::Encoding { .. })
            ),
            "{value}"
        );
    }
    // Without its end it is no wrapper, whatever it begins with; so it is not the name that it seems to hold.
    for value in ["=?base64?ZWNobw==", "=?base64?ZWNobw==?==", "=?base64?"] {
        assert_eq!(decode_value(value).as_deref(), Some(value));
        let pairs = [VERSION, METHOD, ("mcp-name", value)];
        let checked = check("tools/call", r#""name":"echo","#, &pairs);
        assert!(
            matches!(checked, Err(HeaderFault::Unequal { .. })),
            "{value}"
        );
    }
    // Decoded once: what comes out may look like a wrapper itself.
    let nested = encode_value("=?base64?ZWNobw==?=");
    assert_eq!(
        decode_value(&nested).as_deref(),
        Some("=?base64?ZWNobw==?=")
    );
    assert_eq!(decode_value("=?base64??=").as_deref(), Some(""));
    assert_eq!(
        decode_value("plain =? text").as_deref(),
        Some("plain =? text")
    );
}

#[test]
fn mirrored_arguments_must_be_well_formed_and_single() {
    let name = r#""name":"echo","#;
    let base = [VERSION, METHOD, ("mcp-name", "echo")];
    let with = |more: &[(&str, &str)]| check("tools/call", name, &[&base[..], more].concat());
    assert_eq!(
        with(&[
            ("Mcp-Param-Region", "eu"),
            ("Mcp-Param-Other", "=?base64?ZWNobw==?=")
        ]),
        Ok(())
    );
    assert!(matches!(
        with(&[("Mcp-Param-Region", "=?base64?x?=")]),
        Err(HeaderFault::Encoding { .. })
    ));
    assert!(matches!(
        with(&[("mcp-param-a", "1"), ("Mcp-Param-A", "1")]),
        Err(HeaderFault::Twice { .. })
    ));
}

#[test]
fn legacy_messages_need_no_mirror_but_may_not_contradict_it() {
    let text = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}"#;
    let envelope = scan(text, &Limits::REQUEST).unwrap();
    assert_eq!(check_legacy(&headers(&[]), &envelope), Ok(()));
    assert_eq!(
        check_legacy(&headers(&[METHOD, ("mcp-name", "echo")]), &envelope),
        Ok(())
    );
    assert!(check_legacy(&headers(&[("mcp-name", "secret")]), &envelope).is_err());
    assert!(check_legacy(&headers(&[("mcp-method", "tools/list")]), &envelope).is_err());
}

#[test]
fn bytes_beyond_ascii_are_refused() {
    let mut map = HeaderMap::new();
    map.insert(MCP_NAME, HeaderValue::from_bytes("é".as_bytes()).unwrap());
    assert_eq!(
        single(&map, &MCP_NAME),
        Err(HeaderFault::NotText { header: MCP_NAME })
    );
    assert_eq!(single(&map, &MCP_METHOD), Ok(None));
}

#[test]
fn a_fault_names_header_and_both_values() {
    let fault = check(
        "tools/call",
        r#""name":"echo","#,
        &[VERSION, METHOD, ("mcp-name", "x")],
    )
    .unwrap_err();
    assert_eq!(
        fault.to_string(),
        r#"header mcp-name says "x", the body "echo""#
    );
}

proptest! {
    /// What we encode is a header value that decodes to the same text.
    #[test]
    fn values_round_trip(text in any::<String>()) {
        let encoded = encode_value(&text);
        prop_assert!(encoded.bytes().all(|b| (0x20..0x7f).contains(&b) || b == b'\t'));
        prop_assert_eq!(encoded.trim(), &*encoded);
        let decoded = decode_value(&encoded);
        prop_assert_eq!(decoded.as_deref(), Some(text.as_str()));
    }
}
