//! `gatehouse rollout`: a change that a share of the nodes has first: how it stands, on to all, or back.

use std::time::Duration;

use proto::v1::{
    CallTally, EndStagedRolloutRequest, GetStagedRolloutRequest, RolloutCounts, StagedRollout,
    StagedRolloutSpec, Stages,
};
use serde_json::{Value, json};

use crate::app::App;
use crate::apply;
use crate::fault::Failure;
use crate::link::Link;
use crate::show::{Meaning, Show, Table};
use crate::when;

/// A change that a share of the nodes has first: how it stands, on to all, or back.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show how the staged rollout stands that is running, or was the last
    Status(Status),
    /// Give the change to all nodes now
    Promote(End),
    /// Take the change back
    Halt(Halt),
}

/// Show how the staged rollout stands that is running, or was the last: which nodes have the change, and how their calls
/// fare beside those of the others.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse rollout status
  gatehouse rollout status -o json

See also: gatehouse apply --stage, gatehouse nodes")]
pub struct Status {}

/// Give the change that is rolled out in stages to all nodes now.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse rollout promote
  gatehouse rollout promote --revision 15 --wait

See also: gatehouse rollout status, gatehouse rollout halt")]
pub struct End {
    /// Only if it is this revision that is rolled out
    #[arg(
        long,
        value_name = "REVISION",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub revision: u64,
    /// Wait until every live node runs it
    #[arg(long)]
    pub wait: bool,
    /// How long to wait at most
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = when::parse)]
    pub timeout: Duration,
}

/// Take back the change that is rolled out in stages: a new revision holds what was before it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse rollout halt
  gatehouse rollout halt --revision 15 --wait

See also: gatehouse rollout status, gatehouse rollback")]
pub struct Halt {
    #[command(flatten)]
    end: End,
}

/// Runs the command.
///
/// # Errors
/// No connection, or that nothing is rolled out in stages.
pub async fn run(command: Command, app: &App) -> Result<(), Failure> {
    match command {
        Command::Status(Status {}) => status(app).await,
        Command::Promote(args) => end(true, &args, app).await,
        Command::Halt(args) => end(false, &args.end, app).await,
    }
}

async fn status(app: &App) -> Result<(), Failure> {
    let link = app.link().await?;
    let stands = stands(&link).await?;
    let show = &app.show;
    let Some(spec) = &stands.rollout else {
        if show.is_json() {
            show.json(&json!({"state": "none"}));
        } else {
            show.note("nothing was rolled out in stages yet: gatehouse apply --stage 10%");
        }
        return Ok(());
    };
    if show.is_json() {
        show.json(&view(&stands, spec));
        return Ok(());
    }
    tell(show, &stands, spec);
    Ok(())
}

async fn stands(link: &Link) -> Result<StagedRollout, Failure> {
    let request = GetStagedRolloutRequest {};
    let answer = link.admin().get_staged_rollout(request).await;
    Ok(answer.map_err(|s| link.fault(&s))?.into_inner())
}

async fn end(promote: bool, args: &End, app: &App) -> Result<(), Failure> {
    let link = app.link().await?;
    let request = EndStagedRolloutRequest {
        promote,
        revision: args.revision,
    };
    let ended = link.admin().end_staged_rollout(request).await;
    let mut ended = ended.map_err(|s| link.fault(&s))?.into_inner();
    // That the rollout is over is said in words.
    ended.changes.retain(|change| {
        let key = change.key.as_ref();
        key.is_none_or(|key| key.kind != model::wire::STAGED_ROLLOUT)
    });
    if !app.show.is_json() {
        apply::tell(&app.show, &ended, false);
        let what = if promote {
            "all nodes get it"
        } else {
            "what was before it is back"
        };
        let revision = ended.revision;
        app.show
            .note(&format!("revision {revision} is stored: {what}"));
    }
    apply::finish(&link, &app.show, &ended, args.wait, args.timeout).await
}

fn tell(show: &Show, stands: &StagedRollout, spec: &StagedRolloutSpec) {
    let StagedRolloutSpec {
        revision, author, ..
    } = spec;
    let sentence = match spec.state.as_str() {
        "running" => format!("revision {revision} by {author}: {}", share(spec)),
        "done" => format!("revision {revision} by {author} came to all nodes"),
        _ => format!(
            "revision {revision} by {author} was taken back: {}",
            spec.why
        ),
    };
    let meaning = match spec.state.as_str() {
        "running" => Meaning::Look,
        "done" => Meaning::Good,
        _ => Meaning::Act,
    };
    show.line(&show.paint(meaning, &sentence));
    if spec.state != "running" {
        return;
    }
    show.line(&format!(
        "nodes that have it: {} of {} that it concerns",
        stands.having, stands.concerned
    ));
    let mut table = Table::new(&[
        "CALLS AT", "WITH IT", "FAILED", "WITHOUT", "FAILED", "BEFORE", "FAILED",
    ]);
    for counts in &stands.counts {
        let [with, without, before] = sides(counts);
        table.row([
            counts.nodes.clone(),
            with.calls.to_string(),
            failed(&with),
            without.calls.to_string(),
            failed(&without),
            before.calls.to_string(),
            failed(&before),
        ]);
    }
    show.table(&table, "");
    show.hint("gatehouse rollout promote   all nodes get it now");
    show.hint(&format!(
        "gatehouse rollout halt      back to what revision {} held",
        spec.base
    ));
}

