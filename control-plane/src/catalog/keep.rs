//! Keeps the store bounded: checkpoints, so that a start reads few logs; old history and what lost flips
//! left behind is removed behind them. Any replica may do it; two at once do it twice, to the same end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use model::snapshot::ResourceKey;

use super::log::{self, Manifest, Op, Pointer};
use super::{Error, State, Stored, load};
use crate::clock;
use crate::store::seal::Sealer;
use crate::store::{Entry, Head, Store, key};

/// Revisions from one checkpoint to the next: a start reads at most so many logs.
pub(super) const CHECKPOINT_EVERY: u64 = 256;
/// Default of [`Bounds::revisions_max`].
pub(crate) const REVISIONS_MAX: u64 = 10_000;
/// Default of [`Bounds::bytes_max`].
pub(crate) const BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Staged chunks that no log names are removed when they are so old; no flip waits so long.
const ORPHAN_AGE: Duration = Duration::from_secs(3600);

/// How much history is kept. Both are looked at with each checkpoint; what came since the last one is always kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Most revisions.
    pub revisions_max: u64,
    /// Most bytes of what they put.
    pub bytes_max: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            revisions_max: REVISIONS_MAX,
            bytes_max: BYTES_MAX,
        }
    }
}

impl Bounds {
    /// The revision with which history is to begin, at the latest with the one of the checkpoint.
    fn begin(&self, logs: &BTreeMap<u64, Manifest>, checkpoint: u64) -> u64 {
        let mut bytes = 0u64;
        let kept = (1..).zip(logs.values().rev()).take_while(|(count, log)| {
            bytes = bytes.saturating_add(log.bytes);
            *count <= self.revisions_max && bytes <= self.bytes_max
        });
        let oldest = kept.last().map(|(_, log)| log.revision);
        oldest.unwrap_or(checkpoint).min(checkpoint)
    }
}

/// Writes a checkpoint and removes what is too old, where it is time for it.
///
/// # Errors
/// What the store may say. Half of it done is harmless: the next time does the rest.
pub(super) async fn keep(
    store: &dyn Store,
    sealer: &Sealer,
    state: &State,
    bounds: Bounds,
) -> Result<(), Error> {
    let Some(head) = state.head() else {
        return Ok(());
    };
    if state.revision() < CHECKPOINT_EVERY || state.unreadable().is_some() {
        return Ok(());
    }
    let latest = store.get(key::CHECKPOINT_LATEST).await?;
    let before = match &latest {
        Some(value) => Pointer::decode(key::CHECKPOINT_LATEST, value)?.revision,
        None => 0,
    };
    if state.revision() < before + CHECKPOINT_EVERY {
        return Ok(());
    }
    write_checkpoint(store, state, &head.change, latest.as_deref()).await?;
    remove_old(store, sealer, head, bounds).await
}

async fn write_checkpoint(
    store: &dyn Store,
    state: &State,
    change: &str,
    latest: Option<&[u8]>,
) -> Result<(), Error> {
    let revision = state.revision();
    let (pointer, chunks) = whole(state, change);
    let entries = chunks
        .into_iter()
        .enumerate()
        .map(|(n, chunk)| Entry::new(key::checkpoint_chunk(revision, n), chunk))
        .collect();
    store.stage(entries).await?;
    // Where another replica was faster, its checkpoint is as good.
    store
        .compare_and_set(key::CHECKPOINT_LATEST, latest, Some(pointer.encode()))
        .await?;
    tracing::debug!(revision, "checkpoint written");
    Ok(())
}

/// A whole state as it lies in the store, and what points to it.
fn whole(state: &State, change: &str) -> (Pointer, Vec<Bytes>) {
    let op = |(key, stored): (&ResourceKey, &Arc<Stored>)| Op {
        kind: key.kind.clone(),
        name: key.name.clone(),
        version: stored.version,
        resource: Some(stored.sealed.clone()),
        replaces: 0,
    };
    let ops: Vec<Op> = state.resources().iter().map(op).collect();
    let chunks = log::chunks(&ops);
    let pointer = Pointer {
        revision: state.revision(),
        chunks: chunks.len(),
        sha256: state.sha256().hex(),
        change: change.to_owned(),
    };
    (pointer, chunks)
}

/// Moves the state with which history begins up to where the bounds say, and removes what lies behind it.
async fn remove_old(
    store: &dyn Store,
    sealer: &Sealer,
    head: &Head,
    bounds: Bounds,
) -> Result<(), Error> {
    let checkpoint = head.revision;
    let begins = bounds.begin(&load::chain(store, head).await?, checkpoint);
    let begins = write_base(store, sealer, head, begins).await?;
    let older = store.keys(key::CHECKPOINTS).await?.into_iter();
    let mut doomed: Vec<String> = older
        .filter(|k| key::revision_of_checkpoint(k).is_some_and(|revision| revision < checkpoint))
        .collect();
    let bases = store.keys(key::BASES).await?.into_iter();
    doomed.extend(bases.filter(|k| key::revision_of_base(k).is_some_and(|at| at < begins)));
    let mut kept = BTreeSet::new();
    for entry in store.list(key::LOGS).await? {
        let manifest = Manifest::decode(&entry.key, &entry.value)?;
        if manifest.revision < begins {
            doomed.push(entry.key);
        } else {
            kept.insert(manifest.change);
        }
    }
    // After the logs: what was flipped meanwhile is young, and kept for that.
    let young = clock::since_epoch().saturating_sub(ORPHAN_AGE);
    for chunk in store.keys(key::CHANGES).await? {
        let id = key::change_of_chunk(&chunk).unwrap_or_default();
        if !kept.contains(id) && made_at(id) < young {
            doomed.push(chunk);
        }
    }
    let removed = doomed.len();
    store.delete(doomed).await?;
    tracing::debug!(removed, begins, "old history removed");
    Ok(())
}

/// Writes the state at `begins`, where history has to begin later than it does. Says where it begins.
async fn write_base(
    store: &dyn Store,
    sealer: &Sealer,
    head: &Head,
    begins: u64,
) -> Result<u64, Error> {
    let before = store.get(key::BASE_LATEST).await?;
    let began = match &before {
        Some(value) => Pointer::decode(key::BASE_LATEST, value)?.revision,
        None => 0,
    };
    if begins <= began.max(1) {
        return Ok(began);
    }
    let state = match load::at(store, sealer, Some(head), begins).await {
        // Another replica has moved it up meanwhile.
        Err(Error::NotKept { .. }) => return Ok(began),
        other => other?,
    };
    let change = state.head().map_or("", |head| head.change.as_str());
    let (pointer, chunks) = whole(&state, change);
    let entries = chunks
        .into_iter()
        .enumerate()
        .map(|(n, chunk)| Entry::new(key::base_chunk(begins, n), chunk))
        .collect();
    store.stage(entries).await?;
    let pointer = Some(pointer.encode());
    let is_ours = store
        .compare_and_set(key::BASE_LATEST, before.as_deref(), pointer)
        .await?;
    // Where another replica was faster, what it leaves behind is its own to remove.
    Ok(if is_ours { begins } else { began })
}

/// When a change was made, by its id. What has no time in it is as old as can be.
fn made_at(id: &str) -> Duration {
    let timestamp = uuid::Uuid::parse_str(id)
        .ok()
        .and_then(|id| id.get_timestamp());
    timestamp.map_or(Duration::ZERO, |t| {
        let (seconds, nanos) = t.to_unix();
        Duration::new(seconds, nanos)
    })
}
