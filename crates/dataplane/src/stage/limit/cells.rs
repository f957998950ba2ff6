//! What was counted under each key, as one time each: when all that was counted will have been worked off ("theoretical
//! arrival time"). A key whose time has passed is as good as none, and is dropped where room is needed.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use engine::limit::Key;
use governor::nanos::Nanos;
use governor::state::StateStore;
use parking_lot::Mutex;

use super::clock::Clock;

/// Parts of the memory, each under its own lock.
const SHARDS: usize = 16;
/// A full shard that had nothing to drop is not gone through again for so long, in nanoseconds.
const SWEEP_PAUSE: u64 = 100_000_000;

/// The memory of one limit. Clones are the same.
///
/// It holds a bounded number of keys. Keys for which there is no room are counted together, in one cell of their shard:
/// so a caller who invents keys (names of tools that there are not) can fill the memory, but never count as nobody.
#[derive(Debug, Clone)]
pub(super) struct Cells(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Locked for one look-up, now and then for a walk over the shard's keys.
    shards: Box<[Mutex<Shard>]>,
    shard_keys_max: usize,
    hasher: RandomState,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Shard {
    times: HashMap<Key, u64>,
    /// All keys for which there is no room.
    others: Option<u64>,
    /// Not gone through before.
    sweep_from: u64,
}

impl Cells {
    /// For about so many keys.
    pub(super) fn new(keys_max: usize, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            shard_keys_max: keys_max.div_ceil(SHARDS).max(1),
            hasher: RandomState::new(),
            clock,
        }))
    }

    /// The time of a key, in nanoseconds of the clock.
    pub(super) fn time(&self, key: &Key) -> Option<u64> {
        let shard = self.shard(key).lock();
        shard.times.get(key).copied().or(shard.others)
    }

    /// Changes a key's time, as one step; `None` from `f` leaves it as it was.
    pub(super) fn change<R>(
        &self,
        key: &Key,
        f: impl FnOnce(Option<u64>) -> (Option<u64>, R),
    ) -> R {
        let mut shard = self.shard(key).lock();
        if let Some(time) = shard.times.get_mut(key) {
            let (new, told) = f(Some(*time));
            *time = new.unwrap_or(*time);
            return told;
        }
        if !shard.has_room(self.0.shard_keys_max, &self.0.clock) {
            let (new, told) = f(shard.others);
            shard.others = new.or(shard.others);
            return told;
        }
        let (new, told) = f(None);
        if let Some(new) = new {
            shard.times.insert(key.clone(), new);
        }
        told
    }

    /// Takes `nanos` back from what was counted under a key.
    pub(super) fn give_back(&self, key: &Key, nanos: u64) {
        self.change(key, |time| {
            (time.map(|time| time.saturating_sub(nanos)), ())
        });
    }

    fn shard(&self, key: &Key) -> &Mutex<Shard> {
        let hash = self.0.hasher.hash_one(key);
        let place = usize::try_from(hash % SHARDS as u64).unwrap_or_default();
        &self.0.shards[place]
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let shards = self.0.shards.iter();
        shards.map(|shard| shard.lock().times.len()).sum()
    }
}

impl Shard {
    /// Whether there is room for one more key, where need be after dropping those whose time has passed.
    fn has_room(&mut self, keys_max: usize, clock: &Clock) -> bool {
        if self.times.len() < keys_max {
            return true;
        }
        let now = clock.nanos();
        if now < self.sweep_from {
            return false;
        }
        self.times.retain(|_, time| *time > now);
        self.others = self.others.filter(|time| *time > now);
        let has_room = self.times.len() < keys_max;
        if !has_room {
            self.sweep_from = now.saturating_add(SWEEP_PAUSE);
        }
        has_room
    }
}

impl StateStore for Cells {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, key: &Key, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.change(key, |time| match f(time.map(Nanos::new)) {
            Ok((told, new)) => (Some(new.as_u64()), Ok(told)),
            Err(over) => (None, Err(over)),
        })
    }
}
