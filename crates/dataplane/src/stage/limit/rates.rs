//! Calls and bytes a period, counted on this edge alone. Calls by GCRA (`governor`); bytes by the same arithmetic, but
//! after the fact: how many there are is known once they have passed, so what is over is worked off first.

use std::num::NonZeroU32;
use std::time::Duration;

use engine::limit::Key;
use governor::middleware::NoOpMiddleware;
use governor::{Quota, RateLimiter};
use model::limit::{Calls, Rate};

use super::cells::Cells;
use super::clock::Clock;

/// Calls a period.
#[derive(Debug)]
pub(super) struct CallRate {
    limiter: RateLimiter<Key, Cells, Clock, NoOpMiddleware<Duration>>,
    cells: Cells,
    interval: Duration,
    clock: Clock,
}

impl CallRate {
    pub(super) fn new(calls: &Calls, keys_max: usize) -> Self {
        let clock = Clock::start();
        let cells = Cells::new(keys_max, clock);
        let interval = calls.interval().max(Duration::from_nanos(1));
        let burst = NonZeroU32::new(calls.burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(interval).unwrap_or(Quota::per_second(NonZeroU32::MIN));
        Self {
            limiter: RateLimiter::new(quota.allow_burst(burst), cells.clone(), clock),
            cells,
            interval,
            clock,
        }
    }

    /// Counts a call; or says after what time one would have room.
    pub(super) fn take(&self, key: &Key) -> Result<(), Duration> {
        self.limiter
            .check_key(key)
            .map_err(|over| over.wait_time_from(governor::clock::Clock::now(&self.clock)))
    }

    /// Takes back one call that was counted.
    pub(super) fn give_back(&self, key: &Key) {
        let nanos = u64::try_from(self.interval.as_nanos()).unwrap_or(u64::MAX);
        self.cells.give_back(key, nanos);
    }
}

#[cfg(test)]
impl CallRate {
    /// Keys that have a count of their own.
    pub(super) fn keys(&self) -> usize {
        self.cells.len()
    }
}

/// Bytes a period.
#[derive(Debug)]
pub(super) struct ByteRate {
    cells: Cells,
    rate: Rate,
    clock: Clock,
}

impl ByteRate {
    pub(super) fn new(rate: Rate, keys_max: usize) -> Self {
        let clock = Clock::start();
        Self {
            cells: Cells::new(keys_max, clock),
            rate,
            clock,
        }
    }

    /// Whether there is anything left; if not, after what time there is.
    pub(super) fn check(&self, key: &Key) -> Result<(), Duration> {
        let Some(time) = self.cells.time(key) else {
            return Ok(());
        };
        let period = u64::try_from(self.rate.period.as_nanos()).unwrap_or(u64::MAX);
        let free_at = time.saturating_sub(period);
        let wait = free_at.saturating_sub(self.clock.nanos());
        if wait == 0 {
            Ok(())
        } else {
            Err(Duration::from_nanos(wait))
        }
    }

    /// Others have counted, too: all is worked off after this time, if not later.
    pub(super) fn raise(&self, key: &Key, after: Duration) {
        let after = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
        let all = self.clock.nanos().saturating_add(after);
        self.cells
            .change(key, |time| (Some(time.unwrap_or(all).max(all)), ()));
    }

    /// Counts bytes, also over what is left.
    pub(super) fn spend(&self, key: &Key, bytes: usize) {
        let cost = self.rate.time_of(bytes as u64).as_nanos();
        let cost = u64::try_from(cost).unwrap_or(u64::MAX);
        let now = self.clock.nanos();
        self.cells.change(key, |time| {
            let new = time.unwrap_or(now).max(now).saturating_add(cost);
            (Some(new), ())
        });
    }
}
