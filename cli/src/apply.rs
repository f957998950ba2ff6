//! `gatehouse apply`: stores all that the files hold as one revision, or nothing of it.

mod replay;
mod view;

use std::path::PathBuf;
use std::time::Duration;

use proto::v1::{ApplyRequest, ApplyResponse, Change, FieldChange, Stages, VersionRequest};
use tonic::{Code, Status};

use crate::app::App;
use crate::codes;
use crate::fault::{Failure, Fault};
use crate::link::{self, Link, Violation};
use crate::rollout;
use crate::show::{Meaning, Show, shell_word};
use crate::source::{Sources, summary};
use crate::staged::StageArgs;
use crate::when;

pub(crate) use view::ChangeView;
use view::View;

/// What every refusal ends with.
pub const NOTHING: &str = "nothing was applied";

/// Store everything that files hold as one revision, or nothing of it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse apply -f servers.yaml
  gatehouse apply -f rules.yaml --dry-run --replay 24h
  gatehouse apply -f rules.yaml --stage 10%,50% --wait
  gatehouse get AccessRule engineers -o yaml | gatehouse apply -f - --if-revision 14

Exit 1 and nothing stored where anything is refused; with --strict also where there is a warning.

See also: gatehouse validate, gatehouse wait, gatehouse rollout status")]
pub struct Args {
    /// A file, a folder (its .yaml, .yml and .json files), or - for standard input; any number of times
    #[arg(short, long = "file", value_name = "FILE|DIR|-", required = true)]
    pub file: Vec<PathBuf>,
    /// Check against the control plane and show what would change; store nothing
    #[arg(long)]
    pub dry_run: bool,
    /// With --dry-run: decide the calls of that time again, and show which ones would be decided otherwise
    #[arg(long, value_name = "TIME", value_parser = when::parse, requires = "dry_run")]
    pub replay: Option<Duration>,
    /// Wait until every live node runs the revision
    #[arg(long)]
    pub wait: bool,
    /// How long to wait at most
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = when::parse)]
    pub timeout: Duration,
    /// Store nothing unless the head revision is this one
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub if_revision: u64,
    /// Store nothing where there is a warning
    #[arg(long)]
    pub strict: bool,
    /// Which nodes get it first.
    #[command(flatten)]
    pub staged: StageArgs,
}

/// Runs the command.
///
/// # Errors
/// Faults of the files, of the resources, of the connection, or of the rollout.
pub async fn run(args: Args, app: &App) -> Result<(), Failure> {
    let sources = Sources::read(&args.file).map_err(|failure| failure.and(NOTHING))?;
    let link = app.link().await?;
    let stored = store_as_asked(&link, &sources, &args).await;
    let answer = match stored {
        Ok(answer) => answer,
        Err(failure) => return Err(overtaken(failure, &link, &args.file).await),
    };
    let replayed = match args.replay {
        Some(since) => {
            let keep = app.show.is_json();
            Some(replay::run(&link, &sources, since, app, keep).await?)
        }
        None => None,
    };
    if let (true, Some(found)) = (app.show.is_json(), &replayed) {
        app.show.json(&View::of(&answer, None).with(found.json()));
        return Ok(());
    }
    if !app.show.is_json() {
        tell(&app.show, &answer, args.dry_run);
    }
    if let (Some(found), Some(since)) = (&replayed, args.replay) {
        found.tell(&app.show, since);
    }
    if args.dry_run {
        // With the head that was looked at: so that what was shown is what is stored.
        app.show.hint(&again(&args.file, answer.revision));
    } else if args.staged.stages().is_some() && !app.show.is_json() && is_new(&answer) {
        args.staged.tell(&app.show, answer.revision);
    } else if !args.wait && !app.show.is_json() && is_new(&answer) {
        app.show
            .note(&format!("revision {} is stored", answer.revision));
    }
    let wait = args.wait && !args.dry_run;
    let timeout = args.timeout.saturating_add(args.staged.lasts());
    finish(&link, &app.show, &answer, wait, timeout).await
}

/// With `--strict` looks first, and stores only what has no warning, on top of what was looked at.
async fn store_as_asked(
    link: &Link,
    sources: &Sources,
    args: &Args,
) -> Result<ApplyResponse, Failure> {
    let mut if_revision = args.if_revision;
    if args.strict {
        let looked = store(link, sources, &looking(args, if_revision)).await?;
        if !looked.warnings.is_empty() {
            return Err(warned(sources, &looked));
        }
        if args.dry_run {
            return Ok(looked);
        }
        if_revision = looked.revision;
    }
    let how = How {
        dry_run: args.dry_run,
        if_revision,
        stages: args.staged.stages(),
    };
    store(link, sources, &how).await
}

