//! Personal data and secrets in decoded strings and numbers: refused, redacted, or put into tokens.
//!
//! ```text
//! text -> one search for all patterns -> matches of those that hit -> checksums -> the earliest, then the longest
//! ```
//!
//! [`redact`] is for whoever writes text down elsewhere: audit records.

mod checks;
mod detectors;

use std::borrow::Cow;
use std::sync::LazyLock;

use ::regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use aws_lc_rs::hmac;
use model::filter::{Action, Detector, Pii as Spec};
use model::snapshot::Snapshot;

use super::change::{Said, look_at};
use super::{Finding, Look, Seen};

/// How often a text is redacted anew: what was taken out can leave behind what is found.
const ROUNDS_MAX: usize = 4;
/// Letters of a token: four bits each.
const TOKEN_LETTERS: usize = 24;

/// Compiled.
#[derive(Debug)]
pub(super) struct Pii {
    detectors: Detectors,
    action: Action,
    /// For tokens.
    key: Option<hmac::Key>,
}

impl Pii {
    /// # Errors
    /// The secret is not there, or the patterns that are built in cannot be used; the reason.
    pub(super) fn compile(spec: &Spec, snapshot: &Snapshot) -> Result<Self, String> {
        let key = |name: &model::name::SecretName| {
            let secret = snapshot.secrets.get(name.as_str());
            let secret = secret.ok_or_else(|| format!("no secret is named {:?}", name.as_str()))?;
            Ok::<_, String>(hmac::Key::new(
                hmac::HMAC_SHA256,
                secret.value.expose().as_bytes(),
            ))
        };
        Ok(Self {
            detectors: Detectors::compile(&spec.detect)?,
            action: spec.action,
            key: spec.secret.as_ref().map(key).transpose()?,
        })
    }

    fn put(&self, found: &Found<'_>) -> String {
        match &self.key {
            Some(key) => token(key, found),
            None => redacted(found.what),
        }
    }
}

impl Look for Pii {
    fn look(&self, seen: &Seen<'_>) -> Finding {
        look_at(seen, |text, _| {
            let Some(found) = self.detectors.first(text) else {
                return Said::Nothing;
            };
            let what = found.what.as_str();
            let refused = || Said::Refuses(format!("holds {what}"));
            if self.action == Action::Refuse {
                return refused();
            }
            let changed = self.detectors.replace(text, |found| self.put(found));
            changed.map_or_else(refused, |text| Said::Becomes(text, what.into()))
        })
    }
}

/// The text with `[redacted:email]` and the like in the place of all personal data and secrets that can be told.
pub fn redact(text: &str) -> Cow<'_, str> {
    static ALL: LazyLock<Result<Detectors, String>> =
        LazyLock::new(|| Detectors::compile(&Detector::ALL));
    // Where nothing can be told apart nothing is shown.
    let Ok(all) = &*ALL else {
        return "[redacted]".into();
    };
    if all.first(text).is_none() {
        return text.into();
    }
    let replaced = all.replace(text, |found| redacted(found.what));
    replaced.map_or_else(|| "[redacted]".into(), Cow::Owned)
}

/// Something that was found in a text.
#[derive(Debug, Clone, Copy)]
struct Found<'t> {
    what: Detector,
    start: usize,
    text: &'t str,
}

/// What is looked for, compiled.
#[derive(Debug)]
struct Detectors {
    any: RegexSet,
    each: Vec<(&'static detectors::Pattern, Regex)>,
}

impl Detectors {
    fn compile(detect: &[Detector]) -> Result<Self, String> {
        let wanted = || {
            detectors::PATTERNS
                .iter()
                .filter(|pattern| detect.contains(&pattern.what))
        };
        let in_words = |error: ::regex::Error| error.to_string();
        // ASCII classes: what is looked for is ASCII, and the search is faster by far.
        let one = |pattern: &'static detectors::Pattern| {
            let regex = RegexBuilder::new(pattern.regex).unicode(false).build();
            Ok((pattern, regex.map_err(in_words)?))
        };
        Ok(Self {
            any: RegexSetBuilder::new(wanted().map(|pattern| pattern.regex))
                .unicode(false)
                .build()
                .map_err(in_words)?,
            each: wanted().map(one).collect::<Result<_, String>>()?,
        })
    }

