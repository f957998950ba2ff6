#![allow(clippy::unwrap_used, reason = "tests")]
use serde_json::{Value, json};

use super::*;
use crate::envelope::{Limits, scan};

fn cut_to(message: &str, kind: ListKind, allowed: &[&str]) -> Option<String> {
    let envelope = scan(message.as_bytes(), &Limits::RESPONSE).unwrap();
    let cut = cut(message.as_bytes(), &envelope, kind, &mut |name| {
        allowed.contains(&name)
    })
    .unwrap();
    cut.map(|bytes| String::from_utf8(bytes).unwrap())
}

const TOOLS: &str = r#"{"jsonrpc":"2.0","id":1,"result":{ "nextCursor" : "c", "tools":[
  {"name":"a","inputSchema":{"name":"x"}}, {"description":"]}","name":"\u0062"}, {"name":"c"} ],"ttlMs":9}}"#;

#[test]
fn only_what_is_wanted_stays_and_all_other_bytes_too() {
    assert_eq!(
        cut_to(TOOLS, ListKind::Tools, &["b"]).unwrap(),
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{ \"nextCursor\" : \"c\", \"tools\":[\n  \
         {\"description\":\"]}\",\"name\":\"\\u0062\"} ],\"ttlMs\":9}}"
    );
    let none: Value = serde_json::from_str(&cut_to(TOOLS, ListKind::Tools, &[]).unwrap()).unwrap();
    assert_eq!(
        none["result"],
        json!({"nextCursor": "c", "tools": [], "ttlMs": 9})
    );
    assert_eq!(cut_to(TOOLS, ListKind::Tools, &["a", "b", "c"]), None);
}

#[test]
fn each_list_is_cut_by_its_own_key() {
    for (kind, list) in [
        (
            ListKind::Prompts,
            r#""prompts":[{"name":"x"},{"name":"y"}]"#,
        ),
        (
            ListKind::Resources,
            r#""resources":[{"name":"y","uri":"x"},{"name":"x","uri":"y"}]"#,
        ),
        (
            ListKind::ResourceTemplates,
            r#""resourceTemplates":[{"uri":"y","uriTemplate":"x"},{"uriTemplate":"y"}]"#,
        ),
    ] {
        let message = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{{list}}}}}"#);
        let left = cut_to(&message, kind, &["x"]).unwrap();
        let envelope = scan(left.as_bytes(), &Limits::RESPONSE).unwrap();
        assert_eq!(
            names(envelope.result.unwrap().of(envelope.bytes), kind),
            ["x"]
        );
    }
}

#[test]
fn items_without_a_readable_name_are_dropped() {
    let message = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[
        1, {}, {"name":1}, {"name":"a","Name":"b"}, {"NAME":"a"}, {"name":"a"}]}}"#;
    let left: Value =
        serde_json::from_str(&cut_to(message, ListKind::Tools, &["a", "b"]).unwrap()).unwrap();
    assert_eq!(left["result"]["tools"], json!([{"name": "a"}]));
}

#[test]
fn what_policy_may_cut_is_private_even_if_nothing_was_cut() {
    let message =
        r#"{"jsonrpc":"2.0","id":1,"result":{"cacheScope":"public","tools":[{"name":"a"}]}}"#;
    let whole: Value =
        serde_json::from_str(&cut_to(message, ListKind::Tools, &["a"]).unwrap()).unwrap();
    assert_eq!(
        whole["result"],
        json!({"cacheScope": "private", "tools": [{"name": "a"}]})
    );
    let private = message.replace("public", "private");
    assert_eq!(cut_to(&private, ListKind::Tools, &["a"]), None);

    let envelope = scan(message.as_bytes(), &Limits::RESPONSE).unwrap();
    let forced = force_private(message.as_bytes(), &envelope)
        .unwrap()
        .unwrap();
    assert_eq!(String::from_utf8(forced).unwrap(), private);
    let envelope = scan(private.as_bytes(), &Limits::RESPONSE).unwrap();
    assert_eq!(force_private(private.as_bytes(), &envelope).unwrap(), None);
}

#[test]
fn an_error_is_no_list_and_a_result_must_be_one() {
    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}"#;
    assert_eq!(cut_to(error, ListKind::Tools, &[]), None);
    for result in [r#"{"tools":{}}"#, "{}", r#"{"prompts":[]}"#] {
        let message = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
        let envelope = scan(message.as_bytes(), &Limits::RESPONSE).unwrap();
        let fault = cut(message.as_bytes(), &envelope, ListKind::Tools, &mut |_| {
            true
        })
        .unwrap_err();
        assert_eq!(fault, Error::NoList { key: "tools" });
    }
}
