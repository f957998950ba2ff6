//! `gatehouse diff`: what an apply of files would change, without applying anything.

use std::path::PathBuf;
use std::time::Duration;

use crate::app::App;
use crate::apply;
use crate::fault::Failure;
use crate::source::Sources;

/// The exit code for "differs", where it was asked for: 1 stays "failed".
const DIFFERS: u8 = 3;

/// Show what would change, were these files applied, and the line that applies exactly that.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse diff -f servers.yaml
  gatehouse diff -f deploy/quickstart -o json
  gatehouse diff -f rules.yaml --exit-code

Exit 0, whether something differs or not; with --exit-code 3 where something does.

See also: gatehouse apply, gatehouse history, gatehouse rollback")]
pub struct Args {
    /// A file, a folder (its .yaml, .yml and .json files), or - for standard input; any number of times
    #[arg(short, long = "file", value_name = "FILE|DIR|-", required = true)]
    pub file: Vec<PathBuf>,
    /// Exit 3 where something differs
    #[arg(long)]
    pub exit_code: bool,
}

/// Runs the command.
///
/// # Errors
/// Faults of the files or of the connection; and what `--exit-code` asks for.
pub async fn run(args: Args, app: &App) -> Result<(), Failure> {
    let sources = Sources::read(&args.file)?;
    let link = app.link().await?;
    let how = apply::How {
        dry_run: true,
        ..apply::How::default()
    };
    let mut answer = apply::store(&link, &sources, &how).await?;
    answer.changes.retain(|change| change.action != "unchanged");
    let differs = !answer.changes.is_empty();
    if !app.show.is_json() {
        apply::tell(&app.show, &answer, false);
        let line = apply::again(&args.file, answer.revision);
        match differs {
            true => app.show.note(&format!("to apply exactly this: {line}")),
            false => app.show.note(&format!(
                "nothing differs from revision {}",
                answer.revision
            )),
        }
    }
    apply::finish(&link, &app.show, &answer, false, Duration::ZERO).await?;
    match differs && args.exit_code {
        true => Err(Failure {
            exit: DIFFERS,
            ..Failure::silent()
        }),
        false => Ok(()),
    }
}