fn looking(args: &Args, if_revision: u64) -> How {
    How {
        dry_run: true,
        if_revision,
        stages: args.staged.stages(),
    }
}

/// How resources are to be stored.
#[derive(Debug, Default)]
pub struct How {
    /// Check only.
    pub dry_run: bool,
    /// Only on this head. 0: whatever it is.
    pub if_revision: u64,
    /// Which nodes get them first. `None`: all at once.
    pub stages: Option<Stages>,
}

/// Warnings as faults, in the user's files.
fn warned(sources: &Sources, answer: &ApplyResponse) -> Failure {
    let fault = |warning: &proto::v1::Warning| {
        let key = warning.key.as_ref();
        let index = key.and_then(|key| {
            sources.index_of(&model::snapshot::ResourceKey::new(&key.kind, &key.name))
        });
        let code = Some(warning.code.clone());
        sources.fault(index, &warning.path, &warning.message, code)
    };
    let faults: Vec<Fault> = answer.warnings.iter().map(fault).collect();
    let summary = format!(
        "{} under --strict",
        crate::source::plural(faults.len(), "warning")
    );
    Failure::of(faults, Some(summary)).and(NOTHING)
}

/// Where somebody else was faster: the way on, with the head as it is now.
async fn overtaken(mut failure: Failure, link: &Link, files: &[PathBuf]) -> Failure {
    for fault in &mut failure.faults {
        if fault.code != codes::CHANGED_MEANWHILE {
            continue;
        }
        if let Ok(version) = link.admin().version(VersionRequest {}).await {
            let again = again(files, version.into_inner().revision);
            fault.fix = Some(format!("look with --dry-run, then: {again}").into());
        }
    }
    failure
}

/// The same command on top of a certain head.
pub(crate) fn again(files: &[PathBuf], revision: u64) -> String {
    let files = files.iter().map(|file| file.display().to_string());
    let files: Vec<String> = files
        .map(|file| format!("-f {}", shell_word(&file)))
        .collect();
    format!(
        "gatehouse apply {} --if-revision {revision}",
        files.join(" ")
    )
}

fn is_new(answer: &ApplyResponse) -> bool {
    let mut changes = answer.changes.iter();
    changes.any(|change| change.action != "unchanged")
}

/// Sends resources to the control plane.
///
/// # Errors
/// What the control plane finds wrong, placed in the user's files.
pub async fn store(link: &Link, sources: &Sources, how: &How) -> Result<ApplyResponse, Failure> {
    let request = ApplyRequest {
        resources: sources.resources(),
        dry_run: how.dry_run,
        if_revision: how.if_revision,
        stages: how.stages.clone(),
    };
    match link.admin().apply(request).await {
        Ok(answer) => Ok(answer.into_inner()),
        Err(status) => Err(refused(link, sources, &status)),
    }
}

/// What changed, one line a resource, and warnings.
pub fn tell(show: &Show, answer: &ApplyResponse, dry_run: bool) {
    for line in change_lines(&answer.changes) {
        show.line(&line);
    }
    tell_warnings(show, answer);
    if dry_run {
        show.note("nothing was stored (dry run)");
    }
}

/// What works but may not be meant, on standard error.
pub fn tell_warnings(show: &Show, answer: &ApplyResponse) {
    for warning in &answer.warnings {
        let key = warning
            .key
            .as_ref()
            .map_or_else(String::new, |key| format!("{}/{}: ", key.kind, key.name));
        let head = show.paint_err(Meaning::Look, &format!("warning {}:", warning.code));
        let path = if warning.path.is_empty() {
            String::new()
        } else {
            format!("{}: ", warning.path)
        };
        show.note(&format!("{head} {key}{path}{}", warning.message));
    }
}

/// The end of every command that made a revision: waits if asked to, and says where things stand.
///
/// # Errors
/// Those of [`rollout::wait`].
pub async fn finish(
    link: &Link,
    show: &Show,
    answer: &ApplyResponse,
    wait: bool,
    timeout: Duration,
) -> Result<(), Failure> {
    let outcome = if wait {
        Some(rollout::wait(link, show.progress(), answer.revision, timeout).await?)
    } else {
        None
    };
    if show.is_json() {
        show.json(&View::of(answer, outcome));
    } else if let Some(outcome) = outcome {
        show.line(&rollout::sentence(show, answer.revision, &outcome));
    }
    Ok(())
}

