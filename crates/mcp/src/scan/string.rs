//! Strings: the check, eight bytes at a time, and the decoding of those that have escapes.

use std::borrow::Cow;
use std::num::NonZeroU64;

use super::{ScanFault, Scanner, Shape, Stop};

/// The inside of a string, without its quotes: start, length and whether it has escapes, in one word, so that it
/// travels in a register. The start is never 0, as a quote stands before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text(NonZeroU64);

/// A string as long as a message may ever be fits beside the flag.
pub(super) const MESSAGE_BYTES_MAX: usize = (1 << 31) - 1;

impl Text {
    fn new(start: usize, end: usize, escaped: bool) -> Self {
        let word = (start as u64) << 32 | ((end - start) as u64) << 1 | u64::from(escaped);
        Self(NonZeroU64::new(word).unwrap_or(NonZeroU64::MIN))
    }

    /// The raw bytes in `message`.
    pub(crate) fn of(self, message: &[u8]) -> &[u8] {
        let word = self.0.get();
        let (start, length) = ((word >> 32) as usize, (word as u32 >> 1) as usize);
        message.get(start..start + length).unwrap_or_default()
    }

    /// The place of the closing quote.
    pub(super) fn end(self) -> usize {
        let word = self.0.get();
        (word >> 32) as usize + (word as u32 >> 1) as usize
    }

    pub(crate) fn is_escaped(self) -> bool {
        self.0.get() & 1 == 1
    }

    pub(super) fn shape(self) -> Shape {
        if self.is_escaped() {
            Shape::Escaped
        } else {
            Shape::Plain
        }
    }
}

const ONES: u64 = u64::from_ne_bytes([1; 8]);
pub(super) const HIGH: u64 = ONES << 7;

/// The high bit of each byte of `word` at which the fast loop must stop: quote, backslash, control character, and,
/// while `wide` asks for it, anything beyond ASCII. Only the lowest bit set is exact; no more is used.
pub(super) fn stops(word: u64, wide: u64) -> u64 {
    let zero = |w: u64| w.wrapping_sub(ONES) & !w;
    let quote = zero(word ^ (ONES * b'"' as u64));
    let slash = zero(word ^ (ONES * b'\\' as u64));
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    ((quote | slash | control) & HIGH) | (word & wide)
}

impl Scanner<'_> {
    /// A string, the opening quote at `at`.
    pub(super) fn string(&mut self) -> Result<Text, Stop> {
        let start = self.at + 1;
        let mut at = start;
        let mut wide = HIGH;
        let mut wide_at = None;
        let mut escaped = false;
        loop {
            while let Some(chunk) = self.bytes.get(at..).and_then(<[u8]>::first_chunk) {
                let found = stops(u64::from_le_bytes(*chunk), wide);
                if found != 0 {
                    at += found.trailing_zeros() as usize / 8;
                    break;
                }
                at += 8;
            }
            match self.bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at = self.escape(at)?;
                }
                Some(0..=0x1f) => return self.fail(ScanFault::Control, at),
                Some(0x80..) => {
                    // From here on the string is checked as UTF-8 once its end is known.
                    wide = 0;
                    wide_at.get_or_insert(at);
                    at += 1;
                }
                Some(_) => at += 1,
                None => return self.fail(ScanFault::End, at),
            }
        }
        if let Some(from) = wide_at
            && let Err(error) = std::str::from_utf8(self.bytes.get(from..at).unwrap_or_default())
        {
            return self.fail(ScanFault::Utf8, from + error.valid_up_to());
        }
        self.at = at + 1;
        Ok(Text::new(start, at, escaped))
    }

    /// Checks the escape whose backslash is at `at`; returns the place behind it. A surrogate pair is one escape.
    fn escape(&mut self, at: usize) -> Result<usize, Stop> {
        match self.bytes.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
            Some(b'u') => match unit(self.bytes, at) {
                Some(0xd800..=0xdbff) => match unit(self.bytes, at + 6) {
                    Some(0xdc00..=0xdfff) => Ok(at + 12),
                    _ => self.fail(ScanFault::LoneSurrogate, at),
                },
                Some(0xdc00..=0xdfff) => self.fail(ScanFault::LoneSurrogate, at),
                Some(_) => Ok(at + 6),
                None => self.fail(ScanFault::Escape, at),
            },
            _ => self.fail(ScanFault::Escape, at),
        }
    }
}

/// The UTF-16 unit of the `\uXXXX` at `at`.
fn unit(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| {
        Some(unit << 4 | char::from(*digit).to_digit(16)?)
    })
}

/// The text of a string, given without its quotes; `None` if it is no valid JSON string.
pub(crate) fn decode(raw: &[u8], escaped: bool) -> Option<Cow<'_, str>> {
    let text = std::str::from_utf8(raw).ok()?;
    if !escaped {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        decoded.push_str(plain);
        let (character, length) = decode_escape(escape)?;
        decoded.push(character);
        rest = escape.get(length..)?;
    }
    decoded.push_str(rest);
    Some(Cow::Owned(decoded))
}

/// The character an escape stands for, and its length, both without the backslash.
fn decode_escape(escape: &str) -> Option<(char, usize)> {
    let character = match escape.as_bytes().first()? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return decode_unit(escape),
        &byte @ (b'"' | b'\\' | b'/') => char::from(byte),
        _ => return None,
    };
    Some((character, 1))
}

fn decode_unit(escape: &str) -> Option<(char, usize)> {
    let hex = |from: usize| u16::from_str_radix(escape.get(from..from + 4)?, 16).ok();
    let high = hex(1)?;
    if let Some(character) = char::from_u32(high.into()) {
        return Some((character, 5));
    }
    let low = if escape.get(5..7)? == "\\u" {
        hex(7)?
    } else {
        return None;
    };
    let character = char::decode_utf16([high, low]).next()?.ok()?;
    Some((character, 11))
}

/// The closing quote of the string whose opening quote is at `open`, and whether there is an escape in between.
pub(crate) fn string_end(bytes: &[u8], open: usize) -> Option<(usize, bool)> {
    let mut at = open + 1;
    let mut escaped = false;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes.get(at) == Some(&b'"') {
            return Some((at, escaped));
        }
        escaped = true;
        at += 2;
    }
}

/// Every string of a JSON text, keys and values alike, decoded, in order. For filters that look at text.
///
/// `message` must have been scanned; in anything else the iteration may end early or yield nonsense, but does not
/// panic.
#[must_use]
pub fn strings(message: &[u8]) -> Strings<'_> {
    Strings { message, at: 0 }
}

/// See [`strings`].
#[derive(Debug, Clone)]
pub struct Strings<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Strings<'a> {
    type Item = Cow<'a, str>;

    fn next(&mut self) -> Option<Self::Item> {
        let open = self.at + memchr::memchr(b'"', self.message.get(self.at..)?)?;
        let (close, escaped) = string_end(self.message, open)?;
        self.at = close + 1;
        decode(self.message.get(open + 1..close)?, escaped)
    }
}
