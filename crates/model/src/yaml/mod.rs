//! Files to resources and back: YAML or JSON, many resources in a file, every fault with its place.
//!
//! ```text
//! Source --tree--> nodes with extents --read, by schema--> Resource + SpanTable --wire::convert--> faults, placed
//! Resource --write, by schema--> Value --emit--> YAML        \--> JSON
//! ```
//!
//! One table (`schema`) says what there is; reading, writing and the hints in faults all go by it. What a value
//! must be beyond its type is said in [`crate::wire`] alone, so that a file and the admin API are held to one measure.
//! It must not read files: whoever does says how it calls them. Start from [`parse`].

mod emit;
mod place;
mod read;
mod schema;
mod span;
mod tree;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

use proto::v1 as pb;

use crate::fault::{DUPLICATE, Fault, UNREADABLE};
use crate::snapshot::ResourceKey;

pub use schema::{FieldDoc, describe};
pub use span::{Extent, SpanTable};
pub use write::{to_json, to_yaml};

/// The form of resources that this version reads.
pub const API_VERSION: &str = "gatehouse.dev/v1";

/// Largest file, in bytes.
pub const FILE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most faults that one [`parse`] tells; more would be read by nobody.
pub const FAULTS_MAX: usize = 1_000;

/// One file, as read.
#[derive(Debug, Clone)]
pub struct Source {
    /// As the user gave it.
    pub file: String,
    /// What is in it.
    pub text: Arc<str>,
}

/// A resource with the place that it came from.
#[derive(Debug, Clone)]
pub struct Located {
    /// The resource. It converts without fault.
    pub resource: pb::Resource,
    /// The file, as the user gave it.
    pub file: String,
    /// The line on which it begins, from 1, counted from the top of the file.
    pub line: usize,
    /// Where each of its fields is.
    pub spans: SpanTable,
}

/// A fault and its place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFault {
    /// What is wrong.
    pub fault: Fault,
    /// The file, as the user gave it.
    pub file: String,
    /// From 1, counted from the top of the file.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// From 0, in bytes.
    pub offset: usize,
    /// In bytes; never beyond the file's end.
    pub length: usize,
    /// Whose it is, where that could be read.
    pub resource: Option<ResourceKey>,
    /// What to write beside the place: ``did you mean `idle`?``
    pub label: Option<String>,
}

impl std::fmt::Display for FileFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.file, self.line, self.column, self.fault
        )
    }
}

/// Where something is in a file. Units as in [`FileFault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot<'l> {
    /// The file, as the user gave it.
    pub file: &'l str,
    /// Where in it.
    pub extent: Extent,
}

/// Reads all resources of all files.
///
/// # Errors
/// All faults of all files, in the order of files and lines, at most [`FAULTS_MAX`]. Nothing is returned of the
/// resources that are good: an apply is all or nothing.
pub fn parse(sources: &[Source]) -> Result<Vec<Located>, Vec<FileFault>> {
    let (mut located, mut faults) = (Vec::new(), Vec::new());
    let mut seen = BTreeMap::new();
    for source in sources {
        let from = faults.len();
        if source.text.len() > FILE_BYTES_MAX {
            faults.push(too_large(source));
            continue;
        }
        for read in read::file(source) {
            match note_duplicate(&mut seen, source, &read) {
                Some(fault) => faults.push(fault),
                None => located.extend(read.resource.map(|resource| Located {
                    resource,
                    file: source.file.clone(),
                    line: read.line,
                    spans: read.spans,
                })),
            }
            faults.extend(read.faults);
        }
        faults[from..].sort_by_key(|fault| fault.offset);
        faults.truncate(FAULTS_MAX);
    }
    if faults.is_empty() {
        Ok(located)
    } else {
        Err(faults)
    }
}

/// Where `path` of the resource `key` is, for faults that only the control plane finds. Where the path itself is not
/// there, the nearest thing around it.
pub fn locate<'l>(located: &'l [Located], key: &ResourceKey, path: &str) -> Option<Spot<'l>> {
    let found = located
        .iter()
        .find(|l| crate::wire::key_of(&l.resource).as_ref() == Some(key))?;
    Some(Spot {
        file: &found.file,
        extent: found.spans.nearest(path),
    })
}

/// Keys that were met, with file and line.
type Seen = BTreeMap<ResourceKey, (String, usize)>;

fn note_duplicate(seen: &mut Seen, source: &Source, read: &read::Document) -> Option<FileFault> {
    let key = read.key.clone()?;
    let Some((file, line)) = seen.get(&key) else {
        seen.insert(key, (source.file.clone(), read.line));
        return None;
    };
    let message = format!(
        "{} {} is given twice, first in {file}:{line}",
        key.kind, key.name
    );
    let fault = Fault::new("metadata.name", DUPLICATE, message);
    Some(span::file_fault(
        source,
        fault,
        read.spans.nearest("metadata.name"),
        Some(key),
    ))
}

fn too_large(source: &Source) -> FileFault {
    let message = format!(
        "{} has {} bytes, over the {FILE_BYTES_MAX} that a file may have",
        source.file,
        source.text.len()
    );
    span::file_fault(
        source,
        Fault::new("", UNREADABLE, message),
        Extent::START,
        None,
    )
}

#[cfg(test)]
mod tests;
