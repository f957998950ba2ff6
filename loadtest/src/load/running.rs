//! A load that runs: asked how it goes, stopped, asked for its report.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::tally::Tally;
use super::worker::Worker;
use crate::client::Connections;
use crate::report::Report;

/// A load under way, on threads of its own. Dropping it stops it, and waits for the calls under way.
#[derive(Debug)]
pub struct Running {
    workers: Vec<Arc<Worker>>,
    threads: Vec<JoinHandle<()>>,
    stop: CancellationToken,
    start: Instant,
    /// Counts of the laps before this one.
    past: Tally,
    lap_start: Instant,
}

impl Running {
    pub(super) fn new(
        workers: Vec<Arc<Worker>>,
        threads: Vec<JoinHandle<()>>,
        stop: CancellationToken,
        start: Instant,
    ) -> Self {
        Self {
            workers,
            threads,
            stop,
            start,
            past: Tally::default(),
            lap_start: start,
        }
    }

    /// Everything since the start. The load goes on.
    #[must_use]
    pub fn so_far(&self) -> Report {
        let mut whole = self.past.clone();
        for worker in &self.workers {
            whole.add(&worker.tally());
        }
        self.report(whole, self.start, Instant::now())
    }

    /// Everything since the last lap, or since the start. The load goes on; the next lap begins.
    pub fn lap(&mut self) -> Report {
        let (lap, end) = (self.take(), Instant::now());
        self.past.add(&lap);
        let report = self.report(lap, self.lap_start, end);
        self.lap_start = end;
        report
    }

    /// Ends the load: no further call is begun, those under way are waited for. Answers with everything since the
    /// start; its time ends here, so that a rate is right for a load that stood under load to its end.
    #[must_use]
    pub fn stop(mut self) -> Report {
        let end = Instant::now();
        self.end();
        let last = self.take();
        self.past.add(&last);
        let whole = std::mem::take(&mut self.past);
        self.report(whole, self.start, end)
    }

    fn end(&mut self) {
        self.stop.cancel();
        for thread in self.threads.drain(..) {
            // One that panicked has said so; what it had counted is counted.
            let _ = thread.join();
        }
    }

    fn take(&self) -> Tally {
        let mut whole = Tally::default();
        for worker in &self.workers {
            worker.tally().move_to(&mut whole);
        }
        whole
    }

    fn report(&self, tally: Tally, from: Instant, to: Instant) -> Report {
        let mut connections = Connections::default();
        let mut begun = 0;
        for worker in &self.workers {
            connections.add(worker.caller.connections());
            begun += worker.begun.load(Ordering::Relaxed);
        }
        Report {
            elapsed: to.saturating_duration_since(from),
            begun,
            answered: tally.answered,
            notifications: tally.notifications,
            latency: tally.latency,
            lag: tally.lag,
            failures: tally.failures,
            connections,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
