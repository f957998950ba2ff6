//! Sessions that are over, kept in mind as long as somebody may come with their ids: nobody begins them anew. Of each no more
//! than a number is kept; beyond a bound the oldest are forgotten.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use parking_lot::RwLock;
use tokio::time::Instant;

/// As long as an edge opens the id of a session.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Sessions that are kept in mind.
const KEPT_MAX: usize = 1 << 16;

/// The sessions that were ended. Locked for a look-up.
#[derive(Debug, Default)]
pub(super) struct Ended {
    hasher: RandomState,
    kept: RwLock<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    known: HashSet<u64>,
    oldest_first: VecDeque<(Instant, u64)>,
}

impl Ended {
    /// The session with this handle is over.
    pub(super) fn add(&self, handle: &str) {
        let number = self.hasher.hash_one(handle);
        let mut kept = self.kept.write();
        if kept.known.insert(number) {
            kept.oldest_first.push_back((Instant::now(), number));
        }
        while kept.oldest_first.len() > KEPT_MAX {
            kept.forget_oldest();
        }
    }

    /// Whether it is over.
    pub(super) fn has(&self, handle: &str) -> bool {
        let kept = self.kept.read();
        !kept.known.is_empty() && kept.known.contains(&self.hasher.hash_one(handle))
    }

    /// Forgets those whose ids are worth nothing any more.
    pub(super) fn sweep(&self) {
        let mut kept = self.kept.write();
        while kept
            .oldest_first
            .front()
            .is_some_and(|(at, _)| at.elapsed() >= KEPT)
        {
            kept.forget_oldest();
        }
    }
}

impl Kept {
    fn forget_oldest(&mut self) {
        if let Some((_, number)) = self.oldest_first.pop_front() {
            self.known.remove(&number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_over_is_kept_in_mind_within_bounds() {
        let ended = Ended::default();
        assert!(!ended.has("a"));
        ended.add("a");
        tokio::time::advance(KEPT / 2).await;
        ended.add("a");
        ended.add("b");
        tokio::time::advance(KEPT / 2).await;
        ended.sweep();
        assert!(!ended.has("a") && ended.has("b"));
        for n in 0..KEPT_MAX {
            ended.add(&n.to_string());
        }
        assert!(!ended.has("b") && ended.has("0"));
        assert_eq!(ended.kept.read().known.len(), KEPT_MAX);
    }
}
