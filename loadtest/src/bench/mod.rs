//! The bench: starts all targets on loopback in a folder of their own, compares them, and leaves nothing behind.
//!
//! ```text
//! targets: the list ─▶ started: processes, keys ─▶ compare ─▶ outcome: table, JSON
//!                      (gatehouse, nginx, child)
//! watchdog: ends and removes everything, also when the bench is killed
//! ```
//! Start from [`run`]. It knows Gatehouse as a program with commands, and nothing of its insides.
//!
//! How long a revision takes to reach many nodes is no comparison of targets: see [`crate::nodes`], which takes its
//! place and `gatehouse up` from here.

mod child;
mod gatehouse;
mod machine;
mod nginx;
pub(crate) mod place;
mod ports;
mod started;
pub(crate) mod targets;
pub(crate) mod up;
pub(crate) mod watchdog;

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

use crate::compare::{self, Plan, Row, tables};
pub use machine::Machine;
use started::{Bench, Started};

/// What to measure, and with what.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How.
    pub plan: Plan,
    /// Names of targets; none: all.
    pub only: Vec<String>,
    /// The binary of Gatehouse.
    pub gatehouse: PathBuf,
    /// Where programs are looked for: folders with `:` between them.
    pub search_path: String,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// On what.
    pub machine: Machine,
    /// How long all of it took, seconds.
    pub elapsed_s: f64,
    /// Targets that could not be started.
    pub missing: Vec<Missing>,
    /// What was measured.
    pub rows: Vec<Row>,
}

/// A target that was not measured.
#[derive(Debug, Clone, Serialize)]
pub struct Missing {
    /// Which.
    pub name: String,
    /// Why.
    pub error: String,
    /// Whether that is a fault; else this machine just has not what it takes.
    pub fault: bool,
}

/// The names of all targets.
pub fn names() -> impl Iterator<Item = &'static str> {
    targets::ALL.iter().map(|description| description.name)
}

/// Measures. `progress` is told what is done meanwhile.
///
/// # Errors
/// Nothing could be started at all; what keeps a single target from being measured is part of the outcome.
pub fn run(settings: &Settings, mut progress: impl FnMut(&str)) -> anyhow::Result<Outcome> {
    let start = Instant::now();
    let machine = Machine::look();
    let mut bench = Bench::start(settings.gatehouse.clone(), settings.search_path.clone())?;
    let mut missing = Vec::new();
    let mut started: Vec<(&str, Started)> = Vec::new();
    let wanted = |name: &str| settings.only.is_empty() || settings.only.iter().any(|n| n == name);
    for description in targets::ALL.iter().filter(|each| wanted(each.name)) {
        progress(&format!("starting {}", description.name));
        match bench.target(description) {
            Ok(target) => started.push((description.name, target)),
            Err(error) => missing.push(Missing {
                name: description.name.to_owned(),
                error: format!("{error:#}"),
                fault: bench.has(description),
            }),
        }
    }
    let candidates: Vec<_> = started
        .iter()
        .map(|(name, target)| target.candidate(name))
        .collect();
    // What starting took is gone.
    let plan = Plan {
        budget: settings.plan.budget.saturating_sub(start.elapsed()),
        ..settings.plan.clone()
    };
    let rows = compare::run(&candidates, &plan, &mut progress);
    progress("ending all processes");
    drop(started);
    drop(bench);
    Ok(Outcome {
        machine,
        elapsed_s: start.elapsed().as_secs_f64(),
        missing,
        rows,
    })
}

impl Outcome {
    /// Whether everything was measured that this machine has, and no call failed.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let whole = |row: &Row| row.figures.fault.is_none() && row.figures.failed == 0;
        self.missing.iter().all(|missing| !missing.fault) && self.rows.iter().all(whole)
    }

    /// As people read it.
    #[must_use]
    pub fn table(&self) -> String {
        let missing: Vec<_> = self
            .missing
            .iter()
            .map(|each| (each.name.clone(), each.error.clone()))
            .collect();
        let (machine, elapsed) = (&self.machine, self.elapsed_s);
        let tables = tables(&self.rows, &missing);
        format!("{machine}\nelapsed   {elapsed:.0} s\n\n{tables}")
    }
}
