//! Keywords.

use proto::v1 as pb;

use super::{Faults, Kind, LIST_MAX};
use crate::fault::{BAD_VALUE, MISSING};

/// Longest keyword, in bytes.
const WORD_BYTES_MAX: usize = 256;

pub(super) fn convert(keywords: &pb::KeywordFilter, faults: &mut Faults) -> Kind {
    let path = "spec.keywords.words";
    if keywords.words.is_empty() {
        faults.push(path, MISSING, "is missing: at least one word is wanted");
    }
    faults.check_length(path, keywords.words.len());
    for (i, word) in keywords.words.iter().take(LIST_MAX).enumerate() {
        let message = match word.len() {
            0 => "an empty word would stand in every message",
            1..=WORD_BYTES_MAX => continue,
            _ => "a word has at most 256 bytes",
        };
        faults.push(format!("{path}[{i}]"), BAD_VALUE, message);
    }
    Kind::Keywords {
        words: keywords.words.clone(),
        fold: keywords.fold,
    }
}
