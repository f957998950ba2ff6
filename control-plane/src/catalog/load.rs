//! From the store to a state: the newest checkpoint, then the logs since; checked by the head's hash.

use super::log::{self, Manifest, Pointer};
use super::{Error, State};
use crate::store::seal::Sealer;
use crate::store::{self, Head, Store, key};

/// How often loading begins anew because somebody moved the checkpoint under it.
const TRIES_MAX: usize = 3;

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
    replay(store, sealer, from, head).await
}

/// The state that the store is at, where that is another than `current`. Reads only the logs since, where
/// they lead from one to the other; after a restore from a backup they don't.
///
/// # Errors
/// As [`load`].
pub(super) async fn newer(
    store: &dyn Store,
    sealer: &Sealer,
    current: &State,
) -> Result<Option<State>, Error> {
    let head = store.head().await?;
    if head.as_ref() == current.head() {
        return Ok(None);
    }
    match head {
        Some(head) if head.revision > current.revision() => {
            match replay(store, sealer, current.clone(), head).await {
                Err(Error::Store(store::Error::Corrupt { .. })) => {}
                other => return other.map(Some),
            }
        }
        _ => {}
    }
    load(store, sealer).await.map(Some)
}

/// The newest checkpoint, or nothing.
async fn checkpoint(store: &dyn Store, sealer: &Sealer) -> Result<State, Error> {
    let mut state = State::empty();
    let Some(value) = store.get(key::CHECKPOINT_LATEST).await? else {
        return Ok(state);
    };
    let pointer = Pointer::decode(key::CHECKPOINT_LATEST, &value)?;
    let prefix = key::checkpoint(pointer.revision);
    read_chunks(store, sealer, &mut state, &prefix, pointer.chunks).await?;
    state.seal(pointer.revision);
    expect_hash(&state, &pointer.sha256, &prefix)?;
    Ok(state)
}

/// Does what all logs between `state` and `head` say.
async fn replay(
    store: &dyn Store,
    sealer: &Sealer,
    mut state: State,
    head: Head,
) -> Result<State, Error> {
    for revision in state.revision() + 1..=head.revision {
        let log = key::log(revision);
        let value = store
            .get(&log)
            .await?
            .ok_or_else(|| corrupt(&log, "it is missing"))?;
        let manifest = Manifest::decode(&log, &value)?;
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
    let chunks = store.list(prefix).await?;
    if chunks.len() != expected {
        let why = format!("{} chunks where {expected} are wanted", chunks.len());
        return Err(corrupt(prefix, &why));
    }
    for chunk in chunks {
        for op in log::read_chunk(&chunk.key, &chunk.value)? {
            state.replay(op, sealer)?;
        }
    }
    Ok(())
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
