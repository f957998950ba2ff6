//! Characters that a reader does not see but a model or a terminal does: bidirectional controls, Unicode tags, runs of
//! zero-width characters and selectors, fillers, ANSI escapes and other control characters.
//!
//! What languages and emoji need is let through: one joiner between letters that are not Latin, one selector behind a
//! character, marks of direction, flags of subdivisions that exist, line breaks and tabs.

use std::borrow::Cow;

use model::filter::{Action, Hidden as Spec};

use super::change::{Said, look_at};
use super::{Finding, Look, Seen};

/// Compiled.
#[derive(Debug)]
pub(super) struct Hidden {
    action: Action,
}

impl Hidden {
    pub(super) fn compile(spec: &Spec) -> Self {
        Self {
            action: spec.action,
        }
    }
}

impl Look for Hidden {
    fn look(&self, seen: &Seen<'_>) -> Finding {
        look_at(seen, |text, _| match (find(text), self.action) {
            (None, _) => Said::Nothing,
            (Some(what), Action::Strip) => Said::Becomes(strip(text).into_owned(), what.into()),
            (Some(what), _) => Said::Refuses(format!("holds {what}")),
        })
    }
}

const BIDI: &str = "bidirectional controls";
const TAGS: &str = "Unicode tags";
const ZERO_WIDTH: &str = "zero-width characters";
const SELECTORS: &str = "a run of variation selectors";
const FILLERS: &str = "invisible fillers";
const ANSI: &str = "ANSI escapes";
const CONTROL: &str = "control characters";

/// Flags that there are (England, Scotland, Wales), as tags behind a black flag.
const FLAGS: [&str; 3] = ["gbeng", "gbsct", "gbwls"];
/// What is hidden where hidden things were, once it is gone; more often nobody does it by mistake.
const ROUNDS_MAX: usize = 4;

/// What is hidden in a text, in words.
pub(super) fn find(text: &str) -> Option<&'static str> {
    if is_plain(text) {
        return None;
    }
    parts(text).find_map(|part| part.hides)
}

/// The text without what is hidden in it.
pub(super) fn strip(text: &str) -> Cow<'_, str> {
    let mut stripped = Cow::Borrowed(text);
    for _ in 0..ROUNDS_MAX {
        if find(&stripped).is_none() {
            return stripped;
        }
        stripped = parts(&stripped)
            .filter(|part| part.hides.is_none())
            .map(|part| part.text)
            .collect::<String>()
            .into();
    }
    stripped
        .chars()
        .filter(|character| !super::fold::is_ignorable(*character) && !is_control(*character))
        .collect::<String>()
        .into()
}

/// Whether a look at the bytes shows that nothing is hidden.
fn is_plain(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r'))
}

/// A stretch of text, and what it hides.
struct Part<'t> {
    text: &'t str,
    hides: Option<&'static str>,
}

/// A text in parts, each hidden as a whole or not at all.
fn parts(text: &str) -> impl Iterator<Item = Part<'_>> {
    let mut at = 0;
    let mut before = None;
    std::iter::from_fn(move || {
        let rest = text.get(at..)?;
        let first = rest.chars().next()?;
        let (length, hides) = match class(first) {
            Class::Seen => (seen_until(rest), None),
            Class::Control => control(rest, first),
            Class::Bidi => (first.len_utf8(), Some(BIDI)),
            Class::Filler => (first.len_utf8(), filler(rest, first, before)),
            Class::Tag => tags(rest, before),
            Class::Selector => run(rest, Class::Selector, SELECTORS, before.is_some()),
            Class::Joiner => {
                let after = rest.chars().nth(1);
                let fits = |c: Option<char>| c.is_some_and(|c| !c.is_ascii());
                let text_start = first == '\u{feff}' && before.is_none();
                run(
                    rest,
                    Class::Joiner,
                    ZERO_WIDTH,
                    text_start || fits(before) || fits(after),
                )
            }
        };
        let part = rest.get(..length)?;
        at += length;
        before = part.chars().next_back();
        Some(Part { text: part, hides })
    })
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum Class {
    Seen,
    Control,
    Bidi,
    Filler,
    Tag,
    Selector,
    /// One may be needed to write a language; several never are.
    Joiner,
}

