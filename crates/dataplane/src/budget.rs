//! How much may be under way at once: calls, and the bytes of their messages. Nobody waits here; who finds no
//! room is told so at once, and when to come again.

use std::sync::Arc;

use runtime::metrics::Metrics;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What all calls under way at one listener may hold; where it is used up, calls are refused as `overloaded`.
#[derive(Debug, Clone)]
pub struct Budget {
    /// A permit for each call.
    calls: Arc<Semaphore>,
    calls_max: usize,
    /// A permit for each KiB of their messages.
    body_kib: Arc<Semaphore>,
    body_kib_max: usize,
}

impl Budget {
    /// For so many calls, with so many bytes of messages in all.
    pub fn new(calls: usize, body_bytes: usize) -> Self {
        let body_kib_max = (body_bytes / 1024).min(Semaphore::MAX_PERMITS);
        let calls_max = calls.min(Semaphore::MAX_PERMITS);
        Self {
            calls: Arc::new(Semaphore::new(calls_max)),
            calls_max,
            body_kib: Arc::new(Semaphore::new(body_kib_max)),
            body_kib_max,
        }
    }

    /// Has what is taken of it shown among `metrics`.
    pub fn show(&self, metrics: &Metrics) {
        let budget = self.clone();
        let calls = "Calls under way.";
        let calls = metrics.gauge("gatehouse_calls_under_way", calls, &[]);
        let bytes = "Bytes set aside for the messages of calls under way.";
        let bytes = metrics.gauge("gatehouse_bodies_bytes", bytes, &[]);
        metrics.ask(move |_| {
            let taken = |all: usize, free: &Semaphore| {
                i64::try_from(all.saturating_sub(free.available_permits())).unwrap_or(i64::MAX)
            };
            calls.set(taken(budget.calls_max, &budget.calls));
            bytes.set(taken(budget.body_kib_max, &budget.body_kib).saturating_mul(1024));
        });
    }

    /// Room for one call with a message of at most so many bytes.
    pub fn take(&self, body_bytes_max: u64) -> Option<Permit> {
        let kib = u32::try_from(body_bytes_max.div_ceil(1024)).ok()?;
        Some(Permit {
            _call: self.calls.clone().try_acquire_owned().ok()?,
            body: self.body_kib.clone().try_acquire_many_owned(kib).ok()?,
            reply_kib: 0,
        })
    }
}

/// So much of a reply is part of the call's own room, bytes: nearly all replies are smaller.
const REPLY_FREE_BYTES: usize = 64 * 1024;

/// Room that one call holds until its reply is over.
#[derive(Debug)]
pub struct Permit {
    _call: OwnedSemaphorePermit,
    body: OwnedSemaphorePermit,
    /// How much of `body` is for the reply.
    reply_kib: u32,
}

impl Permit {
    /// Gives back what was set aside for a longer message than came.
    pub fn shrink_to(&mut self, body_bytes: usize) {
        let needed = body_bytes.div_ceil(1024);
        let more = self.body.num_permits().saturating_sub(needed);
        drop(self.body.split(more));
    }

    /// Makes room for a reply of which so many bytes are held at one time. False: there is none.
    pub fn hold_reply(&mut self, bytes: usize) -> bool {
        let Ok(kib) = u32::try_from(bytes.saturating_sub(REPLY_FREE_BYTES).div_ceil(1024)) else {
            return false;
        };
        let Some(more) = kib.checked_sub(self.reply_kib).filter(|more| *more > 0) else {
            return true;
        };
        let Ok(room) = self.body.semaphore().clone().try_acquire_many_owned(more) else {
            return false;
        };
        self.body.merge(room);
        self.reply_kib = kib;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_bounded_both_ways_and_comes_back() {
        let budget = Budget::new(2, 4096);
        let first = budget.take(3000);
        assert!(first.is_some());
        assert!(budget.take(3000).is_none(), "the bytes are used up");
        let second = budget.take(0);
        assert!(second.is_some());
        assert!(budget.take(0).is_none(), "the calls are used up");
        drop(first);
        assert!(budget.take(4096).is_some());
        assert!(budget.take(5000).is_none(), "more than there ever is");
    }

    #[test]
    fn a_large_reply_takes_its_room_from_the_others() {
        let budget = Budget::new(2, 128 * 1024);
        let Some(mut permit) = budget.take(1024) else {
            panic!("there is room");
        };
        assert!(permit.hold_reply(REPLY_FREE_BYTES));
        assert!(budget.take(127 * 1024).is_some(), "a small one takes none");
        assert!(permit.hold_reply(REPLY_FREE_BYTES + 64 * 1024));
        assert!(permit.hold_reply(REPLY_FREE_BYTES), "less is no more");
        assert!(budget.take(64 * 1024).is_none());
        assert!(!permit.hold_reply(REPLY_FREE_BYTES + 128 * 1024));
        drop(permit);
        assert!(budget.take(128 * 1024).is_some());
    }
}
