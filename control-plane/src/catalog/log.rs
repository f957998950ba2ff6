//! What a change looks like in the store: a manifest, and chunks of operations.
//!
//! A checkpoint is written in the same chunks: it is the change that leads from nothing to its state.

use bytes::Bytes;
use prost::Message;
use serde::{Deserialize, Serialize};

use crate::store::{Error, Head};

/// Bytes at which a chunk is closed. With one resource more it is still far under what a store takes.
const CHUNK_BYTES: usize = 512 * 1024;
/// Operations in one chunk.
const CHUNK_OPS_MAX: usize = 1000;

/// One resource put or removed.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Op {
    /// The resource's kind.
    #[prost(string, tag = "1")]
    pub(super) kind: String,
    /// The resource's name.
    #[prost(string, tag = "2")]
    pub(super) name: String,
    /// The revision of its last change.
    #[prost(uint64, tag = "3")]
    pub(super) version: u64,
    /// The encoded resource, secrets sealed. `None`: it is removed.
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub(super) resource: Option<Bytes>,
    /// The revision of the version that it takes the place of. 0: there was none.
    #[prost(uint64, tag = "5")]
    pub(super) replaces: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Chunk {
    #[prost(message, repeated, tag = "1")]
    ops: Vec<Op>,
}

/// Cuts operations into chunks that a store takes; their order is kept.
pub(super) fn chunks(ops: &[Op]) -> Vec<Bytes> {
    let mut chunks = Vec::new();
    let (mut chunk, mut bytes) = (Chunk::default(), 0);
    for op in ops {
        bytes += op.encoded_len();
        chunk.ops.push(op.clone());
        if bytes >= CHUNK_BYTES || chunk.ops.len() == CHUNK_OPS_MAX {
            chunks.push(std::mem::take(&mut chunk).encode_to_vec().into());
            bytes = 0;
        }
    }
    if !chunk.ops.is_empty() {
        chunks.push(chunk.encode_to_vec().into());
    }
    chunks
}

/// Reads one chunk.
///
/// # Errors
/// [`Error::Corrupt`].
pub(super) fn read_chunk(key: &str, value: &[u8]) -> Result<Vec<Op>, Error> {
    Chunk::decode(value)
        .map(|chunk| chunk.ops)
        .map_err(|e| Error::Corrupt {
            key: key.to_owned(),
            why: e.to_string(),
        })
}

/// What one revision did, and who did it. Kept as long as history is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The revision that it led to.
    pub(super) revision: u64,
    /// Its id; its chunks lie under this.
    pub(super) change: String,
    /// How many chunks there are.
    pub(super) chunks: usize,
    /// The hash of the whole state after it, hex.
    pub(super) sha256: String,
    /// Who made it.
    pub(super) author: String,
    /// When, RFC 3339.
    pub(super) time: String,
    /// The state that it was made on. `None`: the one before the first revision.
    #[serde(default)]
    pub(super) parent: Option<Parent>,
    /// Whether an operator agreed here to a store that had gone back: what came after `parent` before is given up.
    #[serde(default)]
    pub(super) restored: bool,
    /// Bytes of its chunks, for the bound of history.
    #[serde(default)]
    pub(super) bytes: u64,
    /// The revision that was brought back by it.
    #[serde(default)]
    pub(super) rolled_back_to: Option<u64>,
}

/// The state that a change was made on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Parent {
    /// Its revision.
    pub(super) revision: u64,
    /// The id of the change that led to it.
    pub(super) change: String,
}

impl From<&Head> for Parent {
    fn from(head: &Head) -> Self {
        Self {
            revision: head.revision,
            change: head.change.clone(),
        }
    }
}

/// Names the newest complete checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pointer {
    /// The revision of its state.
    pub(super) revision: u64,
    /// How many chunks there are.
    pub(super) chunks: usize,
    /// The hash of its state, hex.
    pub(super) sha256: String,
    /// The id of the change that led to its state.
    pub(super) change: String,
}

impl Manifest {
    /// As it lies in the store.
    pub(super) fn encode(&self) -> Bytes {
        encode(self)
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub(super) fn decode(key: &str, value: &[u8]) -> Result<Self, Error> {
        decode(key, value)
    }
}

impl Pointer {
    /// As it lies in the store.
    pub(super) fn encode(&self) -> Bytes {
        encode(self)
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub(super) fn decode(key: &str, value: &[u8]) -> Result<Self, Error> {
        decode(key, value)
    }
}

fn encode(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value)
        .expect("a struct of texts and numbers is always JSON")
        .into()
}

fn decode<'a, T: Deserialize<'a>>(key: &str, value: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(value).map_err(|e| Error::Corrupt {
        key: key.to_owned(),
        why: e.to_string(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::store::VALUE_BYTES_MAX;

    #[test]
    fn chunks_hold_all_operations_in_order_and_fit_a_store() {
        let op = |n: usize| Op {
            kind: "Server".to_owned(),
            name: format!("s{n}"),
            version: 1,
            replaces: 0,
            resource: (!n.is_multiple_of(3)).then(|| vec![0; (n % 7) * 40_000].into()),
        };
        let ops: Vec<Op> = (0..3000).map(op).collect();
        let chunks = chunks(&ops);
        assert!(chunks.iter().all(|c| c.len() <= VALUE_BYTES_MAX));
        let read: Vec<Op> = chunks
            .iter()
            .flat_map(|c| read_chunk("k", c).unwrap())
            .collect();
        assert!(read == ops);
    }
}
