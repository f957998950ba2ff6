//! Where things are: extents in a file, and the table from field paths to them.

use std::collections::BTreeMap;

use super::{FileFault, Source};
use crate::fault::Fault;
use crate::snapshot::ResourceKey;

/// A stretch of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// From 1, counted from the top of the file.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// From 0, in bytes.
    pub offset: usize,
    /// In bytes.
    pub length: usize,
}

impl Extent {
    /// A file's first character.
    pub(super) const START: Self = Self {
        line: 1,
        column: 1,
        offset: 0,
        length: 0,
    };
}

/// From field paths (`spec.limits.startup`, `spec.servers[1]`) to places.
#[derive(Debug, Clone)]
pub struct SpanTable {
    whole: Extent,
    fields: BTreeMap<String, Field>,
}

#[derive(Debug, Clone, Copy)]
struct Field {
    key: Option<Extent>,
    value: Extent,
    scalar: bool,
}

impl SpanTable {
    pub(super) fn new(whole: Extent) -> Self {
        Self {
            whole,
            fields: BTreeMap::new(),
        }
    }

    /// Notes a field. The first of two with one path stays.
    pub(super) fn note(&mut self, path: &str, key: Option<Extent>, value: Extent, scalar: bool) {
        self.fields
            .entry(path.to_owned())
            .or_insert(Field { key, value, scalar });
    }

    /// The field's name in the file, where it has one: entries of lists have none.
    pub fn key(&self, path: &str) -> Option<Extent> {
        self.fields.get(path)?.key
    }

    /// The field's value in the file.
    pub fn value(&self, path: &str) -> Option<Extent> {
        Some(self.fields.get(path)?.value)
    }

    /// What to show for `path`: a plain value, or the name of a field that holds more; and for a path that is not there,
    /// the nearest thing around it.
    pub fn nearest(&self, path: &str) -> Extent {
        let mut path = path;
        loop {
            if let Some(field) = self.fields.get(path) {
                let named = field
                    .key
                    .filter(|_| !field.scalar || field.value.length == 0);
                return named.unwrap_or(field.value);
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return self.whole,
            }
        }
    }
}

pub(super) fn file_fault(
    source: &Source,
    fault: Fault,
    at: Extent,
    resource: Option<ResourceKey>,
) -> FileFault {
    FileFault {
        fault,
        file: source.file.clone(),
        line: at.line,
        column: at.column,
        offset: at.offset,
        length: at.length,
        resource,
        label: None,
    }
}
