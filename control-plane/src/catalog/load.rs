//! From the store to a state: the newest checkpoint, then the logs since; checked by the head's hash.
//!
//! Each log names the state that it was made on, so that the way from a state to the head is walked back from the
//! head. Where it does not lead to what this replica has, the store has *gone back*: it was restored from a backup,
//! and what it holds now is another history.

use std::collections::BTreeMap;

use super::log::{self, Manifest, Op, Parent, Pointer};
use super::{Error, State};
use crate::store::seal::Sealer;
use crate::store::{self, Head, Store, key};

/// How often loading begins anew because somebody moved the checkpoint under it.
const TRIES_MAX: usize = 3;

/// What the store holds, seen from a state.
#[derive(Debug)]
pub(super) enum Found {
    /// The same.
    Same,
    /// What came after it; or what an operator agreed to.
    Later(Box<State>),
    /// Another history: this state is not in it.
    Other(Box<State>),
}

/// The whole state.
///
/// # Errors
/// [`Error::Store`], [`Error::Seal`].
pub(super) async fn load(store: &dyn Store, sealer: &Sealer) -> Result<State, Error> {
    let mut tries = 1;
    loop {
        match load_once(store, sealer).await {
            Err(Error::Store(error @ store::Error::Corrupt { .. })) if tries < TRIES_MAX => {
                tracing::warn!(%error, "loading again");
                tries += 1;
            }
            other => return other,
        }
    }
}

async fn load_once(store: &dyn Store, sealer: &Sealer) -> Result<State, Error> {
    let Some(head) = store.head().await? else {
        return Ok(State::empty());
    };
    let from = checkpoint(store, sealer).await?;
    match way(store, &from, &head).await? {
        Way::On(logs) => replay(store, sealer, from, head, logs).await,
        Way::Elsewhere | Way::Restored => Err(corrupt(
            key::CHECKPOINT_LATEST,
            "the head does not come after it",
        )),
    }
}

/// What the store holds now, seen from `current`. Reads only the logs since, where they lead there.
///
/// # Errors
/// As [`load`].
pub(super) async fn newer(
    store: &dyn Store,
    sealer: &Sealer,
    current: &State,
) -> Result<Found, Error> {
    let head = store.head().await?;
    if head.as_ref() == current.head() {
        return Ok(Found::Same);
    }
    let Some(head) = head else {
        return Ok(Found::Other(Box::new(State::empty())));
    };
    match way(store, current, &head).await {
        // What lay between is too old to be there still: the checkpoint has it.
        Err(Error::Store(store::Error::Corrupt { .. })) => whole(store, sealer, current).await,
        Err(error) => Err(error),
        Ok(way) => along(store, sealer, current, head, way).await,
    }
}

async fn whole(store: &dyn Store, sealer: &Sealer, current: &State) -> Result<Found, Error> {
    let state = Box::new(load(store, sealer).await?);
    let known = match current.head() {
        Some(ours) => is_in_history(store, state.head(), ours.revision, &ours.change).await?,
        None => true,
    };
    Ok(if known {
        Found::Later(state)
    } else {
        Found::Other(state)
    })
}

async fn along(
    store: &dyn Store,
    sealer: &Sealer,
    current: &State,
    head: Head,
    way: Way,
) -> Result<Found, Error> {
    match way {
        Way::On(logs) => match replay(store, sealer, current.clone(), head, logs).await {
            Err(Error::Store(store::Error::Corrupt { .. })) => {
                load(store, sealer).await.map(|s| Found::Later(Box::new(s)))
            }
            other => other.map(|s| Found::Later(Box::new(s))),
        },
        Way::Restored => load(store, sealer).await.map(|s| Found::Later(Box::new(s))),
        Way::Elsewhere => load(store, sealer).await.map(|s| Found::Other(Box::new(s))),
    }
}

