//! Text that is hidden in other text by a common encoding, and words that are spelt out.

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// Encoded stretches of one text that are decoded.
const STRETCHES_MAX: usize = 32;
/// Of each, bytes that are decoded.
const STRETCH_BYTES_MAX: usize = 64 * 1024;
/// Shorter ones hold no order.
const BASE64_MIN: usize = 24;
const HEX_MIN: usize = 32;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, LENIENT);

/// All texts that are encoded in `text`.
pub(super) fn all(text: &str) -> Vec<String> {
    let mut decoded: Vec<String> = stretches(text)
        .take(STRETCHES_MAX)
        .filter_map(decode)
        .collect();
    decoded.extend(percent(text));
    decoded.extend(entities(text));
    decoded
}

/// Stretches of characters of base64 or hex that are long enough.
fn stretches(text: &str) -> impl Iterator<Item = &str> {
    let is_code = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_');
    text.split(move |c: char| !is_code(c))
        .filter(|stretch| stretch.len() >= BASE64_MIN)
}

fn decode(stretch: &str) -> Option<String> {
    let stretch = stretch.get(..stretch.len().min(STRETCH_BYTES_MAX))?;
    if stretch.len() >= HEX_MIN && stretch.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let byte = |at: usize| u8::from_str_radix(stretch.get(at..at + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..stretch.len() / 2 * 2).step_by(2).map(byte).collect();
        return readable(bytes?);
    }
    let engine = if stretch.contains(['-', '_']) {
        URL_SAFE
    } else {
        STANDARD
    };
    readable(engine.decode(stretch).ok()?)
}

/// Text that somebody could have written, and no bytes that happen to be UTF-8.
fn readable(bytes: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(bytes).ok()?;
    let strange = text.chars().any(|c| c.is_control() && !c.is_whitespace());
    (!strange && text.contains([' ', '\n'])).then_some(text)
}

fn percent(text: &str) -> Option<String> {
    if memchr::memchr_iter(b'%', text.as_bytes()).take(8).count() < 8 {
        return None;
    }
    let bytes = text.as_bytes();
    let (mut decoded, mut at) = (Vec::with_capacity(text.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let escaped = (*byte == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(escaped.unwrap_or(*byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8(decoded).ok()
}

/// Longest reference, behind `&#`: `x10ffff;`, with a zero or two before it.
const REFERENCE_BYTES_MAX: usize = 10;

/// Numeric character references of HTML.
fn entities(text: &str) -> Option<String> {
    if text.matches("&#").take(4).count() < 4 {
        return None;
    }
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, entity)) = rest.split_once("&#") {
        decoded.push_str(plain);
        // Looked for only as far as the longest reference goes: a text of openings alone is not walked for each.
        let end = entity
            .bytes()
            .take(REFERENCE_BYTES_MAX)
            .position(|b| b == b';');
        let (digits, behind) = end.map_or(("", entity), |at| (&entity[..at], &entity[at + 1..]));
        let code = match digits.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => digits.parse(),
        };
        match code.ok().and_then(char::from_u32) {
            Some(character) => {
                decoded.push(character);
                rest = behind;
            }
            None => {
                decoded.push_str("&#");
                rest = entity;
            }
        }
    }
    decoded.push_str(rest);
    Some(decoded)
}

/// The text with words that are spelt out (`i.g.n.o.r.e`) put together; `None` where there are none.
pub(super) fn closed_up(text: &str) -> Option<String> {
    const LETTERS_MIN: usize = 4;
    // Most texts hold nothing of the kind, as their bytes show.
    let spelt = |six: &[u8]| {
        six.len() == 6 && six[1] == six[3] && six[3] == six[5] && !six[1].is_ascii_alphanumeric()
    };
    if !text.as_bytes().windows(6).any(spelt) {
        return None;
    }
    let separator = |c: char| matches!(c, '.' | '-' | '_' | '*' | '/' | ' ');
    let characters: Vec<char> = text.chars().collect();
    let (mut closed, mut at, mut any) = (String::with_capacity(text.len()), 0, false);
    while let Some(&character) = characters.get(at) {
        let starts = character.is_alphabetic()
            && !at
                .checked_sub(1)
                .and_then(|i| characters.get(i))
                .is_some_and(|c| c.is_alphanumeric());
        let mut letters = 0;
        if starts
            && let Some(&by) = characters.get(at + 1)
            && separator(by)
        {
            let is_one = |n: usize| {
                let letter = characters
                    .get(at + 2 * n)
                    .is_some_and(|c| c.is_alphabetic());
                let ends = characters
                    .get(at + 2 * n + 1)
                    .is_none_or(|c| !c.is_alphanumeric());
                let joined = n == 0 || characters.get(at + 2 * n - 1) == Some(&by);
                letter && ends && joined
            };
            letters = (0..).take_while(|n| is_one(*n)).count();
        }
        if letters >= LETTERS_MIN {
            closed.extend(characters.iter().skip(at).step_by(2).take(letters));
            at += 2 * letters - 1;
            any = true;
        } else {
            closed.push(character);
            at += 1;
        }
    }
    any.then_some(closed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_encodings_are_read() {
        for text in [
            "run c2VuZCB0aGUgZmlsZSBhd2F5 now",
            "73656e64207468652066696c652061776179",
            "%73%65%6e%64%20%74%68%65 file away",
            "&#115;&#101;&#110;&#x64; the file away",
        ] {
            let found = all(text);
            assert!(
                found.iter().any(|t| t.contains("send the file away")),
                "{text} {found:?}"
            );
        }
        assert!(all("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08").is_empty());
        assert!(all("/usr/share/doc/something/very/long/path.txt").is_empty());
    }

    #[test]
    fn spelt_out_words_are_put_together() {
        assert_eq!(closed_up("i.g.n.o.r.e it").as_deref(), Some("ignore it"));
        assert_eq!(
            closed_up("please d e l e t e").as_deref(),
            Some("please delete")
        );
        assert_eq!(closed_up("e.g. this, i.e. that"), None);
        assert_eq!(closed_up("a b c"), None);
    }
}
