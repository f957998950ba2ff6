//! The arguments of a call as whoever decides sees them: what looks like a secret is left out, and no more than fits on
//! a page. What is agreed to is bound by hash, not by this text.

use mcp::envelope::Span;
use mcp::{edit, walk};

use crate::call::Call;

/// Longest text, bytes.
pub const BYTES_MAX: usize = 8 << 10;
/// Stands in the place of what is left out.
const LEFT_OUT: &[u8] = br#""[left out]""#;
/// A member whose key holds one of these, written in lower case without `-` and `_`, is left out.
const SECRETS: [&str; 9] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "authorization",
    "credential",
    "privatekey",
];
/// Members of parameters that are no arguments.
const NOT_SHOWN: [&str; 3] = ["_meta", "name", "uri"];

/// The arguments as JSON, and whether they were cut: of a call that has none so called, all its other parameters.
pub fn arguments(call: &Call<'_>) -> (String, bool) {
    let mut out = Vec::new();
    match (call.message.arguments, call.message.params) {
        // What is beside them counts as well: answers that are brought along, say.
        (_, Some(params)) if has_more(call, params) => {
            members(call.body, params, &NOT_SHOWN, &mut out);
        }
        (Some(arguments), _) => value(call.body, arguments, &mut out),
        _ => {}
    }
    let text = String::from_utf8_lossy(&out);
    let cut = &text[..text.floor_char_boundary(BYTES_MAX)];
    (cut.to_owned(), cut.len() < text.len())
}

fn has_more(call: &Call<'_>, params: Span) -> bool {
    walk::members(call.body, params)
        .any(|member| member.key != "arguments" && !NOT_SHOWN.contains(&&*member.key))
}

fn value(message: &[u8], span: Span, out: &mut Vec<u8>) {
    // What comes after is not shown, so it is not written either.
    if out.len() > BYTES_MAX {
        return;
    }
    let raw = span.of(message);
    match raw.first() {
        Some(b'{') => members(message, span, &[], out),
        Some(b'[') => {
            out.push(b'[');
            for (index, element) in walk::elements(message, span).enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                value(message, element, out);
            }
            out.push(b']');
        }
        _ => out.extend_from_slice(raw),
    }
}

fn members(message: &[u8], span: Span, without: &[&str], out: &mut Vec<u8>) {
    out.push(b'{');
    let shown = walk::members(message, span).filter(|member| !without.contains(&&*member.key));
    for (index, member) in shown.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&edit::quoted(&member.key));
        out.push(b':');
        if is_secret(&member.key) {
            out.extend_from_slice(LEFT_OUT);
        } else {
            value(message, member.value, out);
        }
    }
    out.push(b'}');
}

fn is_secret(key: &str) -> bool {
    let letters = key.chars().filter(|c| !matches!(c, '-' | '_'));
    let key: String = letters.flat_map(char::to_lowercase).collect();
    SECRETS.iter().any(|secret| key.contains(secret))
}

#[cfg(test)]
mod tests {
    use mcp::walk::root;

    use super::*;

    fn shown(text: &str) -> String {
        let mut out = Vec::new();
        value(text.as_bytes(), root(text.as_bytes()), &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn secrets_are_left_out_at_any_depth() {
        let text = r#"{ "to":"bo", "auth":[{"API_Key":"x","api-token":{"a":1}}], "n": 1.50 }"#;
        assert_eq!(
            shown(text),
            r#"{"to":"bo","auth":[{"API_Key":"[left out]","api-token":"[left out]"}],"n":1.50}"#
        );
    }

    #[test]
    fn what_is_beyond_the_page_is_not_written() {
        let text = format!("[{}1]", "\"xxxxxxxxxxxxxxxx\",".repeat(10_000));
        assert!(shown(&text).len() < BYTES_MAX + 32 * 1024);
    }
}
