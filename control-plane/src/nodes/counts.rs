//! What a node counted of its calls: since a share of a staged rollout began, and in the minutes before.

use std::collections::VecDeque;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// Minutes that are remembered from before a rollout.
const MINUTES: usize = 10;
const MINUTE_MS: i64 = 60_000;

/// Calls, and those of them that were refused or failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) calls: u64,
    pub(crate) failed: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, more: Self) {
        self.calls = self.calls.saturating_add(more.calls);
        self.failed = self.failed.saturating_add(more.failed);
    }
}

/// What nodes of one kind counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sides {
    /// Those that have the change, since its share began.
    pub(crate) having: Tally,
    /// All others in that time.
    pub(crate) others: Tally,
    /// Those that have it, in the minutes before.
    pub(crate) before: Tally,
}

impl AddAssign for Sides {
    fn add_assign(&mut self, more: Self) {
        self.having += more.having;
        self.others += more.others;
        self.before += more.before;
    }
}

/// What was counted in a share of a staged rollout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// The revision of the change.
    pub(crate) revision: u64,
    /// Which of its shares, counted from 1. 0: none has begun.
    pub(crate) begun: u32,
    pub(crate) edges: Sides,
    pub(crate) sidecars: Sides,
}

impl Counts {
    /// Adds what another replica counted in the same share.
    pub(crate) fn add(&mut self, other: &Self) {
        if (other.revision, other.begun) == (self.revision, self.begun) {
            self.edges += other.edges;
            self.sidecars += other.sidecars;
        }
    }
}

/// One node's.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// What it said last, since it started.
    said: Option<Tally>,
    since: Tally,
    /// By the minute, oldest first.
    before: VecDeque<(i64, Tally)>,
}

impl Own {
    /// The node says what it has counted since it started. `staged`: a staged rollout is running.
    pub(super) fn says(&mut self, all: Tally, staged: bool, now: i64) {
        let Some(said) = self.said.replace(all) else {
            return;
        };
        // One that counts less has started anew.
        let more = match all.calls.checked_sub(said.calls) {
            Some(calls) => Tally {
                calls,
                failed: all.failed.saturating_sub(said.failed),
            },
            None => all,
        };
        if staged {
            self.since += more;
            return;
        }
        let minute = now / MINUTE_MS;
        match self.before.back_mut() {
            Some((last, tally)) if *last == minute => *tally += more,
            _ => self.before.push_back((minute, more)),
        }
        while self.before.len() > MINUTES {
            self.before.pop_front();
        }
    }

    /// A share begins.
    pub(super) fn begin(&mut self) {
        self.since = Tally::default();
    }

    /// Since the share began.
    pub(super) fn since(&self) -> Tally {
        self.since
    }

    /// In the minutes before the rollout.
    pub(super) fn before(&self) -> Tally {
        let mut all = Tally::default();
        for (_, tally) in &self.before {
            all += *tally;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(calls: u64, failed: u64) -> Tally {
        Tally { calls, failed }
    }

    #[test]
    fn what_is_said_since_the_start_is_counted_by_what_came_to_it() {
        let mut own = Own::default();
        own.says(tally(100, 5), false, 0);
        own.says(tally(110, 6), false, 1000);
        assert_eq!(
            own.before(),
            tally(10, 1),
            "what was before it was heard of is not known"
        );
        own.begin();
        own.says(tally(130, 16), true, 2000);
        assert_eq!((own.since(), own.before()), (tally(20, 10), tally(10, 1)));
        own.says(tally(3, 1), true, 3000);
        assert_eq!(own.since(), tally(23, 11), "it has started anew");
        own.begin();
        assert_eq!(own.since(), tally(0, 0));
    }

    #[test]
    fn only_some_minutes_are_remembered() {
        let mut own = Own::default();
        for minute in 0..100_u32 {
            let all = tally(u64::from(minute), 0);
            own.says(all, false, i64::from(minute) * MINUTE_MS);
        }
        assert_eq!(own.before(), tally(MINUTES as u64, 0));
    }
}
