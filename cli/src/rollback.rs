//! `gatehouse rollback`: brings back what a revision held, as a new revision.

use std::time::Duration;

use proto::v1::{ApplyResponse, RollbackRequest};

use crate::app::App;
use crate::apply;
use crate::fault::{Failure, Fault};
use crate::link::{self, Link, Violation};
use crate::question;
use crate::source::plural;
use crate::when;

/// What a rollback that nobody agreed to ends with.
const NOTHING: &str = "nothing was rolled back";

/// Bring back what a revision held, as a new revision; API keys stay as they are, also those that were revoked.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse rollback --to 14 --dry-run
  gatehouse rollback --to 14 --wait
  gatehouse rollback --to 14 --yes -o json

Which revisions there are: gatehouse history

See also: gatehouse history, gatehouse diff, gatehouse nodes")]
pub struct Args {
    /// The revision whose resources are wanted back
    #[arg(long, value_name = "REVISION", value_parser = clap::value_parser!(u64).range(1..))]
    pub to: u64,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Show what would change; change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Wait until every live node runs the revision
    #[arg(long)]
    pub wait: bool,
    /// How long to wait at most
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = when::parse)]
    pub timeout: Duration,
}

/// Runs the command.
///
/// # Errors
/// A revision that history does not hold, what would not work today, nobody's agreement, or the rollout.
pub async fn run(args: Args, app: &App) -> Result<(), Failure> {
    let link = app.link().await?;
    let looked = ask(&link, &args, true, 0).await?;
    let show = &app.show;
    let head = looked.revision;
    if !show.is_json() {
        apply::tell(show, &looked, args.dry_run);
    }
    if looked.changes.is_empty() {
        show.note(&format!(
            "revision {head} holds what revision {} held",
            args.to
        ));
    }
    if args.dry_run || looked.changes.is_empty() {
        return apply::finish(&link, show, &looked, false, args.timeout).await;
    }
    if !args.yes && question::somebody_is_there() && !agreed(&args, &looked) {
        return Err(Failure::silent().and(NOTHING));
    }
    // On top of what was looked at, and of nothing else.
    let done = ask(&link, &args, false, head).await?;
    if !show.is_json() {
        show.note(&format!(
            "revision {} is stored: what revision {} held",
            done.revision, args.to
        ));
        show.hint(&format!("to undo it: gatehouse rollback --to {head}"));
    }
    apply::finish(&link, show, &done, args.wait, args.timeout).await
}

/// Whether it is meant: several revisions back are not agreed to by one key.
fn agreed(args: &Args, looked: &ApplyResponse) -> bool {
    let (head, to) = (looked.revision, args.to);
    let what = plural(looked.changes.len(), "resource");
    if head.saturating_sub(to) <= 1 {
        return question::agreed(&format!("roll back to {to}: {what}? [y/N]"), "y");
    }
    let question = format!(
        "{} are undone, {what}; type {to} to roll back:",
        plural(usize::try_from(head - to).unwrap_or(usize::MAX), "revision")
    );
    question::agreed(&question, &to.to_string())
}

async fn ask(
    link: &Link,
    args: &Args,
    dry_run: bool,
    if_revision: u64,
) -> Result<ApplyResponse, Failure> {
    let request = RollbackRequest {
        revision: args.to,
        dry_run,
        if_revision,
    };
    let status = match link.admin().rollback(request).await {
        Ok(answer) => return Ok(answer.into_inner()),
        Err(status) => status,
    };
    let fault = |violation: Violation| {
        let message = format!("{}: {}", violation.field, violation.message);
        violation.fault(message, model::fault::DANGLING)
    };
    let found = link::violations(&status);
    let mut faults: Vec<Fault> = found.into_iter().map(fault).collect();
    if faults.is_empty() {
        faults.push(link.fault(&status));
    }
    Err(Failure::of(faults, Some(NOTHING.to_owned())))
}