    fn first<'t>(&self, text: &'t str) -> Option<Found<'t>> {
        let hit = self.any.matches(text);
        let mut hits = hit.iter().filter_map(|index| self.each.get(index));
        hits.find_map(|(pattern, regex)| matches(pattern, regex, text).next())
    }

    /// The text with something else in the place of all that is found; `None` if after some rounds there is still more.
    fn replace(&self, text: &str, put: impl Fn(&Found<'_>) -> String) -> Option<String> {
        let mut text = text.to_owned();
        for _ in 0..ROUNDS_MAX {
            let mut found = self.all(&text);
            if found.is_empty() {
                return Some(text);
            }
            // The earliest, and of those the longest, which what it overlaps gives way to.
            found.sort_by_key(|found| (found.start, std::cmp::Reverse(found.text.len())));
            let (mut replaced, mut at) = (String::with_capacity(text.len()), 0);
            for found in &found {
                let Some(between) = text.get(at..found.start) else {
                    continue;
                };
                replaced.push_str(between);
                replaced.push_str(&put(found));
                at = found.start + found.text.len();
            }
            replaced.push_str(text.get(at..).unwrap_or_default());
            text = replaced;
        }
        self.all(&text).is_empty().then_some(text)
    }

    fn all<'t>(&self, text: &'t str) -> Vec<Found<'t>> {
        let hit = self.any.matches(text);
        hit.iter()
            .filter_map(|index| self.each.get(index))
            .flat_map(|(pattern, regex)| matches(pattern, regex, text))
            .collect()
    }
}

/// What a pattern finds: its group `v`, where it has one, if the checks agree.
fn matches<'r, 't: 'r>(
    pattern: &'static detectors::Pattern,
    regex: &'r Regex,
    text: &'t str,
) -> impl Iterator<Item = Found<'t>> + 'r {
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(captures) = regex.captures_at(text, at) {
            let whole = captures.get(0)?;
            let next = text.ceil_char_boundary(whole.start() + 1);
            let value = captures.name("v").unwrap_or(whole);
            let found = checked(pattern, text, value.start(), value.as_str());
            at = match &found {
                Some(found) => next.max(found.start + found.text.len()),
                // Digits before a number must not hide it: the true one may begin within what was taken.
                None if pattern.may_overlap() => next,
                None => next.max(whole.end()),
            };
            if found.is_some() {
                return found;
            }
        }
        None
    })
}

/// A match, as far as the checks agree with it: as it is, or cut to the length that such a value has.
fn checked<'t>(
    pattern: &'static detectors::Pattern,
    text: &'t str,
    start: usize,
    value: &'t str,
) -> Option<Found<'t>> {
    let cut = || checks::cut(pattern.what, value);
    let fits = |value: &&str| (pattern.check)(value, text, start);
    let value = Some(value).filter(fits).or_else(|| cut().filter(fits))?;
    Some(Found {
        what: pattern.what,
        start,
        text: value,
    })
}

fn redacted(what: Detector) -> String {
    format!("[redacted:{}]", what.as_str())
}

/// Equal values have equal tokens under one key. Letters only, so that no part of a token is found to be something.
fn token(key: &hmac::Key, found: &Found<'_>) -> String {
    let mut context = hmac::Context::with_key(key);
    context.update(found.what.as_str().as_bytes());
    context.update(&[0]);
    context.update(checks::plain(found.what, found.text).as_bytes());
    let tag = context.sign();
    let letters = tag.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let letters: String = letters
        .take(TOKEN_LETTERS)
        .map(|nibble| char::from(b'a' + nibble))
        .collect();
    format!("[{}#{letters}]", found.what.as_str())
}

#[cfg(test)]
#[path = "pii_tests.rs"]
mod tests;
