//! `gatehouse-loadtest bounds`: what was promised, and what is measured of it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::bench::{beside_this, write_json};
use super::{exit, line, seconds, tell};
use crate::bounds::{self, Settings};

/// Hold lists of many servers, bridged calls, open sessions and parked calls against what was promised of them. Ends with
/// 1 where something cannot be measured.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse-loadtest bounds
  gatehouse-loadtest bounds --quick
  gatehouse-loadtest bounds --only sessions --sessions 1000
  gatehouse-loadtest bounds --json target/bounds.json")]
pub(super) struct Args {
    /// Less of all: for a first look, not for a record
    #[arg(long)]
    quick: bool,
    /// This part only; any number of times
    #[arg(long, value_name = "NAME", value_parser = name)]
    only: Vec<String>,
    /// Members of the virtual server
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=50))]
    members: u32,
    /// Sessions that are held open, if the limit of open files lets them (default: 10000, quick: 500)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=15_000))]
    sessions: Option<u32>,
    /// Calls that are left waiting (default: 1000, quick: 100)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4000))]
    parked: Option<u32>,
    /// Whose sessions and calls those are, at least
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    users: u32,
    /// Rounds of what is compared (default: 5, quick: 2)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,
    /// How long each slice of a round is measured, in seconds (default: 2, quick: 0.5)
    #[arg(long, value_name = "S", value_parser = seconds)]
    slice: Option<Duration>,
    /// The binary of Gatehouse (default: the one beside this program)
    #[arg(long, value_name = "FILE")]
    gatehouse: Option<PathBuf>,
    /// Write all figures there, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let by_default = |whole: u32, quick: u32| if args.quick { quick } else { whole };
    let slice = Duration::from_millis(by_default(2000, 500).into());
    let settings = Settings {
        only: args.only.clone(),
        members: args.members as usize,
        sessions: args.sessions.unwrap_or(by_default(10_000, 500)) as usize,
        parked: args.parked.unwrap_or(by_default(1000, 100)) as usize,
        users: args.users as usize,
        rounds: args.rounds.unwrap_or(by_default(5, 2)) as usize,
        slice: args.slice.unwrap_or(slice),
        gatehouse: match &args.gatehouse {
            Some(file) => file.clone(),
            None => beside_this()?,
        },
    };
    let outcome = bounds::run(&settings, |what| tell("bounds", what))?;
    line(outcome.table())?;
    if let Some(file) = &args.json {
        write_json(file, &outcome)?;
    }
    Ok(exit(outcome.is_whole()))
}

fn name(text: &str) -> Result<String, String> {
    if bounds::names().any(|name| name == text) {
        return Ok(text.to_owned());
    }
    let names = bounds::names().collect::<Vec<_>>();
    Err(format!("one of {}", names.join(", ")))
}
