//! One thread of a load: a runtime of its own, connections of its own, counts of its own. Threads share nothing but
//! the word to stop, so that a call costs the same however many threads there are.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Pace;
use super::alarm::Alarm;
use super::schedule::Schedule;
use super::tally::Tally;
use crate::client::Caller;

/// How long a client of a closed loop waits after a failed call: a target that refuses at once is not to be hammered.
const PAUSE: Duration = Duration::from_millis(5);

/// Clients of a closed loop that begin within one millisecond: what is measured is not how many connections a kernel
/// can queue at once.
const CLIENTS_PER_MS: usize = 8;
/// One thread's part of a load.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) caller: Caller,
    /// Which of the load's threads it is, of how many.
    pub(super) thread: usize,
    pub(super) threads: usize,
    /// When the load began.
    pub(super) start: Instant,
    /// Take up no further call.
    pub(super) stop: CancellationToken,
    /// Its counts. Held for one call's numbers, or while the load's holder takes them.
    pub(super) tally: Mutex<Tally>,
    /// Calls begun so far.
    pub(super) begun: AtomicU64,
}

impl Worker {
    /// Works at this pace until told to stop, and until all calls under way are over. Tells `ready` once whether it
    /// could begin.
    pub(super) fn run(self: &Arc<Self>, pace: Pace, ready: &SyncSender<io::Result<()>>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let begun = runtime.and_then(|runtime| {
            let alarm = runtime.block_on(async { Alarm::new() })?;
            Ok((runtime, alarm))
        });
        // The receiver waits for one word of each thread, and is there until it has it.
        let (runtime, alarm) = match begun {
            Ok(begun) => {
                let _ = ready.send(Ok(()));
                begun
            }
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        runtime.block_on(async {
            match pace {
                Pace::Clients(clients) => self.closed(self.share(clients)).await,
                Pace::Rate {
                    per_second,
                    under_way_max,
                } => {
                    let schedule = Schedule::new(per_second, self.thread, self.threads);
                    let max = self.share(under_way_max).max(1);
                    self.open(schedule, max, &alarm).await;
                }
            }
            self.caller.finish().await;
        });
    }

    /// Closed loop: so many clients, each of which makes one call after the other.
    async fn closed(self: &Arc<Self>, clients: usize) {
        let mut all = JoinSet::new();
        for nth in 0..clients {
            let wait = Duration::from_millis((nth / CLIENTS_PER_MS) as u64);
            all.spawn(self.clone().client(wait));
        }
        while all.join_next().await.is_some() {}
    }

    async fn client(self: Arc<Self>, wait: Duration) {
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        while !self.stop.is_cancelled() {
            let good = self.call(None).await;
            if !good {
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    () = self.stop.cancelled() => {}
                }
            }
        }
    }

    /// Open loop: each call at its time, whatever became of those before it, as long as no more than `max` are under
    /// way. What is held up by that keeps its time, and counts from there.
    async fn open(self: &Arc<Self>, schedule: Schedule, max: usize, alarm: &Alarm) {
        let mut calls = JoinSet::new();
        let mut nth = 0;
        let held_up = 'load: loop {
            let due = self.start + schedule.due(nth);
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break false,
                () = alarm.until(due) => {}
            }
            while calls.try_join_next().is_some() {}
            while calls.len() >= max {
                tokio::select! {
                    biased;
                    () = self.stop.cancelled() => break 'load true,
                    _ = calls.join_next() => {}
                }
            }
            let this = self.clone();
            calls.spawn(async move { this.call(Some(due)).await });
            nth += 1;
        };
        // Not where the last ones were merely not begun yet: how late calls are begun is told by the lag.
        if held_up {
            let elapsed = self.start.elapsed();
            let unsent = schedule.due_before(elapsed).saturating_sub(nth);
            self.tally().count_unsent(unsent, elapsed);
        }
        while calls.join_next().await.is_some() {}
    }

    /// Makes one call and counts it; whether it was good.
    async fn call(&self, due: Option<Instant>) -> bool {
        let nth = self.begun.fetch_add(1, Ordering::Relaxed);
        // Ids of all threads differ, as all are one client's.
        let id = 1 + self.thread as u64 + nth * self.threads as u64;
        let outcome = self.caller.call(id).await;
        let good = outcome.result.is_ok();
        self.tally().count(outcome, due, self.start);
        good
    }

    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This thread's share of so many.
    fn share(&self, all: usize) -> usize {
        all / self.threads + usize::from(self.thread < all % self.threads)
    }
}