/// `Server/time            changed   spec.runtime.npx.version 1.0.2 -> 1.0.3`
fn change_lines(changes: &[Change]) -> Vec<String> {
    let name = |change: &Change| {
        change
            .key
            .as_ref()
            .map_or_else(String::new, |key| format!("{}/{}", key.kind, key.name))
    };
    let widest = changes
        .iter()
        .map(|change| name(change).len())
        .max()
        .unwrap_or(0);
    let mut lines = Vec::new();
    for change in changes {
        let mut fields = change.fields.iter().map(field_words);
        // A new resource is all fields; its name says enough.
        let shown = change.action == "changed";
        let first = if shown {
            fields.next().unwrap_or_default()
        } else {
            String::new()
        };
        let line = format!("{:widest$}   {:9} {first}", name(change), change.action);
        lines.push(line.trim_end().to_owned());
        if shown {
            lines.extend(fields.map(|field| format!("{:widest$}             {field}", "")));
        }
    }
    lines
}

/// `spec.title A -> B`
pub(crate) fn field_words(field: &FieldChange) -> String {
    match (field.before.as_str(), field.after.as_str()) {
        ("", after) => format!("{} {after}", field.path),
        (before, "") => format!("{} {before} removed", field.path),
        (before, after) => format!("{} {before} -> {after}", field.path),
    }
}

fn refused(link: &Link, sources: &Sources, status: &Status) -> Failure {
    let found = if status.code() == Code::InvalidArgument {
        link::violations(status)
    } else {
        Vec::new()
    };
    if found.is_empty() {
        let fault = link.fault(status);
        return Failure::of(vec![fault], Some(NOTHING.to_owned()));
    }
    let fault = |violation: Violation| {
        let (index, path) = index_and_path(&violation.field);
        let fault = sources.fault(index, path, &violation.message, violation.code);
        match violation.fix {
            Some(fix) => fault.fix(fix),
            None => fault,
        }
    };
    let faults: Vec<Fault> = found.into_iter().map(fault).collect();
    let files: std::collections::BTreeSet<&str> = faults
        .iter()
        .filter_map(|fault| fault.place.as_ref())
        .map(|place| place.file.as_str())
        .collect();
    let summary = summary(faults.len(), files.len().max(1));
    Failure::of(faults, Some(summary)).and(NOTHING)
}

/// `resources[3].spec.servers[0]` → 3 and `spec.servers[0]`.
fn index_and_path(field: &str) -> (Option<usize>, &str) {
    let split = || {
        let (index, path) = field.strip_prefix("resources[")?.split_once(']')?;
        Some((index.parse().ok()?, path.strip_prefix('.').unwrap_or(path)))
    };
    match split() {
        Some((index, path)) => (Some(index), path),
        None => (None, field),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::v1::ResourceKey;

    fn change(kind: &str, name: &str, action: &str, fields: &[(&str, &str, &str)]) -> Change {
        Change {
            key: Some(ResourceKey {
                kind: kind.to_owned(),
                name: name.to_owned(),
            }),
            action: action.to_owned(),
            fields: fields
                .iter()
                .map(|(path, before, after)| FieldChange {
                    path: (*path).to_owned(),
                    before: (*before).to_owned(),
                    after: (*after).to_owned(),
                })
                .collect(),
        }
    }

    #[test]
    fn changes_are_shown_as_before_and_after() {
        let changes = [
            change(
                "Server",
                "time",
                "changed",
                &[
                    ("spec.runtime.npx.version", "1.0.2", "1.0.3"),
                    ("spec.title", "", "T"),
                ],
            ),
            change("AccessRule", "engineers", "unchanged", &[]),
            change("Filter", "x", "created", &[("spec.order", "", "1")]),
        ];
        assert_eq!(
            change_lines(&changes),
            [
                "Server/time            changed   spec.runtime.npx.version 1.0.2 -> 1.0.3",
                "                                 spec.title T",
                "AccessRule/engineers   unchanged",
                "Filter/x               created",
            ]
        );
    }

    #[test]
    fn the_place_of_a_fault_is_read_from_its_field() {
        assert_eq!(
            index_and_path("resources[3].spec.servers[0]"),
            (Some(3), "spec.servers[0]")
        );
        assert_eq!(index_and_path("resources[0]"), (Some(0), ""));
        assert_eq!(index_and_path("if_revision"), (None, "if_revision"));
    }
}
