//! The generated files: `docs/reference/`, `docs/errors.md`, `docs/checks.md` and the table of `gatehouse explain
//! FIELD`; and the check that they are fresh.
//!
//! ```text
//! proto comments (contract) + model::yaml::describe + what the model accepts (probe) -> kind, fields \
//! model::fault, cli::codes, cli::check::table                                        -> codes, checks -> Page
//! `Settings` in the sources, their printed defaults                                  -> settings     /
//! ```
//!
//! Nothing of these pages is written twice: what is wrong in one is mended in the comment it comes from. Start
//! from [`pages`]. [`shown`] holds the rest of the documents to what the model reads.

mod checks;
mod codes;
mod contract;
mod fields;
mod index;
mod kind;
mod probe;
mod settings;
mod shown;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use contract::Contract;

/// First line of each page.
const MARK: &str = "<!-- Made by `cargo run -p xtask -- docs`; edits belong into the comments it is made from. -->";

/// One generated file.
#[derive(Debug)]
struct Page {
    /// Relative to the root, with `/`.
    path: String,
    text: String,
}

impl Page {
    fn new(path: impl Into<String>, body: &str) -> Self {
        Self {
            path: path.into(),
            text: format!("{MARK}\n\n{}\n", body.trim()),
        }
    }
}

/// All pages, with the defaults of settings as given: TOML with a table for each process.
fn pages(root: &Path, defaults: &str) -> Result<Vec<Page>> {
    let contract = Contract::load(proto::DESCRIPTOR)?;
    let mut pages = Vec::new();
    let mut kinds = Vec::new();
    for name in model::wire::KINDS.iter().filter(|kind| kind.supported) {
        let reference = kind::Reference::read(name.name, &contract)?;
        pages.push(Page::new(
            format!("docs/reference/{}.md", name.name),
            &reference.page(),
        ));
        kinds.push(reference);
    }
    pages.push(Page::new("docs/reference/README.md", &index::page(&kinds)));
    pages.push(Page::new(settings::PATH, &settings::page(root, defaults)?));
    pages.push(Page::new("docs/errors.md", &codes::page()));
    pages.push(Page::new("docs/checks.md", &checks::page()));
    pages.push(Page {
        path: fields::PATH.to_owned(),
        text: fields::table(&kinds),
    });
    Ok(pages)
}

/// Writes the pages that differ; answers with their paths.
///
/// # Errors
/// What cannot be read, written or described. Defaults come from the processes themselves, which are built for it.
pub(crate) fn write(root: &Path) -> Result<Vec<String>> {
    let mut written = Vec::new();
    for page in pages(root, &settings::run_defaults(root)?)? {
        let path = root.join(&page.path);
        if fs::read_to_string(&path).is_ok_and(|old| old == page.text) {
            continue;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, &page.text).with_context(|| format!("{} cannot be written", page.path))?;
        written.push(page.path);
    }
    Ok(written)
}

/// Which pages are missing or stale, and which YAML that documents show would be refused.
///
/// Defaults of settings are taken as the page has them: a unit test, which builds the processes anyway, holds
/// those to the truth.
///
/// # Errors
/// What cannot be read or described.
pub(crate) fn check(root: &Path) -> Result<Vec<String>> {
    let defaults = settings::shown_defaults(root);
    let mut faults = shown::check(root)?;
    for page in pages(root, &defaults)? {
        if !fs::read_to_string(root.join(&page.path)).is_ok_and(|old| old == page.text) {
            faults.push(format!(
                "{}: not fresh: cargo run -p xtask -- docs",
                page.path
            ));
        }
    }
    Ok(faults)
}

/// A cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should end")]

    use super::*;

    #[test]
    fn what_is_generated_is_fresh_and_what_is_shown_is_read() {
        assert_eq!(check(crate::root().unwrap()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_page_that_differs_is_a_fault() {
        let root = crate::root().unwrap();
        let empty = std::env::temp_dir();
        let stale = |page: &Page| !empty.join(&page.path).exists();
        let all = pages(root, &settings::shown_defaults(root)).unwrap();
        assert!(all.len() > 5 && all.iter().all(stale));
        let data = |page: &&Page| page.path == fields::PATH;
        assert!(
            all.iter()
                .all(|page| data(&page) || page.text.starts_with(MARK))
        );
    }

    #[test]
    fn cells_stay_in_their_column() {
        assert_eq!(cell("a | b\nc"), "a \\| b c");
    }
}
