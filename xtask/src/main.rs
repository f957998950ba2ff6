//! Checks of the repository itself: `cargo run -p xtask -- tidy`.
//!
//! Knows the repository as files and as `cargo metadata` shows it; must not depend on what it checks,
//! so that it builds in seconds and runs where the rest does not compile. Start from [`tidy::run`].

mod tidy;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

const USAGE: &str = "usage: cargo run -p xtask -- tidy";

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("tidy"), None) => run_tidy(),
        _ => {
            writeln!(io::stderr(), "{USAGE}")?;
            Ok(ExitCode::from(2))
        }
    }
}

fn run_tidy() -> Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask lies in the root of the workspace")?;
    let report = tidy::run(root)?;
    let mut out = io::stdout().lock();
    for note in &report.notes {
        writeln!(out, "note: {note}")?;
    }
    for fault in &report.faults {
        writeln!(out, "fault: {fault}")?;
    }
    writeln!(
        out,
        "tidy: {} files in {} crates, {} notes, {} faults",
        report.files,
        report.crates,
        report.notes.len(),
        report.faults.len()
    )?;
    Ok(if report.faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
