//! Calls under way at one time, by key. There are never more keys than calls under way, which the listener bounds.

use std::collections::HashMap;

use engine::limit::Key;
use parking_lot::Mutex;

/// How many calls are under way under each key.
#[derive(Debug)]
pub(super) struct UnderWay {
    most: u32,
    /// Locked for one look-up.
    counts: Mutex<HashMap<Key, u32>>,
}

impl UnderWay {
    pub(super) fn new(most: u32) -> Self {
        Self {
            most,
            counts: Mutex::default(),
        }
    }

    /// Whether one more may begin; then it must [`Self::leave`].
    pub(super) fn enter(&self, key: &Key) -> bool {
        let mut counts = self.counts.lock();
        match counts.get_mut(key) {
            Some(count) if *count >= self.most => false,
            Some(count) => {
                *count += 1;
                true
            }
            None => {
                counts.insert(key.clone(), 1);
                true
            }
        }
    }

    /// One is over.
    pub(super) fn leave(&self, key: &Key) {
        let mut counts = self.counts.lock();
        if let Some(count) = counts.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(key);
            }
        }
    }
}
