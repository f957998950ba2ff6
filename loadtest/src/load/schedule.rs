//! When the calls of an open loop are due: at a fixed rate from the start on, whatever became of earlier ones.
//!
//! Pure. A call's time is its number; a late answer moves no later call, and so hides none (no coordinated omission).

use std::time::Duration;

/// The slots of one thread: of all slots of a load, every so many-th.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Schedule {
    /// Between two slots of the load, seconds.
    interval_s: f64,
    first: u64,
    step: u64,
}

impl Schedule {
    /// The slots of thread `thread` of `threads`, together `per_second` a second.
    pub(super) fn new(per_second: f64, thread: usize, threads: usize) -> Self {
        Self {
            interval_s: 1.0 / per_second,
            first: thread as u64,
            step: threads as u64,
        }
    }

    /// When this thread's slot `nth` is due, since the start.
    pub(super) fn due(&self, nth: u64) -> Duration {
        let slot = self.first + nth * self.step;
        Duration::from_secs_f64(slot as f64 * self.interval_s)
    }

    /// How many of this thread's slots were due before `elapsed`.
    pub(super) fn due_before(&self, elapsed: Duration) -> u64 {
        let slots = (elapsed.as_secs_f64() / self.interval_s).ceil();
        (slots as u64)
            .saturating_sub(self.first)
            .div_ceil(self.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_even_and_do_not_drift() {
        let schedule = Schedule::new(100.0, 0, 1);
        assert_eq!(schedule.due(0), Duration::ZERO);
        assert_eq!(schedule.due(1), Duration::from_millis(10));
        let hour = schedule.due(360_000);
        assert!(hour.abs_diff(Duration::from_secs(3600)) < Duration::from_micros(1));
    }

    #[test]
    fn threads_share_all_slots_between_them() {
        let mut all: Vec<_> = (0..3)
            .flat_map(|thread| {
                let schedule = Schedule::new(10.0, thread, 3);
                (0..4).map(move |nth| schedule.due(nth))
            })
            .collect();
        all.sort();
        let whole = Schedule::new(10.0, 0, 1);
        assert_eq!(all, (0..12).map(|nth| whole.due(nth)).collect::<Vec<_>>());
    }

    #[test]
    fn what_was_due_can_be_counted_back() {
        for threads in 1..4 {
            let due_before = |millis| -> u64 {
                let elapsed = Duration::from_millis(millis);
                (0..threads)
                    .map(|thread| Schedule::new(100.0, thread, threads).due_before(elapsed))
                    .sum()
            };
            // Due at 0, 10, 20 … ms.
            let counts: Vec<_> = [0, 5, 15, 1005].into_iter().map(due_before).collect();
            assert_eq!(counts, [0, 1, 2, 101], "{threads} threads");
        }
    }
}
