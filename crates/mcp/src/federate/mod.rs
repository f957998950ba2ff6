//! Several servers as one: URIs that say whose they are, lists put together, cursors that hold a place in each.
//!
//! ```text
//! member's message --outward--> client's     (its URIs say whose they are; so do the ids of what it asks)
//! member's lists   --lists----> one list     (named anew by whoever knows the names)
//! member's cursors --cursor---> one cursor, and back
//! ```
//!
//! All of it is reversible and follows from the text alone: nothing is remembered, so that any edge goes on. It must not
//! know which members there are, nor how tools are named. Start from [`uri`].

pub mod cursor;
pub mod hello;
pub mod listen;
pub mod lists;
pub mod outward;
pub mod uri;

use std::borrow::Cow;

use crate::edit::{self, Edits, quoted};
use crate::envelope::Envelope;

/// The message with another target: the tool, prompt or resource as a member knows it.
///
/// # Errors
/// None that a scanned message can cause.
pub fn aimed_at<'m>(
    message: &'m [u8],
    envelope: &Envelope<'_>,
    target: &str,
) -> Result<Cow<'m, [u8]>, edit::Error> {
    let Some(span) = envelope
        .target_span
        .filter(|_| envelope.target.as_deref() != Some(target))
    else {
        return Ok(Cow::Borrowed(message));
    };
    let mut edits = Edits::new(message);
    edits.replace(span, quoted(target));
    edits.apply().map(Cow::Owned)
}

/// The id under which a client gets a member's request: `server:` and the member's own id, raw.
#[must_use]
pub fn asked_id(server: &str, raw: &[u8]) -> Vec<u8> {
    quoted(&format!("{server}:{}", String::from_utf8_lossy(raw)))
}

/// Whose request an id is of, and the member's own id, raw. `None`: it is none of ours.
#[must_use]
pub fn asked_by(id: &str) -> Option<(&str, &str)> {
    id.split_once(':')
}

#[cfg(test)]
mod tests;
