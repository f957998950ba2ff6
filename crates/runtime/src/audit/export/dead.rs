//! What a destination refused for good, kept in a file beside the log: nothing that was recorded vanishes because
//! somebody else does not want it.
//!
//! One JSON object a line: when, who, why, which records, and the request itself (an OTLP
//! `ExportTraceServiceRequest`, base64), which can be sent again as it is.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::audit::cursor;
use crate::clock::now_unix_ms;
use crate::disk;

/// Bytes of one destination's file. When it is full, nothing more counts as refused for good: it is tried until it is
/// taken, or until an operator has moved the file away.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// One destination's file.
#[derive(Debug, Clone)]
pub(super) struct DeadLetters(PathBuf);

/// One line.
#[derive(Debug, Serialize)]
pub(super) struct DeadLetter<'a> {
    pub(super) destination: &'a str,
    pub(super) why: &'a str,
    /// Spans in the request.
    pub(super) spans: u64,
    /// Of these, how many were refused. Which ones, OTLP does not say.
    pub(super) refused: u64,
    /// The last record that it covers.
    pub(super) last_seq: u64,
}

#[derive(Serialize)]
struct Line<'a> {
    time_unix_ms: i64,
    #[serde(flatten)]
    letter: &'a DeadLetter<'a>,
    request: String,
}

impl DeadLetters {
    /// The file of the destination `name` for the log in `dir`.
    pub(super) fn new(dir: &Path, name: &str) -> Self {
        let name = cursor::file_name(name);
        Self(dir.join("dead-letters").join(format!("{name}.jsonl")))
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Adds one request, durably.
    pub(super) fn add(&self, letter: &DeadLetter<'_>, request: &[u8]) -> io::Result<()> {
        let line = Line {
            time_unix_ms: now_unix_ms(),
            letter,
            request: STANDARD.encode(request),
        };
        let mut line = serde_json::to_vec(&line)?;
        line.push(b'\n');
        if let Some(dir) = self.0.parent() {
            disk::create_private_dir(dir)?;
        }
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(disk::PRIVATE)
            .open(&self.0)?;
        if file.metadata()?.len() + line.len() as u64 > FILE_BYTES_MAX {
            let why = format!("{} is full: move it away", self.0.display());
            return Err(io::Error::new(io::ErrorKind::StorageFull, why));
        }
        file.write_all(&line)?;
        file.sync_data()
    }
}