/// `10% of the nodes have it, then 50%, all; the next in 4m`
pub(crate) fn share(spec: &StagedRolloutSpec) -> String {
    let begun = spec.begun as usize;
    let now = match begun.checked_sub(1).and_then(|at| spec.shares.get(at)) {
        Some(share) => format!("{share}% of the nodes have it"),
        None => "no node has it yet".to_owned(),
    };
    let then = spec.shares.iter().skip(begun);
    let mut then: Vec<String> = then.map(|share| format!("{share}%")).collect();
    then.push("all".to_owned());
    format!(
        "{now}, then {}; the next in {}",
        then.join(", "),
        left(spec)
    )
}

/// Until the next share begins, if nothing is wrong.
fn left(spec: &StagedRolloutSpec) -> String {
    let ends = spec.since_unix_ms + i64::from(spec.watch_seconds) * 1000;
    let left = u64::try_from(ends - when::now_unix_ms()).unwrap_or(0);
    when::span(Duration::from_millis(left))
}

fn sides(counts: &RolloutCounts) -> [CallTally; 3] {
    [counts.having, counts.others, counts.before].map(Option::unwrap_or_default)
}

fn failed(tally: &CallTally) -> String {
    let permille = (tally.failed * 1000).checked_div(tally.calls).unwrap_or(0);
    format!("{} ({}.{}%)", tally.failed, permille / 10, permille % 10)
}

fn view(stands: &StagedRollout, spec: &StagedRolloutSpec) -> Value {
    let tally = |tally: CallTally| json!({"calls": tally.calls, "failed": tally.failed});
    let counts = stands.counts.iter().map(|counts| {
        let [having, others, before] = sides(counts).map(tally);
        json!({"nodes": counts.nodes, "having": having, "others": others, "before": before})
    });
    json!({
        "state": spec.state,
        "revision": spec.revision,
        "base": spec.base,
        "author": spec.author,
        "shares": spec.shares,
        "begun": spec.begun,
        "since_unix_ms": spec.since_unix_ms,
        "watch_seconds": spec.watch_seconds,
        "errors_percent": spec.errors_percent,
        "why": spec.why,
        "nodes": {"having": stands.having, "concerned": stands.concerned},
        "counts": counts.collect::<Vec<_>>(),
    })
}

/// How an apply is to be rolled out: flags of `apply`.
#[derive(Debug, clap::Args)]
pub struct StageArgs {
    /// Give the change to a share of the nodes first, then to the next, then to all: 10% or 5%,25%. It is taken back where
    /// a node rejects it, or more calls fail
    #[arg(long, value_name = "SHARES", value_delimiter = ',', value_parser = percent)]
    stage: Vec<u32>,
    /// For how long each share is watched
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = when::parse, requires = "stage")]
    stage_for: Duration,
    /// By how many percentage points failures may rise at nodes that have it
    #[arg(long, value_name = "POINTS", default_value = "5%", value_parser = percent, requires = "stage")]
    stage_errors: u32,
}

impl StageArgs {
    /// As the control plane is asked. `None`: all nodes get it at once.
    pub(crate) fn stages(&self) -> Option<Stages> {
        (!self.stage.is_empty()).then(|| Stages {
            shares: self.stage.clone(),
            watch_seconds: u32::try_from(self.stage_for.as_secs()).unwrap_or(u32::MAX),
            errors_percent: self.stage_errors,
        })
    }

    /// How long it takes where nothing is wrong.
    pub(crate) fn lasts(&self) -> Duration {
        let shares = u32::try_from(self.stage.len()).unwrap_or(u32::MAX);
        self.stage_for.saturating_mul(shares)
    }

    /// What is said of a change that was stored so.
    pub(crate) fn tell(&self, show: &Show, revision: u64) {
        let shares: Vec<String> = self.stage.iter().map(|share| format!("{share}%")).collect();
        show.note(&format!(
            "revision {revision} is stored; {} of the nodes get it first, each share is watched for {}",
            shares.join(", then "),
            when::span(self.stage_for)
        ));
        show.hint("gatehouse rollout status    how it goes");
        show.hint("gatehouse rollout promote   all nodes get it now");
        show.hint("gatehouse rollout halt      take it back");
    }
}

/// `10%` or `10`.
fn percent(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix('%').unwrap_or(text);
    let wrong = || format!("{text:?} is not a share: write 10% or 10");
    let percent: u32 = number.trim().parse().map_err(|_| wrong())?;
    if (1..=100).contains(&percent) {
        Ok(percent)
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percentages() {
        assert_eq!(percent("10%"), Ok(10));
        assert_eq!(percent("7"), Ok(7));
        for wrong in ["", "%", "0", "101%", "ten", "1.5%"] {
            assert!(percent(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn it_is_said_which_share_has_it_and_what_comes() {
        let spec = StagedRolloutSpec {
            shares: vec![10, 50],
            begun: 1,
            since_unix_ms: when::now_unix_ms(),
            watch_seconds: 600,
            ..StagedRolloutSpec::default()
        };
        let said = share(&spec);
        let start = "10% of the nodes have it, then 50%, all; the next in ";
        assert!(said.starts_with(start), "{said}");
        let none = StagedRolloutSpec { begun: 0, ..spec };
        assert!(share(&none).starts_with("no node has it yet, then 10%, 50%, all"));
    }

    #[test]
    fn failures_are_shown_with_their_share() {
        let tally = CallTally {
            calls: 300,
            failed: 7,
        };
        assert_eq!(failed(&tally), "7 (2.3%)");
        assert_eq!(failed(&CallTally::default()), "0 (0.0%)");
    }
}