/// Whether the state after `change`, at `revision`, is in the history that leads to the store's head. What is so old
/// that its log was pruned is taken to be.
///
/// # Errors
/// As [`load`].
pub(super) async fn is_in_history(
    store: &dyn Store,
    head: Option<&Head>,
    revision: u64,
    change: &str,
) -> Result<bool, Error> {
    let Some(head) = head else {
        return Ok(false);
    };
    if head.revision <= revision {
        return Ok(head.revision == revision && head.change == change);
    }
    let log = key::log(revision);
    Ok(match store.get(&log).await? {
        Some(value) => Manifest::decode(&log, &value)?.change == change,
        None => restored_since(store, head, revision).await?,
    })
}

/// Whether a log is missing because it is old, or because an operator agreed to a history without it.
async fn restored_since(store: &dyn Store, head: &Head, revision: u64) -> Result<bool, Error> {
    let mut at = Some(Parent::from(head));
    while let Some(parent) = at.filter(|p| p.revision > revision) {
        let log = key::log(parent.revision);
        let Some(value) = store.get(&log).await? else {
            return Ok(true);
        };
        let manifest = Manifest::decode(&log, &value)?;
        if manifest.restored {
            return Ok(true);
        }
        at = manifest.parent;
    }
    Ok(false)
}

/// The state at `revision`, which must be in the history that leads to `head`.
///
/// # Errors
/// [`Error::NotKept`]; else as [`load`].
pub(super) async fn at(
    store: &dyn Store,
    sealer: &Sealer,
    head: Option<&Head>,
    revision: u64,
) -> Result<State, Error> {
    let (mut kept, newest) = match head {
        Some(head) => (chain(store, head).await?, head.revision),
        None => (BTreeMap::new(), 0),
    };
    let mut from = State::empty();
    for pointer in [key::BASE_LATEST, key::CHECKPOINT_LATEST] {
        let Some(value) = store.get(pointer).await? else {
            continue;
        };
        let pointer_to = Pointer::decode(pointer, &value)?;
        if pointer_to.revision <= revision && pointer_to.revision > from.revision() {
            from = whole_at(store, sealer, pointer).await?;
        }
    }
    let oldest = kept.keys().next().copied().unwrap_or_default();
    // Behind a state that is whole, each change must be there.
    let reaches = from.revision() > 0 || kept.get(&oldest).is_some_and(|log| log.parent.is_none());
    let Some(wanted) = kept.get(&revision).filter(|_| reaches) else {
        let head = newest;
        return Err(Error::NotKept {
            revision,
            oldest,
            head,
        });
    };
    let head = Head {
        revision,
        sha256: wanted.sha256.clone(),
        change: wanted.change.clone(),
    };
    kept.retain(|at, _| *at > from.revision() && *at <= revision);
    replay(store, sealer, from, head, kept.into_values().collect()).await
}

/// All logs that are kept of the way to `head`, by revision.
///
/// # Errors
/// As [`load`].
pub(super) async fn chain(
    store: &dyn Store,
    head: &Head,
) -> Result<BTreeMap<u64, Manifest>, Error> {
    let mut logs = BTreeMap::new();
    for entry in store.list(key::LOGS).await? {
        let manifest = Manifest::decode(&entry.key, &entry.value)?;
        logs.insert(manifest.revision, manifest);
    }
    let mut kept = BTreeMap::new();
    let mut at = Some(Parent::from(head));
    while let Some(parent) = at {
        let Some(log) = logs.remove(&parent.revision) else {
            break;
        };
        if log.change != parent.change {
            break;
        }
        at = log.parent.clone();
        kept.insert(log.revision, log);
    }
    Ok(kept)
}

/// The newest checkpoint, or nothing.
async fn checkpoint(store: &dyn Store, sealer: &Sealer) -> Result<State, Error> {
    whole_at(store, sealer, key::CHECKPOINT_LATEST).await
}

