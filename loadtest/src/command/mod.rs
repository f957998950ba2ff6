//! The command line: each command a file, which reads its flags and calls the library.

mod bench;
mod bounds;
mod compare;
mod fixture;
mod floor;
mod nodes;
mod run;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::bench::watchdog;

/// Measures Gatehouse, and is the client, the server and the proxies that it is measured with.
#[derive(Debug, Parser)]
#[command(
    name = "gatehouse-loadtest",
    version,
    disable_help_subcommand = true,
    after_help = "Examples:
  gatehouse-loadtest bench --quick
  gatehouse-loadtest run --url http://127.0.0.1:7800/mcp/time --key @key --rate 100 --duration 30
  gatehouse-loadtest fixture --listen 127.0.0.1:9000

Method and figures: docs/performance.md"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Compare all targets
    Bench(bench::Args),
    /// Hold speed and memory against what was promised
    Bounds(bounds::Args),
    /// Tell how long a change takes to reach many nodes
    Nodes(nodes::Args),
    /// Compare targets that run already
    Compare(compare::Args),
    /// Put one target under load
    Run(run::Args),
    /// Be the MCP server that is called
    Fixture(fixture::Args),
    /// Be a bare proxy, which reads what it forwards
    Floor(floor::Args),
    /// Clean up after a bench
    #[command(name = watchdog::WORD, hide = true)]
    Watchdog(watchdog::Args),
}

/// Runs one command line, the program's name first; gives the exit code: 0 done, 1 failed or calls failed, 2 usage.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody is left to tell where the terminal is gone.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let done = match cli.command {
        Command::Bench(args) => bench::run(&args),
        Command::Bounds(args) => bounds::run(&args),
        Command::Nodes(args) => nodes::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Fixture(args) => fixture::run(&args),
        Command::Floor(args) => floor::run(&args),
        Command::Watchdog(args) => clean_up(&args),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "gatehouse-loadtest: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A line on standard output.
fn line(text: impl std::fmt::Display) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    // Whoever waits for an address reads it from a pipe or a file.
    out.flush()?;
    Ok(())
}

/// What a long command is at, on standard error.
fn tell(command: &str, what: &str) {
    // Nobody is left to read it: no reason not to measure.
    let _ = writeln!(std::io::stderr(), "{command}: {what}");
}

/// Longest time that a flag may name.
const SECONDS_MAX: f64 = 86_400.0;

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "write seconds, such as 2.5")?;
    if (0.0..=SECONDS_MAX).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(format!("0 to {SECONDS_MAX} seconds"))
    }
}

fn clean_up(args: &watchdog::Args) -> anyhow::Result<ExitCode> {
    watchdog::run(args, std::io::stdin().lock())?;
    Ok(ExitCode::SUCCESS)
}

/// The exit code for this.
fn exit(good: bool) -> ExitCode {
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn clap_finds_no_fault() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' ')).is_ok();
        assert!(parse("x run --url http://127.0.0.1:1/ --clients 4"));
        assert!(parse(
            "x run --url http://127.0.0.1:1/ --rate 100 --under-way 10"
        ));
        assert!(!parse(
            "x run --url http://127.0.0.1:1/ --clients 4 --rate 100"
        ));
        assert!(!parse("x run --url http://127.0.0.1:1/ --echo 4 --list"));
        assert!(!parse("x run --clients 4"));
        assert!(!parse("x fixture --legacy-only --modern-only"));
        assert!(!parse("x fixture --stdio --listen 127.0.0.1:1"));
        assert!(!parse("x floor"));
    }
}
