//! `gatehouse delete`: takes one resource away.

use std::time::Duration;

use proto::v1::{DeleteRequest, ResourceKey};
use tonic::Code;

use crate::app::App;
use crate::apply;
use crate::fault::{Failure, Fault};
use crate::get;
use crate::kind;
use crate::link::{self, Violation};
use crate::when;

/// Delete one resource.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse delete AccessRule no-secrets
  gatehouse delete Server everything --wait
  gatehouse delete AccessRule engineers --dry-run

See also: gatehouse get, gatehouse apply")]
pub struct Args {
    /// Server, VirtualServer, AccessRule, Filter, Limit, Group or Secret
    pub kind: String,
    /// Its name
    pub name: String,
    /// Show what would happen; delete nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Wait until every live node runs the revision
    #[arg(long)]
    pub wait: bool,
    /// How long to wait at most
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = when::parse)]
    pub timeout: Duration,
    /// Delete nothing unless the head revision is this one
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub if_revision: u64,
}

/// Runs the command.
///
/// # Errors
/// Unknown kind or name, something that still names the resource, no connection, or the rollout.
pub async fn run(args: Args, app: &App) -> Result<(), Failure> {
    let kind = kind::parse(&args.kind)?;
    let link = app.link().await?;
    let key = ResourceKey {
        kind: kind.to_owned(),
        name: args.name.clone(),
    };
    let request = DeleteRequest {
        keys: vec![key],
        if_revision: args.if_revision,
        dry_run: args.dry_run,
    };
    let answer = match link.admin().delete(request).await {
        Ok(answer) => answer.into_inner(),
        Err(status) if status.code() == Code::NotFound => {
            return Err(get::no_such(&link, kind, &args.name).await.into());
        }
        Err(status) => {
            let found = link::violations(&status);
            let mut faults: Vec<Fault> = found.into_iter().map(named_by).collect();
            if faults.is_empty() {
                faults.push(link.fault(&status));
            }
            return Err(Failure::of(faults, Some("nothing was deleted".to_owned())));
        }
    };
    if !app.show.is_json() {
        apply::tell(&app.show, &answer, args.dry_run);
    }
    apply::finish(
        &link,
        &app.show,
        &answer,
        args.wait && !args.dry_run,
        args.timeout,
    )
    .await
}

/// What still names the resource; the message says where.
fn named_by(violation: Violation) -> Fault {
    let message = violation.message.clone();
    violation.fault(message, model::fault::DANGLING)
}