/// The whole state that a pointer names; the empty one where there is no pointer.
async fn whole_at(store: &dyn Store, sealer: &Sealer, pointer: &str) -> Result<State, Error> {
    let mut state = State::empty();
    let Some(value) = store.get(pointer).await? else {
        return Ok(state);
    };
    let is_base = pointer == key::BASE_LATEST;
    let pointer = Pointer::decode(pointer, &value)?;
    let prefix = if is_base {
        key::base(pointer.revision)
    } else {
        key::checkpoint(pointer.revision)
    };
    read_chunks(store, sealer, &mut state, &prefix, pointer.chunks).await?;
    state.seal(pointer.revision);
    expect_hash(&state, &pointer.sha256, &prefix)?;
    state.set_head(Head::new(pointer.revision, state.sha256(), &pointer.change));
    Ok(state)
}

/// The way from one state to a head.
enum Way {
    /// These logs, oldest first.
    On(Vec<Manifest>),
    /// There is none, and an operator agreed to that.
    Restored,
    /// There is none.
    Elsewhere,
}

/// Walks back from `head` to `from`.
async fn way(store: &dyn Store, from: &State, head: &Head) -> Result<Way, Error> {
    let start = from.head().map(Parent::from);
    let mut logs = Vec::new();
    let mut at = Some(Parent::from(head));
    while at != start {
        let Some(parent) = at.filter(|p| p.revision > from.revision()) else {
            let restored = logs.iter().any(|log: &Manifest| log.restored);
            return Ok(if restored {
                Way::Restored
            } else {
                Way::Elsewhere
            });
        };
        let log = key::log(parent.revision);
        let value = store.get(&log).await?;
        let value = value.ok_or_else(|| corrupt(&log, "it is missing"))?;
        let manifest = Manifest::decode(&log, &value)?;
        if manifest.change != parent.change {
            return Err(corrupt(&log, "it is not of the change that was made on it"));
        }
        at = manifest.parent.clone();
        logs.push(manifest);
    }
    logs.reverse();
    Ok(Way::On(logs))
}

/// Does what `logs` say, which lead from `state` to `head`.
async fn replay(
    store: &dyn Store,
    sealer: &Sealer,
    mut state: State,
    head: Head,
    logs: Vec<Manifest>,
) -> Result<State, Error> {
    for manifest in logs {
        let prefix = key::change(&manifest.change);
        read_chunks(store, sealer, &mut state, &prefix, manifest.chunks).await?;
    }
    state.seal(head.revision);
    expect_hash(&state, &head.sha256, key::HEAD)?;
    state.set_head(head);
    Ok(state)
}

async fn read_chunks(
    store: &dyn Store,
    sealer: &Sealer,
    state: &mut State,
    prefix: &str,
    expected: usize,
) -> Result<(), Error> {
    for op in ops(store, prefix, expected).await? {
        state.replay(op, sealer)?;
    }
    Ok(())
}

/// What the chunks under `prefix` say, in their order.
///
/// # Errors
/// [`Error::Store`].
pub(super) async fn ops(
    store: &dyn Store,
    prefix: &str,
    expected: usize,
) -> Result<Vec<Op>, Error> {
    let chunks = store.list(prefix).await?;
    if chunks.len() != expected {
        let why = format!("{} chunks where {expected} are wanted", chunks.len());
        return Err(corrupt(prefix, &why));
    }
    let mut ops = Vec::new();
    for chunk in chunks {
        ops.extend(log::read_chunk(&chunk.key, &chunk.value)?);
    }
    Ok(ops)
}

fn expect_hash(state: &State, expected: &str, key: &str) -> Result<(), Error> {
    let found = state.sha256().hex();
    if found == expected {
        Ok(())
    } else {
        Err(corrupt(
            key,
            &format!("its state hashes to {found}, not {expected}"),
        ))
    }
}

fn corrupt(key: &str, why: &str) -> Error {
    Error::Store(store::Error::Corrupt {
        key: key.to_owned(),
        why: why.to_owned(),
    })
}
