//! The transcript of README.md, run as it stands.
//!
//! `$ make up` is the mesh under test; each `$ gatehouse …` is run, and what follows it is compared line by line, but
//! for ports and the width of columns. `[..]` stands for any text or, alone in a line, for any lines; a line `? 1` says
//! that the command ends with 1.

use std::process::Command;
use std::time::Duration;

use tests::mesh::Mesh;
use tests::place;
use tests::process;
use tests::wait;

/// How long a line of the transcript may take.
const LINE: Duration = Duration::from_secs(60);
/// How long a call may take to its row in `audit list`.
const RECORD: Duration = Duration::from_secs(15);

/// Stands for any words of a line or, alone, for any lines.
const ANY: &str = "[..]";

/// Before a port.
const LOOPBACK: &str = "127.0.0.1:";

/// A command of the transcript, and what it is said to print.
struct Step {
    command: String,
    expected: Vec<String>,
    /// How it is said to end: 0, or what stands in a line `? 1`.
    status: i32,
}

#[test]
fn the_transcript_of_the_readme_is_true() {
    let text = std::fs::read_to_string(place::file("README.md")).expect("the README is there");
    let steps = steps(&text);
    assert!(
        steps
            .iter()
            .any(|step| step.command.starts_with("gatehouse call")),
        "the README shows a call"
    );
    let mesh = Mesh::new().apply("deploy/quickstart").start();
    for step in &steps {
        let words: Vec<_> = step.command.split(' ').collect();
        if words.starts_with(&["make", "up"]) {
            compare(step, &mesh.stdout()).unwrap_or_else(|difference| panic!("{difference}"));
        } else if words.first() == Some(&"gatehouse") {
            run(step, &mesh);
        } else {
            panic!(
                "the README shows `{}`, which this test does not know",
                step.command
            );
        }
    }
}

/// Runs a command as a shell would. A record takes a moment to the audit store, so what lists records may be asked
/// again; everything else must be right at once.
fn run(step: &Step, mesh: &tests::mesh::Running) {
    let once = || {
        let binary = place::gatehouse();
        let folder = binary
            .parent()
            .expect("a file lies in a folder")
            .to_str()
            .expect("its path is text");
        let script = format!("exec 2>&1; PATH={folder}:$PATH; {}", step.command);
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).current_dir(place::repository());
        let output = process::run(
            shell.env("GATEHOUSE_CONTEXT", mesh.data().join("client.toml")),
            LINE,
        );
        if output.status != Some(step.status) {
            return Err(format!("it should end with {}: {output}", step.status));
        }
        compare(step, &output.stdout).map_err(|difference| format!("{difference}\n{output}"))
    };
    if step.command.starts_with("gatehouse audit") {
        wait::until(&step.command, RECORD, once);
    } else {
        once().unwrap_or_else(|difference| panic!("{difference}"));
    }
}

/// The commands of all ```console blocks.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line.trim_end() == "```console";
        } else if !inside {
            // Prose.
        } else if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step {
                command: command.to_owned(),
                expected: Vec::new(),
                status: 0,
            });
        } else if let Some(step) = steps.last_mut() {
            match line.strip_prefix("? ").map(|status| status.trim().parse()) {
                Some(Ok(status)) => step.status = status,
                _ => step.expected.push(line.to_owned()),
            }
        }
    }
    steps
}

/// Every expected line must come, in this order, and no other; a line of `[..]` alone stands for any number of lines.
fn compare(step: &Step, actual: &str) -> Result<(), String> {
    let lines = |text: &str| -> Vec<String> {
        text.lines()
            .map(settled)
            .filter(|line| !line.is_empty())
            .collect()
    };
    let mut expected = lines(&step.expected.join("\n"));
    // `make up` shows the end of what it prints; a command without output in the README shows none of it.
    if step.command.starts_with("make") || expected.is_empty() {
        expected.insert(0, ANY.to_owned());
    }
    if fits(&expected, &lines(actual)) {
        return Ok(());
    }
    let expected = step.expected.join("\n");
    Err(format!(
        "`{}` should print\n{expected}\nbut printed\n{actual}",
        step.command
    ))
}

fn fits(expected: &[String], actual: &[String]) -> bool {
    match expected.split_first() {
        None => actual.is_empty(),
        Some((first, rest)) if first == ANY => {
            fits(rest, actual)
                || actual
                    .split_first()
                    .is_some_and(|(_, later)| fits(expected, later))
        }
        Some((first, rest)) => actual
            .split_first()
            .is_some_and(|(line, later)| same(first, line) && fits(rest, later)),
    }
}

/// Whether a line is the expected one, in which `[..]` stands for any text.
fn same(expected: &str, actual: &str) -> bool {
    match expected.split_once(ANY) {
        None => expected == actual,
        Some((start, rest)) => actual.strip_prefix(start).is_some_and(|tail| {
            let ends = tail.char_indices().map(|(at, _)| at).chain([tail.len()]);
            ends.into_iter().any(|at| same(rest, &tail[at..]))
        }),
    }
}

/// A line without what differs from machine to machine: the width of columns, and the ports of this mesh.
fn settled(line: &str) -> String {
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut pieces = line.split(LOOPBACK);
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        out += LOOPBACK;
        out += piece.trim_start_matches(|char: char| char.is_ascii_digit());
    }
    out
}

#[test]
fn a_transcript_that_is_not_true_is_found() {
    let good = |expected: &str, printed: &str| {
        let expected = expected.lines().map(str::to_owned).collect();
        compare(
            &Step {
                command: "gatehouse x".to_owned(),
                expected,
                status: 0,
            },
            printed,
        )
        .is_ok()
    };
    let printed = "TIME      USER   MS\n12:04:31  admin  38\n";
    assert!(good("TIME USER MS\n[..] admin [..]", printed));
    assert!(good("TIME USER MS\n12:[..]:31 admin 38", printed));
    assert!(good("TIME USER MS\n[..]", printed));
    assert!(good("", printed));
    assert!(
        !good("TIME USER MS\n[..] ana [..]", printed),
        "another word"
    );
    assert!(!good("TIME USER MS", printed), "a line that is left out");
    assert!(
        !good("TIME USER MS\n[..] admin [..]\nmore", printed),
        "a line too many"
    );
    assert!(good(
        "at http://127.0.0.1:7800/mcp/time",
        "at   http://127.0.0.1:14711/mcp/time"
    ));
    assert!(!good(
        "at http://127.0.0.1:7800/mcp/time",
        "at http://127.0.0.1:14711/mcp/other"
    ));
}
