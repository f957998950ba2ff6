//! A load: which calls, at which pace, on how many threads. Start from [`Load`].
//!
//! ```no_run
//! use std::time::Duration;
//! use loadtest::{Load, Scenario, Target};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let edges = Target::new(["http://127.0.0.1:7800/mcp/echo", "http://127.0.0.1:7801/mcp/echo"])?;
//! let load = Load::at_rate(100.0, edges.with_key("gh_…")?)
//!     .calling(Scenario::echo(64))
//!     .giving_up_after(Duration::from_secs(5))
//!     .start()?;
//! // … processes are killed, configuration is changed …
//! let report = load.stop();
//! assert!(report.failures.is_empty(), "{report}");
//! # Ok(()) }
//! ```
//!
//! ```text
//! Load -> Running -> worker (a thread each) -> schedule, alarm (open loop)
//!            |           \-> client::Caller -> the target
//!            \-> tally of each thread -> Report
//! ```
//! Must not know what is measured with it, nor what a call looks like on the wire.

mod alarm;
mod running;
mod schedule;
mod tally;
mod worker;

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};
use tokio_util::sync::CancellationToken;

use crate::client::Caller;
use crate::pause::pause;
use crate::report::Report;
use crate::scenario::Scenario;
use crate::target::Target;
pub use running::Running;
use worker::Worker;

/// How long a call may take, unless the load says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Calls under way of an open loop, unless the load says otherwise.
const UNDER_WAY_MAX: usize = 1024;
/// Bytes of a message, unless the load says what is called.
const MESSAGE_BYTES: usize = 64;
/// Most clients, and most calls under way.
const CLIENTS_MAX: usize = 65_536;
/// Most calls a second of one load.
const RATE_MAX: f64 = 1e6;
/// Most threads.
const THREADS_MAX: usize = 64;
/// Until when threads may be there, so that the first call is not late already.
const LEAD: Duration = Duration::from_millis(2);

/// A load that cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its numbers make no sense.
    #[error("{0}")]
    Senseless(String),
    /// The system gives it no thread, or no timer.
    #[error("a thread of the load cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// When calls are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// Closed loop: so many clients, each of which makes one call after the other.
    Clients(usize),
    /// Open loop: so many calls a second, whether the target keeps up or not.
    Rate {
        /// Calls a second.
        per_second: f64,
        /// Most calls under way at once; what is due beyond that waits, and its waiting counts.
        under_way_max: usize,
    },
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clients(1) => f.write_str("1 client"),
            Self::Clients(clients) => write!(f, "{clients} clients"),
            Self::Rate { per_second, .. } => write!(f, "{per_second}/s"),
        }
    }
}

/// As people read it.
impl Serialize for Pace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Load {
    target: Target,
    scenario: Scenario,
    pace: Pace,
    timeout: Duration,
    threads: usize,
}

impl Load {
    /// A load of this pace: calls of `echo` with 64 bytes, 10 s each at most, on one thread.
    #[must_use]
    pub fn new(pace: Pace, target: Target) -> Self {
        Self {
            target,
            scenario: Scenario::echo(MESSAGE_BYTES),
            pace,
            timeout: TIMEOUT,
            threads: 1,
        }
    }

    /// So many clients, each of which makes one call after the other.
    #[must_use]
    pub fn of_clients(clients: usize, target: Target) -> Self {
        Self::new(Pace::Clients(clients), target)
    }

    /// So many calls a second, whether the target keeps up or not; at most 1024 under way.
    #[must_use]
    pub fn at_rate(per_second: f64, target: Target) -> Self {
        let under_way_max = UNDER_WAY_MAX;
        let pace = Pace::Rate {
            per_second,
            under_way_max,
        };
        Self::new(pace, target)
    }

    /// What is called.
    #[must_use]
    pub fn calling(self, scenario: Scenario) -> Self {
        Self { scenario, ..self }
    }

    /// How long a call may take.
    #[must_use]
    pub fn giving_up_after(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// On how many threads: one makes several ten thousand calls a second.
    #[must_use]
    pub fn on_threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// Starts it, on threads of its own; needs no runtime.
    ///
    /// # Errors
    /// [`Error`]: no clients, no rate, no thread.
    pub fn start(&self) -> Result<Running, Error> {
        self.check()?;
        let stop = CancellationToken::new();
        let start = Instant::now() + LEAD;
        let load = RandomState::new().build_hasher().finish() as u32;
        // From each thread to us: one word, whether it could begin.
        let (ready, readiness) = sync_channel(self.threads);
        let mut workers = Vec::new();
        let mut threads = Vec::new();
        for thread in 0..self.threads {
            let caller = Caller::new(&self.target, &self.scenario, self.timeout, thread, load);
            let worker = Arc::new(Worker {
                caller,
                thread,
                threads: self.threads,
                start,
                stop: stop.clone(),
                tally: std::sync::Mutex::default(),
                begun: AtomicU64::new(0),
            });
            let (pace, ready) = (self.pace, ready.clone());
            workers.push(worker.clone());
            let named = std::thread::Builder::new().name(format!("load-{thread}"));
            threads.push(named.spawn(move || worker.run(pace, &ready))?);
        }
        drop(ready);
        // Dropped where a thread could not begin: that ends the others.
        let running = Running::new(workers, threads, stop, start);
        for ready in readiness.iter().take(self.threads) {
            ready?;
        }
        Ok(running)
    }

    /// Runs it for `warm_up` and then for `duration`, and answers with what was counted in the latter; with all
    /// failures, also those of the warm-up and of calls that were under way at the end. Blocks.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn run(&self, warm_up: Duration, duration: Duration) -> Result<Report, Error> {
        let mut running = self.start()?;
        pause(warm_up);
        running.lap();
        pause(duration);
        let lap = running.lap();
        let whole = running.stop();
        Ok(Report {
            failures: whole.failures,
            begun: whole.begun,
            ..lap
        })
    }

    fn check(&self) -> Result<(), Error> {
        let within = |what: &str, value: usize, max: usize| {
            let sense = (1..=max).contains(&value);
            let fault = || Error::Senseless(format!("{what}: 1 to {max}, not {value}"));
            sense.then_some(()).ok_or_else(fault)
        };
        within("threads", self.threads, THREADS_MAX)?;
        match self.pace {
            Pace::Clients(clients) => within("clients", clients, CLIENTS_MAX),
            Pace::Rate {
                per_second,
                under_way_max,
            } => {
                within("calls under way", under_way_max, CLIENTS_MAX)?;
                if per_second > 0.0 && per_second <= RATE_MAX {
                    return Ok(());
                }
                let what = format!("calls a second: above 0, to {RATE_MAX}, not {per_second}");
                Err(Error::Senseless(what))
            }
        }
    }
}
