//! What in a text is somebody's own or opens something: addresses of people, cards, keys and tokens.

use std::borrow::Cow;

/// Beginnings of keys and tokens that are known, each with the fewest characters of a whole one.
const KNOWN: [(&str, usize); 16] = [
    ("gh_", 20),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghs_", 20),
    ("github_pat_", 20),
    ("glpat-", 20),
    ("sk-", 20),
    ("sk_live_", 20),
    ("rk_live_", 20),
    ("xoxb-", 20),
    ("xoxp-", 20),
    ("AKIA", 20),
    ("ASIA", 20),
    ("AIza", 30),
    ("eyJ", 30),
    ("npm_", 20),
];
/// A run of letters and digits that is as long as this, and mixed, is taken for a key.
const KEY_CHARS_MIN: usize = 32;
/// Digits of a card.
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// The text without what it should not be kept with.
pub(super) fn redact(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut kept = 0;
    for (start, word) in words(text) {
        let Some(instead) = instead_of(word) else {
            continue;
        };
        out.push_str(&text[kept..start]);
        out.push_str(instead);
        kept = start + word.len();
    }
    let without_cards = if kept == 0 {
        Cow::Borrowed(text)
    } else {
        out.push_str(&text[kept..]);
        Cow::Owned(out)
    };
    match cards(&without_cards) {
        Some(redacted) => Cow::Owned(redacted),
        None => without_cards,
    }
}

/// Whether what stands under this name is a secret, whatever it looks like.
pub(super) fn is_secrets_name(name: &str) -> bool {
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

/// Runs of what can stand in an address or a key, with their places.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |c: char| c.is_alphanumeric() || "@._%+-/=~".contains(c);
    text.split(move |c: char| !is_part(c))
        .filter(|word| !word.is_empty())
        .map(|word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

fn instead_of(word: &str) -> Option<&'static str> {
    if is_address(word) {
        return Some("[email]");
    }
    // `token=…` and `/path/…` are looked at part by part.
    let parts = word.split(['=', '/', '@']);
    parts.into_iter().any(is_key).then_some("[secret]")
}

fn is_address(word: &str) -> bool {
    let Some((name, host)) = word.split_once('@') else {
        return false;
    };
    let host = host.trim_end_matches('.');
    !name.is_empty()
        && host.contains('.')
        && host.split('.').all(|label| !label.is_empty())
        && !host.contains('@')
}

fn is_key(part: &str) -> bool {
    let known = |(begin, least): &(&str, usize)| part.starts_with(begin) && part.len() >= *least;
    if KNOWN.iter().any(known) {
        return true;
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '+';
    let has = |kind: fn(&char) -> bool| part.chars().any(|c| kind(&c));
    part.len() >= KEY_CHARS_MIN
        && part.chars().all(is_plain)
        && has(char::is_ascii_digit)
        && has(char::is_ascii_alphabetic)
}

/// The text with cards' numbers replaced, also where they are written in groups. `None`: it has none.
fn cards(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut kept = 0;
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let end = run_end(bytes, at);
        let digits: Vec<u8> = bytes[at..end]
            .iter()
            .filter(|b| b.is_ascii_digit())
            .map(|b| b - b'0')
            .collect();
        if CARD_DIGITS.contains(&digits.len()) && adds_up(&digits) {
            out.push_str(&text[kept..at]);
            out.push_str("[card]");
            kept = end;
        }
        at = end;
    }
    (kept > 0).then(|| out + &text[kept..])
}

/// The end of a run of digits, single spaces and hyphens between them included.
fn run_end(bytes: &[u8], start: usize) -> usize {
    let mut end = start;
    loop {
        while bytes.get(end).is_some_and(u8::is_ascii_digit) {
            end += 1;
        }
        let is_joined = matches!(bytes.get(end), Some(b' ' | b'-'));
        if !is_joined || !bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
            return end;
        }
        end += 1;
    }
}

/// The check digit of cards (ISO/IEC 7812).
fn adds_up(digits: &[u8]) -> bool {
    let value = |(place, digit): (usize, &u8)| {
        let doubled = u32::from(*digit) << (place % 2);
        doubled / 10 + doubled % 10
    };
    let sum: u32 = digits.iter().rev().enumerate().map(value).sum();
    sum > 0 && sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_somebodys_is_found() {
        for (text, redacted) in [
            ("to ana.maria@example.com, now", "to [email], now"),
            ("card 4111 1111 1111 1111.", "card [card]."),
            ("4111-1111-1111-1111", "[card]"),
            (
                "Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.x",
                "Bearer [secret]",
            ),
            ("token=ghp_0123456789abcdefghij", "[secret]"),
            ("key AKIAIOSFODNN7EXAMPLE!", "key [secret]!"),
            ("0123456789abcdef0123456789abcdef", "[secret]"),
        ] {
            assert_eq!(redact(text), redacted);
        }
    }

    #[test]
    fn what_is_nobodys_stays() {
        for text in [
            "",
            "a fine day",
            "2026-11-27T18:00:00Z",
            "order 1234567890123456",
            "0198a7c2-1111-7222-8333-444455556666",
            "/usr/share/doc/some-rather-long-name-of-a-file/README.md",
            "thisisaverylongwordwithoutanydigitsinitatall",
            "@handle and a@b",
            "é@ü",
        ] {
            assert!(matches!(redact(text), Cow::Borrowed(_)), "{text}");
        }
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
}
