//! `gatehouse-loadtest nodes`: how long a change takes to reach many nodes.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::bench::{beside_this, write_json};
use super::{line, seconds, tell};
use crate::nodes::{self, Settings};

/// Tell how long a change of one rule takes until many nodes have it in force and have said so. Ends with 1 where one
/// does not.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse-loadtest nodes
  gatehouse-loadtest nodes --nodes 10 --changes 50 --json target/nodes.json")]
pub(super) struct Args {
    /// How many nodes
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=2000))]
    nodes: u32,
    /// How many rules each of them holds
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    rules: u32,
    /// How many changes, one after the other
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    changes: u32,
    /// Between two of them, in seconds
    #[arg(long, value_name = "S", default_value = "0.2", value_parser = seconds)]
    pause: Duration,
    /// The binary of Gatehouse (default: the one beside this program)
    #[arg(long, value_name = "FILE")]
    gatehouse: Option<PathBuf>,
    /// Write all figures there, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let gatehouse = match &args.gatehouse {
        Some(file) => file.clone(),
        None => beside_this()?,
    };
    let settings = Settings {
        nodes: args.nodes as usize,
        rules: args.rules as usize,
        changes: args.changes as usize,
        pause: args.pause,
        gatehouse,
    };
    let outcome = nodes::run(&settings, |what| tell("nodes", what))?;
    line(outcome.table())?;
    if let Some(file) = &args.json {
        write_json(file, &outcome)?;
    }
    Ok(ExitCode::SUCCESS)
}
