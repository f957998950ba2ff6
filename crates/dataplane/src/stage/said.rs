//! What is put on record of what was said in a call, where a rule asks for it: redacted, and cut.
//!
//! Texts are redacted as they are read, not as they are written: an escape hides nothing. A number that is somebody's
//! (a card's, say) becomes a text, and so does what stands under a key such as `password`. Everything else of the JSON
//! stays as it came.

use std::borrow::Cow;

use mcp::envelope::{self, Limits};
use mcp::{edit, walk};

/// Most bytes that are kept.
const KEPT_BYTES_MAX: usize = 16 * 1024;
/// What stands in the place of what a key calls a secret.
const SECRET: &str = "[secret]";
/// Most bytes that are looked through: of what is longer nothing is kept, as only what was looked through may be.
const LOOKED_BYTES_MAX: usize = 256 * 1024;

/// What is kept.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// JSON; only its beginning where it is cut.
    pub(super) text: String,
    /// Whether something is left out.
    pub(super) cut: bool,
    /// Whether something was redacted.
    pub(super) redacted: bool,
}

/// A reply that goes by, of which the result is to be kept.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    heard: Vec<u8>,
    is_too_long: bool,
}

impl Hearing {
    /// One more piece of it.
    pub(super) fn heard(&mut self, piece: &[u8]) {
        if self.is_too_long {
            return;
        }
        if self.heard.len() + piece.len() > LOOKED_BYTES_MAX {
            self.is_too_long = true;
            self.heard = Vec::new();
            return;
        }
        self.heard.extend_from_slice(piece);
    }

    /// The result, once all is heard. `None`: there is none.
    pub(super) fn result(self) -> Option<Kept> {
        if self.is_too_long {
            return Some(Kept {
                cut: true,
                ..Kept::default()
            });
        }
        let message = envelope::scan(&self.heard, &Limits::RESPONSE).ok()?;
        message.result.map(|span| redacted(span.of(&self.heard)))
    }
}

/// What may be kept of `json`, which the strict scan has accepted.
pub(super) fn redacted(json: &[u8]) -> Kept {
    if json.len() > LOOKED_BYTES_MAX {
        return Kept {
            cut: true,
            ..Kept::default()
        };
    }
    let mut out: Vec<u8> = Vec::with_capacity(json.len());
    let mut redacted = false;
    let mut rest = json;
    let mut secret = Secret::default();
    while let Some(token) = next(rest) {
        rest = &rest[token.len()..];
        let is_key = token[0] == b'"' && rest.trim_ascii_start().first() == Some(&b':');
        let text = match is_value(token) {
            true if secret.hides() && !is_key => Some(SECRET.to_owned()),
            true => in_place_of(token),
            false => None,
        };
        match text {
            Some(text) => {
                redacted = true;
                out.extend_from_slice(&edit::quoted(&text));
            }
            None => out.extend_from_slice(token),
        }
        if is_key {
            secret.key(token);
        } else if is_value(token) {
            secret.is_next = false;
        } else {
            secret.between(token);
        }
    }
    let mut text = String::from_utf8_lossy(&out).into_owned();
    let cut = text.len() > KEPT_BYTES_MAX;
    if cut {
        text.truncate(text.floor_char_boundary(KEPT_BYTES_MAX));
    }
    Kept {
        text,
        cut,
        redacted,
    }
}

/// Whether what is read stands under a key that calls it a secret: itself, or in a list or an object there.
#[derive(Debug, Default)]
struct Secret {
    /// The next value is one.
    is_next: bool,
    /// Brackets that are open since such a key.
    open: usize,
}

impl Secret {
    fn hides(&self) -> bool {
        self.is_next || self.open > 0
    }

    fn key(&mut self, token: &[u8]) {
        if self.open == 0 {
            self.is_next = walk::text(token).is_some_and(|key| is_secrets_name(&key));
        }
    }

    /// What stands between strings and numbers: brackets, commas, colons, and the literals.
    fn between(&mut self, token: &[u8]) {
        for byte in token {
            match byte {
                b'[' | b'{' if self.hides() => {
                    self.open += 1;
                    self.is_next = false;
                }
                b']' | b'}' => self.open = self.open.saturating_sub(1),
                b':' | b' ' | b'\t' | b'\r' | b'\n' => {}
                // A literal, or the end of one value.
                _ => self.is_next = false,
            }
        }
    }
}

/// The text that stands in the place of a string or number; `None`: it may stay.
fn in_place_of(token: &[u8]) -> Option<String> {
    let read = match token.first()? {
        b'"' => walk::text(token)?,
        b'-' | b'0'..=b'9' => Cow::Borrowed(std::str::from_utf8(token).ok()?),
        _ => return None,
    };
    match engine::filter::pii::redact(&read) {
        Cow::Borrowed(_) => None,
        Cow::Owned(text) => (text != *read).then_some(text),
    }
}

