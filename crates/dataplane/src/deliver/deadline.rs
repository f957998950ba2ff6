//! How long a call may take: its limit, begun anew with each progress, and never more than a multiple of it.

use std::time::Duration;

use tokio::time::Instant;

/// Progress gives a call more time, but never more than this many times its limit.
const LIMIT_TIMES_MAX: u32 = 10;

/// The time of one call.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    limit: Duration,
    at: Instant,
    latest: Instant,
}

impl Deadline {
    /// `limit` from now.
    pub fn new(limit: Duration) -> Self {
        let now = Instant::now();
        Self {
            limit,
            at: now + limit,
            latest: now + limit * LIMIT_TIMES_MAX,
        }
    }

    /// When its time is over.
    pub fn at(&self) -> Instant {
        self.at
    }

    /// Gives it `more` from now, over and above all limits: somebody is being asked, and the server waits, not we.
    pub fn extend(&mut self, more: Duration) {
        let now = Instant::now();
        self.at = self.at.max(now + more);
        self.latest = self.latest.max(self.at + self.limit);
    }

    /// Gives it its limit anew. False: also a server that never stops telling of progress has to come to an end.
    pub fn renew(&mut self) -> bool {
        let now = Instant::now();
        self.at = (now + self.limit).min(self.latest);
        now < self.latest
    }
}
