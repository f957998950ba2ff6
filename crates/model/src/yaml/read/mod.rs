//! Documents to resources, by the schema: every fault with its place, then the resource as the proto holds it.
//!
//! Fields go straight into the proto's encoded form under the numbers of the table, so that no second list of fields
//! has to be kept. What comes out is decoded once and held against [`wire::convert`]; faults of that which only follow from
//! one that is already told (a missing field that was misspelt) are dropped.

mod encode;
mod fields;
mod near;
mod reader;
mod scalar;

use std::collections::HashSet;

use prost::Message;
use proto::v1 as pb;

use super::place::Text;
use super::schema::{METADATA, METADATA_TAG, spec};
use super::span::{SpanTable, file_fault};
use super::tree::{Data, Entry, Node};
use super::{API_VERSION, FileFault, Source, tree};
use crate::fault::{BAD_VALUE, Fault, MISSING, NOT_YAML, UNKNOWN_KIND, UNSUPPORTED};
use crate::snapshot::ResourceKey;
use crate::wire::{self, API_KEY, KEY_RING, KINDS, STAGED_ROLLOUT, TOOL_PINS};
use reader::{Noted, Reader};

/// One resource of a file, good or bad.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) resource: Option<pb::Resource>,
    /// What it is, as far as that could be read.
    pub(super) key: Option<ResourceKey>,
    pub(super) line: usize,
    pub(super) spans: SpanTable,
    pub(super) faults: Vec<FileFault>,
}

/// All resources of a file. A mapping with nothing but `items` is a list of resources, as `get -o json` prints them.
pub(super) fn file(source: &Source) -> Vec<Document> {
    let text = Text::new(&source.text);
    let (nodes, refusals) = tree::load(&text);
    let mut documents = Vec::new();
    for node in &nodes {
        match &node.data {
            Data::Map(entries) if is_list(entries) => {
                let items = entries.iter().filter_map(|entry| match &entry.value.data {
                    Data::List(items) => Some(items),
                    _ => None,
                });
                documents.extend(items.flatten().map(|item| document(source, &text, item)));
            }
            // Comments between two `---`.
            Data::Scalar { text, plain: true } if text.is_empty() => {}
            _ => documents.push(document(source, &text, node)),
        }
    }
    if !refusals.is_empty() {
        documents.push(refused(source, &text, refusals));
    }
    documents
}

fn is_list(entries: &[Entry]) -> bool {
    matches!(entries, [only] if only.key == "items" && matches!(only.value.data, Data::List(_)))
}

/// What the parser refused, as a document without a resource.
fn refused(source: &Source, text: &Text<'_>, refusals: Vec<tree::Refusal>) -> Document {
    let fault = |refusal: tree::Refusal| {
        file_fault(
            source,
            Fault::new("", NOT_YAML, refusal.message),
            refusal.extent,
            None,
        )
    };
    let start = text.extent(0, 0);
    Document {
        resource: None,
        key: None,
        line: start.line,
        spans: SpanTable::new(start),
        faults: refusals.into_iter().map(fault).collect(),
    }
}

fn document(source: &Source, text: &Text<'_>, node: &Node) -> Document {
    let mut reader = Reader::new(text, text.first_line(node.extent));
    let (kind, bytes) = read(&mut reader, node);
    // The table writes what the contract reads, as tests show; were it not so, a fault would still be no panic.
    let decoded = pb::Resource::decode(bytes.as_slice());
    let name = decoded
        .as_ref()
        .ok()
        .and_then(|r| r.metadata.as_ref())
        .map(|m| m.name.as_str())
        .unwrap_or_default();
    let key = kind
        .filter(|_| !name.is_empty())
        .map(|kind| ResourceKey::new(kind, name));
    let resource = match decoded {
        Ok(resource) => check(&mut reader, kind, resource),
        Err(error) => {
            reader.note(
                "",
                BAD_VALUE,
                &format!("the resource cannot be encoded: {error}"),
                node.extent,
            );
            None
        }
    };
    let faults = reader
        .faults
        .into_iter()
        .map(|noted| placed(source, noted, key.as_ref()))
        .collect();
    Document {
        resource,
        key,
        line: node.extent.line,
        spans: reader.spans,
        faults,
    }
}

fn placed(source: &Source, noted: Noted, key: Option<&ResourceKey>) -> FileFault {
    let fault = file_fault(source, noted.fault, noted.extent, key.cloned());
    FileFault {
        label: noted.label,
        ..fault
    }
}

