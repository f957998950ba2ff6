//! `gatehouse validate`: checks files without any installation.

use std::path::PathBuf;

use model::snapshot::Snapshot;
use serde_json::json;

use crate::app::App;
use crate::fault::{Failure, Fault};
use crate::show::Meaning;
use crate::source::{Sources, plural, summary};
use crate::stored;

/// Check files without a control plane: form, values, and what the engine can compile.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse validate -f servers.yaml
  gatehouse validate -f deploy/quickstart -o json

Names that may stand in the catalog already are warnings here; gatehouse apply --dry-run checks against it.

See also: gatehouse apply")]
pub struct Args {
    /// A file, a folder (its .yaml, .yml and .json files), or - for standard input; any number of times
    #[arg(short, long = "file", value_name = "FILE|DIR|-", required = true)]
    pub file: Vec<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Every fault of every file.
pub async fn run(args: Args, app: &App) -> Result<(), Failure> {
    let sources = Sources::read(&args.file)?;
    let mut snapshot = snapshot(&sources)?;
    let compiled = engine::compile::check_references(&snapshot);
    let warnings: Vec<Fault> = compiled.iter().map(|fault| at(&sources, fault)).collect();
    // A secret that is only named here is a warning already.
    stored::stand_in(&mut snapshot);
    let compiled = engine::Engine::compile(snapshot.into())
        .err()
        .unwrap_or_default();
    let faults: Vec<Fault> = compiled.iter().map(|fault| at(&sources, fault)).collect();
    if !faults.is_empty() {
        let count = faults.len();
        return Err(Failure::of(faults, Some(summary(count, sources.files()))));
    }
    let (resources, files) = (sources.located.len(), sources.files());
    if app.show.is_json() {
        let warnings: Vec<_> = warnings
            .iter()
            .map(|w| json!({"code": w.code, "message": w.message}))
            .collect();
        app.show.json(
            &json!({"valid": true, "resources": resources, "files": files, "warnings": warnings}),
        );
        return Ok(());
    }
    for warning in &warnings {
        let head = app
            .show
            .paint_err(Meaning::Look, &format!("warning {}:", warning.code));
        let place = warning
            .place
            .as_ref()
            .map_or_else(String::new, |p| format!("{}:{}: ", p.file, p.line));
        app.show.note(&format!(
            "{head} {place}{} (it may stand in the catalog)",
            warning.message
        ));
    }
    let (resources, files) = (plural(resources, "resource"), plural(files, "file"));
    app.show.line(&format!("valid: {resources} in {files}"));
    Ok(())
}

/// What the files say, as if it were all there is.
///
/// # Errors
/// What cannot be converted; parsing has found that already, so this is the last fence.
pub fn snapshot(sources: &Sources) -> Result<Snapshot, Failure> {
    let mut snapshot = Snapshot::default();
    let mut faults = Vec::new();
    for (index, located) in sources.located.iter().enumerate() {
        match model::wire::convert(&located.resource) {
            Ok(item) => model::wire::insert(&mut snapshot, item),
            Err(found) => {
                faults.extend(found.iter().map(|f| {
                    sources.fault(Some(index), &f.path, &f.message, Some(f.code.to_owned()))
                }))
            }
        }
    }
    if faults.is_empty() {
        Ok(snapshot)
    } else {
        Err(Failure::of(faults, None))
    }
}

fn at(sources: &Sources, fault: &engine::compile::Fault) -> Fault {
    let index = sources.index_of(&fault.resource);
    let told = sources.fault(
        index,
        &fault.path,
        &fault.message,
        Some(fault.code.to_string()),
    );
    match &fault.fix {
        Some(fix) => told.fix(fix.clone()),
        None => told,
    }
}
