//! The transcript of README.md, run as it stands.
//!
//! `$ make up` is the mesh under test; each `$ gatehouse …` is run, and what follows it is compared line by line.
//! What differs from run to run is taken as equal: times, durations, ports, ages. `[..]` in a line stands for anything.

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

/// A command of the transcript, and what it is said to print.
struct Step {
    command: String,
    expected: Vec<String>,
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
        let script = format!("PATH={folder}:$PATH; {}", step.command);
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).current_dir(place::repository());
        let output = process::run(
            shell.env("GATEHOUSE_CONTEXT", mesh.data().join("client.toml")),
            LINE,
        );
        compare(step, &(output.stdout.clone() + &output.stderr))
            .map_err(|difference| format!("{difference}\n{output}"))
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
            });
        } else if let Some(step) = steps.last_mut() {
            step.expected.push(line.to_owned());
        }
    }
    steps
}

/// Every expected line must come, in this order, and no other; a line of `..` stands for any number of lines.
fn compare(step: &Step, actual: &str) -> Result<(), String> {
    let lines = |text: &mut dyn Iterator<Item = &str>| -> Vec<Vec<String>> {
        text.map(words).filter(|words| !words.is_empty()).collect()
    };
    let expected = lines(&mut step.expected.iter().map(String::as_str));
    let came = lines(&mut actual.lines());
    // `make up` shows the end of what it prints; a command without output in the README shows none of it.
    let mut expected = &expected[..];
    let any = [vec!["..".to_owned()]];
    let skips = step.command.starts_with("make") || expected.is_empty();
    let padded = [&any[..], expected].concat();
    if skips {
        expected = &padded;
    }
    if fits(expected, &came) {
        return Ok(());
    }
    Err(format!(
        "`{}` should print\n{}\nbut printed\n{actual}",
        step.command,
        step.expected.join("\n")
    ))
}

fn fits(expected: &[Vec<String>], actual: &[Vec<String>]) -> bool {
    match expected.split_first() {
        None => actual.is_empty(),
        Some((first, rest)) if first == &[".."] => {
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

fn same(expected: &[String], actual: &[String]) -> bool {
    match expected.split_first() {
        None => actual.is_empty(),
        Some((first, rest)) if first == "[..]" => {
            same(rest, actual)
                || actual
                    .split_first()
                    .is_some_and(|(_, later)| same(expected, later))
        }
        Some((first, rest)) => actual
            .split_first()
            .is_some_and(|(word, later)| first == word && same(rest, later)),
    }
}

/// The words of a line, with what differs from run to run put as one sign: columns may be wider, numbers others.
fn words(line: &str) -> Vec<String> {
    let words = line.split_whitespace().map(|word| {
        if word == "[..]" {
            word.to_owned()
        } else {
            settled(word)
        }
    });
    words.collect()
}

/// Ports, times and durations become `#`: `127.0.0.1:7800` and `127.0.0.1:14711` are the same to a reader.
fn settled(word: &str) -> String {
    let mut out = String::new();
    let mut chars = word.chars().peekable();
    // An address is kept but for its port, which follows the last colon.
    let address = word.find("127.0.0.1:").map(|at| at + "127.0.0.1:".len());
    let mut at = 0;
    while let Some(char) = chars.next() {
        let kept = address.is_some_and(|port| at < port);
        at += char.len_utf8();
        if !char.is_ascii_digit() || kept {
            out.push(char);
            continue;
        }
        while chars.next_if(char::is_ascii_digit).is_some() {
            at += 1;
        }
        out.push('#');
    }
    out
}

#[test]
fn a_transcript_that_is_not_true_is_found() {
    let step = |expected: &str| Step {
        command: "gatehouse x".to_owned(),
        expected: expected.lines().map(str::to_owned).collect(),
    };
    let printed = "TIME      USER   MS\n12:04:31  admin  38\n";
    assert!(compare(&step("TIME USER MS\n09:00:00 admin 4"), printed).is_ok());
    assert!(compare(&step("TIME USER MS\n09:00:00 ana 4"), printed).is_err());
    assert!(
        compare(&step("TIME USER MS"), printed).is_err(),
        "a line that is left out"
    );
    assert!(
        compare(&step("TIME USER MS\n09:00:00 admin 4\nmore"), printed).is_err(),
        "a line too many"
    );
    assert!(compare(&step("TIME USER MS\n.."), printed).is_ok());
    assert!(compare(&step("TIME USER MS\n[..] admin [..]"), printed).is_ok());
    assert_eq!(
        settled("http://127.0.0.1:7800/mcp/time"),
        "http://127.0.0.1:#/mcp/time"
    );
}
