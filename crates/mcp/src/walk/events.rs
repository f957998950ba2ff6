//! Every bracket, key and scalar of a text, in one pass: for whoever looks at all of it.

use super::{scalar_end, string_end};
use crate::span::Span;

/// One step through a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// `{` at this place.
    Object(u32),
    /// `[` at this place.
    Array(u32),
    /// `}` or `]`.
    Close,
    /// The key of a member, quotes included.
    Key(Span),
    /// A string that is a value, quotes included.
    Text(Span),
    /// A number, `true`, `false` or `null`.
    Scalar(Span),
}

/// All events of a text that [`crate::envelope::scan`] has accepted, in order.
#[must_use]
pub fn events(message: &[u8]) -> Events<'_> {
    Events {
        message,
        at: 0,
        open: 0,
        wants_key: false,
    }
}

/// See [`events`].
#[derive(Debug, Clone)]
pub struct Events<'a> {
    message: &'a [u8],
    at: usize,
    /// One bit for each open container, the innermost lowest: whether it is an object. The scan lets no more be open at
    /// once than there are bits.
    open: u128,
    wants_key: bool,
}

impl Events<'_> {
    fn open(&mut self, is_object: bool) -> u32 {
        let at = self.at as u32;
        self.open = self.open << 1 | u128::from(is_object);
        self.wants_key = is_object;
        self.at += 1;
        at
    }

    fn string(&mut self) -> Option<Event> {
        let open = self.at;
        let (close, _) = string_end(self.message, open)?;
        self.at = close + 1;
        let span = Span::new(open, self.at);
        if std::mem::take(&mut self.wants_key) {
            return Some(Event::Key(span));
        }
        Some(Event::Text(span))
    }
}

impl Iterator for Events<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        loop {
            match self.message.get(self.at)? {
                b' ' | b'\n' | b'\r' | b'\t' | b':' => self.at += 1,
                b',' => {
                    self.wants_key = self.open & 1 == 1;
                    self.at += 1;
                }
                b'"' => return self.string(),
                b'{' => return Some(Event::Object(self.open(true))),
                b'[' => return Some(Event::Array(self.open(false))),
                b'}' | b']' => {
                    self.open >>= 1;
                    self.wants_key = false;
                    self.at += 1;
                    return Some(Event::Close);
                }
                _ => {
                    let start = self.at;
                    self.at = scalar_end(self.message, start);
                    return Some(Event::Scalar(Span::new(start, self.at)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_are_told_apart() {
        let text = br#" {"a":["b",{"c" : "d","e":-1.5e3}, null], "f":"\"}", "g":{} } "#;
        let told: Vec<String> = events(text)
            .map(|event| match event {
                Event::Object(_) => "{".to_owned(),
                Event::Array(_) => "[".to_owned(),
                Event::Close => "end".to_owned(),
                Event::Key(span) => format!("key {}", String::from_utf8_lossy(span.of(text))),
                Event::Text(span) => format!("text {}", String::from_utf8_lossy(span.of(text))),
                Event::Scalar(span) => format!("scalar {}", String::from_utf8_lossy(span.of(text))),
            })
            .collect();
        let wanted = [
            "{",
            "key \"a\"",
            "[",
            "text \"b\"",
            "{",
            "key \"c\"",
            "text \"d\"",
            "key \"e\"",
            "scalar -1.5e3",
            "end",
            "scalar null",
            "end",
            "key \"f\"",
            "text \"\\\"}\"",
            "key \"g\"",
            "{",
            "end",
            "end",
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn what_is_no_json_ends() {
        for text in [&b"\"a"[..], b"}}}]]", b"{\"a", b"\\x", b"{{{{", b",,,\""] {
            assert!(events(text).count() <= text.len());
        }
    }
}
