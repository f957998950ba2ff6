//! One candidate under one load, once.
//!
//! ```text
//!          | warm-up |  slice  | calls under way end | what is left to do is done |
//! calls    |         '--counted'                     |                            |
//! CPU      '----------------- of all calls from here to here ---------------------'
//! ```
//! Processor time is taken over everything, and divided by all calls: what a gateway does after its answers (sending
//! records on, say) it does for these calls, and is not to be had for free.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Candidate, Plan, Role};
use crate::failure::Failures;
use crate::host::Host;
use crate::latency::Latency;
use crate::load::{Load, Pace};
use crate::pause::pause;
use crate::process::{Usage, Watched};
use crate::report::Report;

/// How often is looked whether a candidate has come to rest.
const LOOK: Duration = Duration::from_millis(100);
/// At rest is who works for no more than this between two looks: what an idle process does anyway.
const REST: Duration = Duration::from_millis(10);

/// What one slice has shown.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Slice {
    /// Good answers a second.
    pub calls_per_s: f64,
    /// Of the slice.
    pub latency: Latency,
    /// Good answers in all, with warm-up and end.
    pub answered: u64,
    /// Failures in all.
    pub failed: u64,
    /// What failed, and how.
    pub failures: Failures,
    /// What each process cost.
    pub costs: Vec<Cost>,
    /// Processor time of the generator for each call, us.
    pub generator_us: Option<f64>,
    /// Processor time for each call that the kernel charged to no process, us; others' is in it, too.
    pub interrupts_us: Option<f64>,
    /// How much of its threads' time the generator worked: near 1, it is the generator that is measured.
    pub generator_busy: Option<f64>,
    /// How much of all processor time was somebody else's meanwhile: of other processes, or of other machines.
    pub others_busy: Option<f64>,
    /// Whether the candidate had come to rest when its processor time was taken; if not, some is missing.
    pub at_rest: bool,
    /// Why it could not be measured.
    pub fault: Option<String>,
}

/// What a process cost during one slice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cost {
    /// The process.
    pub name: String,
    /// Whose part it has.
    pub role: Role,
    /// Processor time for each call, us.
    pub cpu_us: f64,
    /// Memory at the end.
    #[serde(flatten)]
    pub memory: Usage,
}

/// Measures one slice. What cannot be measured says so in [`Slice::fault`].
pub(super) fn measure(candidate: &Candidate, pace: Pace, plan: &Plan) -> Slice {
    try_measure(candidate, pace, plan).unwrap_or_else(|fault| Slice {
        fault: Some(fault),
        ..Slice::default()
    })
}

fn try_measure(candidate: &Candidate, pace: Pace, plan: &Plan) -> Result<Slice, String> {
    let load = Load::new(pace, candidate.target.clone())
        .calling(plan.scenario.clone())
        .on_threads(plan.threads);
    let before = Account::of(candidate)?;
    let mut running = load.start().map_err(|error| error.to_string())?;
    pause(plan.warm_up);
    running.lap();
    let lap_begins = Account::of(candidate)?;
    pause(plan.slice);
    let lap = running.lap();
    let lap_ends = Account::of(candidate)?;
    let all = running.stop();
    let own = Account::of(candidate)?.own.saturating_sub(before.own);
    let at_rest = settle(candidate, plan.settle_max)?;
    let after = Account::of(candidate)?;
    Ok(Slice {
        calls_per_s: lap.rate(),
        generator_us: per_call(own, &all),
        interrupts_us: per_call(after.interrupts_since(&before), &all),
        generator_busy: busy(&lap_begins, &lap_ends, &lap, plan.threads),
        others_busy: Some(lap_ends.others_since(&lap_begins, lap.elapsed)),
        latency: lap.latency.clone(),
        answered: all.answered,
        failed: all.failures.count(),
        costs: costs(candidate, &before, &after, &all),
        failures: all.failures,
        at_rest,
        fault: None,
    })
}

/// Processor time of all who take part, at one moment.
struct Account {
    processes: Vec<Usage>,
    own: Duration,
    host: Host,
}

impl Account {
    fn of(candidate: &Candidate) -> Result<Self, String> {
        let own = Usage::of_this_process().map_err(|error| error.to_string())?;
        Ok(Self {
            processes: usages(candidate)?,
            own: own.cpu,
            host: Host::look().map_err(|error| error.to_string())?,
        })
    }

    fn interrupts_since(&self, before: &Self) -> Duration {
        self.host.interrupts.saturating_sub(before.host.interrupts)
    }

    /// How much of the machine was somebody else's since then.
    fn others_since(&self, before: &Self, elapsed: Duration) -> f64 {
        let pairs = self.processes.iter().zip(&before.processes);
        let processes = pairs.map(|(now, then)| now.cpu.saturating_sub(then.cpu));
        let ours = processes.sum::<Duration>() + self.own.saturating_sub(before.own);
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        self.host
            .others_since(before.host, ours, elapsed, processors)
    }
}

fn usages(candidate: &Candidate) -> Result<Vec<Usage>, String> {
    let usage = |watched: &Watched| {
        let usage = watched.usage();
        usage.map_err(|error| format!("{} is gone: {error}", watched.name))
    };
    let all = candidate.processes.iter();
    all.map(|(_, watched)| usage(watched)).collect()
}

fn costs(candidate: &Candidate, before: &Account, after: &Account, all: &Report) -> Vec<Cost> {
    let usages = before.processes.iter().zip(&after.processes);
    let pairs = candidate.processes.iter().zip(usages);
    pairs
        .filter_map(|((role, watched), (before, after))| {
            Some(Cost {
                name: watched.name.clone(),
                role: *role,
                cpu_us: per_call(after.cpu.saturating_sub(before.cpu), all)?,
                memory: *after,
            })
        })
        .collect()
}

/// `None` where there was no call.
fn per_call(cpu: Duration, all: &Report) -> Option<f64> {
    let calls = all.answered + all.failures.count();
    (calls > 0).then(|| cpu.as_secs_f64() * 1e6 / calls as f64)
}

fn busy(begins: &Account, ends: &Account, lap: &Report, threads: usize) -> Option<f64> {
    let worked = ends.own.saturating_sub(begins.own).as_secs_f64();
    let available = lap.elapsed.as_secs_f64() * threads as f64;
    (available > 0.0).then(|| worked / available)
}

/// Waits until the candidate's processes rest; whether they do.
fn settle(candidate: &Candidate, settle_max: Duration) -> Result<bool, String> {
    let total = || -> Result<Duration, String> {
        Ok(usages(candidate)?.iter().map(|usage| usage.cpu).sum())
    };
    let start = Instant::now();
    let mut last = total()?;
    while start.elapsed() < settle_max {
        pause(LOOK);
        let now = total()?;
        if now.saturating_sub(last) <= REST {
            return Ok(true);
        }
        last = now;
    }
    Ok(settle_max.is_zero())
}
