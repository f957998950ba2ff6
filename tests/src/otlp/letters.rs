//! Dead letters: what a node keeps of spans that a receiver refused for good.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use serde_json::Value;

use super::{Span, span};

/// A request of which spans were refused.
#[derive(Debug)]
pub struct Letter {
    /// Why.
    pub why: String,
    /// How many spans of it were refused; which ones, nobody knows.
    pub refused: u64,
    /// All its spans.
    pub spans: Vec<Span>,
}

/// All dead letters of the node whose data lie in a folder.
///
/// # Panics
/// Where one cannot be read: then it is none.
pub fn of(data: &Path) -> Vec<Letter> {
    let Ok(entries) = std::fs::read_dir(data.join("audit/dead-letters")) else {
        return Vec::new();
    };
    let read = |path: std::path::PathBuf| {
        let bytes = std::fs::read(&path).expect("a dead letter can be read");
        String::from_utf8(bytes).expect("dead letters are text")
    };
    let texts = entries.flatten().map(|entry| read(entry.path()));
    texts
        .flat_map(|text| text.lines().map(letter).collect::<Vec<_>>())
        .collect()
}

fn letter(line: &str) -> Letter {
    let line: Value = serde_json::from_str(line).expect("a dead letter is JSON");
    let request = STANDARD.decode(line["request"].as_str().unwrap_or_default());
    let request = request.expect("its request is base64");
    let request = ExportTraceServiceRequest::decode(&*request).expect("its request is OTLP");
    Letter {
        why: line["why"].as_str().unwrap_or_default().to_owned(),
        refused: line["refused"].as_u64().unwrap_or_default(),
        spans: span::all(request, &[]),
    }
}
