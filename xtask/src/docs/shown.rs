//! What documents show must be right: every YAML file under `deploy/`, and every block of YAML in the pages that
//! is a resource, is read as `gatehouse apply` would.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use model::yaml::{self, Source};

/// Files that are applied together, as a folder is: names must not clash within one.
const FOLDERS: &str = "deploy";
/// Pages, besides those under `docs/`.
const README: &str = "README.md";

/// Every fault, with its place.
///
/// # Errors
/// What cannot be read.
pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for folder in folders(&root.join(FOLDERS))? {
        let mut sources = Vec::new();
        for file in files(&folder, &["yaml", "yml"])? {
            sources.push(source(root, &file)?);
        }
        faults.extend(refusals(&sources));
    }
    for page in pages(root)? {
        let page = source(root, &page)?;
        // Each by itself: pages may show the same resource in several states.
        for block in blocks(&page) {
            faults.extend(refusals(&[block]));
        }
    }
    Ok(faults)
}

fn refusals(sources: &[Source]) -> Vec<String> {
    match yaml::parse(sources) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

/// Fenced blocks that hold a resource, at the lines where they stand in the page.
fn blocks(page: &Source) -> Vec<Source> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for (index, line) in page.text.lines().enumerate() {
        let trimmed = line.trim();
        match (&mut open, trimmed) {
            (None, "```yaml" | "```yml") => open = Some("\n".repeat(index + 1)),
            (Some(_), "```") => blocks.extend(open.take()),
            (Some(text), _) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, _) => {}
        }
    }
    let is_resource = |text: &String| text.lines().any(|line| line.starts_with("kind:"));
    let source = |text: String| Source {
        file: page.file.clone(),
        text: text.into(),
    };
    blocks.into_iter().filter(is_resource).map(source).collect()
}

fn source(root: &Path, file: &Path) -> Result<Source> {
    let text =
        fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    Ok(Source {
        file: file
            .strip_prefix(root)?
            .to_string_lossy()
            .replace('\\', "/"),
        text: text.into(),
    })
}

fn pages(root: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut pages = vec![root.join(README)];
    for folder in folders(&root.join("docs"))? {
        pages.extend(files(&folder, &["md"])?);
    }
    Ok(pages)
}

/// A folder and all in it, sorted.
fn folders(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut found = vec![folder.to_owned()];
    for path in entries(folder)?.iter().filter(|path| path.is_dir()) {
        found.extend(folders(path)?);
    }
    Ok(found)
}

fn files(folder: &Path, extensions: &[&str]) -> Result<Vec<std::path::PathBuf>> {
    let fits = |path: &std::path::PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        path.is_file() && extension.is_some_and(|extension| extensions.contains(&extension))
    };
    Ok(entries(folder)?.into_iter().filter(fits).collect())
}

fn entries(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let read =
        fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut paths = read
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should end")]

    use super::*;

    const PAGE: &str = "# A page\n\n```yaml\nkind: Server\nnme: x\n```\n\n```yaml\nspec: a part\n```\n\n```sh\nkind: of\n```\n";

    #[test]
    fn blocks_of_resources_are_read_at_their_lines() {
        let page = Source {
            file: "docs/a.md".to_owned(),
            text: PAGE.into(),
        };
        let blocks = blocks(&page);
        assert_eq!(blocks.len(), 1);
        let faults = refusals(&blocks);
        assert!(
            faults
                .iter()
                .any(|fault| fault.starts_with("docs/a.md:5:1: nme")),
            "{faults:?}"
        );
    }

    #[test]
    fn every_file_and_block_of_the_repository_is_read() {
        let root = crate::root().unwrap();
        assert_eq!(check(root).unwrap(), Vec::<String>::new());
        let quickstart = files(&root.join("deploy/quickstart"), &["yaml"]).unwrap();
        assert!(!quickstart.is_empty());
        let shown = source(root, &root.join("docs/reference/Server.md")).unwrap();
        assert_eq!(blocks(&shown).len(), 1);
    }
}
