//! What one Rust file may hold: a head that says what it is for, nothing half done, no name that belongs
//! to another room; and a note where it grew too long.
//!
//! Reads lines, not syntax: enough for rules that are about lines, in code that rustfmt has laid out.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Report;

/// Longer files are noted.
const FILE_LINES_MAX: usize = 450;
/// Longer functions are noted: what no longer fits on a screen.
const FUNCTION_LINES_MAX: usize = 70;

/// Macros that stand for work to be done. (Split, so that this file does not hold them itself.)
const UNDONE: &[&str] = &[concat!("todo", "!("), concat!("unimplemented", "!(")];

/// Names that only certain rooms may know: `(name, where it is looked for, where it may stand)`, by
/// the beginning of the path. Tests may know all of them.
const CONFINED: &[(&str, &str, &[&str])] = &[
    ("etcd_client", "", &["control-plane/src/store/"]),
    ("redb", "", &["control-plane/src/store/"]),
    ("rusqlite", "", &["control-plane/src/records/"]),
    (
        "rcgen",
        "",
        &["control-plane/src/ca", "crates/runtime/src/tls"],
    ),
    ("saphyr", "", &["crates/model/src/yaml"]),
    (
        "opentelemetry",
        "",
        &["crates/runtime/src/telemetry", "crates/runtime/src/audit"],
    ),
    (
        "opentelemetry_sdk",
        "",
        &["crates/runtime/src/telemetry", "crates/runtime/src/audit"],
    ),
    (
        "opentelemetry_otlp",
        "",
        &["crates/runtime/src/telemetry", "crates/runtime/src/audit"],
    ),
    (
        "opentelemetry_proto",
        "",
        &[
            "crates/runtime/src/telemetry",
            "crates/runtime/src/audit",
            "control-plane/src/records/",
        ],
    ),
    // Only model::wire turns messages into domain types; files are read to messages, and written from them.
    (
        "proto",
        "crates/model/",
        &["crates/model/src/wire", "crates/model/src/yaml"],
    ),
];

/// Crates whose code gets everything as an argument: time, files, environment, too.
const PURE: &[&str] = &["crates/engine/", "crates/mcp/", "crates/model/"];
/// What such code would reach out with.
const REACHING_OUT: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "SystemTime::now",
    "Instant::now",
];

/// One file, its lines marked as code or not.
#[derive(Debug)]
pub(crate) struct Source {
    /// Relative to the root, with `/`.
    path: String,
    text: String,
}

impl Source {
    /// Reads all Rust files of the crate in `folder`.
    pub(crate) fn read_all(root: &Path, folder: &str) -> Result<Vec<Self>> {
        let mut sources = Vec::new();
        for part in ["src", "tests", "benches", "examples", "build.rs"] {
            let path = root.join(folder).join(part);
            if path.exists() {
                read_into(root, &path, &mut sources)?;
            }
        }
        Ok(sources)
    }

    /// Whether `name` stands in this file as a word of code.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.code().any(|(_, line)| has_word(line, name))
    }

    /// Lines with their numbers, without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().filter_map(|(index, line)| {
            let line = line.trim_start();
            (!line.starts_with("//")).then_some((index + 1, line))
        })
    }

    /// The code that is shipped: up to the tests at a file's end, and nothing of a file of tests.
    fn shipped(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_test = ["tests/", "/benches/"]
            .iter()
            .any(|part| self.path.contains(part))
            || self.is_tests_of_another();
        self.code()
            .take_while(move |(_, line)| !is_test && !line.starts_with("#[cfg(test)]"))
    }

    /// Whether it is the tests of one file, outgrown: what they are for, that file says.
    fn is_tests_of_another(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.ends_with("_tests.rs")
    }
}

