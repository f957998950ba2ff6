//! One spelling for JSON that means the same: what hashes of messages are made over.
//!
//! After RFC 8785: no blanks, keys sorted, strings with the fewest escapes. But for numbers: they stay as they are
//! spelt. The RFC has them read as doubles, and two integers beyond 2^53 would then be one, which to a server that reads
//! them exactly they are not. Keys are sorted by their UTF-8, which any order would do for.

use crate::edit::quoted;
use crate::span::Span;
use crate::walk;

/// Appends the value at `span` of a text that [`crate::envelope::scan`] has accepted: equal bytes mean equal values.
pub fn write(message: &[u8], span: Span, out: &mut Vec<u8>) {
    let raw = span.of(message);
    match raw.first() {
        Some(b'{') => write_members(message, span, |_| true, out),
        Some(b'[') => {
            out.push(b'[');
            for (index, element) in walk::elements(message, span).enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(message, element, out);
            }
            out.push(b']');
        }
        Some(b'"') => match walk::text(raw) {
            Some(text) => out.extend_from_slice(&quoted(&text)),
            None => out.extend_from_slice(raw),
        },
        _ => out.extend_from_slice(raw),
    }
}

/// The same for the object at `span`, of which `keep` says which keys count.
pub fn write_members(message: &[u8], span: Span, keep: impl Fn(&str) -> bool, out: &mut Vec<u8>) {
    let members = walk::members(message, span);
    let mut members: Vec<_> = members.filter(|member| keep(&member.key)).collect();
    members.sort_by(|a, b| a.key.cmp(&b.key));
    out.push(b'{');
    for (index, member) in members.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&quoted(&member.key));
        out.push(b':');
        write(message, member.value, out);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;
    use serde_json::{Map, Number, Value};

    use super::*;
    use crate::walk::root;

    fn canonical(text: &str) -> String {
        let mut out = Vec::new();
        write(text.as_bytes(), root(text.as_bytes()), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_means_the_same_is_spelt_the_same() {
        let one = r#" { "b" : [ 1 , {"y":true,"x":null} ] , "a" : "\u0041\/\n" } "#;
        let other = r#"{"a":"A/\u000a","b":[1,{"x":null,"\u0079":true}]}"#;
        assert_eq!(canonical(one), canonical(other));
        assert_eq!(
            canonical(one),
            r#"{"a":"A/\n","b":[1,{"x":null,"y":true}]}"#
        );
    }

    #[test]
    fn numbers_that_some_parser_tells_apart_stay_apart() {
        let numbers = [
            "1",
            "1.0",
            "1e0",
            "10e-1",
            "-0",
            "0",
            "9007199254740993",
            "9007199254740992",
        ];
        for a in numbers {
            for b in numbers {
                assert_eq!(canonical(a) == canonical(b), a == b, "{a} {b}");
            }
        }
    }

    #[test]
    fn members_that_do_not_count_are_left_out() {
        let text = br#"{"z":1,"_meta":{"a":2},"b":3}"#;
        let mut out = Vec::new();
        write_members(text, root(text), |key| key != "_meta", &mut out);
        assert_eq!(out, br#"{"b":3,"z":1}"#);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(|n| Value::Number(Number::from(n))),
            any::<String>().prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                prop::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    /// Members the other way round, and blanks wherever they may stand.
    fn respelt(value: &Value) -> String {
        match value {
            Value::Object(members) => {
                let members = members.iter().rev();
                let members: Vec<_> = members
                    .map(|(key, value)| format!(" {} : {}", escaped(key), respelt(value)))
                    .collect();
                format!("{{{}\n}}", members.join(" ,"))
            }
            Value::Array(elements) => {
                let elements: Vec<_> = elements.iter().map(respelt).collect();
                format!("[ {} ]", elements.join("\t,"))
            }
            Value::String(text) => escaped(text),
            other => other.to_string(),
        }
    }

    fn escaped(text: &str) -> String {
        let units: String = text.encode_utf16().map(|u| format!("\\u{u:04x}")).collect();
        format!("\"{units}\"")
    }

    proptest! {
        #[test]
        fn spelling_never_matters_and_meaning_always_does(a in value(), b in value()) {
            prop_assert_eq!(canonical(&a.to_string()), canonical(&respelt(&a)));
            prop_assert_eq!(canonical(&a.to_string()) == canonical(&b.to_string()), a == b);
            prop_assert_eq!(serde_json::from_str::<Value>(&canonical(&respelt(&a))).unwrap(), a);
        }
    }
}
