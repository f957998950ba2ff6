//! The scan against another parser: whatever it accepts, `serde_json` reads as the same message.
#![allow(clippy::unwrap_used, reason = "tests")]

use mcp::envelope::{Envelope, Kind, Limits, scan, strings};
use mcp::walk;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

/// The oracle: envelope and tree must tell the same.
fn agree(bytes: &[u8], envelope: &Envelope<'_>) {
    let tree: Value = serde_json::from_slice(bytes).unwrap();
    let raw = |span: mcp::envelope::Span| serde_json::from_slice::<Value>(span.of(bytes)).unwrap();
    assert_eq!(tree["jsonrpc"], "2.0");
    let id = envelope
        .id
        .map(|id| serde_json::from_slice::<Value>(id.raw).unwrap());
    assert_eq!(id, tree.get("id").filter(|id| !id.is_null()).cloned());
    assert_eq!(
        envelope.method.as_deref(),
        tree.get("method").map(|method| method.as_str().unwrap())
    );
    assert_eq!(envelope.params.map(raw), tree.get("params").cloned());
    assert_eq!(envelope.result.map(raw), tree.get("result").cloned());
    assert_eq!(envelope.error.map(raw), tree.get("error").cloned());
    if let Some(params) = tree.get("params") {
        assert_eq!(
            envelope.arguments.map(raw),
            params.get("arguments").cloned()
        );
        if let Some(key) = envelope
            .target_kind
            .key()
            .filter(|_| envelope.method() != "completion/complete")
        {
            assert_eq!(envelope.target.as_deref(), params[key].as_str());
        }
        let meta = params.get("_meta");
        assert_eq!(
            envelope.meta.as_ref().map(|meta| raw(meta.span)),
            meta.cloned()
        );
        let version =
            meta.and_then(|meta| meta["io.modelcontextprotocol/protocolVersion"].as_str());
        assert_eq!(envelope.meta_version(), version);
    }
    assert_eq!(
        envelope.kind == Kind::Response,
        tree.get("method").is_none()
    );
    // The walk and the strings see the same text.
    let root = walk::root(bytes);
    let keys: Vec<_> = walk::members(bytes, root)
        .map(|member| member.key.into_owned())
        .collect();
    assert_eq!(keys.len(), tree.as_object().unwrap().len());
    assert_eq!(strings(bytes).count(), count_strings(&tree));
}

fn count_strings(value: &Value) -> usize {
    match value {
        Value::String(_) => 1,
        Value::Array(items) => items.iter().map(count_strings).sum(),
        Value::Object(members) => members.values().map(|value| 1 + count_strings(value)).sum(),
        _ => 0,
    }
}

/// Pieces of JSON, right and wrong, that make up texts close to a message.
fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "1",
            "0",
            "-0",
            "-1.5e3",
            "1e400",
            "9007199254740993",
            "null",
            "true",
            "false",
            "\"\"",
            "\"a\"",
            "\"tools/call\"",
            "\"tools\\/call\"",
            "\"ping\"",
            "\"2.0\"",
            "\"2026-07-28\"",
            "\"\\u0061\"",
            "\"\\ud83d\\ude00\"",
            "\"\\ud800\"",
            "\"\u{e9}\"",
            "\"\\\"]}\"",
            "01",
            "tru",
            "\"\t\"",
            "'a'",
            "NaN",
            "1.7976931348623157e308",
            "123456789012345678901234567890",
            "1e-400",
        ])
        .prop_map(str::to_owned),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        any::<f64>()
            .prop_filter("finite", |f| f.is_finite())
            .prop_map(|f| serde_json::to_string(&f).unwrap()),
        any::<i64>().prop_map(|i| i.to_string()),
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "jsonrpc",
        "id",
        "method",
        "params",
        "result",
        "error",
        "name",
        "uri",
        "arguments",
        "_meta",
        "code",
        "a",
        "b",
        "Name",
        "\\u006eame",
        "io.modelcontextprotocol/protocolVersion",
        "progressToken",
        "taskId",
        "x\\n",
        "",
    ])
    .prop_map(|key| format!("\"{key}\""))
}

fn value() -> impl Strategy<Value = String> {
    scalar().prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(" , "))),
            vec((key(), inner), 0..5).prop_map(|members| {
                let members: Vec<_> = members
                    .into_iter()
                    .map(|(key, value)| format!("{key} :{value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// Texts that are messages more often than not.
fn message() -> impl Strategy<Value = String> {
    let params = vec((key(), value()), 0..4)
        .prop_map(|members| {
            let members: Vec<_> = members
                .into_iter()
                .map(|(key, value)| format!(",{key}:{value}"))
                .collect();
            members.concat()
        })
        .boxed();
    let method = prop::sample::select(vec![
        "tools/call",
        "tools/list",
        "resources/read",
        "ping",
        "acme/x",
        "notifications/progress",
        "tasks/get",
    ]);
    let id =
        prop_oneof![3 => Just(Some("7".to_owned())), 1 => scalar().prop_map(Some), 1 => Just(None)];
    let call =
        (method, id, any::<bool>(), params.clone()).prop_map(|(method, id, named, params)| {
            let id = id.map(|id| format!(r#""id":{id},"#)).unwrap_or_default();
            let name = if named {
                r#","name":"\u0065cho","uri":"u","taskId":"t""#
            } else {
                ""
            };
            format!(
                r#"{{"jsonrpc":"2.0",{id}"method":"{method}","params":{{"p":1{name}{params}}}}}"#
            )
        });
    let answer = params
        .prop_map(|members| format!(r#"{{"jsonrpc":"2.0","id":"i","result":{{"r":1{members}}}}}"#));
    prop_oneof![3 => call, 1 => answer, 1 => value()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn what_is_accepted_means_the_same_to_another_parser(text in message()) {
        if let Ok(envelope) = scan(text.as_bytes(), &Limits::REQUEST) {
            agree(text.as_bytes(), &envelope);
        }
    }

    #[test]
    fn damaged_messages_are_refused_or_read_alike(
        text in message(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..3),
    ) {
        let mut bytes = text.into_bytes();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Ok(envelope) = scan(&bytes, &Limits::REQUEST) {
            agree(&bytes, &envelope);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = scan(&bytes, &Limits::REQUEST);
        let _ = strings(&bytes).count();
        let root = walk::root(&bytes);
        let _ = walk::members(&bytes, root).count() + walk::elements(&bytes, root).count();
    }

    /// What is refused with an id to echo has that id.
    #[test]
    fn an_echoed_id_is_the_message_s_own(text in message()) {
        if let Err(error) = scan(text.as_bytes(), &Limits::REQUEST)
            && let Some(id) = error.id()
        {
            let tree: Value = serde_json::from_str(&text.replace("1e400", "1")).unwrap();
            prop_assert_eq!(&serde_json::from_slice::<Value>(id).unwrap(), &tree["id"]);
        }
    }
}

/// The generator must produce messages that are accepted, else the properties above show nothing.
#[test]
fn the_generator_makes_valid_messages_often_enough() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let accepted = (0..1000)
        .filter(|_| {
            let text = message().new_tree(&mut runner).unwrap().current();
            scan(text.as_bytes(), &Limits::REQUEST).is_ok()
        })
        .count();
    assert!(accepted > 200, "{accepted} of 1000");
}
