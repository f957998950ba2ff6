//! `gatehouse-loadtest compare`: targets that run already, compared.

use std::process::ExitCode;
use std::time::Duration;

use super::run::EraArg;
use super::{exit, line, seconds};
use crate::compare::{self, Candidate, Plan, ROUNDS_MAX, Role, tables};
use crate::load::Pace;
use crate::process::Watched;
use crate::scenario::Scenario;
use crate::target::Target;

/// Compare targets that run already, in one interleaved run. Ends with 1 where a call fails.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse-loadtest compare --target a=http://127.0.0.1:9000/mcp --target b=http://127.0.0.1:9001/mcp
  gatehouse-loadtest compare --target edge=http://127.0.0.1:7800/mcp/bench --key @key \\
    --process edge:edge=4711 --process edge:sidecar=4712+ --server edge:server=4713

A + behind a process counts all that descend from it, too.")]
pub(super) struct Args {
    /// A target: its name, and where MCP is spoken; several URLs of one name are one target
    #[arg(long, value_name = "NAME=URL", required = true, value_parser = target)]
    target: Vec<(String, String)>,
    /// A process that stands between client and server, of one target
    #[arg(long, value_name = "TARGET:NAME=PID", value_parser = process)]
    process: Vec<(String, Watched)>,
    /// A process that is the server, of one target
    #[arg(long, value_name = "TARGET:NAME=PID", value_parser = process)]
    server: Vec<(String, Watched)>,
    /// The API key for all targets, or @FILE
    #[arg(long, value_name = "KEY|@FILE")]
    key: Option<String>,
    /// Which era the client is of
    #[arg(long, value_enum, default_value = "modern")]
    era: EraArg,
    /// Closed loop: so many clients; any number of times
    #[arg(long, value_name = "N", default_values_t = [1, 16])]
    clients: Vec<usize>,
    /// Bytes of the message that goes there and back
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    echo: usize,
    /// Rounds
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=ROUNDS_MAX as i64))]
    rounds: u16,
    /// How long each slice is measured, in seconds
    #[arg(long, value_name = "S", default_value = "2", value_parser = seconds)]
    slice: Duration,
    /// How long each load runs before that, in seconds
    #[arg(long, value_name = "S", default_value = "0.5", value_parser = seconds)]
    warm_up: Duration,
    /// How long to wait after each slice for what a target still has to do, in seconds
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds)]
    settle: Duration,
    /// Threads of the load generator
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// All rounds together end in this time.
const BUDGET: Duration = Duration::from_secs(24 * 3600);

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let plan = Plan {
        scenario: Scenario::echo(args.echo),
        paces: args.clients.iter().copied().map(Pace::Clients).collect(),
        rounds: args.rounds.into(),
        warm_up: args.warm_up,
        slice: args.slice,
        settle_max: args.settle,
        budget: BUDGET,
        threads: args.threads,
    };
    let rows = compare::run(&candidates(args)?, &plan, |_| {});
    if args.json {
        line(serde_json::to_string_pretty(&rows)?)?;
    } else {
        line(tables(&rows, &[]))?;
    }
    let whole = |figures: &compare::Figures| figures.fault.is_none() && figures.failed == 0;
    Ok(exit(rows.iter().all(|row| whole(&row.figures))))
}

fn candidates(args: &Args) -> anyhow::Result<Vec<Candidate>> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in &args.target {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    for (name, process) in args.process.iter().chain(&args.server) {
        let process = &process.name;
        anyhow::ensure!(
            names.contains(&name.as_str()),
            "{process}: no target {name}"
        );
    }
    let candidate = |name: &str| {
        let urls = args.target.iter().filter(|(of, _)| of == name);
        let target = Target::new(urls.map(|(_, url)| url))?.speaking(args.era.into());
        let target = match &args.key {
            Some(key) => target.with_key(key)?,
            None => target,
        };
        let of = |role, processes: &[(String, Watched)]| {
            let ours = processes.iter().filter(|(of, _)| of == name);
            let ours = ours.map(|(_, process)| (role, process.clone()));
            ours.collect::<Vec<_>>()
        };
        let mut processes = of(Role::Between, &args.process);
        processes.extend(of(Role::Server, &args.server));
        Ok(Candidate {
            name: name.to_owned(),
            target,
            processes,
        })
    };
    names.into_iter().map(candidate).collect()
}

fn target(text: &str) -> Result<(String, String), String> {
    let (name, url) = text.split_once('=').ok_or("write NAME=URL")?;
    Ok((name.to_owned(), url.to_owned()))
}

fn process(text: &str) -> Result<(String, Watched), String> {
    let wanted = "write TARGET:NAME=PID, or PID+ for its descendants, too";
    let (name, pid) = text.split_once('=').ok_or(wanted)?;
    let (target, name) = name.split_once(':').ok_or(wanted)?;
    let (pid, descendants) = match pid.strip_suffix('+') {
        Some(pid) => (pid, true),
        None => (pid, false),
    };
    let watched = Watched::one(name, pid.parse().map_err(|_| wanted)?);
    let watched = if descendants {
        watched.with_descendants()
    } else {
        watched
    };
    Ok((target.to_owned(), watched))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn processes_are_named_by_target_and_part() {
        let (target, watched) = process("edge:sidecar=4712+").unwrap();
        assert_eq!(
            (target.as_str(), watched.name.as_str()),
            ("edge", "sidecar")
        );
        assert_eq!((watched.pids, watched.with_descendants), (vec![4712], true));
        for text in ["edge=1", "edge:x", "edge:x=y", ""] {
            assert!(process(text).is_err(), "{text:?}");
        }
    }
}