fn class(character: char) -> Class {
    match character {
        c if is_control(c) => Class::Control,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => Class::Bidi,
        '\u{115f}'
        | '\u{1160}'
        | '\u{3164}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{206a}'..='\u{206f}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{2065}' => Class::Filler,
        '\u{e0000}'..='\u{e00ff}' | '\u{e01f0}'..='\u{e0fff}' => Class::Tag,
        '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' | '\u{180b}'..='\u{180d}' => {
            Class::Selector
        }
        '\u{ad}'
        | '\u{34f}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200d}'
        | '\u{2060}'..='\u{2064}'
        | '\u{feff}' => Class::Joiner,
        _ => Class::Seen,
    }
}

fn is_control(character: char) -> bool {
    character.is_control() && !matches!(character, '\t' | '\n' | '\r' | '\u{c}' | '\u{85}')
}

fn seen_until(rest: &str) -> usize {
    rest.char_indices()
        .find(|(_, character)| class(*character) != Class::Seen)
        .map_or(rest.len(), |(at, _)| at)
}

/// A run of characters of one class: hidden if there are several, or if one does not fit where it stands.
fn run(rest: &str, of: Class, name: &'static str, fits: bool) -> (usize, Option<&'static str>) {
    let length = |rest: &str| -> usize {
        rest.chars()
            .take_while(|character| class(*character) == of)
            .map(char::len_utf8)
            .sum()
    };
    let (all, first) = (length(rest), rest.chars().next().map_or(0, char::len_utf8));
    (all, (all > first || !fits).then_some(name))
}

/// A control character; with ESC, or the one-byte form of `ESC [`, the whole sequence that it begins.
fn control(rest: &str, first: char) -> (usize, Option<&'static str>) {
    let second = rest.chars().nth(1);
    let body = |lead: usize| rest.get(lead..).unwrap_or_default();
    match (first, second) {
        ('\u{1b}', Some('[')) => (2 + csi(body(2)), Some(ANSI)),
        ('\u{9b}', _) => (2 + csi(body(2)), Some(ANSI)),
        ('\u{1b}', Some(']' | 'P' | '_' | '^' | 'X')) => (2 + string(body(2)), Some(ANSI)),
        ('\u{1b}', Some(c @ '0'..='~')) => (1 + c.len_utf8(), Some(ANSI)),
        ('\u{1b}', _) => (1, Some(ANSI)),
        (c, _) => (c.len_utf8(), Some(CONTROL)),
    }
}

/// Parameters and the final byte of a control sequence.
fn csi(body: &str) -> usize {
    let parameters = body
        .bytes()
        .take_while(|byte| matches!(byte, b' '..=b'?'))
        .count();
    let is_final = |byte: &u8| matches!(byte, b'@'..=b'~');
    parameters + usize::from(body.as_bytes().get(parameters).is_some_and(is_final))
}

/// Up to the end of a control string; without an end only what begins it goes.
fn string(body: &str) -> usize {
    const LENGTH_MAX: usize = 2048;
    let ends = body
        .char_indices()
        .take_while(|(at, _)| *at < LENGTH_MAX)
        .find(|(_, c)| matches!(c, '\u{7}' | '\u{9c}' | '\u{1b}'));
    match ends {
        Some((at, '\u{1b}'))
            if body
                .get(at + 1..)
                .is_some_and(|rest| rest.starts_with('\\')) =>
        {
            at + 2
        }
        Some((at, '\u{1b}')) => at,
        Some((at, end)) => at + end.len_utf8(),
        None => 0,
    }
}

/// Tags: hidden but for flags.
fn tags(rest: &str, before: Option<char>) -> (usize, Option<&'static str>) {
    let tagged: String = rest
        .chars()
        .take_while(|character| class(*character) == Class::Tag)
        .collect();
    let flag: Option<String> = tagged
        .strip_suffix('\u{e007f}')
        .unwrap_or_default()
        .chars()
        .map(|character| char::from_u32(u32::from(character).wrapping_sub(0xe0000)))
        .collect();
    let is_flag = before == Some('\u{1f3f4}') && flag.is_some_and(|flag| FLAGS.contains(&&*flag));
    (tagged.len(), (!is_flag).then_some(TAGS))
}

/// A filler: part of a syllable where letters of old Korean stand beside it.
fn filler(rest: &str, first: char, before: Option<char>) -> Option<&'static str> {
    let is_jamo = |c: Option<char>| {
        c.is_some_and(|c| matches!(c, '\u{1100}'..='\u{115e}' | '\u{1161}'..='\u{11ff}'))
    };
    let korean = matches!(first, '\u{115f}' | '\u{1160}')
        && (is_jamo(before) || is_jamo(rest.chars().nth(1)));
    (!korean).then_some(FILLERS)
}

#[cfg(test)]
#[path = "hidden_tests.rs"]
mod tests;
