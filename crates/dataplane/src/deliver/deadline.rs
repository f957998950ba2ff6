//! How long a call may take: its limit, begun anew with each progress, and never more than a multiple of it.

use std::time::Duration;

use tokio::time::Instant;

/// Progress gives a call more time, but never more than this many times its limit.
const LIMIT_TIMES_MAX: u32 = 10;

/// How long somebody may take to answer what a server asks in mid-call.
pub const INPUT_WAIT: Duration = Duration::from_secs(600);

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

    /// Whoever was asked has answered, and the server is at work again.
    pub fn goes_on(&mut self) {
        self.at = (Instant::now() + self.limit).min(self.latest);
    }

    /// Gives it its limit anew. False: also a server that never stops telling of progress has to come to an end.
    pub fn renew(&mut self) -> bool {
        let now = Instant::now();
        self.at = (now + self.limit).min(self.latest);
        now < self.latest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_is_asked_gives_time_until_the_answer_only() {
        let mut deadline = Deadline::new(Duration::from_secs(10));
        deadline.extend(INPUT_WAIT);
        assert_eq!(deadline.at(), Instant::now() + INPUT_WAIT);
        tokio::time::advance(Duration::from_secs(300)).await;
        deadline.goes_on();
        assert_eq!(deadline.at(), Instant::now() + Duration::from_secs(10));
    }
}