/// Holds a resource against what [`wire`] wants of it.
fn check(
    reader: &mut Reader<'_>,
    kind: Option<&'static str>,
    resource: pb::Resource,
) -> Option<pb::Resource> {
    // Without a kind the resource has no spec; that fault is told already.
    kind?;
    match wire::convert(&resource) {
        Ok(_) => {}
        Err(faults) => faults.into_iter().for_each(|fault| reader.take(fault)),
    }
    reader.faults.is_empty().then_some(resource)
}

/// Kind and encoded resource of a document.
fn read(reader: &mut Reader<'_>, node: &Node) -> (Option<&'static str>, Vec<u8>) {
    let mut bytes = Vec::new();
    let Data::Map(entries) = &node.data else {
        reader.note(
            "",
            BAD_VALUE,
            "a resource is a mapping with apiVersion, kind, metadata and spec",
            node.extent,
        );
        return (None, bytes);
    };
    for entry in entries {
        let scalar = matches!(entry.value.data, Data::Scalar { .. });
        reader.spans.note(
            &entry.key,
            Some(entry.key_extent),
            entry.value.extent,
            scalar,
        );
    }
    let first = |key: &str| entries.iter().find(|entry| entry.key == key);
    let kind = first("kind").and_then(|entry| self::kind(reader, entry));
    let spec = kind.and_then(spec);
    let mut seen = HashSet::new();
    for entry in entries {
        if reader.is_double(&mut seen, entry, &entry.key) {
            continue;
        }
        match entry.key.as_str() {
            "apiVersion" => api_version(reader, entry),
            "kind" => {}
            "metadata" => {
                let metadata = reader.object(&entry.value, "metadata", &METADATA);
                encode::bytes(&[METADATA_TAG], &metadata, &mut bytes);
            }
            "spec" => {
                if let Some((object, tag)) = spec {
                    let spec = reader.object(&entry.value, "spec", object);
                    encode::bytes(&[tag], &spec, &mut bytes);
                }
            }
            _ => reader.unknown(
                entry,
                &entry.key,
                "a resource",
                &["apiVersion", "kind", "metadata", "spec"],
            ),
        }
    }
    for wanted in ["apiVersion", "kind", "metadata", "spec"] {
        if first(wanted).is_none() && !reader.is_told(wanted) {
            let at = reader.spans.nearest("");
            reader.note(wanted, MISSING, &missing(wanted), at);
        }
    }
    (spec.and(kind), bytes)
}

fn missing(field: &str) -> String {
    match field {
        "apiVersion" => format!("is missing: {API_VERSION}"),
        "kind" => format!("is missing: {}", supported_kinds()),
        _ => "is missing".to_owned(),
    }
}

fn supported_kinds() -> String {
    let names: Vec<&str> = KINDS
        .iter()
        .filter(|kind| kind.supported)
        .map(|kind| kind.name)
        .collect();
    names.join(", ")
}

fn api_version(reader: &mut Reader<'_>, entry: &Entry) {
    if let Some(text) = reader.text(&entry.value, "apiVersion")
        && text != API_VERSION
    {
        let message = format!("{text:?} is not known, this version reads {API_VERSION}");
        reader.note("apiVersion", UNKNOWN_KIND, &message, entry.value.extent);
    }
}

/// The kind, where this version acts on it.
fn kind(reader: &mut Reader<'_>, entry: &Entry) -> Option<&'static str> {
    let extent = entry.value.extent;
    let text = reader.text(&entry.value, "kind")?;
    if let Some(kind) = KINDS.iter().find(|kind| kind.name == text) {
        if kind.supported {
            reader.kind = kind.name;
            return Some(kind.name);
        }
        reader.note(
            "kind",
            UNSUPPORTED,
            &format!("{text} is not supported by this version"),
            extent,
        );
        return None;
    }
    if matches!(text, API_KEY | KEY_RING | TOOL_PINS | STAGED_ROLLOUT) {
        let message = format!("{text} is made by the control plane and never applied");
        reader.note("kind", UNKNOWN_KIND, &message, extent);
        return None;
    }
    reader.note(
        "kind",
        UNKNOWN_KIND,
        &format!("{text:?} is not a kind"),
        extent,
    );
    reader.offer(text, KINDS.iter().map(|kind| kind.name));
    None
}
