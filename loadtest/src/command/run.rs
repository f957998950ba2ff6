//! `gatehouse-loadtest run`: one load on one target.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use super::{exit, line, seconds};
use crate::process::Usage;
use crate::{Era, Load, Pace, Scenario, Target};

/// Put one target under load, and tell what came of it. Ends with 1 where a call failed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse-loadtest run --url http://127.0.0.1:7800/mcp/time --key @key --list --clients 16
  gatehouse-loadtest run --url http://127.0.0.1:9000/mcp --rate 1000 --echo 4096
  gatehouse-loadtest run --url http://127.0.0.1:7800/mcp/a --url http://127.0.0.1:7801/mcp/a --rate 100
  gatehouse-loadtest run --url http://127.0.0.1:9000/mcp --era legacy --tool sleep --args '{\"ms\":20}'")]
pub(super) struct Args {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    scenario: ScenarioArgs,
    /// Closed loop: so many clients, each of which makes one call after the other
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "rate")]
    clients: usize,
    /// Open loop: so many calls a second, timed from the moment they were due
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// Open loop: most calls under way
    #[arg(long, value_name = "N", default_value_t = 1024)]
    under_way: usize,
    /// How long to measure, in seconds
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    duration: Duration,
    /// How long to call before that, in seconds
    #[arg(long, value_name = "S", default_value = "1", value_parser = seconds)]
    warm_up: Duration,
    /// How long a call may take, in seconds
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    timeout: Duration,
    /// Threads of the generator
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// Flags that say what is called.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct TargetArgs {
    /// Where MCP is spoken; several are one target, as behind a load balancer
    #[arg(long, value_name = "URL", required = true)]
    url: Vec<String>,
    /// The API key, or @FILE
    #[arg(long, value_name = "KEY|@FILE")]
    key: Option<String>,
    /// Which era the client is of
    #[arg(long, value_enum, default_value = "modern")]
    era: EraArg,
}

/// Flags that say what is asked.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ScenarioArgs {
    /// Call echo with a message of so many bytes, which must come back
    #[arg(long, value_name = "BYTES", default_value_t = 64, conflicts_with_all = ["tool", "list"])]
    echo: usize,
    /// Call this tool
    #[arg(long, value_name = "NAME", conflicts_with = "list")]
    tool: Option<String>,
    /// The arguments of the tool, an object
    #[arg(long, value_name = "JSON", requires = "tool", value_parser = object)]
    args: Option<Value>,
    /// What a text of the answer must hold
    #[arg(long, value_name = "TEXT", requires = "tool")]
    expect: Option<String>,
    /// List the tools
    #[arg(long)]
    list: bool,
    /// Ask for progress
    #[arg(long)]
    progress: bool,
}

/// The era of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum EraArg {
    /// 2026-07-28: no sessions.
    Modern,
    /// 2025-11-25: a session for each call under way.
    Legacy,
}

impl From<EraArg> for Era {
    fn from(era: EraArg) -> Self {
        match era {
            EraArg::Modern => Self::Modern,
            EraArg::Legacy => Self::Legacy,
        }
    }
}

impl TargetArgs {
    fn target(&self) -> Result<Target, crate::target::Error> {
        let target = Target::new(&self.url)?.speaking(self.era.into());
        match &self.key {
            Some(key) => target.with_key(key),
            None => Ok(target),
        }
    }
}

impl ScenarioArgs {
    fn scenario(&self) -> Scenario {
        let scenario = match &self.tool {
            Some(tool) => Scenario::tool(tool, self.args.clone().unwrap_or_else(|| json!({}))),
            None if self.list => Scenario::list(),
            None => Scenario::echo(self.echo),
        };
        let scenario = match &self.expect {
            Some(text) => scenario.expecting(text),
            None => scenario,
        };
        if self.progress {
            scenario.with_progress()
        } else {
            scenario
        }
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let pace = match args.rate {
        Some(per_second) => Pace::Rate {
            per_second,
            under_way_max: args.under_way,
        },
        None => Pace::Clients(args.clients),
    };
    let load = Load::new(pace, args.target.target()?)
        .calling(args.scenario.scenario())
        .giving_up_after(args.timeout)
        .on_threads(args.threads);
    let before = Usage::of_this_process().ok();
    let report = load.run(args.warm_up, args.duration)?;
    let after = Usage::of_this_process().ok();
    // Of all calls, also those of the warm-up.
    let own = before.zip(after).and_then(|(before, after)| {
        let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
        (report.begun > 0).then(|| cpu * 1e6 / report.begun as f64)
    });
    if args.json {
        let mut report = serde_json::to_value(&report).context("the report cannot be written")?;
        report["calls_per_s"] = json!(
            report["answered"]
                .as_f64()
                .zip(report["elapsed_s"].as_f64())
                .map(|(n, s)| n / s)
        );
        report["own_cpu_us_per_call"] = json!(own);
        line(report)?;
    } else {
        line(report.to_string().trim_end())?;
        if let Some(own) = own {
            line(format_args!(
                "own cost     {own:.1} us of processor time a call"
            ))?;
        }
    }
    Ok(exit(report.failures.is_empty()))
}

fn object(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(object @ Value::Object(_)) => Ok(object),
        Ok(_) => Err("arguments are an object".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
