//! Prompt injection: text that gives orders to the model that reads it, told by how such text is usually put.
//!
//! ```text
//! string -> views: folded; look-alikes as Latin; s.p.a.c.e.d out; base64, hex, %-escapes and entities decoded
//!        -> words that patterns need (one search) -> their patterns -> points of those that stand near each other
//! ```
//!
//! A heuristic: whoever words it differently gets by, and text about injections is taken for one. See docs/filters.md.

mod decode;
mod patterns;

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use model::filter::Injection as Spec;

use super::change::{Said, look_at};
use super::fold::fold;
use super::lookalike::skeleton;
use super::{Finding, Look, Seen};
use patterns::{PATTERNS, Pattern};

/// Points of matches that stand further apart are not added up.
const NEAR_BYTES: usize = 1200;
/// Matches of one pattern that are looked at in one text.
const MATCHES_MAX: usize = 64;

/// Compiled.
#[derive(Debug)]
pub(super) struct Injection {
    threshold: u32,
}

/// What was found in a text: the points, and the pattern that gave most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Score {
    pub(super) points: u32,
    pub(super) name: &'static str,
}

impl Injection {
    /// # Errors
    /// The patterns that are built in cannot be used; the reason.
    pub(super) fn compile(spec: &Spec) -> Result<Self, String> {
        rules()?;
        Ok(Self {
            threshold: spec.threshold,
        })
    }
}

impl Look for Injection {
    fn look(&self, seen: &Seen<'_>) -> Finding {
        look_at(seen, |text, leaf| {
            if leaf.is_bare {
                return Said::Nothing;
            }
            match score(text) {
                Ok(Some(found)) if found.points >= self.threshold => {
                    let Score { name, points } = found;
                    Said::Refuses(format!("reads like {name} ({points} points)"))
                }
                Ok(_) => Said::Nothing,
                Err(why) => Said::Refuses(why),
            }
        })
    }
}

/// What speaks for an injection in `text`; `None`: nothing.
///
/// # Errors
/// See [`Injection::compile`].
pub(super) fn score(text: &str) -> Result<Option<Score>, String> {
    let rules = rules()?;
    let mut best = rules.score(text);
    for decoded in decode::all(text) {
        // That somebody has hidden the text is a point by itself.
        let found = rules.score(&decoded).map(|found| Score {
            points: found.points + 1,
            ..found
        });
        best = best.max_by_points(found);
    }
    Ok(best)
}

trait MaxByPoints {
    fn max_by_points(self, other: Self) -> Self;
}

impl MaxByPoints for Option<Score> {
    fn max_by_points(self, other: Self) -> Self {
        match (self, other) {
            (Some(one), Some(two)) if two.points > one.points => Some(two),
            (Some(one), _) => Some(one),
            (None, other) => other,
        }
    }
}

struct Rules {
    /// Words of which a pattern needs one; each belongs to a pattern by its place in `owner`.
    words: AhoCorasick,
    owner: Vec<usize>,
    patterns: Vec<(&'static Pattern, regex::Regex)>,
}

static RULES: LazyLock<Result<Rules, String>> = LazyLock::new(Rules::new);

fn rules() -> Result<&'static Rules, String> {
    RULES.as_ref().map_err(Clone::clone)
}

impl Rules {
    fn new() -> Result<Self, String> {
        let (mut words, mut owner, mut patterns) = (Vec::new(), Vec::new(), Vec::new());
        for (index, pattern) in PATTERNS.iter().enumerate() {
            for word in pattern.needs {
                words.push(*word);
                owner.push(index);
            }
            let built = regex::RegexBuilder::new(&patterns::written_out(pattern.regex))
                .multi_line(true)
                .ignore_whitespace(true)
                .build()
                .map_err(|error| format!("{}: {error}", pattern.name))?;
            patterns.push((pattern, built));
        }
        let words = AhoCorasick::builder()
            .build(words)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            words,
            owner,
            patterns,
        })
    }

    fn score(&self, text: &str) -> Option<Score> {
        let folded = fold(text);
        let plain = skeleton(&folded);
        let best = self.score_plain(&plain);
        match decode::closed_up(&plain) {
            Some(closed) => best.max_by_points(self.score_plain(&closed)),
            None => best,
        }
    }

    fn score_plain(&self, text: &str) -> Option<Score> {
        let mut wanted = vec![false; self.patterns.len()];
        let mut any = false;
        for found in self.words.find_overlapping_iter(text) {
            if let Some(wants) = self
                .owner
                .get(found.pattern().as_usize())
                .and_then(|index| wanted.get_mut(*index))
            {
                (*wants, any) = (true, true);
            }
        }
        if !any {
            return None;
        }
        let mut matches: Vec<(usize, usize)> = Vec::new();
        for (index, (_, regex)) in self.patterns.iter().enumerate() {
            if wanted.get(index) == Some(&true) {
                let starts = regex.find_iter(text).take(MATCHES_MAX);
                matches.extend(starts.map(|found| (found.start(), index)));
            }
        }
        matches.sort_unstable();
        self.best_window(&matches)
    }

    /// Most points of different patterns within [`NEAR_BYTES`].
    fn best_window(&self, matches: &[(usize, usize)]) -> Option<Score> {
        let mut best: Option<Score> = None;
        for (first, (start, _)) in matches.iter().enumerate() {
            let near = matches
                .iter()
                .skip(first)
                .take_while(|(at, _)| at - start <= NEAR_BYTES);
            let mut counted = vec![false; self.patterns.len()];
            let (mut points, mut most) = (0, (0, ""));
            for (_, index) in near {
                let (Some(seen), Some((pattern, _))) =
                    (counted.get_mut(*index), self.patterns.get(*index))
                else {
                    continue;
                };
                if !std::mem::replace(seen, true) {
                    points += pattern.points;
                    most = most.max((pattern.points, pattern.name));
                }
            }
            best = best.max_by_points(Some(Score {
                points,
                name: most.1,
            }));
        }
        best
    }
}

#[cfg(test)]
#[path = "injection_tests.rs"]
mod tests;
