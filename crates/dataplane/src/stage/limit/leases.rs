//! Calls that an edge has taken from the shared store and not used yet, by key: a call takes one of them and asks nobody.
//!
//! How many are taken at once follows from recent use, and is never much against what the limit gives: what an edge has
//! in hand is missing elsewhere. Where a limit gives little, each call is asked for by itself, and counting is exact.
//! What was not used within a second is not used any more.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use engine::limit::Key;
use model::limit::Calls;
use parking_lot::Mutex;

/// Parts of the memory, each under its own lock.
const SHARDS: usize = 16;
/// How long what was taken is good, and over what time use is recent, in nanoseconds.
const WINDOW: u64 = 1_000_000_000;
/// Of the calls of a second, so many parts are taken at once.
const PARTS: u32 = 8;
/// Edges together have at most about this part of a second's calls in hand for each of them.
const SHARE: u64 = 20;
/// Calls a second of one key at this edge, from which on more is taken before it is needed.
const BUSY: u32 = 8;

/// What edges have in hand of one limit.
#[derive(Debug)]
pub(super) struct Leases {
    /// Locked for one look-up, now and then for a walk over the shard's keys.
    shards: Box<[Mutex<HashMap<Key, Lease>>]>,
    hasher: RandomState,
    shard_keys_max: usize,
    batch_max: u32,
}

#[derive(Debug, Default)]
struct Lease {
    in_hand: u32,
    taken_at: u64,
    /// None are to be had before.
    none_before: u64,
    /// Somebody is taking more.
    is_refilling: bool,
    window: u64,
    used: u32,
    used_before: u32,
}

/// What a call has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Go on. So many should be taken before they are needed.
    Go(Option<u32>),
    /// Be refused for so long.
    Wait(Duration),
    /// Ask for so many.
    Ask(u32),
}

impl Leases {
    pub(super) fn new(calls: &Calls, keys_max: usize) -> Self {
        let second = calls.rate.amount * 1000
            / u64::try_from(calls.rate.period.as_millis())
                .unwrap_or(u64::MAX)
                .max(1);
        let most = (second / SHARE).min(u64::from(calls.burst) / 8);
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            shard_keys_max: keys_max.div_ceil(SHARDS).max(1),
            batch_max: u32::try_from(most).unwrap_or(u32::MAX).max(1),
        }
    }

    /// One call under a key.
    pub(super) fn step(&self, key: &Key, now: u64) -> Step {
        let mut shard = self.shard(key).lock();
        if !shard.contains_key(key) {
            if shard.len() >= self.shard_keys_max {
                shard.retain(|_, lease| lease.is_wanted(now));
            }
            if shard.len() >= self.shard_keys_max {
                // Nothing can be kept for it; it is counted all the same.
                return Step::Ask(1);
            }
            shard.insert(key.clone(), Lease::default());
        }
        let Some(lease) = shard.get_mut(key) else {
            return Step::Ask(1);
        };
        lease.step(now, self.batch_max)
    }

    /// So many more are in hand.
    pub(super) fn put(&self, key: &Key, more: u32, now: u64) {
        self.with(key, |lease| {
            if lease.is_stale(now) {
                lease.in_hand = 0;
            }
            if more > 0 {
                lease.in_hand = lease.in_hand.saturating_add(more);
                lease.taken_at = now;
            }
        });
    }

    /// One that was taken is not used: it is good for as long as it was.
    pub(super) fn give_back(&self, key: &Key, now: u64) {
        self.with(key, |lease| {
            if !lease.is_stale(now) {
                lease.in_hand = lease.in_hand.saturating_add(1);
            }
        });
    }

    /// Nobody is taking more any longer.
    pub(super) fn refilled(&self, key: &Key) {
        self.with(key, |lease| lease.is_refilling = false);
    }

    /// None are to be had for so long.
    pub(super) fn none(&self, key: &Key, after: Duration, now: u64) {
        self.with(key, |lease| {
            let after = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
            lease.none_before = now.saturating_add(after);
        });
    }

    fn with(&self, key: &Key, f: impl FnOnce(&mut Lease)) {
        if let Some(lease) = self.shard(key).lock().get_mut(key) {
            f(lease);
        }
    }

    fn shard(&self, key: &Key) -> &Mutex<HashMap<Key, Lease>> {
        let hash = self.hasher.hash_one(key);
        let place = usize::try_from(hash % SHARDS as u64).unwrap_or_default();
        &self.shards[place]
    }
}

impl Lease {
    fn step(&mut self, now: u64, batch_max: u32) -> Step {
        self.note(now);
        if self.is_stale(now) {
            self.in_hand = 0;
        }
        let recent = self.used.max(self.used_before);
        let batch = (recent / PARTS).clamp(1, batch_max);
        if self.in_hand > 0 {
            self.in_hand -= 1;
            let is_low = self.in_hand <= batch / 2;
            let more = is_low
                && recent >= BUSY
                && batch_max > 1
                && !self.is_refilling
                && now >= self.none_before;
            self.is_refilling |= more;
            return Step::Go(more.then_some(batch));
        }
        if now < self.none_before {
            return Step::Wait(Duration::from_nanos(self.none_before - now));
        }
        Step::Ask(batch)
    }

