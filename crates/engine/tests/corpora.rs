//! Recall and false positives over the corpora in `testdata`: printed, held to bars, and written into docs/filters.md with
//! all that is missed. A third of each corpus was held out while patterns were written.
//!
//! `GATEHOUSE_WRITE_DOCS=1` has the page written.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a test fails by panicking, tells its figures, and writes its page where it is told to"
)]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use engine::filter::{pii, poison};
use serde_json::Value;

/// Declared to be out of reach of patterns: orders in other words. On record, and not under the bar.
const UNDECLARED: &str = "paraphrase";
/// Per cent.
const RECALL_MIN: f64 = 95.0;
const FALSE_MAX: f64 = 2.0;

const BEGIN: &str = "<!-- corpora: made by crates/engine/tests/corpora.rs -->\n";
const END: &str = "<!-- /corpora -->";

/// A case, and whether it was told rightly.
struct Case {
    id: String,
    class: String,
    held: bool,
    /// Shown where it was missed.
    text: String,
    right: bool,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn cases(path: &str, judge: impl Fn(&Value) -> (String, bool)) -> Vec<Case> {
    let text = std::fs::read_to_string(root().join("testdata").join(path)).unwrap();
    let case = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        let (text, right) = judge(&row);
        Case {
            id: row["id"].as_str().unwrap().to_owned(),
            class: row["class"].as_str().unwrap().to_owned(),
            held: row["held"].as_bool().unwrap(),
            text,
            right,
        }
    };
    text.lines().map(case).collect()
}

/// Right where `poisoned` is what the scan says.
fn definitions(path: &str, poisoned: bool) -> Vec<Case> {
    cases(path, |row| {
        let definition = row["definition"].to_string();
        let found = poison::scan(definition.as_bytes());
        let shown = match &row["class"] {
            class if class == "clean" => format!("{}: {found:?}", row["definition"]["name"]),
            _ => row["definition"]["description"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        };
        (shown, found.is_some() == poisoned)
    })
}

/// Values stand in the corpus with a mark in them, so that whoever scans repositories does not take them for a leak.
fn without_mark(value: &Value) -> String {
    value.as_str().unwrap().replace('\u{a6}', "")
}

fn values() -> Vec<Case> {
    cases("texts/pii.jsonl", |row| {
        let (text, value) = (without_mark(&row["text"]), without_mark(&row["value"]));
        let redacted = pii::redact(&text);
        let right = !redacted.contains(&value) && redacted.contains("[redacted:");
        (row["text"].as_str().unwrap().to_owned(), right)
    })
}

fn texts() -> Vec<Case> {
    cases("texts/clean.jsonl", |row| {
        let text = without_mark(&row["text"]);
        let right = pii::redact(&text) == text;
        (row["text"].as_str().unwrap().to_owned(), right)
    })
}

fn rate(cases: &[&Case], right: bool) -> f64 {
    let fits = cases.iter().filter(|case| case.right == right).count();
    100.0 * fits as f64 / cases.len() as f64
}

/// All, the part that patterns were written by, and the part that was held out.
fn parts<'c>(cases: &[&'c Case]) -> [Vec<&'c Case>; 3] {
    let part = |held: bool| {
        cases
            .iter()
            .copied()
            .filter(|case| case.held == held)
            .collect()
    };
    [cases.to_vec(), part(false), part(true)]
}

#[test]
fn recall_and_false_positives_are_within_bars_and_on_record() {
    let (poisoned, clean) = (
        definitions("definitions/poisoned.jsonl", true),
        definitions("definitions/clean.jsonl", false),
    );
    let (values, texts) = (values(), texts());
    assert!(
        poisoned.len() >= 200 && clean.len() >= 200 && values.len() >= 300 && texts.len() >= 100
    );
    let declared: Vec<&Case> = poisoned
        .iter()
        .filter(|case| case.class != UNDECLARED)
        .collect();
    let rows = [
        (
            "poisoned definitions, declared patterns: found",
            declared,
            true,
        ),
        (
            "poisoned definitions, all: found",
            poisoned.iter().collect(),
            true,
        ),
        (
            "clean definitions: taken for poisoned",
            clean.iter().collect(),
            false,
        ),
        (
            "personal data and secrets: found",
            values.iter().collect(),
            true,
        ),
        (
            "clean texts: something taken for personal data or a secret",
            texts.iter().collect(),
            false,
        ),
    ];
    let mut page =
        String::from("| corpus | cases | all | two thirds | held out |\n|---|---|---|---|---|\n");
    for (name, cases, right) in &rows {
        let [all, open, held] = parts(cases).map(|part| rate(&part, *right));
        writeln!(
            page,
            "| {name} | {} | {all:.1} % | {open:.1} % | {held:.1} % |",
            cases.len()
        )
        .unwrap();
    }
    page.push_str("\nMissed or mistaken, each with its number in `crates/engine/testdata`:\n\n");
    for case in poisoned.iter().chain(&clean).chain(&values).chain(&texts) {
        if !case.right {
            writeln!(
                page,
                "* `{}` ({}): {}",
                case.id,
                case.class,
                shown(&case.text)
            )
            .unwrap();
        }
    }
    print!("{page}");
    for (name, cases, right) in &rows {
        // Where the patterns are declared to fail nothing is promised.
        if name.contains(", all") {
            continue;
        }
        let all = rate(cases, *right);
        let good = if *right {
            all >= RECALL_MIN
        } else {
            all <= FALSE_MAX
        };
        assert!(good, "{name}: {all:.1} %");
    }
    on_record(&page);
}

/// The end of a text, which is where most cases differ from others, without what is not seen.
fn shown(text: &str) -> String {
    const LENGTH: usize = 140;
    let skipped = text.chars().count().saturating_sub(LENGTH);
    let end: String = text.chars().skip(skipped).collect();
    let seen = end.escape_debug().to_string();
    let seen = seen
        .replace("\\\"", "\"")
        .replace("\\'", "'")
        .replace('|', "\\|");
    format!("{}{seen}", if skipped > 0 { "…" } else { "" })
}

fn on_record(page: &str) {
    let path = root().join("../../docs/filters.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (shown, behind) = rest.split_once(END).unwrap();
    if std::env::var_os("GATEHOUSE_WRITE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{page}{END}{behind}")).unwrap();
    } else {
        assert_eq!(
            shown, page,
            "docs/filters.md is stale: run this test with GATEHOUSE_WRITE_DOCS=1"
        );
    }
}
