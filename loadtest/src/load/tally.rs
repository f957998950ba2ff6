//! What one thread of a load has counted. One value, always bounded in size, whatever the load's length.

use std::time::{Duration, Instant, SystemTime};

use crate::client::Outcome;
use crate::failure::{Failure, Failures, Fault, Kind};
use crate::latency::Latency;

/// Counts since they were last taken.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) answered: u64,
    pub(super) notifications: u64,
    pub(super) latency: Latency,
    /// Open loop: how late calls were begun.
    pub(super) lag: Latency,
    pub(super) failures: Failures,
}

impl Tally {
    /// Counts a call. `due`: when it was to begin, in open loop.
    pub(super) fn count(&mut self, outcome: Outcome, due: Option<Instant>, start: Instant) {
        let Outcome {
            began,
            ended,
            result,
        } = outcome;
        if let Some(due) = due {
            self.lag.record(began.saturating_duration_since(due));
        }
        match result {
            Ok(notifications) => {
                self.answered += 1;
                self.notifications += notifications;
                let from = due.unwrap_or(began);
                self.latency.record(ended.saturating_duration_since(from));
            }
            Err(fault) => self
                .failures
                .add(failure(fault, ended.saturating_duration_since(start))),
        }
    }

    /// Counts calls that were due and could not be begun.
    pub(super) fn count_unsent(&mut self, count: u64, after: Duration) {
        if count > 0 {
            let detail =
                format_args!("{count} calls were due while all that may be under way were");
            let fault = Fault::new(Kind::Unsent, detail);
            self.failures.add_many(count, failure(fault, after));
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.answered += other.answered;
        self.notifications += other.notifications;
        self.latency.add(&other.latency);
        self.lag.add(&other.lag);
        self.failures.merge(&other.failures);
    }

    /// Moves all counts into `whole`, and begins anew.
    pub(super) fn move_to(&mut self, whole: &mut Self) {
        whole.add(self);
        self.answered = 0;
        self.notifications = 0;
        self.latency.clear();
        self.lag.clear();
        self.failures = Failures::default();
    }
}

fn failure(fault: Fault, after: Duration) -> Failure {
    Failure {
        kind: fault.kind,
        detail: fault.detail,
        after,
        at: SystemTime::now(),
    }
}