    /// Counts a call as use.
    fn note(&mut self, now: u64) {
        let window = now / WINDOW;
        if window != self.window {
            let is_next = window == self.window + 1;
            self.used_before = if is_next { self.used } else { 0 };
            self.used = 0;
            self.window = window;
        }
        self.used = self.used.saturating_add(1);
    }

    fn is_stale(&self, now: u64) -> bool {
        now.saturating_sub(self.taken_at) > WINDOW
    }

    /// Whether anything is lost where it is forgotten.
    fn is_wanted(&self, now: u64) -> bool {
        self.is_refilling || now < self.none_before || (self.in_hand > 0 && !self.is_stale(now))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use model::limit::Rate;

    use super::*;

    const MS: u64 = 1_000_000;

    fn leases(rate: &str, burst: u32) -> Leases {
        let rate = Rate::calls(rate).unwrap();
        Leases::new(&Calls { rate, burst }, 100)
    }

    #[test]
    fn where_little_is_given_each_call_is_asked_for() {
        let leases = leases("5/1m", 5);
        for n in 0..50 {
            assert_eq!(leases.step(&Key::default(), n * MS), Step::Ask(1));
            leases.put(&Key::default(), 0, n * MS);
        }
    }

    #[test]
    fn a_busy_key_takes_more_at_once_but_never_much() {
        let leases = leases("1000/1s", 500);
        let key = Key::default();
        let (mut asked, mut refilled, mut most) = (0, 0, 0);
        for n in 0..3000u64 {
            let now = n * 2 * MS;
            match leases.step(&key, now) {
                Step::Ask(want) => {
                    asked += 1;
                    most = most.max(want);
                    leases.put(&key, want - 1, now);
                }
                Step::Go(Some(want)) => {
                    refilled += 1;
                    most = most.max(want);
                    leases.put(&key, want, now);
                    leases.refilled(&key);
                }
                Step::Go(None) => {}
                Step::Wait(_) => panic!("nobody said so"),
            }
        }
        assert!(asked < 20, "{asked} of 3000 calls had to ask");
        assert!(refilled < 200, "{refilled} refills for 3000 calls");
        assert_eq!(most, 50, "a twentieth of a second's calls");
    }

    #[test]
    fn what_was_not_used_in_time_is_not_used_any_more() {
        let leases = leases("1000/1s", 500);
        let key = Key::default();
        leases.step(&key, 0);
        leases.put(&key, 5, 0);
        assert_eq!(leases.step(&key, 10 * MS), Step::Go(None));
        assert_eq!(leases.step(&key, WINDOW + 10 * MS), Step::Ask(1));
    }

    #[test]
    fn one_at_a_time_takes_more_whatever_others_take_and_give_back() {
        let leases = leases("1000/1s", 500);
        let key = Key::default();
        let refills = |n: u64| match leases.step(&key, n * MS) {
            Step::Ask(want) => {
                leases.put(&key, want - 1, n * MS);
                leases.give_back(&key, n * MS);
                0
            }
            Step::Go(more) => usize::from(more.is_some()),
            Step::Wait(_) => panic!("nobody said so"),
        };
        let begun: usize = (0..200).map(refills).sum();
        assert_eq!(begun, 1, "none has ended");
        leases.refilled(&key);
        assert!((200..400).map(refills).sum::<usize>() > 0);
    }

    #[test]
    fn what_is_given_back_is_not_good_for_longer() {
        let leases = leases("1000/1s", 500);
        let key = Key::default();
        leases.step(&key, 0);
        leases.put(&key, 2, 0);
        assert_eq!(leases.step(&key, 900 * MS), Step::Go(None));
        leases.give_back(&key, 950 * MS);
        assert_eq!(leases.step(&key, WINDOW + 10 * MS), Step::Ask(1));
    }

    #[test]
    fn nobody_asks_while_none_are_to_be_had() {
        let leases = leases("5/1m", 5);
        let key = Key::default();
        assert_eq!(leases.step(&key, 0), Step::Ask(1));
        leases.none(&key, Duration::from_millis(20), 0);
        let wait = Step::Wait(Duration::from_millis(15));
        assert_eq!(leases.step(&key, 5 * MS), wait);
        assert_eq!(leases.step(&key, 20 * MS), Step::Ask(1));
    }

    #[test]
    fn keys_without_room_are_asked_for_one_by_one() {
        let leases = leases("1000/1s", 500);
        let keys: Vec<Key> = (0..1000).map(super::super::tests::key_of).collect();
        for key in &keys {
            leases.step(key, 0);
            leases.put(key, 5, 0);
        }
        let held: usize = leases.shards.iter().map(|shard| shard.lock().len()).sum();
        assert!(held <= 112, "{held}");
        let asked = keys
            .iter()
            .filter(|key| leases.step(key, 1) == Step::Ask(1));
        assert_eq!(asked.count(), 1000 - held);
    }
}
