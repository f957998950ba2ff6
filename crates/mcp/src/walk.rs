//! Steps through the members and elements of a text that [`crate::envelope::scan`] has accepted.
//!
//! For the few places that look deeper than the envelope does: lists, bridges, edits. Nothing is checked again; in
//! a text that was not scanned the steps may end early or make no sense, but do not panic.

mod events;

use std::borrow::Cow;

use crate::scan::{decode, string_end};
use crate::span::Span;
pub use events::{Event, Events, events};

/// A member of an object.
#[derive(Debug, Clone)]
pub struct Member<'a> {
    /// The key, decoded.
    pub key: Cow<'a, str>,
    /// From the key's opening quote to the end of the value.
    pub span: Span,
    /// The value.
    pub value: Span,
}

/// The members of the object at `object`; none if there is something else.
#[must_use]
pub fn members(message: &[u8], object: Span) -> Members<'_> {
    Members {
        message,
        at: inside(message, object, b'{'),
        end: object.end as usize,
    }
}

/// The elements of the array at `array`; none if there is something else.
#[must_use]
pub fn elements(message: &[u8], array: Span) -> Elements<'_> {
    Elements {
        message,
        at: inside(message, array, b'['),
        end: array.end as usize,
    }
}

/// The value of `key` in the object at `object`.
#[must_use]
pub fn find(message: &[u8], object: Span, key: &str) -> Option<Span> {
    members(message, object)
        .find(|member| member.key == key)
        .map(|member| member.value)
}

/// The text of a raw JSON string, quotes included; `None` if it is no string.
#[must_use]
pub fn text(raw: &[u8]) -> Option<Cow<'_, str>> {
    let inside = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    decode(inside, memchr::memchr(b'\\', inside).is_some())
}

/// The span of the one value that `text`, a whole JSON text, consists of.
#[must_use]
pub fn root(text: &[u8]) -> Span {
    let start = blank(text, 0);
    Span::new(start, skip(text, start).unwrap_or(start))
}

/// See [`members`].
#[derive(Debug, Clone)]
pub struct Members<'a> {
    message: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        let open = item(self.message, self.at, self.end)?;
        let (close, escaped) = string_end(self.message, open)?;
        let key = decode(self.message.get(open + 1..close)?, escaped)?;
        let value = blank(self.message, blank(self.message, close + 1) + 1);
        let end = skip(self.message, value)?;
        self.at = end;
        Some(Member {
            key,
            span: Span::new(open, end),
            value: Span::new(value, end),
        })
    }
}

/// See [`elements`].
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    message: &'a [u8],
    at: usize,
    end: usize,
}

impl Iterator for Elements<'_> {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        let start = item(self.message, self.at, self.end)?;
        let end = skip(self.message, start)?;
        self.at = end;
        Some(Span::new(start, end))
    }
}

/// The place behind the opening bracket; beyond everything if there is none.
fn inside(message: &[u8], container: Span, bracket: u8) -> usize {
    let start = container.start as usize;
    if message.get(start) == Some(&bracket) {
        start + 1
    } else {
        usize::MAX
    }
}

/// The place of the next item, behind blanks and a comma; `None` at the closing bracket.
fn item(message: &[u8], at: usize, end: usize) -> Option<usize> {
    let mut at = blank(message, at);
    if message.get(at)? == &b',' {
        at = blank(message, at + 1);
    }
    (at < end && !matches!(message.get(at)?, b'}' | b']')).then_some(at)
}

fn blank(message: &[u8], mut at: usize) -> usize {
    while matches!(message.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// The place behind the value that begins at `start`.
fn skip(message: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = start;
    loop {
        match message.get(at)? {
            b'"' => at = string_end(message, at)?.0,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            _ if depth == 0 => return Some(scalar_end(message, at)),
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

fn scalar_end(message: &[u8], start: usize) -> usize {
    let rest = message.get(start..).unwrap_or_default();
    let length = rest
        .iter()
        .position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.')));
    // At least one byte, so that whoever steps through a text always gets on.
    start + length.unwrap_or(rest.len()).max(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const TEXT: &[u8] = br#" { "a" : [1, "x]\"}", {"b":{}} , -2.5e+3] ,"\u0062":true, "c":{ } } "#;

    #[test]
    fn members_come_in_order_with_decoded_keys() {
        let found: Vec<_> = members(TEXT, root(TEXT))
            .map(|m| (m.key.into_owned(), m.value.of(TEXT).to_vec()))
            .collect();
        let keys: Vec<_> = found.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["a", "b", "c"]);
        assert_eq!(found[1].1, b"true");
        assert_eq!(found[2].1, b"{ }");
    }

    #[test]
    fn elements_are_whole_values() {
        let array = find(TEXT, root(TEXT), "a").unwrap();
        let found: Vec<_> = elements(TEXT, array).map(|span| span.of(TEXT)).collect();
        assert_eq!(
            found,
            [&b"1"[..], br#""x]\"}""#, br#"{"b":{}}"#, b"-2.5e+3"]
        );
    }

    #[test]
    fn the_wrong_kind_has_no_items() {
        assert_eq!(members(b"[1]", root(b"[1]")).count(), 0);
        assert_eq!(elements(b"{}", root(b"{}")).count(), 0);
        assert_eq!(members(b"{ }", root(b"{ }")).count(), 0);
    }

    #[test]
    fn texts_are_decoded_and_nothing_else_is() {
        assert_eq!(text(br#""a\u00e9\ud83d\ude00\n""#).unwrap(), "aé😀\n");
        assert_eq!(text(b"12"), None);
        assert_eq!(text(b"\""), None);
        assert_eq!(text(br#""\ud800""#), None);
    }
}
