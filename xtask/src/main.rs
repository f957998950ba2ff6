//! Checks and generators of the repository itself: `cargo run -p xtask -- tidy`, `… -- docs [--check]`.
//!
//! Knows the repository as files and as `cargo metadata` shows it. Of what it checks it uses the wire contract
//! and the model alone, as the reference is made from them, so that it builds while the rest does not compile.
//! Start from [`tidy::run`] and [`docs::write`].

mod docs;
mod tidy;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

const USAGE: &str = "usage: cargo run -p xtask -- tidy | docs [--check]";

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["tidy"] => run_tidy(),
        ["docs"] => write_docs(),
        ["docs", "--check"] => check_docs(),
        _ => {
            writeln!(io::stderr(), "{USAGE}")?;
            Ok(ExitCode::from(2))
        }
    }
}

/// The folder of the workspace.
fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask lies in the root of the workspace")
}

fn run_tidy() -> Result<ExitCode> {
    let report = tidy::run(root()?)?;
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
    Ok(exit(report.faults.is_empty()))
}

fn write_docs() -> Result<ExitCode> {
    let mut out = io::stdout().lock();
    for path in docs::write(root()?)? {
        writeln!(out, "written: {path}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn check_docs() -> Result<ExitCode> {
    let faults = docs::check(root()?)?;
    let mut out = io::stdout().lock();
    for fault in &faults {
        writeln!(out, "fault: {fault}")?;
    }
    writeln!(out, "docs: {} faults", faults.len())?;
    Ok(exit(faults.is_empty()))
}

fn exit(good: bool) -> ExitCode {
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
