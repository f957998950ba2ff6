//! `gatehouse-loadtest bench`: all targets, compared.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use super::{exit, line, seconds, tell};
use crate::bench::{self, Settings};
use crate::compare::{Plan, ROUNDS_MAX};
use crate::load::Pace;
use crate::scenario::Scenario;

/// Clients of the closed loops, unless told otherwise.
const CLIENTS: [usize; 4] = [1, 16, 64, 256];
/// Calls a second of the open loop, unless told otherwise: well below what any target can do, as latency at the limit
/// says nothing of latency below it.
const RATE: f64 = 1000.0;
/// Most calls under way in open loop.
const UNDER_WAY_MAX: usize = 1024;

/// Compare Gatehouse with the server alone, with a bare proxy and with nginx, on this machine. Ends with 1 where a
/// target cannot be started or a call fails.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse-loadtest bench
  gatehouse-loadtest bench --quick --only direct --only edge-sidecar-stdio
  gatehouse-loadtest bench --rate 500 --clients 16 --json target/bench.json")]
pub(super) struct Args {
    /// Fewer and shorter rounds: for a first look, not for a record
    #[arg(long)]
    quick: bool,
    /// Closed loop: so many clients; any number of times (default: 1, 16, 64, 256, and 1000 calls a second)
    #[arg(long, value_name = "N")]
    clients: Vec<usize>,
    /// Open loop: so many calls a second; any number of times
    #[arg(long, value_name = "N")]
    rate: Vec<f64>,
    /// Bytes of the message that goes there and back
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    echo: usize,
    /// Rounds (default: 7, quick: 2)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=ROUNDS_MAX as i64))]
    rounds: Option<u16>,
    /// How long each slice is measured, in seconds (default: 2, quick: 0.5)
    #[arg(long, value_name = "S", value_parser = seconds)]
    slice: Option<Duration>,
    /// How long each load runs before that, in seconds (default: 0.5, quick: 0.2)
    #[arg(long, value_name = "S", value_parser = seconds)]
    warm_up: Option<Duration>,
    /// No round is begun that would not end so many seconds after the start (default: 780, quick: 60)
    #[arg(long, value_name = "S", value_parser = seconds)]
    budget: Option<Duration>,
    /// This target only; any number of times
    #[arg(long, value_name = "NAME", value_parser = name)]
    only: Vec<String>,
    /// Threads of the load generator
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// The binary of Gatehouse (default: the one beside this program)
    #[arg(long, value_name = "FILE")]
    gatehouse: Option<PathBuf>,
    /// Write all figures there, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where programs are looked for
    #[arg(long, env = "PATH", hide = true, default_value = "")]
    search_path: String,
}

impl Args {
    fn plan(&self) -> Plan {
        let by_default = |seconds: f64, quick: f64| {
            Duration::from_secs_f64(if self.quick { quick } else { seconds })
        };
        let (clients, rates) = if self.clients.is_empty() && self.rate.is_empty() {
            (&CLIENTS[..], &[RATE][..])
        } else {
            (&self.clients[..], &self.rate[..])
        };
        let clients = clients.iter().copied().map(Pace::Clients);
        let rates = rates.iter().map(|per_second| Pace::Rate {
            per_second: *per_second,
            under_way_max: UNDER_WAY_MAX,
        });
        Plan {
            scenario: Scenario::echo(self.echo),
            paces: clients.chain(rates).collect(),
            rounds: self
                .rounds
                .map_or(if self.quick { 2 } else { 7 }, usize::from),
            warm_up: self.warm_up.unwrap_or(by_default(0.5, 0.2)),
            slice: self.slice.unwrap_or(by_default(2.0, 0.5)),
            settle_max: by_default(5.0, 2.0),
            budget: self.budget.unwrap_or(by_default(780.0, 60.0)),
            threads: self.threads,
        }
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let settings = Settings {
        plan: args.plan(),
        only: args.only.clone(),
        gatehouse: match &args.gatehouse {
            Some(file) => file.clone(),
            None => beside_this()?,
        },
        search_path: args.search_path.clone(),
    };
    let outcome = bench::run(&settings, |what| tell("bench", what))?;
    line(outcome.table())?;
    if let Some(file) = &args.json {
        write_json(file, &outcome)?;
    }
    Ok(exit(outcome.is_good()))
}

/// Writes all figures to a file.
pub(super) fn write_json(file: &Path, outcome: &impl Serialize) -> anyhow::Result<()> {
    let json = serde_json::to_vec_pretty(outcome)?;
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(file, json).with_context(|| format!("{}", file.display()))
}

/// The binary of Gatehouse beside this program.
pub(super) fn beside_this() -> anyhow::Result<PathBuf> {
    let file = std::env::current_exe()?.with_file_name("gatehouse");
    anyhow::ensure!(
        file.is_file(),
        "{} is not there: build it, or name it with --gatehouse",
        file.display()
    );
    Ok(file)
}

fn name(text: &str) -> Result<String, String> {
    if bench::names().any(|name| name == text) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "one of {}",
        bench::names().collect::<Vec<_>>().join(", ")
    ))
}
