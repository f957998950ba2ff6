//! Whether a log's chain holds, and where it breaks.
//!
//! Reads only, so it can be asked of a log that is being written, or of a copy.

use std::path::Path;

use super::segment::{self, Hash, Header, HeaderFault, Next};
use super::view::RecordView;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The node that wrote the log.
    pub node: String,
    /// Segments that were read.
    pub segments: u64,
    /// Records that hold.
    pub records: u64,
    /// Seq of the first record that is kept; 0 if there is none.
    pub first_seq: u64,
    /// Seq and hash of the last record that holds.
    pub last: (u64, [u8; 32]),
    /// Whether all of it holds.
    pub verdict: Verdict,
}

/// Whether the chain holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every record follows the one before it.
    Whole,
    /// It holds, but for bytes at the very end that are no whole record: one that is being written, or
    /// that was when the process died.
    TornTail {
        /// How many.
        bytes: u64,
    },
    /// It does not.
    Broken {
        /// Seq of the first record that does not hold or is missing.
        seq: u64,
        /// What is wrong.
        why: String,
    },
}

/// Checks the chain over all segments in `dir`.
///
/// # Errors
/// If a file cannot be read.
pub fn verify(dir: &Path) -> std::io::Result<Report> {
    let mut report = Report {
        node: String::new(),
        segments: 0,
        records: 0,
        first_seq: 0,
        last: (0, segment::GENESIS),
        verdict: Verdict::Whole,
    };
    let segments = segment::list(dir)?;
    for (position, first_seq) in segments.iter().enumerate() {
        let bytes = std::fs::read(segment::path(dir, *first_seq))?;
        let is_first = position == 0;
        let is_newest = position + 1 == segments.len();
        report.verdict = match report.header(&bytes, *first_seq, is_first) {
            Ok(frames) => report.frames(frames, is_newest),
            Err(Verdict::TornTail { bytes: 0 }) if is_newest => Verdict::TornTail {
                bytes: bytes.len() as u64,
            },
            Err(Verdict::TornTail { .. }) => report.broken("the segment's header is cut off"),
            Err(broken) => broken,
        };
        if report.verdict != Verdict::Whole {
            break;
        }
        report.segments += 1;
    }
    Ok(report)
}

impl Report {
    fn broken(&self, why: &str) -> Verdict {
        Verdict::Broken {
            seq: self.last.0 + 1,
            why: why.to_owned(),
        }
    }

    /// The bytes after the header, if it fits what was before.
    fn header<'a>(
        &mut self,
        bytes: &'a [u8],
        named: u64,
        is_first: bool,
    ) -> Result<&'a [u8], Verdict> {
        let (header, len) = match Header::parse(bytes) {
            Ok(parsed) => parsed,
            Err(HeaderFault::Torn) => return Err(Verdict::TornTail { bytes: 0 }),
            Err(HeaderFault::Foreign(why)) => return Err(self.broken(why)),
        };
        if is_first {
            self.node.clone_from(&header.node);
            self.first_seq = header.first_seq;
            self.last = (header.first_seq.saturating_sub(1), header.before);
        }
        if header.first_seq != named || header.first_seq != self.last.0 + 1 {
            return Err(self.broken("records are missing before this segment"));
        }
        if header.before != self.last.1 {
            return Err(self.broken("the segment does not follow the one before it"));
        }
        if header.node != self.node {
            return Err(self.broken("the segment is another node's"));
        }
        Ok(&bytes[len..])
    }

    fn frames(&mut self, mut bytes: &[u8], is_newest: bool) -> Verdict {
        loop {
            match segment::next_frame(bytes) {
                Next::End => return Verdict::Whole,
                Next::Partial if is_newest => {
                    return Verdict::TornTail {
                        bytes: bytes.len() as u64,
                    };
                }
                Next::Partial => return self.broken("the segment is cut off"),
                Next::Bad => return self.broken("there is no record where one should be"),
                Next::Frame(frame) => {
                    if !frame.follows(&self.last.1) {
                        return self.broken("its hash does not follow from the record before it");
                    }
                    let seq = RecordView::parse(frame.payload).map(|record| record.seq);
                    if seq != Some(self.last.0 + 1) {
                        return self.broken("its number does not follow the one before it");
                    }
                    let hash: Hash = *frame.hash;
                    self.last = (self.last.0 + 1, hash);
                    self.records += 1;
                    bytes = &bytes[frame.len()..];
                }
            }
        }
    }
}
