//! Keywords: whether one of some words stands anywhere in a message's strings.
//!
//! Strings are keys and values, decoded. With `fold`, word and text are compared as [`super::fold`] folds them: without
//! regard to case, to compatibility forms and to characters that nobody sees.

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, MatchKind};

use super::fold::fold;
use super::{Finding, Look, Seen};

/// Up to so many bytes of words are searched for by the fastest automaton, which takes most memory.
const FAST_WORDS_BYTES_MAX: usize = 32 * 1024;
/// Bytes of all words of one filter together.
const WORDS_BYTES_MAX: usize = 256 * 1024;

/// Words that cannot be searched for.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Over [`WORDS_BYTES_MAX`].
    #[error("{0} bytes of words are over the {WORDS_BYTES_MAX} that a filter may have")]
    TooLong(usize),
    /// The automaton's own bounds.
    #[error("the words cannot be searched for at once: {0}")]
    Build(#[from] aho_corasick::BuildError),
}

/// Compiled words.
#[derive(Debug)]
pub(super) struct Keywords {
    /// As configured, for the reason.
    words: Vec<String>,
    fold: bool,
    automaton: AhoCorasick,
}

impl Keywords {
    pub(super) fn compile(words: &[String], does_fold: bool) -> Result<Self, Error> {
        let bytes = words.iter().map(String::len).sum();
        if bytes > WORDS_BYTES_MAX {
            return Err(Error::TooLong(bytes));
        }
        let patterns: Vec<Cow<'_, str>> = words
            .iter()
            .map(|word| if does_fold { fold(word) } else { word.into() })
            .collect();
        let automaton = AhoCorasickBuilder::new()
            // ASCII text is then searched as it is; other text is folded first, which changes nothing that this folds.
            .ascii_case_insensitive(does_fold)
            .kind((bytes <= FAST_WORDS_BYTES_MAX).then_some(AhoCorasickKind::DFA))
            .match_kind(MatchKind::LeftmostFirst)
            .build(patterns.iter().map(|pattern| pattern.as_bytes()))?;
        Ok(Self {
            words: words.to_vec(),
            fold: does_fold,
            automaton,
        })
    }

    /// The first word that stands in a string of `message`, as it was configured.
    fn find(&self, message: &[u8]) -> Option<&str> {
        if self.is_surely_absent(message) {
            return None;
        }
        mcp::envelope::strings(message).find_map(|text| self.find_in(&text))
    }

    /// Whether the raw bytes show that no string can hold a word: without escapes every string stands in them as it is.
    fn is_surely_absent(&self, message: &[u8]) -> bool {
        !message.contains(&b'\\')
            && (!self.fold || message.is_ascii())
            && !self.automaton.is_match(message)
    }

    fn find_in(&self, text: &str) -> Option<&str> {
        let found = if self.fold && !text.is_ascii() {
            self.automaton.find(fold(text).as_bytes())
        } else {
            self.automaton.find(text.as_bytes())
        };
        found
            .and_then(|found| self.words.get(found.pattern().as_usize()))
            .map(String::as_str)
    }
}

impl Look for Keywords {
    fn look(&self, seen: &Seen<'_>) -> Finding {
        match self.find(seen.message) {
            Some(word) => Finding::Refuses(format!("holds {word:?}")),
            None => Finding::Nothing,
        }
    }
}
