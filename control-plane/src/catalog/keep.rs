//! Keeps the store bounded: checkpoints, so that a start reads few logs; old history and what lost flips
//! left behind is removed behind them. Any replica may do it; two at once do it twice, to the same end.

use std::collections::BTreeSet;
use std::time::Duration;

use super::log::{self, Manifest, Op, Pointer};
use super::{Error, State};
use crate::clock;
use crate::store::{Entry, Store, key};

/// Revisions from one checkpoint to the next: a start reads at most so many logs.
pub(super) const CHECKPOINT_EVERY: u64 = 256;
/// Revisions whose history is kept.
pub(super) const HISTORY_MAX: u64 = 10_000;
/// Staged chunks that no log names are removed when they are so old; no flip waits so long.
const ORPHAN_AGE: Duration = Duration::from_secs(3600);

/// Writes a checkpoint and removes what is too old, where it is time for it.
///
/// # Errors
/// What the store may say. Half of it done is harmless: the next time does the rest.
pub(super) async fn keep(store: &dyn Store, state: &State) -> Result<(), Error> {
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
    remove_old(store, state.revision()).await
}

async fn write_checkpoint(
    store: &dyn Store,
    state: &State,
    change: &str,
    latest: Option<&[u8]>,
) -> Result<(), Error> {
    let ops: Vec<Op> = state
        .resources()
        .iter()
        .map(|(key, stored)| Op {
            kind: key.kind.clone(),
            name: key.name.clone(),
            version: stored.version,
            resource: Some(stored.sealed.clone()),
        })
        .collect();
    let revision = state.revision();
    let chunks = log::chunks(&ops);
    let pointer = Pointer {
        revision,
        chunks: chunks.len(),
        sha256: state.sha256().hex(),
        change: change.to_owned(),
    };
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

/// Removes what stands behind the checkpoint at `checkpoint` and is too old.
async fn remove_old(store: &dyn Store, checkpoint: u64) -> Result<(), Error> {
    let older = store.keys(key::CHECKPOINTS).await?.into_iter();
    let mut doomed: Vec<String> = older
        .filter(|k| key::revision_of_checkpoint(k).is_some_and(|revision| revision < checkpoint))
        .collect();
    let mut kept = BTreeSet::new();
    for entry in store.list(key::LOGS).await? {
        let manifest = Manifest::decode(&entry.key, &entry.value)?;
        if manifest.revision + HISTORY_MAX <= checkpoint {
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
    tracing::debug!(removed, "old history removed");
    Ok(())
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
