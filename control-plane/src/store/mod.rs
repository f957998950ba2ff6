//! The store: where the control plane keeps what must outlive it.
//!
//! A small ordered map of keys to immutable or compared values, with one special key, the *head*. A change
//! is staged first, under keys that nobody reads yet, and then comes into force in one transaction that
//! compares and flips the head: all of it, or nothing.
//!
//! ```text
//!   stage(change/ID/0, change/ID/1, …)      any number of transactions, seen by nobody
//!   flip(head: old -> new, + log/REVISION)  one transaction: Flipped or Lost
//!   changes("head") -> bumped               every replica reads the head again
//! ```
//!
//! Nothing here knows what the values mean: that is `catalog`'s business. Nothing above this folder knows
//! which backend it talks to. Start from [`Store`]; [`key`] is the layout.

mod bells;
pub(crate) mod embedded;
pub(crate) mod etcd;
pub(crate) mod key;
pub(crate) mod seal;
mod tail;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod etcd_tests;
#[cfg(test)]
pub(crate) mod fixture;

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use model::snapshot::Sha256;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// What a store's method returns: boxed, so that the backend can be chosen at start.
pub(crate) type Future<'a, T> =
    Pin<Box<dyn std::future::Future<Output = Result<T, Error>> + Send + 'a>>;

/// Most operations in one transaction. etcd refuses more than 128.
pub(crate) const BATCH_OPS_MAX: usize = 100;

/// Most bytes of keys and values in one transaction. etcd refuses requests over 1.5 MiB.
pub(crate) const BATCH_BYTES_MAX: usize = 1024 * 1024 + 64 * 1024;

/// Most bytes of one value.
pub(crate) const VALUE_BYTES_MAX: usize = 1024 * 1024;

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Error {
    /// The backend cannot be reached, or did not answer in time. Worth another try later.
    #[error("the store is away: {0}")]
    Away(String),
    /// Another process has the data folder.
    #[error(
        "{path} is in use by another process: stop that one, or give this one another data_dir"
    )]
    InUse {
        /// The file that is locked.
        path: String,
    },
    /// The backend failed in a way that trying again does not mend.
    #[error("the store failed: {0}")]
    Failed(String),
    /// There is nothing in the store, though something was run from it.
    #[error(
        "the store is empty, but revision {ran} was run from it: restore it, or remove {file} to begin anew"
    )]
    Emptied {
        /// The highest revision that was run.
        ran: u64,
        /// The file that says so.
        file: String,
    },
    /// What lies in the store is not what was written.
    #[error("{key} in the store cannot be read: {why}")]
    Corrupt {
        /// The key.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// A key that must be new is there already, with another value.
    #[error("{0} is in the store already")]
    Taken(String),
    /// Over [`VALUE_BYTES_MAX`].
    #[error("{key} has {bytes} bytes; the store takes {VALUE_BYTES_MAX}")]
    TooBig {
        /// The key.
        key: String,
        /// Its size.
        bytes: usize,
    },
}

impl Error {
    /// Whether another try may go better.
    pub(crate) fn may_be_retried(&self) -> bool {
        matches!(self, Self::Away(_))
    }

    /// The code that stands in front of the message for operators.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Away(_) => "GH6101",
            Self::InUse { .. } => "GH6102",
            Self::Failed(_) | Self::Taken(_) => "GH6103",
            Self::Corrupt { .. } => "GH6104",
            Self::TooBig { .. } => "GH6105",
            Self::Emptied { .. } => "GH6107",
        }
    }
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Bytes,
}

impl Entry {
    /// An entry to put.
    pub(crate) fn new(key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
        }
    }

    /// What it takes of a transaction.
    fn bytes(&self) -> usize {
        self.key.len() + self.value.len()
    }
}

/// The state in force. As `change` is unique, equal heads are the same head: it is compared by value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// The number of the state.
    pub revision: u64,
    /// The hash of the whole state, hex; see [`model::snapshot::scope_hash`].
    pub sha256: String,
    /// The id of the change that led here.
    pub change: String,
}

impl Head {
    /// A head.
    pub(crate) fn new(revision: u64, sha256: Sha256, change: &str) -> Self {
        Self {
            revision,
            sha256: sha256.hex(),
            change: change.to_owned(),
        }
    }

    /// As it lies in the store.
    pub(crate) fn encode(&self) -> Bytes {
        serde_json::to_vec(self)
            .expect("a struct of texts and numbers is always JSON")
            .into()
    }

    /// Reads what [`Self::encode`] wrote.
    pub(crate) fn decode(value: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(value).map_err(|e| Error::Corrupt {
            key: key::HEAD.to_owned(),
            why: e.to_string(),
        })
    }
}

