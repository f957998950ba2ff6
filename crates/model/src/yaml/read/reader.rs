//! Collects what reading a document finds: where its fields are, and every fault once.

use std::collections::{BTreeSet, HashSet};

use super::super::FAULTS_MAX;
use super::super::place::Text;
use super::super::span::{Extent, SpanTable};
use super::super::tree::{Data, Entry};
use super::near::nearest;
use crate::fault::{DUPLICATE, Fault, MISSING, ONE_OF, UNKNOWN_FIELD};

/// Reads one document; collects spans and faults.
pub(super) struct Reader<'t> {
    file: &'t Text<'t>,
    /// What messages call the document.
    pub(super) kind: &'static str,
    pub(super) spans: SpanTable,
    pub(super) faults: Vec<Noted>,
    /// Paths about which a fault is told: another one for the same reason would be noise.
    told: BTreeSet<String>,
}

/// A fault with its place.
#[derive(Debug)]
pub(super) struct Noted {
    pub(super) fault: Fault,
    pub(super) extent: Extent,
    pub(super) label: Option<String>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(file: &'t Text<'t>, whole: Extent) -> Self {
        Self {
            file,
            kind: "a resource",
            spans: SpanTable::new(whole),
            faults: Vec::new(),
            told: BTreeSet::new(),
        }
    }

    pub(super) fn note(&mut self, path: &str, code: &'static str, message: &str, extent: Extent) {
        if self.faults.len() == FAULTS_MAX {
            return;
        }
        self.told.insert(path.to_owned());
        let extent = self.file.first_line(extent);
        self.faults.push(Noted {
            fault: Fault::new(path, code, message),
            extent,
            label: None,
        });
    }

    /// Takes a fault from the wire conversion, unless it follows from one that is told: about the same field, about
    /// something around it, or, where something is missed, about what was meant to be it.
    pub(super) fn take(&mut self, fault: Fault) {
        let within = |outer: &str, inner: &str| {
            inner
                .strip_prefix(outer)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let missed = fault.code == MISSING || fault.code == ONE_OF;
        if self
            .told
            .iter()
            .any(|told| within(told, &fault.path) || (missed && within(&fault.path, told)))
        {
            return;
        }
        let extent = self.file.first_line(self.spans.nearest(&fault.path));
        self.faults.push(Noted {
            fault,
            extent,
            label: None,
        });
    }

    /// Counts `path` as told: what would be said of it follows from another fault.
    pub(super) fn count_as_told(&mut self, path: &str) {
        self.told.insert(path.to_owned());
    }

    /// Whether a fault about `path` is told.
    pub(super) fn is_told(&self, path: &str) -> bool {
        self.told.contains(path)
    }

    /// Adds the nearest name to the last fault.
    pub(super) fn offer<'n>(
        &mut self,
        wanted: &str,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Option<&'n str> {
        let near = nearest(wanted, names)?;
        if let Some(noted) = self.faults.last_mut() {
            noted.label = Some(format!("did you mean `{near}`?"));
        }
        Some(near)
    }

    /// A key that is none: the nearest that would be one is offered, and counts as told.
    pub(super) fn unknown(&mut self, entry: &Entry, path: &str, of: &str, names: &[&'static str]) {
        self.note(
            path,
            UNKNOWN_FIELD,
            &format!("is not a field of {of}"),
            entry.key_extent,
        );
        if let Some(noted) = self.faults.last_mut() {
            noted.fault.fix = Some(match names {
                [] => "there are no fields here".to_owned(),
                names => format!("fields here: {}", names.join(", ")),
            });
        }
        if let Some(near) = self.offer(&entry.key, names.iter().copied()) {
            let around = path.strip_suffix(entry.key.as_str()).unwrap_or_default();
            self.told.insert(format!("{around}{near}"));
        }
    }

    /// Whether a key stood before in the same mapping.
    pub(super) fn is_double<'e>(
        &mut self,
        seen: &mut HashSet<&'e str>,
        entry: &'e Entry,
        path: &str,
    ) -> bool {
        let double = !seen.insert(&entry.key);
        if double {
            self.note(path, DUPLICATE, "is given twice", entry.key_extent);
        }
        double
    }

    pub(super) fn note_span(&mut self, path: &str, entry: &Entry) {
        let scalar = matches!(entry.value.data, Data::Scalar { .. });
        self.spans
            .note(path, Some(entry.key_extent), entry.value.extent, scalar);
    }
}
