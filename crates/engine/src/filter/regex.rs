//! Regular expressions over decoded strings, in linear time.
//!
//! All expressions are tried at once; only those that match at all are then looked for by themselves. Sizes are bounded
//! when a filter is written: the expressions' programs, and the memory that a search may use.

use std::borrow::Cow;

use ::regex::{RegexBuilder, RegexSet, RegexSetBuilder};
use model::filter::{Action, Regex as Spec};

use super::change::{Said, look_at};
use super::{Finding, Look, Seen};

/// Bytes of one expression's program.
const PROGRAM_BYTES_MAX: usize = 1 << 20;
/// … of all expressions of a filter.
const PROGRAMS_BYTES_MAX: usize = 8 << 20;
/// Bytes that one search may use for what it has learnt.
const CACHE_BYTES_MAX: usize = 2 << 20;
/// Parentheses in one another.
const NEST_MAX: u32 = 50;
/// How often a text is redacted anew: what was taken out can leave behind what matches.
const ROUNDS_MAX: usize = 4;

/// Compiled.
#[derive(Debug)]
pub(super) struct Regex {
    action: Action,
    any: RegexSet,
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    name: String,
    regex: ::regex::Regex,
    redacted: String,
}

impl Regex {
    /// # Errors
    /// An expression that is none, that is too large, or that would match what it leaves behind: the field, and why.
    pub(super) fn compile(spec: &Spec) -> Result<Self, (String, String)> {
        let mut patterns = Vec::with_capacity(spec.patterns.len());
        for (i, pattern) in spec.patterns.iter().enumerate() {
            let fault = |why: String| (format!("spec.regex.patterns[{i}].pattern"), why);
            let regex = RegexBuilder::new(&pattern.pattern)
                .size_limit(PROGRAM_BYTES_MAX)
                .dfa_size_limit(CACHE_BYTES_MAX)
                .nest_limit(NEST_MAX)
                .build()
                .map_err(|error| fault(in_words(&pattern.pattern, &error)))?;
            if regex.is_match("") {
                let why = format!(
                    "{:?} matches the empty text, and so everything",
                    pattern.pattern
                );
                return Err(fault(why));
            }
            let redacted = format!("[redacted:{}]", pattern.name);
            if spec.action == Action::Redact && regex.is_match(&redacted) {
                let why = format!(
                    "{:?} matches what stands in the place of what it finds, {redacted}",
                    pattern.pattern
                );
                return Err(fault(why));
            }
            patterns.push(Pattern {
                name: pattern.name.clone(),
                regex,
                redacted,
            });
        }
        let any = RegexSetBuilder::new(spec.patterns.iter().map(|pattern| &pattern.pattern))
            .size_limit(PROGRAMS_BYTES_MAX)
            .dfa_size_limit(CACHE_BYTES_MAX)
            .nest_limit(NEST_MAX)
            .build()
            .map_err(|error| {
                let why = format!("the patterns together: {}", in_words("", &error));
                ("spec.regex.patterns".to_owned(), why)
            })?;
        Ok(Self {
            action: spec.action,
            any,
            patterns,
        })
    }

    fn first(&self, text: &str) -> Option<&Pattern> {
        let found = self.any.matches(text).iter().next()?;
        self.patterns.get(found)
    }

    /// The text without what matches, and the name of the first pattern that did; `None` where that cannot be had.
    fn redact(&self, text: &str) -> Option<String> {
        let mut redacted = Cow::Borrowed(text);
        for _ in 0..ROUNDS_MAX {
            let found = self.any.matches(&redacted);
            if !found.matched_any() {
                return Some(redacted.into_owned());
            }
            for pattern in found.iter().filter_map(|index| self.patterns.get(index)) {
                let with = ::regex::NoExpand(&pattern.redacted);
                redacted = pattern
                    .regex
                    .replace_all(&redacted, with)
                    .into_owned()
                    .into();
            }
        }
        None
    }
}

impl Look for Regex {
    fn look(&self, seen: &Seen<'_>) -> Finding {
        look_at(seen, |text, _| {
            let Some(pattern) = self.first(text) else {
                return Said::Nothing;
            };
            let refused = || Said::Refuses(format!("matches {:?}", pattern.name));
            if self.action == Action::Refuse {
                return refused();
            }
            let becomes = |text| Said::Becomes(text, pattern.name.clone().into());
            self.redact(text).map_or_else(refused, becomes)
        })
    }
}

/// The error of an expression, on one line.
fn in_words(pattern: &str, error: &::regex::Error) -> String {
    match error {
        ::regex::Error::CompiledTooBig(most) => {
            format!("{pattern:?} is too large once compiled: more than {most} bytes")
        }
        error => {
            let text = error.to_string();
            let last = text.lines().next_back().unwrap_or_default();
            let why = last.trim_start_matches("error: ");
            format!("{pattern:?} is no regular expression that can be used: {why}")
        }
    }
}

#[cfg(test)]
#[path = "regex_tests.rs"]
mod tests;