/// What became of a flip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flip {
    /// The new head is in force, with all that went with it.
    Flipped,
    /// The head was another one than expected. Nothing was written.
    Lost,
}

/// An ordered map with a head. All methods of one store may be called at the same time, and by any number of
/// replicas on stores that can be shared.
pub(crate) trait Store: fmt::Debug + Send + Sync + 'static {
    /// `embedded` or `etcd`.
    fn kind(&self) -> &'static str;

    /// Whether several replicas may stand on it.
    fn is_shared(&self) -> bool;

    /// The head, as of now and not of some cache.
    fn head(&self) -> Future<'_, Option<Head>>;

    /// Writes entries whose keys are new. In several transactions where one cannot take them all: nobody may
    /// read them before a head or pointer leads there. Written twice with the same values it does no harm.
    fn stage(&self, entries: Vec<Entry>) -> Future<'_, ()>;

    /// Sets the head and writes `also`, where the head is still `expected`; in one transaction, or not at all.
    fn flip<'a>(
        &'a self,
        expected: Option<&'a Head>,
        new: &'a Head,
        also: Vec<Entry>,
    ) -> Future<'a, Flip>;

    /// One value.
    fn get<'a>(&'a self, key: &'a str) -> Future<'a, Option<Bytes>>;

    /// All entries whose keys begin with `prefix`, sorted, all as of one moment.
    fn list<'a>(&'a self, prefix: &'a str) -> Future<'a, Vec<Entry>>;

    /// All keys that begin with `prefix`, sorted, without their values.
    fn keys<'a>(&'a self, prefix: &'a str) -> Future<'a, Vec<String>>;

    /// Writes an entry, whatever is there.
    fn put(&self, entry: Entry) -> Future<'_, ()>;

    /// Writes an entry, whatever is there, that is gone `lasts` from now unless it is written again: what a replica
    /// says of itself as long as it lives.
    fn put_for(&self, entry: Entry, lasts: Duration) -> Future<'_, ()>;

    /// Removes keys; those that are not there are none the worse for it.
    fn delete(&self, keys: Vec<String>) -> Future<'_, ()>;

    /// Sets `key` to `new` (or removes it, for `None`) where it still has the value `expected` (or is not
    /// there, for `None`). Whether it did. An answer that is lost on the way counts as `false`, so what is
    /// good for one use is never used twice.
    fn compare_and_set<'a>(
        &'a self,
        key: &'a str,
        expected: Option<&'a [u8]>,
        new: Option<Bytes>,
    ) -> Future<'a, bool>;

    /// A number that rises whenever something under `prefix` may have changed, by whomever. It says no more
    /// than that: whoever is woken reads again, so a bump too many does no harm and none is ever too few.
    fn changes(&self, prefix: &str) -> watch::Receiver<u64>;
}

/// Cuts entries into transactions that both backends take.
pub(crate) fn batches(entries: Vec<Entry>) -> Result<Vec<Vec<Entry>>, Error> {
    let mut batches = Vec::new();
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for entry in entries {
        if entry.value.len() > VALUE_BYTES_MAX {
            return Err(Error::TooBig {
                bytes: entry.value.len(),
                key: entry.key,
            });
        }
        if batch.len() == BATCH_OPS_MAX || (bytes + entry.bytes() > BATCH_BYTES_MAX && bytes > 0) {
            batches.push(std::mem::take(&mut batch));
            bytes = 0;
        }
        bytes += entry.bytes();
        batch.push(entry);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    Ok(batches)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn batches_stay_under_both_bounds_and_keep_order() {
        let small = (0..250).map(|n| Entry::new(format!("k{n:03}"), vec![0; 10]));
        let big = (0..5).map(|n| Entry::new(format!("m{n}"), vec![0; 700_000]));
        let all: Vec<Entry> = small.chain(big).collect();
        let cut = batches(all.clone()).unwrap();
        for batch in &cut {
            assert!(batch.len() <= BATCH_OPS_MAX);
            assert!(batch.iter().map(Entry::bytes).sum::<usize>() <= BATCH_BYTES_MAX);
        }
        assert_eq!(cut.into_iter().flatten().collect::<Vec<_>>(), all);
    }

    #[test]
    fn a_value_that_no_transaction_takes_is_refused_before_anything_is_written() {
        let error = batches(vec![Entry::new("k", vec![0; VALUE_BYTES_MAX + 1])]).unwrap_err();
        assert!(matches!(error, Error::TooBig { .. }), "{error}");
    }

    #[test]
    fn heads_survive_their_encoding() {
        let head = Head::new(7, Sha256::of(b"x"), "id");
        assert_eq!(Head::decode(&head.encode()).unwrap(), head);
        assert!(matches!(Head::decode(b"{}"), Err(Error::Corrupt { .. })));
    }
}
