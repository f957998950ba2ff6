//! The keys of one object: none may occur twice, none may pass for another.

use std::borrow::Cow;
use std::collections::HashSet;

use super::string::{Text, decode};

/// Up to so many keys are compared one by one; more go into a hash set (seeded at random, so nobody can choose keys
/// that collide). Large enough for all objects of ordinary messages, which so need no allocation.
const FEW: usize = 16;

/// The keys seen so far in one object. Bounded by the nodes a message may have.
pub(super) struct Keys<'a> {
    /// A mark of each key: while no key has escapes, keys whose marks differ are different.
    marks: [u64; FEW],
    few: [Option<Text>; FEW],
    length: usize,
    escaped: bool,
    many: Option<HashSet<Cow<'a, [u8]>>>,
}

impl<'a> Keys<'a> {
    pub(super) fn new() -> Self {
        Self {
            marks: [0; FEW],
            few: [None; FEW],
            length: 0,
            escaped: false,
            many: None,
        }
    }

    /// Takes a key in; false if it was there already, however it was spelt.
    pub(super) fn insert(&mut self, message: &'a [u8], key: Text) -> bool {
        self.escaped |= key.is_escaped();
        let mark = mark(message, key);
        let known = self
            .marks
            .iter()
            .take(self.length)
            .any(|seen| *seen == mark);
        if (known || self.escaped || self.many.is_some()) && !self.is_new(message, key) {
            return false;
        }
        match (
            self.marks.get_mut(self.length),
            self.few.get_mut(self.length),
        ) {
            (Some(last), Some(text)) => {
                (*last, *text) = (mark, Some(key));
                self.length += 1;
            }
            _ => self.insert_many(message, key),
        }
        true
    }

    /// Whether no key reads the same: the comparison behind the marks.
    fn is_new(&self, message: &[u8], key: Text) -> bool {
        match &self.many {
            Some(many) => !many.contains(&*plain(message, key)),
            None => !self
                .few
                .iter()
                .flatten()
                .any(|seen| same(message, *seen, key)),
        }
    }

    fn insert_many(&mut self, message: &'a [u8], key: Text) {
        let few = self.few.iter().flatten().map(|key| plain(message, *key));
        self.many
            .get_or_insert_with(|| few.collect())
            .insert(plain(message, key));
    }
}

/// The last eight bytes of a key, which tell keys apart sooner than the first (think of prefixes), and its length.
/// Equal keys have equal marks.
fn mark(message: &[u8], key: Text) -> u64 {
    let raw = key.of(message);
    let tail = match (
        raw.len(),
        message.get(..key.end()).and_then(<[u8]>::last_chunk),
    ) {
        (8.., Some(tail)) => u64::from_le_bytes(*tail),
        // What stands before the key is shifted out.
        (length @ 1..8, Some(tail)) => u64::from_le_bytes(*tail) >> (64 - 8 * length),
        _ => raw
            .iter()
            .rev()
            .fold(0, |mark, byte| mark << 8 | u64::from(*byte)),
    };
    tail ^ (raw.len() as u64) << 56
}

fn same(message: &[u8], one: Text, other: Text) -> bool {
    if one.is_escaped() || other.is_escaped() {
        plain(message, one) == plain(message, other)
    } else {
        one.of(message) == other.of(message)
    }
}

/// A key as the text it stands for.
pub(super) fn plain(message: &[u8], key: Text) -> Cow<'_, [u8]> {
    let raw = key.of(message);
    if !key.is_escaped() {
        return Cow::Borrowed(raw);
    }
    match decode(raw, true) {
        Some(Cow::Owned(text)) => Cow::Owned(text.into_bytes()),
        _ => Cow::Borrowed(raw),
    }
}

/// The place of `key` in `table`.
pub(super) fn slot(table: &[&'static str], key: &[u8]) -> Option<usize> {
    table.iter().position(|name| name.as_bytes() == key)
}

/// The entry of `table` that a parser which ignores case could take `key` for.
pub(crate) fn look_alike(table: &[&'static str], key: &[u8]) -> Option<&'static str> {
    if key.is_ascii() {
        return table
            .iter()
            .find(|name| name.as_bytes().eq_ignore_ascii_case(key))
            .copied();
    }
    let key = std::str::from_utf8(key).ok()?;
    let folded = |name: &&&'static str| {
        name.chars()
            .map(|c| c.to_ascii_lowercase())
            .eq(key.chars().map(fold))
    };
    table.iter().find(folded).copied()
}

/// A character as parsers that ignore case see it: besides ASCII, the four whose upper or lower case is an ASCII
/// letter.
fn fold(character: char) -> char {
    match character {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        '\u{130}' | '\u{131}' => 'i',
        other => other.to_ascii_lowercase(),
    }
}
