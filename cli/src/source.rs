//! What `-f` names: files, folders and standard input, read into resources, with every fault placed in the
//! user's own text.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::fault::UNREADABLE;
use model::snapshot::ResourceKey;
use model::yaml::{self, FileFault, Located, Source};

use crate::fault::{Failure, Fault, Place};

/// Largest file that is read, in bytes: one more than a file may have, so that parsing says that it is too large.
const FILE_BYTES_MAX: u64 = yaml::FILE_BYTES_MAX as u64 + 1;
/// Most files of one command.
const FILES_MAX: usize = 10_000;
/// Deepest folder below one that was named.
const DEPTH_MAX: usize = 16;

/// All files of one command, parsed.
#[derive(Debug)]
pub struct Sources {
    texts: Vec<Source>,
    /// The resources in the order of the files.
    pub located: Vec<Located>,
}

impl Sources {
    /// Reads and checks everything that `-f` names.
    ///
    /// # Errors
    /// Every fault of every file at once; the summary counts them.
    pub fn read(named: &[PathBuf]) -> Result<Self, Failure> {
        let texts = texts(named)?;
        match yaml::parse(&texts) {
            Ok(located) => Ok(Self { texts, located }),
            Err(faults) => {
                let files = distinct(faults.iter().map(|fault| fault.file.as_str()));
                let summary = summary(faults.len(), files);
                Err(Failure::of(
                    faults.iter().map(|fault| placed(fault, &texts)).collect(),
                    Some(summary),
                ))
            }
        }
    }

    /// How many files there are.
    pub fn files(&self) -> usize {
        self.texts.len()
    }

    /// The resources as the control plane takes them.
    pub fn resources(&self) -> Vec<proto::v1::Resource> {
        self.located
            .iter()
            .map(|located| located.resource.clone())
            .collect()
    }

    /// A fault that was found elsewhere, placed in the files: about the resource `index`, at `path` in it.
    pub fn fault(
        &self,
        index: Option<usize>,
        path: &str,
        message: &str,
        code: Option<String>,
    ) -> Fault {
        let mut fault = Fault {
            message: sentence(path, message),
            ..Fault::default()
        };
        fault.code = code.map_or_else(|| model::fault::BAD_VALUE.into(), Into::into);
        if let Some(located) = index.and_then(|index| self.located.get(index)) {
            fault.place = Some(Box::new(self.place(located, path)));
        }
        fault
    }

    /// The resource with that key.
    pub fn index_of(&self, key: &ResourceKey) -> Option<usize> {
        self.located
            .iter()
            .position(|located| model::wire::key_of(&located.resource).as_ref() == Some(key))
    }

    fn place(&self, located: &Located, path: &str) -> Place {
        let key = model::wire::key_of(&located.resource);
        let found = key
            .as_ref()
            .and_then(|key| yaml::locate(&self.located, key, path));
        let mut place = Place {
            file: located.file.clone(),
            line: located.line,
            column: 1,
            path: path.to_owned(),
            resource: key.map(|key| format!("{} {}", key.kind, key.name)),
            ..Place::default()
        };
        if let Some(spot) = found {
            place.excerpt = excerpt(
                &self.texts,
                spot.file,
                spot.extent.offset,
                spot.extent.length,
            );
            (place.line, place.column) = (spot.extent.line, spot.extent.column);
        }
        place
    }
}

/// `3 errors in 2 files`.
pub fn summary(faults: usize, files: usize) -> String {
    format!("{} in {}", plural(faults, "error"), plural(files, "file"))
}

/// `1 file`, `2 files`.
pub fn plural(count: usize, word: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {word}{s}")
}

fn sentence(path: &str, message: &str) -> String {
    match (path.is_empty(), message.starts_with("is ")) {
        (true, _) => message.to_owned(),
        (false, true) => format!("{path} {message}"),
        (false, false) if message.contains(path) => message.to_owned(),
        (false, false) => format!("{path}: {message}"),
    }
}

fn distinct<'a>(files: impl Iterator<Item = &'a str>) -> usize {
    files.collect::<std::collections::BTreeSet<_>>().len()
}

fn placed(found: &FileFault, texts: &[Source]) -> Fault {
    Fault {
        code: found.fault.code.into(),
        message: found.fault.to_string(),
        fix: found.fault.fix.clone().map(Into::into),
        place: Some(Box::new(Place {
            file: found.file.clone(),
            line: found.line,
            column: found.column,
            path: found.fault.path.clone(),
            resource: found
                .resource
                .as_ref()
                .map(|key| format!("{} {}", key.kind, key.name)),
            excerpt: excerpt(texts, &found.file, found.offset, found.length),
            label: found.label.clone(),
        })),
        ..Fault::default()
    }
}

/// The line around a byte offset, and how many characters of it the span covers.
fn excerpt(texts: &[Source], file: &str, offset: usize, length: usize) -> Option<(String, usize)> {
    let text = &texts.iter().find(|source| source.file == file)?.text;
    let before = text.get(..offset)?;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = text[start..].lines().next()?.trim_end();
    let covered = text
        .get(offset..offset.saturating_add(length))
        .unwrap_or_default();
    let covered = covered.lines().next().unwrap_or_default().trim_end();
    Some((line.to_owned(), covered.chars().count()))
}