/// Whether a token is a string or a number.
fn is_value(token: &[u8]) -> bool {
    matches!(token.first(), Some(b'"' | b'-' | b'0'..=b'9'))
}

/// Whether what stands under this name is a secret, whatever it looks like.
fn is_secrets_name(name: &str) -> bool {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    let name: String = letters.map(|c| c.to_ascii_lowercase()).collect();
    [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "apikey",
        "authorization",
        "privatekey",
    ]
    .iter()
    .any(|word| name.contains(word))
        || name.ends_with("token")
}

/// The string, the number, or the run of anything else that `json` begins with.
fn next(json: &[u8]) -> Option<&[u8]> {
    let is_number = |b: &u8| matches!(b, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
    let begins = |b: &u8| matches!(b, b'"' | b'-' | b'0'..=b'9');
    let end = match json.first()? {
        b'"' => string_end(json),
        first if begins(first) => json.iter().position(|b| !is_number(b)),
        _ => json.iter().position(begins),
    };
    Some(&json[..end.unwrap_or(json.len())])
}

/// The place behind the closing quote.
fn string_end(json: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', json.get(at..)?)?;
        if json[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use serde_json::{Value, json};

    fn kept(value: &Value) -> Kept {
        redacted(value.to_string().as_bytes())
    }

    #[test]
    fn what_is_nobodys_stays_as_it_came() {
        let text = r#"{ "a": [1.50, -3e5, true, null], "b\"c": "x\\y \u00e9", "n": 12345678901234567890123 }"#;
        let kept = redacted(text.as_bytes());
        assert_eq!(
            (kept.text.as_str(), kept.cut, kept.redacted),
            (text, false, false)
        );
    }

    #[test]
    fn secrets_are_found_in_keys_values_escapes_and_numbers() {
        let card = "4111111111111111";
        let escaped: String = card
            .chars()
            .map(|c| format!("\\u{:04x}", u32::from(c)))
            .collect();
        let texts = [
            json!({"pay": {"with": [format!("card {card}")]}}).to_string(),
            json!({(format!("ana.maria@example.com")): 1}).to_string(),
            format!(r#"{{"card": {card}}}"#),
            format!(r#"{{"card": "{escaped}"}}"#),
        ];
        for text in texts {
            let kept = redacted(text.as_bytes());
            assert!(kept.redacted && !kept.cut, "{text}: {kept:?}");
            assert!(
                !kept.text.contains(card) && !kept.text.contains("ana.maria"),
                "{kept:?}"
            );
            serde_json::from_str::<Value>(&kept.text).unwrap();
        }
    }

    #[test]
    fn what_a_key_calls_a_secret_is_one_and_what_comes_after_it_is_not() {
        let kept =
            redacted(br#"{"apiKey" : "abc", "pin": 1, "x": {"Password": 12345}, "list": ["abc"]}"#);
        let expected =
            r#"{"apiKey" : "[secret]", "pin": 1, "x": {"Password": "[secret]"}, "list": ["abc"]}"#;
        assert_eq!(kept.text, expected);
        let nested = redacted(br#"{"token": {"a": "b"}, "secret": ["c"], "password": null}"#);
        assert!(nested.text.contains(r#""a": "[secret]""#), "{nested:?}");
    }

    #[test]
    fn names_of_secrets_are_known_in_every_spelling() {
        for name in [
            "password",
            "API-Key",
            "client_secret",
            "accessToken",
            "Authorization",
        ] {
            assert!(is_secrets_name(name), "{name}");
        }
        for name in ["name", "tokens_max", "message"] {
            assert!(!is_secrets_name(name), "{name}");
        }
    }

    #[test]
    fn what_is_long_is_cut_after_it_was_redacted_and_what_is_longer_is_left_out() {
        let long = kept(&json!({"a": "ä".repeat(20_000), "mail": "ana.maria@example.com"}));
        assert!(long.cut && long.redacted && long.text.len() <= KEPT_BYTES_MAX);
        // The address stands across the place of the cut.
        let padding = "x ".repeat((KEPT_BYTES_MAX - 10) / 2);
        let across = kept(&json!({"a": format!("{padding}ana.maria@example.com")}));
        assert!(
            across.cut && !across.text.contains("ana.maria"),
            "{across:?}"
        );
        let longer = kept(&json!("x".repeat(LOOKED_BYTES_MAX)));
        assert_eq!((longer.text.as_str(), longer.cut), ("", true));
    }

    #[test]
    fn a_result_is_heard_in_pieces() {
        let reply = br#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;
        let mut hearing = Hearing::default();
        reply.chunks(7).for_each(|piece| hearing.heard(piece));
        assert_eq!(hearing.result().unwrap().text, r#"{"content":[]}"#);
        let mut error = Hearing::default();
        error.heard(br#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no"}}"#);
        assert_eq!(error.result(), None);
        let mut long = Hearing::default();
        (0..40).for_each(|_| long.heard(&[b' '; 8192]));
        assert_eq!(long.result().map(|kept| kept.cut), Some(true));
    }
}
