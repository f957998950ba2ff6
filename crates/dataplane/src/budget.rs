//! How much may be under way at once: calls, and the bytes of their messages. Nobody waits here; who finds no
//! room is told so at once, and when to come again.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What all calls under way at one listener may hold; where it is used up, calls are refused as `overloaded`.
#[derive(Debug)]
pub struct Budget {
    /// A permit for each call.
    calls: Arc<Semaphore>,
    /// A permit for each KiB of their messages.
    body_kib: Arc<Semaphore>,
}

impl Budget {
    /// For so many calls, with so many bytes of messages in all.
    pub fn new(calls: usize, body_bytes: usize) -> Self {
        let body_kib = (body_bytes / 1024).min(Semaphore::MAX_PERMITS);
        Self {
            calls: Arc::new(Semaphore::new(calls.min(Semaphore::MAX_PERMITS))),
            body_kib: Arc::new(Semaphore::new(body_kib)),
        }
    }

    /// Room for one call with a message of at most so many bytes.
    pub fn take(&self, body_bytes_max: u64) -> Option<Permit> {
        let kib = u32::try_from(body_bytes_max.div_ceil(1024)).ok()?;
        Some(Permit {
            _call: self.calls.clone().try_acquire_owned().ok()?,
            _body: self.body_kib.clone().try_acquire_many_owned(kib).ok()?,
        })
    }
}

/// Room that one call holds until its reply is over.
#[derive(Debug)]
pub struct Permit {
    _call: OwnedSemaphorePermit,
    _body: OwnedSemaphorePermit,
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
}
