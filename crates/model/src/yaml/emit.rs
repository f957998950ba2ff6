//! A small tree of values to YAML and JSON text. Knows no resources.

use std::fmt::Write;

/// A value, its mappings in the order in which they are shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Int(i64),
    Text(String),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

/// Longest list that is written on one line, in bytes.
const LINE_BYTES_MAX: usize = 80;

/// JSON, for `-o json`.
pub(super) fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => entries
            .iter()
            .map(|(key, value)| (key.clone(), json(value)))
            .collect(),
    }
}

/// YAML in block style, ending in a line break; short lists of plain values on one line.
pub(super) fn yaml(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Map(entries) if !entries.is_empty() => map(entries, 0, &mut out),
        other => {
            inline(other, &mut out);
            out.push('\n');
        }
    }
    out
}

fn map(entries: &[(String, Value)], indent: usize, out: &mut String) {
    for (i, (key, value)) in entries.iter().enumerate() {
        if i > 0 {
            pad(indent, out);
        }
        text(key, out);
        out.push(':');
        after_key(value, indent, out);
    }
}

fn after_key(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Map(entries) if !entries.is_empty() => {
            out.push('\n');
            pad(indent + 2, out);
            map(entries, indent + 2, out);
        }
        Value::List(items) if !is_short(items) => {
            out.push('\n');
            for item in items {
                pad(indent + 2, out);
                out.push_str("- ");
                match item {
                    Value::Map(entries) if !entries.is_empty() => map(entries, indent + 4, out),
                    other => {
                        inline(other, out);
                        out.push('\n');
                    }
                }
            }
        }
        other => {
            out.push(' ');
            inline(other, out);
            out.push('\n');
        }
    }
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// Whether a list goes on one line.
fn is_short(items: &[Value]) -> bool {
    let plain = items
        .iter()
        .all(|item| !matches!(item, Value::List(_) | Value::Map(_)));
    let mut line = String::new();
    if plain {
        items.iter().for_each(|item| inline(item, &mut line));
    }
    plain && line.len() + 2 * items.len() <= LINE_BYTES_MAX
}

fn inline(value: &Value, out: &mut String) {
    match value {
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::Text(value) => text(value, out),
        Value::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                inline(item, out);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (i, (key, value)) in entries.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                text(key, out);
                out.push_str(": ");
                inline(value, out);
            }
            out.push('}');
        }
    }
}

fn text(value: &str, out: &mut String) {
    if is_plain(value) {
        out.push_str(value);
    } else {
        quoted(value, out);
    }
}

/// Whether text needs no quotes in any place, under YAML 1.1 as well as 1.2: `no` and `1.0` do.
fn is_plain(value: &str) -> bool {
    let safe = |b: u8| b.is_ascii_alphanumeric() || b"_-./@+=".contains(&b);
    let letter_first = value
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'/' || b == b'_');
    let digit_first = value.bytes().next().is_some_and(|b| b.is_ascii_digit());
    // What begins with a digit is text for sure only where it has two dots or a letter that no number has.
    let not_a_number = value.bytes().filter(|b| *b == b'.').count() >= 2
        || value
            .bytes()
            .any(|b| b.is_ascii_alphabetic() && !b"abcdefxoABCDEFXO".contains(&b));
    let word = value.to_ascii_lowercase();
    let meaning = matches!(
        word.as_str(),
        "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    value.bytes().all(safe) && (letter_first || (digit_first && not_a_number)) && !meaning
}

fn quoted(value: &str, out: &mut String) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if is_shown(c) => out.push(c),
            // Writing to a String does not fail.
            c => drop(write!(out, "\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
}

/// Whether a character may stand in YAML as it is, and is seen by who reads it.
fn is_shown(c: char) -> bool {
    let hidden = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    !c.is_control() && !hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &str) -> String {
        let mut out = String::new();
        text(value, &mut out);
        out
    }

    #[test]
    fn only_text_that_could_be_taken_for_something_else_is_quoted() {
        for plain in [
            "echo",
            "2026.8.31",
            "/usr/bin/x",
            "gatehouse.dev/v1",
            "30s",
            "ana@example.com",
        ] {
            assert_eq!(shown(plain), plain);
        }
        for quoted in [
            "", "no", "1.0", "1e5", "0x10", "0o17", "-x", "*", "a: b", "a #b", "@scope/x", "a b",
            "~", "{", "1.5e10", "1e",
        ] {
            assert_eq!(shown(quoted), format!("\"{quoted}\""));
        }
        assert_eq!(
            shown("a\"\\\u{1b}\u{202e}ä"),
            "\"a\\\"\\\\\\U0000001b\\U0000202eä\""
        );
    }

    #[test]
    fn blocks_are_indented_and_short_lists_are_not() {
        let entry = |key: &str, value| (key.to_owned(), value);
        let words = |n| Value::List(vec![Value::Text("word".to_owned()); n]);
        let inner = Value::Map(vec![entry("c", Value::Int(1)), entry("d", words(2))]);
        let value = Value::Map(vec![
            entry("a", Value::Map(vec![entry("b", Value::Bool(true))])),
            entry("l", Value::List(vec![inner.clone(), inner])),
            entry("e", Value::Map(Vec::new())),
            entry("m", words(20)),
        ]);
        let text = yaml(&value);
        let head = "a:\n  b: true\nl:\n  - c: 1\n    d: [word, word]\n  - c: 1\n    d: [word, word]\ne: {}\nm:\n  - word\n";
        assert!(text.starts_with(head), "{text}");
    }
}
