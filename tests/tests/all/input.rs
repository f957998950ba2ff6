//! Messages that two parsers could read differently, and sessions in the wrong hands.

use serde_json::json;
use tests::http::Request;
use tests::mesh::Running;
use tests::rpc::{MODERN, Modern, Session};

use crate::stage;

const PARSE: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;
const HEADER_MISMATCH: i64 = -32020;
const UNSUPPORTED_VERSION: i64 = -32022;

/// A good modern call, which each case spoils in one way.
pub(crate) fn good(mesh: &Running, key: &str) -> Request {
    Modern::new(&mesh.url(0, "slow"), key).request_with_id(
        "spoilt",
        "tools/call",
        json!({"name": "sleep", "arguments": {"seconds": 0}}),
    )
}

#[test]
fn a_message_that_is_not_valid_is_refused_with_400_and_its_code() {
    let mesh = stage::workshop();
    let key = stage::ana(&mesh);
    let good = good(&mesh, &key);
    assert_eq!(
        good.send().content(),
        "slept 0 s",
        "the message is good before it is spoilt"
    );
    let text = good.text();
    let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(100), "]".repeat(100));
    let cases: Vec<(&str, String, i64, bool)> = vec![
        (
            "no JSON",
            text.replace(r#""jsonrpc""#, "jsonrpc"),
            PARSE,
            false,
        ),
        ("cut off", text[..text.len() - 1].to_owned(), PARSE, false),
        ("empty", String::new(), PARSE, false),
        ("bytes after it", format!("{text}{{}}"), PARSE, false),
        ("a batch", format!("[{text}]"), INVALID_REQUEST, false),
        (
            "a key twice",
            text.replacen('{', r#"{"id":"spoilt","#, 1),
            INVALID_REQUEST,
            false,
        ),
        (
            "a tool's name twice",
            text.replace(r#""name":"sleep""#, r#""name":"sleep","name":"cancelled""#),
            INVALID_REQUEST,
            false,
        ),
        (
            "an argument twice",
            text.replace(r#""seconds":0"#, r#""seconds":0,"seconds":1"#),
            INVALID_REQUEST,
            false,
        ),
        (
            "a key in another case",
            text.replace(r#""method""#, r#""Method""#),
            INVALID_REQUEST,
            false,
        ),
        (
            "an escaped second key",
            text.replace(
                r#""name":"sleep""#,
                r#""name":"sleep","n\u0061me":"cancelled""#,
            ),
            INVALID_REQUEST,
            false,
        ),
        (
            "another JSON-RPC",
            text.replace(r#""2.0""#, r#""1.0""#),
            INVALID_REQUEST,
            false,
        ),
        (
            "id null",
            text.replace(r#""spoilt""#, "null"),
            INVALID_REQUEST,
            false,
        ),
        (
            "a fractional id",
            text.replace(r#""spoilt""#, "1.5"),
            INVALID_REQUEST,
            false,
        ),
        (
            "a call without an id",
            text.replace(r#""id":"spoilt","#, ""),
            INVALID_REQUEST,
            false,
        ),
        (
            "request and response in one",
            text.replacen('{', r#"{"result":{},"#, 1),
            INVALID_REQUEST,
            false,
        ),
        (
            "a lone surrogate",
            text.replace(r#""seconds":0"#, r#""seconds":"\ud800""#),
            PARSE,
            false,
        ),
        (
            "too deep",
            text.replace(r#"{"seconds":0}"#, &deep),
            INVALID_REQUEST,
            false,
        ),
        (
            "a name that is no text",
            text.replace(r#""name":"sleep""#, r#""name":7"#),
            INVALID_PARAMS,
            true,
        ),
        (
            "no _meta version",
            text.replace("io.modelcontextprotocol/protocolVersion", "x"),
            INVALID_PARAMS,
            true,
        ),
        (
            "no _meta capabilities",
            text.replace("io.modelcontextprotocol/clientCapabilities", "x"),
            INVALID_PARAMS,
            true,
        ),
    ];
    for (what, spoilt, code, names_id) in cases {
        assert_ne!(spoilt, text, "{what}: the case spoils nothing");
        let answer = good.clone().body(spoilt).send();
        assert_eq!(answer.status, 400, "{what}: {answer}");
        assert_eq!(answer.error_code(), code, "{what}: {answer}");
        if names_id {
            assert_eq!(answer.reply()["id"], "spoilt", "{what}: {answer}");
        }
    }
    assert_eq!(good.send().content(), "slept 0 s", "and after it");
}

#[test]
fn header_and_body_must_agree() {
    let mesh = stage::workshop();
    let key = stage::ana(&mesh);
    let good = good(&mesh, &key);
    let text = good.text();
    let cases = [
        (
            "no version",
            good.clone().without("mcp-protocol-version"),
            HEADER_MISMATCH,
        ),
        (
            "another version",
            good.clone().with("mcp-protocol-version", "2025-11-25"),
            HEADER_MISMATCH,
        ),
        (
            "two versions",
            good.clone().and("mcp-protocol-version", MODERN),
            HEADER_MISMATCH,
        ),
        (
            "no method",
            good.clone().without("mcp-method"),
            HEADER_MISMATCH,
        ),
        (
            "another method",
            good.clone().with("mcp-method", "tools/list"),
            HEADER_MISMATCH,
        ),
        (
            "a method in another case",
            good.clone().with("mcp-method", "Tools/Call"),
            HEADER_MISMATCH,
        ),
        ("no name", good.clone().without("mcp-name"), HEADER_MISMATCH),
        (
            "another name",
            good.clone().with("mcp-name", "cancelled"),
            HEADER_MISMATCH,
        ),
        (
            "a name badly wrapped",
            good.clone().with("mcp-name", "=?base64?c2xlZXA?="),
            HEADER_MISMATCH,
        ),
        (
            "a version that is not spoken",
            good.clone()
                .with("mcp-protocol-version", "2099-01-01")
                .body(text.replace(MODERN, "2099-01-01")),
            UNSUPPORTED_VERSION,
        ),
    ];
    for (what, spoilt, code) in cases {
        let answer = spoilt.send();
        assert_eq!(answer.status, 400, "{what}: {answer}");
        assert_eq!(answer.error_code(), code, "{what}: {answer}");
        assert_eq!(answer.reply()["id"], "spoilt", "{what}: {answer}");
    }
    let unsupported = good
        .with("mcp-protocol-version", "2099-01-01")
        .body(text.replace(MODERN, "2099-01-01"));
    let data = unsupported.send().error()["data"].take();
    assert!(
        data["supported"]
            .as_array()
            .is_some_and(|all| all.contains(&json!(MODERN))),
        "{data}"
    );
    assert_eq!(data["requested"], "2099-01-01");
}

#[test]
fn a_wrapped_name_is_compared_by_what_it_says() {
    let mesh = stage::workshop();
    let wrapped = good(&mesh, &stage::ana(&mesh)).with("mcp-name", "=?base64?c2xlZXA=?=");
    assert_eq!(wrapped.send().content(), "slept 0 s");
}

#[test]
fn methods_that_the_modern_era_removed_are_unknown_there() {
    let mesh = stage::workshop();
    let client = Modern::new(&mesh.url(0, "slow"), &stage::ana(&mesh));
    for method in [
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "no/such",
    ] {
        let answer = client.request(method, json!({})).send();
        assert_eq!(
            (answer.status, answer.error_code()),
            (404, METHOD_NOT_FOUND),
            "{method}: {answer}"
        );
    }
}

#[test]
fn a_legacy_request_needs_a_session_and_is_told_what_is_spoken() {
    let mesh = stage::workshop();
    let key = stage::ana(&mesh);
    let session = Session::begin(&mesh.url(0, "slow"), &key);
    let list = session.request("tools/list", json!({}));
    let answer = list
        .clone()
        .without("mcp-session-id")
        .send()
        .expect_status(400);
    assert!(
        answer.error()["message"]
            .as_str()
            .is_some_and(|text| text.contains("2025-11-25")),
        "{answer}"
    );
    list.clone()
        .with("mcp-session-id", "made-up")
        .send()
        .expect_status(404);
    let changed = format!("{}A", &session.id[..session.id.len() - 1]);
    let other = if changed == session.id {
        format!("{}B", &session.id[..session.id.len() - 1])
    } else {
        changed
    };
    list.clone()
        .with("mcp-session-id", &other)
        .send()
        .expect_status(404);
    list.clone()
        .with("mcp-protocol-version", "2025-06-18")
        .send()
        .expect_status(400);
    list.clone()
        .with("mcp-protocol-version", "1999-01-01")
        .send()
        .expect_status(400);
    assert_eq!(session.tools(), ["sleep"]);
}

#[test]
fn a_session_is_good_for_its_own_caller_and_server_alone() {
    let mesh = stage::workshop();
    let session = Session::begin(&mesh.url(0, "slow"), &stage::ana(&mesh));
    let stolen = session.by(&mesh.key("eve@example.com", &["engineering"]).text);
    stolen
        .request("tools/list", json!({}))
        .send()
        .expect_status(404);
    let elsewhere = session.at(&mesh.url(0, "hacker"));
    elsewhere
        .request("tools/list", json!({}))
        .send()
        .expect_status(404);
    assert_eq!(session.tools(), ["sleep"], "its own caller goes on");
}