fn texts(named: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    let mut files = Vec::new();
    let mut faults = Vec::new();
    for path in named {
        if path.as_os_str() == "-" {
            files.push(path.clone());
        } else if let Err(fault) = collect(path, 0, &mut files) {
            faults.push(fault);
        }
    }
    let mut sources = Vec::new();
    for file in &files {
        match text_of(file) {
            Ok(text) => sources.push(Source {
                file: shown(file),
                text: Arc::from(text),
            }),
            Err(why) => faults.push(unreadable(file, why)),
        }
    }
    if faults.is_empty() {
        return Ok(sources);
    }
    let summary = summary(faults.len(), faults.len());
    Err(Failure::of(faults, Some(summary)))
}

fn shown(file: &Path) -> String {
    if file.as_os_str() == "-" {
        "standard input".to_owned()
    } else {
        file.display().to_string()
    }
}

fn unreadable(file: &Path, why: impl Into<Box<str>>) -> Fault {
    Fault::new(UNREADABLE, format!("{} cannot be read", shown(file))).why(why)
}

/// A file itself, or the YAML and JSON files below a folder, sorted.
fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Fault> {
    let meta = std::fs::metadata(path).map_err(|e| unreadable(path, e.to_string()))?;
    if !meta.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    if depth > DEPTH_MAX || files.len() > FILES_MAX {
        return Err(unreadable(
            path,
            format!("more than {DEPTH_MAX} folders deep, or over {FILES_MAX} files"),
        ));
    }
    let before = files.len();
    let entries = std::fs::read_dir(path).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let mut entries: Vec<PathBuf> = entries
        .map_err(|e| unreadable(path, e.to_string()))?
        .into_iter()
        .map(|entry| entry.path())
        .collect();
    entries.sort();
    for entry in entries {
        let hidden = entry
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let resources = matches!(
            entry.extension().and_then(|e| e.to_str()),
            Some("yaml" | "yml" | "json")
        );
        if !hidden && (resources || entry.is_dir()) {
            collect(&entry, depth + 1, files)?;
        }
    }
    if depth == 0 && files.len() == before {
        return Err(unreadable(
            path,
            "there is no .yaml, .yml or .json file in this folder",
        ));
    }
    Ok(())
}

fn text_of(file: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read =
        |from: &mut dyn Read, bytes: &mut Vec<u8>| from.take(FILE_BYTES_MAX).read_to_end(bytes);
    let result = if file.as_os_str() == "-" {
        read(&mut std::io::stdin().lock(), &mut bytes)
    } else {
        std::fs::File::open(file).and_then(|mut open| read(&mut open, &mut bytes))
    };
    result.map_err(|e| e.to_string())?;
    String::from_utf8(bytes).map_err(|e| {
        format!(
            "it is not UTF-8 text (byte {})",
            e.utf8_error().valid_up_to()
        )
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const SERVER: &str = "apiVersion: gatehouse.dev/v1\nkind: Server\nmetadata: {name: time}\nspec:\n  \
                          runtime: {uvx: {package: mcp-server-time, version: \"2026.10.19\"}}\n";

    #[test]
    fn a_folder_is_read_in_order_and_only_what_can_be_resources() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join("b.yaml"), SERVER).unwrap();
        std::fs::write(
            dir.path().join("sub/a.yml"),
            SERVER.replace("time}", "clock}"),
        )
        .unwrap();
        std::fs::write(dir.path().join("notes.txt"), "no").unwrap();
        std::fs::write(dir.path().join(".hidden.yaml"), "no").unwrap();
        let sources = Sources::read(&[dir.path().to_owned()]).unwrap();
        assert_eq!((sources.files(), sources.located.len()), (2, 2));
        assert_eq!(
            sources.index_of(&ResourceKey::new("Server", "clock")),
            Some(1)
        );
    }

    #[test]
    fn what_cannot_be_read_is_named_and_never_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let failure =
            Sources::read(&[dir.path().join("missing.yaml"), dir.path().to_owned()]).unwrap_err();
        assert_eq!(failure.faults.len(), 2);
        assert!(failure.faults.iter().all(|fault| fault.code == UNREADABLE));
        assert_eq!(failure.exit, 1);
    }

    #[test]
    fn faults_of_all_files_come_at_once_with_their_lines() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join("a.yaml"),
            SERVER.replace("runtime:", "runtmie:"),
        )
        .unwrap();
        std::fs::write(
            dir.path().join("b.yaml"),
            SERVER.replace("kind: Server", "kind: Servr"),
        )
        .unwrap();
        let failure = Sources::read(&[dir.path().to_owned()]).unwrap_err();
        assert!(failure.faults.len() >= 2, "{failure:?}");
        let first = failure.faults[0].place.as_ref().unwrap();
        assert_eq!((first.line, first.column), (5, 3), "{first:?}");
        assert!(first.excerpt.as_ref().unwrap().0.contains("runtmie"));
        assert!(failure.summary.unwrap().ends_with("in 2 files"));
    }

    #[test]
    fn excerpts_count_characters_and_not_bytes() {
        let texts = [Source {
            file: "f".to_owned(),
            text: Arc::from("a: 1\nbö: {ä: 22}\n"),
        }];
        let offset = texts[0].text.find("22").unwrap();
        assert_eq!(
            excerpt(&texts, "f", offset, 2),
            Some(("bö: {ä: 22}".to_owned(), 2))
        );
        assert_eq!(excerpt(&texts, "g", 0, 1), None);
        assert_eq!(excerpt(&texts, "f", 10_000, 1), None);
    }
}
