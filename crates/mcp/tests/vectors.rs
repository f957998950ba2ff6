//! The parsing vectors of JSONTestSuite: each file's text stands as a value inside the `params` of a request.
//!
//! `GATEHOUSE_VECTORS` names a folder of test vectors, and the suite lies in it under [`SUITE`]; without it the test
//! says so and passes.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that says what it did"
)]

use std::path::{Path, PathBuf};

use mcp::envelope::{Limits, scan};

/// Where the suite lies among the vectors.
const SUITE: &str = "json-test-suite/test_parsing";

/// Of the texts that every parser must take, the two that parsers read differently.
const REFUSED_ALTHOUGH_VALID: [&str; 2] = [
    "y_object_duplicated_key.json",
    "y_object_duplicated_key_and_value.json",
];

/// Of the texts that parsers may treat as they like, those that we take: numbers which lose precision or vanish, but
/// mean the same to everybody. All others overflow, are no valid Unicode, or nest too deep.
const ACCEPTED_BY_CHOICE: [&str; 5] = [
    "i_number_double_huge_neg_exp.json",
    "i_number_real_underflow.json",
    "i_number_too_big_neg_int.json",
    "i_number_too_big_pos_int.json",
    "i_number_very_big_negative_int.json",
];

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the folder is a setting of whoever runs the tests"
)]
fn the_suite_is_decided_as_written_down() {
    let Some(folder) = std::env::var_os("GATEHOUSE_VECTORS") else {
        println!("GATEHOUSE_VECTORS is not set: JSONTestSuite not run");
        return;
    };
    let suite = Path::new(&folder).join(SUITE);
    if !suite.is_dir() {
        println!("{} is no folder: JSONTestSuite not run", suite.display());
        return;
    }
    let files = files(&suite);
    let mut counts = [0_usize; 3];
    for path in &files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = std::fs::read(path).unwrap();
        let message = [
            br#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"v":"#,
            &text[..],
            b"}}",
        ]
        .concat();
        let accepted = scan(&message, &Limits::REQUEST)
            .map(|_| ())
            .map_err(|error| error.to_string());
        let (kind, wanted) = match name.split_once('_').unwrap().0 {
            "y" => (0, !REFUSED_ALTHOUGH_VALID.contains(&name)),
            "n" => (1, false),
            "i" => (2, ACCEPTED_BY_CHOICE.contains(&name)),
            other => panic!("unknown kind {other} of {name}"),
        };
        counts[kind] += 1;
        assert_eq!(accepted.is_ok(), wanted, "{name}: {accepted:?}");
    }
    assert!(
        counts.iter().all(|count| *count > 0),
        "vectors of all kinds: {counts:?}"
    );
    println!(
        "JSONTestSuite: {} must-accept, {} must-refuse, {} free to choose",
        counts[0], counts[1], counts[2]
    );
}

/// The vectors in a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    files.sort();
    files
}
