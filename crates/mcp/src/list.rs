//! Lists of tools, prompts and resources, cut to what a caller may see.
//!
//! Knows where the items stand and how they are named; must not know why one is dropped.

use std::borrow::Cow;

use crate::edit::{self, Edits};
use crate::envelope::{Envelope, Span};
use crate::method::ListKind;
use crate::scan::keys::look_alike;
use crate::walk;

/// A list that cannot be cut, and so must not be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The result has no such array.
    #[error("the result has no array {key:?}")]
    NoList {
        /// Its key.
        key: &'static str,
    },
    /// A fault of our own.
    #[error(transparent)]
    Edit(#[from] edit::Error),
}

/// The message without the items that `keep` does not want, asked by the name (tools, prompts), URI (resources) or URI
/// template of each; `None` if nothing changes. All other bytes stay as they came, but for a cache scope that is
/// `public`: it becomes `private`, whether or not this caller's list was cut, since another's may be
/// (2026-07-28 server/utilities/caching). An item without a readable name is dropped. A response that is an error
/// holds no list and stays.
///
/// # Errors
/// [`Error::NoList`] if the result holds no list of that kind.
pub fn cut(
    message: &[u8],
    envelope: &Envelope<'_>,
    kind: ListKind,
    keep: &mut dyn FnMut(&str) -> bool,
) -> Result<Option<Vec<u8>>, Error> {
    let Some(result) = envelope.result else {
        return Ok(None);
    };
    let mut edits = Edits::new(message);
    edits.elements(items(message, result, kind)?, |item| {
        name(message, item, kind).is_some_and(|name| keep(&name))
    });
    make_private(&mut edits, result);
    if edits.is_empty() {
        Ok(None)
    } else {
        Ok(Some(edits.apply()?))
    }
}

/// The message with the cache scope `private` instead of `public`; `None` if it is not public. For every result that
/// policy may make differ from caller to caller.
///
/// # Errors
/// None that a scanned message can cause.
pub fn force_private(message: &[u8], envelope: &Envelope<'_>) -> Result<Option<Vec<u8>>, Error> {
    let mut edits = Edits::new(message);
    if let Some(result) = envelope.result {
        make_private(&mut edits, result);
    }
    if edits.is_empty() {
        Ok(None)
    } else {
        Ok(Some(edits.apply()?))
    }
}

/// The names of the items in `result`, the bytes of a result object; those without a readable name are left out.
#[must_use]
pub fn names(result: &[u8], kind: ListKind) -> Vec<String> {
    let Ok(list) = items(result, walk::root(result), kind) else {
        return Vec::new();
    };
    walk::elements(result, list)
        .filter_map(|item| name(result, item, kind))
        .map(Cow::into_owned)
        .collect()
}

pub(crate) fn items(message: &[u8], result: Span, kind: ListKind) -> Result<Span, Error> {
    let key = kind.items_key();
    walk::find(message, result, key)
        .filter(|list| list.of(message).first() == Some(&b'['))
        .ok_or(Error::NoList { key })
}

/// The name of an item of a list of this kind; `None` where it has none that can be read in one way only.
#[must_use]
pub fn item_name(message: &[u8], item: Span, kind: ListKind) -> Option<Cow<'_, str>> {
    name(message, item, kind)
}

/// The name of an item; `None` also if a second key could be taken for that of the name.
fn name(message: &[u8], item: Span, kind: ListKind) -> Option<Cow<'_, str>> {
    let value = name_span(message, item, kind)?;
    walk::text(message.get(value.start as usize..value.end as usize)?)
}

/// Where the name of an item stands.
pub(crate) fn name_span(message: &[u8], item: Span, kind: ListKind) -> Option<Span> {
    let table = [kind.name_key()];
    let mut found = None;
    for member in walk::members(message, item) {
        if member.key == table[0] {
            found = Some(member.value);
        } else if look_alike(&table, member.key.as_bytes()).is_some() {
            return None;
        }
    }
    found
}

fn make_private(edits: &mut Edits<'_>, result: Span) {
    let bytes = edits.bytes();
    if let Some(scope) = walk::find(bytes, result, "cacheScope")
        && walk::text(scope.of(bytes)).as_deref() != Some("private")
    {
        edits.replace(scope, &br#""private""#[..]);
    }
}

#[cfg(test)]
mod tests;
