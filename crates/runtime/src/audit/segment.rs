//! The bytes of a segment file. Pure: it neither opens nor writes files.
//!
//! ```text
//! header  magic 8 | version u32 | first seq u64 | hash before the first record 32 | node length u16 | node
//! frame   payload length u32 | SHA-256(hash before ‖ payload) 32 | payload: gatehouse.v1.AuditRecord
//! ```
//! Integers are little-endian. Files are named by their first seq, `{:020}.log`.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};

/// A link of the chain.
pub(super) type Hash = [u8; 32];
/// What stands before the first record of all.
pub(super) const GENESIS: Hash = [0; 32];
/// Bytes before a frame's payload.
pub(super) const FRAME_HEAD: usize = 4 + 32;
/// Largest payload. A record that is larger is not written, and its call refused: names and URIs in a
/// message are bounded long before.
pub(super) const PAYLOAD_BYTES_MAX: usize = 256 * 1024;

const MAGIC: [u8; 8] = *b"GHAUDIT\n";
const VERSION: u32 = 1;
const FIXED: usize = 8 + 4 + 8 + 32 + 2;
const SUFFIX: &str = ".log";

/// The head of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) first_seq: u64,
    pub(super) before: Hash,
    pub(super) node: String,
}

/// What stands where a header should.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeaderFault {
    /// The file ends within it.
    Torn,
    /// It is none of ours.
    Foreign(&'static str),
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FIXED + self.node.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.first_seq.to_le_bytes());
        bytes.extend_from_slice(&self.before);
        // Node names are DNS labels: 63 bytes.
        bytes.extend_from_slice(&(self.node.len() as u16).to_le_bytes());
        bytes.extend_from_slice(self.node.as_bytes());
        bytes
    }

    /// The header and its length.
    pub(super) fn parse(bytes: &[u8]) -> Result<(Self, usize), HeaderFault> {
        let magic = &bytes[..bytes.len().min(MAGIC.len())];
        if !MAGIC.starts_with(magic) {
            return Err(HeaderFault::Foreign("not an audit segment"));
        }
        let (fixed, rest) = bytes.split_at_checked(FIXED).ok_or(HeaderFault::Torn)?;
        if fixed[8..12] != VERSION.to_le_bytes() {
            return Err(HeaderFault::Foreign(
                "written by another version of the format",
            ));
        }
        let node_len = usize::from(u16::from_le_bytes(array(&fixed[52..54])));
        let node = rest.get(..node_len).ok_or(HeaderFault::Torn)?;
        let node = String::from_utf8(node.to_vec())
            .map_err(|_| HeaderFault::Foreign("its node name is not text"))?;
        let header = Self {
            first_seq: u64::from_le_bytes(array(&fixed[12..20])),
            before: array(&fixed[20..52]),
            node,
        };
        Ok((header, FIXED + node_len))
    }
}

/// A record in a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) hash: &'a Hash,
    pub(super) payload: &'a [u8],
}

impl Frame<'_> {
    /// Bytes in the file.
    pub(super) fn len(&self) -> usize {
        FRAME_HEAD + self.payload.len()
    }

    /// Whether it follows a record with the hash `before`.
    pub(super) fn follows(&self, before: &Hash) -> bool {
        let mut chained = Vec::with_capacity(before.len() + self.payload.len());
        chained.extend_from_slice(before);
        chained.extend_from_slice(self.payload);
        sha256(&chained) == *self.hash
    }
}

/// What stands at the start of some bytes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Next<'a> {
    Frame(Frame<'a>),
    /// Nothing.
    End,
    /// The beginning of a frame.
    Partial,
    /// A length that no frame has.
    Bad,
}

/// The frame at the start of `bytes`.
pub(super) fn next_frame(bytes: &[u8]) -> Next<'_> {
    if bytes.is_empty() {
        return Next::End;
    }
    let Some((len, rest)) = bytes.split_first_chunk::<4>() else {
        return Next::Partial;
    };
    let len = u32::from_le_bytes(*len) as usize;
    if len == 0 || len > PAYLOAD_BYTES_MAX {
        return Next::Bad;
    }
    match rest.split_first_chunk::<32>() {
        Some((hash, rest)) if rest.len() >= len => Next::Frame(Frame {
            hash,
            payload: &rest[..len],
        }),
        _ => Next::Partial,
    }
}

pub(super) fn sha256(bytes: &[u8]) -> Hash {
    array(digest(&SHA256, bytes).as_ref())
}

/// Where the segment lies whose first record is `first_seq`.
pub(super) fn path(dir: &Path, first_seq: u64) -> PathBuf {
    dir.join(format!("{first_seq:020}{SUFFIX}"))
}

/// First seqs of all segments in `dir`, lowest first.
pub(super) fn list(dir: &Path) -> std::io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
        found.extend(
            digits
                .filter(|d| d.len() == 20)
                .and_then(|d| d.parse::<u64>().ok()),
        );
    }
    found.sort_unstable();
    Ok(found)
}

/// `bytes` as an array; callers have cut it to length.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the slice was cut to this length")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn headers_read_back_and_torn_ones_are_told_apart_from_foreign_ones() {
        let header = Header {
            first_seq: 7,
            before: [9; 32],
            node: "edge-1".to_owned(),
        };
        let bytes = header.encode();
        assert_eq!(Header::parse(&bytes).unwrap(), (header, bytes.len()));
        for cut in 0..bytes.len() {
            assert_eq!(
                Header::parse(&bytes[..cut]),
                Err(HeaderFault::Torn),
                "{cut}"
            );
        }
        assert!(matches!(
            Header::parse(b"GHAUDIT?"),
            Err(HeaderFault::Foreign(_))
        ));
        let mut later = bytes;
        later[8] = 2;
        assert!(matches!(
            Header::parse(&later),
            Err(HeaderFault::Foreign(_))
        ));
    }

    #[test]
    fn a_cut_frame_is_partial_and_an_impossible_length_is_bad() {
        let mut bytes = 3_u32.to_le_bytes().to_vec();
        bytes.extend_from_slice(&[1; 32]);
        bytes.extend_from_slice(b"abc");
        assert!(matches!(next_frame(&bytes), Next::Frame(frame) if frame.payload == b"abc"));
        assert!(matches!(next_frame(&[]), Next::End));
        for cut in 1..bytes.len() {
            assert!(matches!(next_frame(&bytes[..cut]), Next::Partial), "{cut}");
        }
        assert!(matches!(next_frame(&[0; 40]), Next::Bad));
        assert!(matches!(next_frame(&[255; 40]), Next::Bad));
    }
}
