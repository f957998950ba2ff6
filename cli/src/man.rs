//! `gatehouse man`: the manual, made of what `--help` says.

use std::path::PathBuf;

use crate::app::App;
use crate::args;
use crate::codes;
use crate::fault::{Failure, Fault};
use crate::source::plural;

/// Print the manual page of gatehouse, or write those of all commands into a folder.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gatehouse man
  gatehouse man --out /usr/local/share/man/man1

See also: gatehouse completions")]
pub struct Args {
    /// Write a page for each command into this folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// The folder cannot be written.
pub fn run(args: &Args, app: &App) -> Result<(), Failure> {
    let Some(dir) = &args.out else {
        app.show.text(&page());
        return Ok(());
    };
    let failed = |error: std::io::Error| {
        let text = format!("{} cannot be written", dir.display());
        Fault::new(codes::FILE, text).why(error.to_string())
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    clap_mangen::generate_to(args::whole(), dir).map_err(failed)?;
    let written = std::fs::read_dir(dir).map_err(failed)?.count();
    let (pages, dir) = (plural(written, "page"), dir.display());
    app.show.line(&format!("{pages} in {dir}"));
    Ok(())
}

/// The page that shows the way to all others.
fn page() -> String {
    let mut page = Vec::new();
    clap_mangen::Man::new(args::whole())
        .render(&mut page)
        .expect("memory takes whatever is written");
    String::from_utf8_lossy(&page).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let dir = tempfile::tempdir().unwrap();
        clap_mangen::generate_to(args::whole(), dir.path()).unwrap();
        for page in [
            "gatehouse.1",
            "gatehouse-check.1",
            "gatehouse-key-create.1",
            "gatehouse-edge.1",
        ] {
            let text = std::fs::read_to_string(dir.path().join(page)).unwrap();
            assert!(text.contains(".TH"), "{page}");
        }
        let check = std::fs::read_to_string(dir.path().join("gatehouse-check.1")).unwrap();
        assert!(check.contains("Examples"), "{check}");
        assert!(!dir.path().join("gatehouse-help.1").exists());
    }

    #[test]
    fn the_first_page_names_the_commands() {
        assert!(page().contains("gatehouse\\-describe"), "{}", page());
    }
}
