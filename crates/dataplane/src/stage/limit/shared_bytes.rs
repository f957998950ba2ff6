//! Bytes a period, counted by all edges together: each counts at once what it sees itself, and tells the store a moment
//! later, which answers with what others have seen.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use engine::limit::Key;
use model::filter::OnError;
use model::limit::{Limit, Rate};
use parking_lot::Mutex;

use super::rates::ByteRate;
use super::shared::{AWAY_WAIT, prefix};
use super::store::Store;

/// How long bytes are gathered before the store is told.
const GATHER: Duration = Duration::from_millis(100);

/// Bytes a period over all edges.
#[derive(Debug)]
pub(super) struct SharedBytes {
    here: ByteRate,
    rate: Rate,
    store: Arc<Store>,
    /// Stands before each key in the store.
    prefix: Box<[u8]>,
    on_error: OnError,
    keys_max: usize,
    untold: Mutex<Untold>,
}

/// What the store has not been told yet. Locked for one look-up, or to take all of it.
#[derive(Debug, Default)]
struct Untold {
    bytes: HashMap<Key, u64>,
    /// Somebody is about to tell it.
    is_telling: bool,
}

impl SharedBytes {
    pub(super) fn new(
        limit: &Limit,
        what: &str,
        rate: Rate,
        store: &Arc<Store>,
        keys_max: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            here: ByteRate::new(rate, keys_max),
            rate,
            store: store.clone(),
            prefix: prefix(limit, what),
            on_error: limit.on_store_error,
            keys_max,
            untold: Mutex::default(),
        })
    }

    /// Whether there is anything left; if not, after what time there is.
    pub(super) fn check(&self, key: &Key) -> Result<(), Duration> {
        if self.on_error == OnError::Deny && !self.store.is_there() {
            return Err(AWAY_WAIT);
        }
        self.here.check(key)
    }

    /// Counts bytes, also over what is left.
    pub(super) fn spend(self: &Arc<Self>, key: &Key, bytes: usize) {
        self.here.spend(key, bytes);
        let mut untold = self.untold.lock();
        if let Some(more) = untold.bytes.get_mut(key) {
            *more = more.saturating_add(bytes as u64);
        } else if untold.bytes.len() < self.keys_max {
            untold.bytes.insert(key.clone(), bytes as u64);
        }
        if untold.is_telling {
            return;
        }
        untold.is_telling = true;
        drop(untold);
        let this = self.clone();
        self.store.aside(async move { this.tell().await });
    }

    /// Tells the store, until there is nothing left to tell. What it cannot be told stays counted here alone.
    async fn tell(&self) {
        loop {
            tokio::time::sleep(GATHER).await;
            let taken = {
                let mut untold = self.untold.lock();
                untold.is_telling = !untold.bytes.is_empty();
                std::mem::take(&mut untold.bytes)
            };
            if taken.is_empty() {
                return;
            }
            for (key, bytes) in taken {
                let name = [&self.prefix[..], key.as_bytes()].concat();
                if let Ok(after) = self.store.spend(&name, &self.rate, bytes).await {
                    self.here.raise(&key, after);
                }
            }
        }
    }
}
