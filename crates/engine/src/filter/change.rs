//! Changes to the strings of a message: what no filter touches keeps its bytes, numbers and the order of keys included.

use std::borrow::Cow;

use mcp::edit::{Edits, quoted};
use mcp::walk;

use super::places::{self, Leaf, Place};
use super::{Finding, Seen};

/// What a filter says of one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    Nothing,
    /// The message must not go on.
    Refuses(String),
    /// The text becomes another one.
    Becomes(String, Cow<'static, str>),
}

/// How many reasons a change names.
const REASONS_MAX: usize = 8;

/// Asks `look` about all texts of a message that are not opaque. Where it changes one that is fixed, the message is
/// refused.
pub(super) fn look_at<'m>(seen: &Seen<'m>, mut look: impl FnMut(&str, &Leaf) -> Said) -> Finding {
    let mut edits = Edits::new(seen.message);
    let mut reasons: Vec<Cow<'static, str>> = Vec::new();
    for leaf in places::leaves(seen.message) {
        if leaf.place == Place::Opaque {
            continue;
        }
        match look(&text_of(seen.message, &leaf), &leaf) {
            Said::Nothing => {}
            Said::Refuses(why) => return Finding::Refuses(why),
            Said::Becomes(_, why) if leaf.place == Place::Fixed => {
                return Finding::Refuses(format!("holds {why} where nothing may be changed"));
            }
            Said::Becomes(text, why) => {
                edits.replace(leaf.span, quoted(&text));
                if reasons.len() < REASONS_MAX && !reasons.contains(&why) {
                    reasons.push(why);
                }
            }
        }
    }
    if edits.is_empty() {
        return Finding::Nothing;
    }
    match edits.apply() {
        Ok(message) => Finding::Changes {
            message,
            why: format!("held {}", reasons.join(", ")),
        },
        Err(error) => Finding::Fails(error.to_string()),
    }
}

/// The text of a leaf: decoded, or as it stands if it is no string.
pub(super) fn text_of<'m>(message: &'m [u8], leaf: &Leaf) -> Cow<'m, str> {
    let raw = leaf.span.of(message);
    if leaf.is_bare {
        return String::from_utf8_lossy(raw);
    }
    walk::text(raw).unwrap_or_default()
}
