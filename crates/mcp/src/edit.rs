//! Changes to a message: collected as places and replacements, applied in one pass.
//!
//! What no edit touches keeps its bytes. Knows the commas of JSON, so that members and elements can go and come and
//! the text stays valid; must not know MCP.

use std::borrow::Cow;

use crate::span::Span;
use crate::walk;

/// Edits that contradict each other: a mistake of the caller, never of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Two edits change the same bytes, or the members of one object were edited twice.
    #[error("edits overlap at byte {at}")]
    Overlap {
        /// Where.
        at: usize,
    },
    /// An edit lies outside of the message.
    #[error("edit at byte {at} is outside of the message")]
    Outside {
        /// Where.
        at: usize,
    },
}

/// What shall become of a member of an object.
#[derive(Debug, Clone)]
pub enum Change<'a> {
    /// Stays.
    Keep,
    /// Goes.
    Remove,
    /// Gets this raw JSON as its value.
    Replace(Cow<'a, [u8]>),
}

/// Edits to one message. There are never more than a few for each value of the message, which is bounded itself.
#[derive(Debug, Clone)]
pub struct Edits<'a> {
    bytes: &'a [u8],
    edits: Vec<(Span, Cow<'a, [u8]>)>,
    /// Containers whose items were edited, by their start: a second time would not know the commas of the first.
    edited: Vec<u32>,
    clash: Option<usize>,
}

impl<'a> Edits<'a> {
    /// No edits yet to `bytes`, a scanned message.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            edits: Vec::new(),
            edited: Vec::new(),
            clash: None,
        }
    }

    /// The message as it is without the edits.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether nothing is to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty() && self.clash.is_none()
    }

    /// Puts raw JSON in the place of `span`.
    pub fn replace(&mut self, span: Span, with: impl Into<Cow<'a, [u8]>>) -> &mut Self {
        self.edits.push((span, with.into()));
        self
    }

    /// Puts bytes before the byte `at`.
    pub fn insert(&mut self, at: u32, with: impl Into<Cow<'a, [u8]>>) -> &mut Self {
        self.replace(Span { start: at, end: at }, with)
    }

    /// Changes the object at `object`: `change` says for each member what becomes of it, `add` are members (key and
    /// raw value) that are put behind the others. Once for each object.
    pub fn members<'v>(
        &mut self,
        object: Span,
        mut change: impl FnMut(&walk::Member<'a>) -> Change<'a>,
        add: impl IntoIterator<Item = (&'v str, &'v [u8])>,
    ) -> &mut Self {
        let mut items = Vec::new();
        let mut replaced = Vec::new();
        for member in walk::members(self.bytes, object) {
            let change = change(&member);
            items.push((member.span, !matches!(change, Change::Remove)));
            if let Change::Replace(value) = change {
                replaced.push((member.value, value));
            }
        }
        self.edits.extend(replaced);
        let mut comma = self.drop_items(object, &items);
        let mut added = Vec::new();
        for (key, value) in add {
            if comma {
                added.push(b',');
            }
            comma = true;
            added.extend_from_slice(&quoted(key));
            added.push(b':');
            added.extend_from_slice(value);
        }
        if !added.is_empty() {
            self.insert(object.end.saturating_sub(1), added);
        }
        self
    }

    /// Sets members of the object at `object`: the value is replaced where the key is present, added where not. Once
    /// for each object.
    pub fn set(&mut self, object: Span, members: &[(&str, Cow<'a, [u8]>)]) -> &mut Self {
        let present: Vec<_> = walk::members(self.bytes, object)
            .map(|member| member.key)
            .collect();
        let change = |member: &walk::Member<'a>| {
            let new = members.iter().find(|(key, _)| *key == member.key);
            new.map_or(Change::Keep, |(_, value)| Change::Replace(value.clone()))
        };
        let add = members
            .iter()
            .filter(|(key, _)| !present.iter().any(|seen| seen == key));
        self.members(object, change, add.map(|(key, value)| (*key, &**value)))
    }

    /// Drops the elements of the array at `array` that `keep` does not want; says whether any was. Once for each
    /// array.
    pub fn elements(&mut self, array: Span, mut keep: impl FnMut(Span) -> bool) -> bool {
        let items: Vec<_> = walk::elements(self.bytes, array)
            .map(|span| (span, keep(span)))
            .collect();
        self.drop_items(array, &items);
        items.iter().any(|(_, kept)| !kept)
    }

    /// The message with all edits.
    ///
    /// # Errors
    /// [`Error`] if the edits contradict each other.
    pub fn apply(&self) -> Result<Vec<u8>, Error> {
        if let Some(at) = self.clash {
            return Err(Error::Overlap { at });
        }
        let mut edits: Vec<_> = self.edits.iter().collect();
        // Stable: what is put at the same place comes in the order of the calls.
        edits.sort_by_key(|(span, _)| (span.start, span.end));
        let grown: usize = edits.iter().map(|(_, with)| with.len()).sum();
        let mut out = Vec::with_capacity(self.bytes.len() + grown);
        let mut at = 0;
        for (span, with) in edits {
            let (start, end) = (span.start as usize, span.end as usize);
            if start < at {
                return Err(Error::Overlap { at: start });
            }
            let (Some(before), true) = (
                self.bytes.get(at..start),
                start <= end && end <= self.bytes.len(),
            ) else {
                return Err(Error::Outside { at: start });
            };
            out.extend_from_slice(before);
            out.extend_from_slice(with);
            at = end;
        }
        out.extend_from_slice(self.bytes.get(at..).unwrap_or_default());
        Ok(out)
    }

    /// Takes out the items that are not kept, each with one comma; says whether any item is left.
    fn drop_items(&mut self, container: Span, items: &[(Span, bool)]) -> bool {
        if self.edited.contains(&container.start) {
            self.clash.get_or_insert(container.start as usize);
        }
        self.edited.push(container.start);
        let mut kept_before = false;
        for (index, (span, kept)) in items.iter().enumerate() {
            if *kept {
                kept_before = true;
                continue;
            }
            let neighbour = |i: Option<usize>| i.and_then(|i| items.get(i)).map(|(span, _)| *span);
            let gap = if kept_before {
                let start = neighbour(index.checked_sub(1)).map_or(span.start, |before| before.end);
                Span {
                    start,
                    end: span.end,
                }
            } else {
                let end = neighbour(index.checked_add(1)).map_or(span.end, |after| after.start);
                Span {
                    start: span.start,
                    end,
                }
            };
            self.edits.push((gap, Cow::Borrowed(b"")));
        }
        kept_before
    }
}

/// A text as a raw JSON string.
#[must_use]
pub fn quoted(text: &str) -> Vec<u8> {
    // A map or a failing writer could make this fail; a string in memory cannot.
    serde_json::to_vec(text).expect("a string is always serializable")
}

#[cfg(test)]
mod tests;
