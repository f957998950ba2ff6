//! `gatehouse check`: whether everything works, from this machine to a call on record; and where it does not, why.
//!
//! ```text
//! machine  tools ─┐
//! control ────────┼─▶ nodes ─▶ servers ─▶ edge ─▶ Findings ─▶ Report ─▶ draw
//! ```
//! Each check is a row of [`table`], has a limit of its own, and is skipped where one that it needs has failed: one
//! cause, one red line. Start from [`run`].

mod control;
mod draw;
mod edge;
mod known;
mod look;
mod machine;
pub(crate) mod nodes;
pub mod report;
pub(crate) mod servers;
pub mod table;
mod tools;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::app::App;
use crate::fault::Failure;
use crate::show::{Format, Progress};
use crate::source::plural;
use crate::when;

use known::Underway;
use look::Look;
use report::Report;
use table::Group;

/// Between two rounds of `--wait`.
const AGAIN: Duration = Duration::from_secs(1);
/// After so much silence a progress line says what is looked at, and so often.
const SILENCE: Duration = Duration::from_millis(800);

/// Check everything, from this machine to a call on record, and say what mends what does not work.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse check
  gatehouse check --pre
  gatehouse check --only servers --wait 60s
  gatehouse check -o short

Verdicts: ok; warn (works, and wants a look); fail; skip (could not be tried because of another check). Exit 1 where
anything fails. A check's long form: gatehouse explain cp-reachable

See also: gatehouse nodes, gatehouse describe, gatehouse explain")]
pub struct Args {
    /// Before a first start: this machine only; needs no installation
    #[arg(long)]
    pub pre: bool,
    /// Repeat until nothing fails and nothing is on its way any more, or the time is over
    #[arg(long, value_name = "TIME", value_parser = when::parse)]
    pub wait: Option<Duration>,
    /// One group of checks, and what fails before it
    #[arg(long, value_name = "GROUP", value_parser = groups())]
    pub only: Option<Group>,
    /// The data folder of `gatehouse up` (default: where the context lies, else ./.gatehouse)
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// With --pre: where the control plane will listen
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:7700",
        requires = "pre"
    )]
    pub control_listen: SocketAddr,
    /// With --pre: where edges will listen; any number of times
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:7800",
        requires = "pre"
    )]
    pub edge_listen: Vec<SocketAddr>,
}

fn groups() -> impl TypedValueParser<Value = Group> {
    PossibleValuesParser::new(Group::ALL.map(Group::id)).map(|id| {
        let named = Group::ALL.into_iter().find(|group| group.id() == id);
        named.expect("the parser takes these names only")
    })
}

/// Runs the command.
///
/// # Errors
/// Something fails; all is said then.
pub async fn run(args: Args, app: &App) -> Result<(), Failure> {
    let elsewhere = args.only.filter(|group| *group != Group::Machine);
    if let (true, Some(group)) = (args.pre, elsewhere) {
        let text = format!(
            "--pre looks at this machine only: leave --only {} out",
            group.id()
        );
        return Err(Failure::usage(text));
    }
    let report = rounds(&args, app).await;
    if app.show.is_json() {
        app.show.json(&draw::Document::of(&report));
    } else {
        let short = app.show.format() == Format::Short;
        for line in draw::lines(&app.show, &report, short) {
            app.show.line(&line);
        }
    }
    if report.is_good() {
        Ok(())
    } else {
        Err(Failure::silent())
    }
}

/// Looks once, or with `--wait` again and again; the last report.
async fn rounds(args: &Args, app: &App) -> Report {
    let began = Instant::now();
    let mut progress = app.show.progress();
    let mut look = Look::new(args, app);
    loop {
        let report = with_progress(&mut look, &mut progress).await;
        let awaited = report.awaited();
        let Some(wait) = args.wait else { return report };
        if awaited.is_empty() || began.elapsed() + AGAIN > wait {
            return report;
        }
        let first = awaited[0];
        let subject = first.subject.as_deref();
        let name = subject.map_or_else(|| first.id.to_owned(), |s| format!("{} {s}", first.id));
        let others = match awaited.len() - 1 {
            0 => String::new(),
            more => format!(" and {}", plural(more, "other")),
        };
        progress.set(
            &format!("waiting for {name}{others}"),
            &format!(", {}", when::span(began.elapsed())),
        );
        tokio::time::sleep(AGAIN).await;
    }
}

/// One round; where it takes long, says what it is at.
async fn with_progress(look: &mut Look<'_>, progress: &mut Progress) -> Report {
    let underway = Underway::default();
    let began = Instant::now();
    let round = look.round(&underway);
    tokio::pin!(round);
    loop {
        tokio::select! {
            report = &mut round => return report,
            () = tokio::time::sleep(SILENCE) => {
                let spent = format!(", {}", when::span(began.elapsed()));
                progress.set(&format!("checking {}", underway.get()), &spent);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use clap::Parser;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn groups_are_named_as_the_document_names_them() {
        for group in Group::ALL {
            let line = Line::try_parse_from(["check", "--only", group.id()]).unwrap();
            assert_eq!(line.args.only, Some(group));
        }
        assert!(Line::try_parse_from(["check", "--only", "everything"]).is_err());
    }

    #[test]
    fn addresses_are_for_the_look_before_a_start() {
        assert!(Line::try_parse_from(["check", "--control-listen", "127.0.0.1:1"]).is_err());
        let words = ["check", "--pre", "--control-listen", "127.0.0.1:1"];
        assert!(Line::try_parse_from(words).is_ok());
        assert!(Line::try_parse_from(["check"]).is_ok());
    }
}
