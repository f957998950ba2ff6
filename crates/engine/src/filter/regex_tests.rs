#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use model::filter::{Direction, Pattern as SpecPattern};
use proptest::prelude::*;

use super::*;

fn spec(action: Action, patterns: &[(&str, &str)]) -> Spec {
    let pattern = |(name, pattern): &(&str, &str)| SpecPattern {
        name: (*name).to_owned(),
        pattern: (*pattern).to_owned(),
    };
    Spec {
        patterns: patterns.iter().map(pattern).collect(),
        action,
    }
}

fn look(spec: &Spec, message: &str) -> Finding {
    let seen = Seen::new(message.as_bytes(), Direction::Request);
    Regex::compile(spec).unwrap().look(&seen)
}

#[test]
fn what_cannot_be_used_is_refused_at_write_with_its_place() {
    let why = |action, pattern: &str| {
        let (path, why) =
            Regex::compile(&spec(action, &[("ok", "x+"), ("p", pattern)])).unwrap_err();
        assert_eq!(path, "spec.regex.patterns[1].pattern");
        why
    };
    assert!(
        why(Action::Refuse, "a(")
            .contains("\"a(\" is no regular expression that can be used: unclosed group")
    );
    assert!(why(Action::Refuse, "(?=x)").contains("look-around"));
    assert!(why(Action::Refuse, "a*").contains("matches the empty text"));
    assert!(why(Action::Refuse, r"\w{1000}{1000}").contains("too large"));
    assert!(
        why(Action::Redact, "redacted").contains("in the place of what it finds, [redacted:p]")
    );
}

#[test]
fn matches_are_refused_or_redacted_and_nothing_else_is_touched() {
    let patterns = [("order", r"ORD-\d+"), ("word", "(?i)verboten")];
    let call = |a: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"t","arguments":{a}}}}}"#
        )
    };
    let (refuse, redact) = (
        spec(Action::Refuse, &patterns),
        spec(Action::Redact, &patterns),
    );
    let message = call(r#"{"z":1.50,"a":"see ORD\u002d7 and ORD-88, $1","b":1e2}"#);
    assert_eq!(
        look(&refuse, &message),
        Finding::Refuses("matches \"order\"".to_owned())
    );
    assert_eq!(
        look(&redact, &message),
        Finding::Changes {
            message: call(
                r#"{"z":1.50,"a":"see [redacted:order] and [redacted:order], $1","b":1e2}"#
            )
            .into_bytes(),
            why: "held order".to_owned(),
        }
    );
    assert_eq!(look(&redact, &call(r#"{"a":"fine"}"#)), Finding::Nothing);
    let key = call(r#"{"VERBOTEN":1}"#);
    assert_eq!(
        look(&redact, &key),
        Finding::Refuses("holds word where nothing may be changed".to_owned())
    );
}

proptest! {
    /// A change leaves a valid message that differs only in free strings, holds no match, and is not changed again.
    #[test]
    fn a_change_is_whole_and_final(texts in prop::collection::vec("[ab1\\[\"\\\\é ]{0,8}", 1..6), number in "[1-9][0-9]{0,30}\\.[0-9]{1,5}") {
        let spec = spec(Action::Redact, &[("one", "a+b"), ("two", "1+")]);
        let members: Vec<String> = texts
            .iter()
            .enumerate()
            .map(|(i, text)| format!("\"k{}\": {}", char::from(b'a' + i as u8), String::from_utf8(mcp::edit::quoted(text)).unwrap()))
            .collect();
        let number = number.replace('1', "2");
        let message = format!(r#"{{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{{"name":"t","arguments":{{{},"n":{number}}}}}}}"#, members.join(" ,"));
        match look(&spec, &message) {
            Finding::Nothing => prop_assert!(!texts.iter().any(|text| text.contains('1') || text.contains("ab"))),
            Finding::Changes { message: changed, .. } => {
                prop_assert!(mcp::envelope::scan(&changed, &mcp::envelope::Limits::REQUEST).is_ok());
                let changed = String::from_utf8(changed).unwrap();
                let skeleton = |text: &str| {
                    let bytes = text.as_bytes();
                    let mut rest = String::new();
                    let mut at = 0;
                    for leaf in crate::filter::places::leaves(bytes).filter(|leaf| leaf.place == crate::filter::places::Place::Free) {
                        rest.push_str(&text[at..leaf.span.start as usize]);
                        at = leaf.span.end as usize;
                    }
                    rest + &text[at..]
                };
                prop_assert_eq!(skeleton(&changed), skeleton(&message));
                prop_assert_eq!(look(&spec, &changed), Finding::Nothing);
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
