#![allow(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::envelope::{Limits, ResultType, scan};
use serde_json::json;

fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn what_is_written_for_a_modern_client_is_read_from_a_modern_server() {
    let asked = of_server(
        method::ELICITATION_CREATE,
        br#"{"message":"m","mode":"url","url":"https://x","elicitationId":"e","_meta":{"a":1}}"#,
        "k\"1".to_owned(),
    );
    let text = response(
        b"7",
        std::slice::from_ref(&asked),
        "st\"ate",
        Some(b"{\"name\":\"s\"}"),
    );
    let read = scan(&text, &Limits::RESPONSE).unwrap();
    assert_eq!(read.result_type, Some(ResultType::InputRequired));
    let back = of_result(&text, read.result.unwrap()).unwrap();
    assert_eq!(back.requests.len(), 1);
    assert_eq!(back.requests[0].key, "k\"1");
    assert_eq!(
        value(&back.requests[0].params),
        json!({"message": "m", "mode": "url", "url": "https://x"})
    );
    assert_eq!(value(&back.state.unwrap()), "st\"ate");
}

#[test]
fn a_result_that_asks_for_nothing_is_none() {
    let text = br#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required"}}"#;
    let read = scan(text, &Limits::RESPONSE).unwrap();
    assert!(of_result(text, read.result.unwrap()).is_err());
}

#[test]
fn a_request_brings_answers_and_its_state() {
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "x", "inputResponses": {"a": {"action": "accept"}}, "requestState": "s\u{e9}"}});
    let bytes = message.to_string().into_bytes();
    let brought = of_request(&scan(&bytes, &Limits::REQUEST).unwrap()).unwrap();
    assert_eq!(brought.state.as_deref(), Some("s\u{e9}"));
    assert_eq!(
        value(&responses(&brought.responses)),
        json!({"a": {"action": "accept"}})
    );
    let begins = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}"#;
    assert_eq!(of_request(&scan(begins, &Limits::REQUEST).unwrap()), None);
}

#[test]
fn older_clients_are_asked_in_their_own_words() {
    let asked = |method: &str, params: Value| Asked {
        key: "k".to_owned(),
        method: method.to_owned(),
        params: params.to_string().into_bytes(),
    };
    let form = asked(
        method::ELICITATION_CREATE,
        json!({"mode": "form", "message": "m"}),
    );
    let sent = |asked: &Asked, revision| value(&to_client(asked, b"3", "e-1", revision));
    assert_eq!(
        sent(&form, Revision::V2025_06_18)["params"],
        json!({"message": "m"})
    );
    let url = asked(
        method::ELICITATION_CREATE,
        json!({"mode": "url", "url": "u"}),
    );
    assert_eq!(
        sent(&url, Revision::V2025_11_25),
        json!({"jsonrpc": "2.0", "id": 3, "method": "elicitation/create",
            "params": {"mode": "url", "url": "u", "elicitationId": "e-1"}})
    );
    let spelt = Asked {
        params: br#"{"mode":"\u0075rl","url":"u"}"#.to_vec(),
        ..url
    };
    for revision in [Revision::V2025_06_18, Revision::V2025_11_25] {
        assert_eq!(
            sent(&spelt, revision)["params"],
            json!({"mode": "url", "url": "u", "elicitationId": "e-1"})
        );
    }
    let sampling = asked(
        method::SAMPLING_CREATE_MESSAGE,
        json!({"tools": [], "maxTokens": 1}),
    );
    assert_eq!(
        sent(&sampling, Revision::V2025_06_18)["params"],
        json!({"maxTokens": 1})
    );
    let roots = asked(method::ROOTS_LIST, json!({}));
    assert_eq!(
        sent(&roots, Revision::V2024_11_05),
        json!({"jsonrpc": "2.0", "id": 3, "method": "roots/list"})
    );
}

#[test]
fn the_error_that_demands_urls_becomes_questions() {
    let error = br#"{"code":-32042,"message":"m","data":{"elicitations":[
        {"mode":"url","elicitationId":"e","url":"https://a","message":"go"}]}}"#;
    let asked = of_url_error(error);
    assert_eq!(asked.len(), 1);
    assert_eq!(
        value(&asked[0].params),
        json!({"mode": "url", "url": "https://a", "message": "go"})
    );
    assert!(of_url_error(b"{}").is_empty());
}

#[test]
fn the_fields_of_a_form_keep_their_order_both_ways() {
    let form =
        r#"{"requestedSchema":{"properties":{"zip":{},"age":{}}},"message":"who?","mode":"form"}"#;
    let asked = of_server("elicitation/create", form.as_bytes(), "k".to_owned());
    assert_eq!(asked.params, form.as_bytes());
    let request = to_client(&asked, b"1", "e", Revision::V2025_11_25);
    let request = String::from_utf8(request).unwrap();
    assert!(
        request.ends_with(&format!(r#","params":{form}}}"#)),
        "{request}"
    );
    let older = to_client(&asked, b"1", "e", Revision::V2025_06_18);
    let older = String::from_utf8(older).unwrap();
    let form = form.replace(r#","mode":"form""#, "");
    assert!(
        older.ends_with(&format!(r#","params":{form}}}"#)),
        "{older}"
    );
}
