//! The checks together: reads the workspace once and asks each of them.
//!
//! ```text
//! cargo metadata -> workspace -> picture (who depends on whom)   -> Report
//!           *.rs -> Source    -> source  (what one file may hold) -> Report
//!     generated pages, shown YAML -> docs (fresh, and accepted)   -> Report
//! ```

mod picture;
mod source;
mod workspace;

use std::path::Path;

use anyhow::Result;

use source::Source;

use crate::docs;

/// What was found. A fault fails the check; a note is for the reader to judge.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Rust files that were read.
    pub(crate) files: usize,
    /// Crates of the workspace.
    pub(crate) crates: usize,
    /// What grew too long, and what seems unused.
    pub(crate) notes: Vec<String>,
    /// What must not be.
    pub(crate) faults: Vec<String>,
}

/// Runs all checks on the workspace at `root`.
///
/// # Errors
/// When `cargo metadata` fails or a file cannot be read: then nothing is known, good or bad.
pub(crate) fn run(root: &Path) -> Result<Report> {
    let crates = workspace::load(root)?;
    let mut report = Report {
        crates: crates.len(),
        ..Report::default()
    };
    picture::check(&crates, &mut report);
    for each in &crates {
        let sources = Source::read_all(root, &each.folder)?;
        report.files += sources.len();
        for source in &sources {
            source::check(source, &mut report);
        }
        picture::note_unused(each, &sources, &mut report);
    }
    report.faults.extend(docs::check(root)?);
    Ok(report)
}