/// Checks one file.
pub(crate) fn check(source: &Source, report: &mut Report) {
    let path = &source.path;
    let first = source
        .text
        .lines()
        .find(|line| !line.trim().is_empty() && !line.starts_with("#!["));
    let headed = first.is_some_and(|line| line.starts_with("//!"));
    if !headed && !source.is_tests_of_another() {
        report
            .faults
            .push(format!("{path}: begins without `//!`: say what it is for"));
    }
    for (number, line) in source.code() {
        for undone in UNDONE.iter().filter(|undone| line.contains(*undone)) {
            report
                .faults
                .push(format!("{path}:{number}: `{undone}…)` is not done"));
        }
        if line.starts_with("#[ignore") && !line.starts_with("#[ignore = \"") {
            report.faults.push(format!(
                "{path}:{number}: ignored without a reason: #[ignore = \"…\"]"
            ));
        }
    }
    check_rooms(source, report);
    note_lengths(source, report);
}

fn check_rooms(source: &Source, report: &mut Report) {
    let path = &source.path;
    let in_any = |places: &[&str]| places.iter().any(|place| path.starts_with(place));
    for (name, within, rooms) in CONFINED {
        if !path.starts_with(within) || in_any(rooms) {
            continue;
        }
        if let Some((number, _)) = source.shipped().find(|(_, line)| has_path(line, name)) {
            let fault = format!(
                "{path}:{number}: only {} may know `{name}`",
                rooms.join(", ")
            );
            report.faults.push(fault);
        }
    }
    if in_any(PURE) {
        for (number, line) in source.shipped() {
            for word in REACHING_OUT.iter().filter(|word| line.contains(*word)) {
                report
                    .faults
                    .push(format!("{path}:{number}: pure code must not use `{word}`"));
            }
        }
    }
}

fn note_lengths(source: &Source, report: &mut Report) {
    let lines = source.text.lines().count();
    if lines > FILE_LINES_MAX {
        report.notes.push(format!(
            "{}: {lines} lines (more than {FILE_LINES_MAX})",
            source.path
        ));
    }
    for (number, length) in long_functions(&source.text) {
        let note = format!(
            "{}:{number}: a function of {length} lines (more than {FUNCTION_LINES_MAX})",
            source.path
        );
        report.notes.push(note);
    }
}

/// Where long functions begin, and how long they are: from a line with `fn` to the brace that closes at
/// the same indentation, as rustfmt lays them out.
fn long_functions(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, usize)> = None; // (line number, indentation) of the function we are in
    for (index, line) in text.lines().enumerate() {
        let code = line.trim_start();
        let indentation = line.len() - code.len();
        if open.is_none() && begins_function(code) {
            open = Some((index, indentation));
        }
        let Some((start, _)) = open.filter(|(_, at)| *at == indentation) else {
            continue;
        };
        // `;`: a declaration, as in a trait; `}` at the end of a longer line: a body on one line.
        if code.ends_with('}') || code.ends_with(';') {
            let length = index - start + 1;
            if length > FUNCTION_LINES_MAX {
                found.push((start + 1, length));
            }
            open = None;
        }
    }
    found
}

fn begins_function(code: &str) -> bool {
    let word = |each: &str| matches!(each, "pub" | "async" | "const") || each.starts_with("pub(");
    let mut words = code.split(' ').skip_while(|each| word(each));
    words.next() == Some("fn")
}

/// Whether `line` goes into `name` as a crate: `name::…` or `use name`.
fn has_path(line: &str, name: &str) -> bool {
    positions(line, name).any(|end| line[end..].starts_with("::") || line.starts_with("use "))
}

fn has_word(line: &str, name: &str) -> bool {
    positions(line, name).next().is_some()
}

/// Where `name` ends as a word of its own, and not as the end of a longer path.
fn positions<'a>(line: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(name).filter_map(move |(start, _)| {
        let end = start + name.len();
        let (before, after) = (&line[..start], &line[end..]);
        let alone = !before.ends_with(part) && !before.ends_with("::") && !after.starts_with(part);
        (alone || (before == "::" && !after.starts_with(part))).then_some(end)
    })
}

fn read_into(root: &Path, path: &Path, sources: &mut Vec<Source>) -> Result<()> {
    if path.is_dir() {
        let mut entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        return entries
            .iter()
            .try_for_each(|entry| read_into(root, &entry.path(), sources));
    }
    if path.extension().is_some_and(|extension| extension == "rs") {
        let text = fs::read_to_string(path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        let path = path
            .strip_prefix(root)?
            .to_string_lossy()
            .replace('\\', "/");
        sources.push(Source { path, text });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
