//! Commands that watch, wait, and put files to use: what they print as things change, and how they end.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tests::catalog;
use tests::mesh::Running;
use tests::place;
use tests::process::{self, Process, Signal};
use tests::wait;

use crate::stage;

/// How long a change may take to whoever watches.
const SOON: Duration = Duration::from_secs(20);

fn start(mesh: &Running, words: &[&str]) -> Process {
    Process::start(mesh.command().args(words), None)
}

/// Waits for a line of standard output that `fits`.
#[track_caller]
fn line(process: &Process, fits: impl Fn(&str) -> bool) -> String {
    wait::until("a line that fits", SOON, || {
        let stdout = process.stdout();
        let found = stdout.lines().find(|line| fits(line)).map(str::to_owned);
        found.ok_or_else(|| format!("{stdout}\n{}", process.stderr()))
    })
}

/// A filter that touches nobody's calls.
fn idle_filter(name: &str, word: &str) -> Value {
    let mut filter = catalog::words(name, &[word]);
    filter["spec"]["match"]["servers"] = json!(["hacker"]);
    filter
}

#[test]
fn get_w_tells_each_change_once_as_a_line_or_an_object() {
    let mesh = stage::workshop();
    let lines = start(&mesh, &["get", "filters", "-w"]);
    let mut objects = start(&mesh, &["get", "Filter", "watched", "-w", "-o", "json"]);
    line(&lines, |line| line.contains("added   Filter/no-hacking"));
    wait::wait_for("the one that is not there to be named", SOON, || {
        objects.stderr().contains("there is no Filter watched")
    });
    mesh.apply(&[idle_filter("watched", "one")]);
    mesh.apply(&[idle_filter("watched", "two")]);
    mesh.gatehouse(&["delete", "Filter", "watched"]).good();
    for action in ["added", "changed", "deleted"] {
        let told = line(&lines, |line| {
            line.contains(&format!("{action:7} Filter/watched revision"))
        });
        assert!(
            told.as_bytes()[2] == b':',
            "it begins with the time: {told}"
        );
        line(&objects, |line| line.contains(&format!("\"{action}\"")));
    }
    let told: Vec<Value> = objects
        .stdout()
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is an object"))
        .collect();
    assert_eq!(told.len(), 3, "{told:#?}");
    assert_eq!(
        told[1]["resource"]["spec"]["keywords"]["words"],
        json!(["two"])
    );
    assert_eq!(told[2]["resource"], Value::Null);
    assert!(
        told.iter()
            .all(|each| each["name"] == "watched" && each["time"].is_string())
    );
    process::signal(objects.pid(), Signal::INT);
    assert_eq!(objects.wait(SOON).code(), Some(130));
    mesh.gatehouse(&["get", "Filter", "-w", "-o", "yaml"])
        .ended_with(2);
}

#[test]
fn on_a_terminal_the_list_is_redrawn_in_place() {
    let mesh = stage::workshop();
    let command = mesh.command();
    let gatehouse = command.get_program().to_owned();
    let inside = "import pty, sys; pty.spawn(sys.argv[1:])";
    let mut terminal = Command::new(place::python());
    terminal
        .args(["-c", inside])
        .arg(gatehouse)
        .args(["get", "Filter", "-w"])
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("TERM", "xterm");
    let watching = Process::start(&mut terminal, None);
    line(&watching, |line| {
        line.contains("NAME") && line.contains("\u{1b}[J")
    });
    mesh.apply(&[idle_filter("drawn", "one")]);
    line(&watching, |line| {
        line.contains("\u{1b}[2A") || line.contains("\u{1b}[3A")
    });
    line(&watching, |line| line.starts_with("drawn"));
    assert!(
        !watching.stdout().contains("added"),
        "{}",
        watching.stdout()
    );
    mesh.gatehouse(&["delete", "Filter", "drawn"]).good();
}

#[test]
fn wait_awaits_also_what_is_not_there_yet() {
    let mesh = stage::workshop();
    let mut waiting = start(&mesh, &["wait", "Filter", "later", "--timeout", "60s"]);
    wait::wait_for("it to say what it awaits", SOON, || {
        waiting
            .stderr()
            .contains("waiting for Filter later to be ready: there is no Filter later")
    });
    mesh.apply(&[idle_filter("later", "one")]);
    assert_eq!(waiting.wait(SOON).code(), Some(0));
    assert!(waiting.stdout().starts_with("Filter later is ready ("));

    let mut gone = start(&mesh, &["wait", "Filter", "later", "--for", "deleted"]);
    wait::wait_for("it to say what it awaits", SOON, || {
        gone.stderr().contains("it is there, at revision")
    });
    mesh.gatehouse(&["delete", "Filter", "later"]).good();
    assert_eq!(gone.wait(SOON).code(), Some(0));
}

#[test]
fn wait_says_how_things_stood_when_the_time_was_over() {
    let mesh = stage::workshop();
    mesh.gatehouse(&["wait", "Server", "slow"]).good();
    let met = mesh
        .gatehouse(&[
            "wait",
            "Server",
            "slow",
            "--for",
            "revision=1",
            "-o",
            "json",
        ])
        .good()
        .json();
    assert_eq!(
        (&met["met"], &met["for"]),
        (&json!(true), &json!("revision=1"))
    );
    let over = mesh
        .gatehouse(&[
            "wait",
            "Server",
            "slow",
            "--for",
            "revision=999999",
            "--timeout",
            "500ms",
        ])
        .ended_with(1);
    for part in [
        "GH5004",
        "revision 999999 is on 0 of 3 nodes",
        "gatehouse describe Server slow",
    ] {
        assert!(over.stderr.contains(part), "no {part:?}: {over}");
    }
    let never = mesh
        .gatehouse(&[
            "wait",
            "Server",
            "never",
            "--timeout",
            "500ms",
            "-o",
            "json",
        ])
        .ended_with(1);
    assert_eq!(never.stdout, "", "{never}");
    assert_eq!(
        never.errors()[0]["why"],
        "there is no Server never",
        "{never}"
    );
    mesh.gatehouse(&["wait", "Server", "slow", "--for", "gone"])
        .ended_with(2);
    let sick = stage::infirmary()
        .gatehouse(&["wait", "Server", "missing", "--timeout", "1s"])
        .ended_with(1);
    assert!(sick.stderr.contains("/no/such/program"), "{sick}");
}

#[test]
fn tap_shows_calls_as_they_come_and_why_none_comes() {
    let mesh = stage::workshop();
    let typo = start(&mesh, &["tap", "slwo"]);
    let tap = start(&mesh, &["tap", "slow", "--tool", "sleep", "-o", "json"]);
    let says = "watching calls to slow/sleep by everybody; 2 of 2 edges and 4 of 4 sidecars answer";
    wait::wait_for("it to say what it watches", SOON, || {
        tap.stderr().contains(says)
    });
    wait::wait_for("a call to be shown", SOON, || {
        mesh.gatehouse(&["call", "slow", "sleep", "--args", r#"{"seconds":0}"#])
            .good();
        !tap.stdout().is_empty()
    });
    let shown = line(&tap, |_| true);
    let call: Value = serde_json::from_str(&shown).expect("each line is an object");
    assert_eq!(
        (&call["server"], &call["name"]),
        (&json!("slow"), &json!("sleep"))
    );
    wait::wait_for("the silence to be explained", SOON, || {
        typo.stderr().contains("there is no server \"slwo\"")
            && typo.stderr().contains("did you mean slow?")
    });
}

#[test]
fn strict_stores_nothing_where_there_is_a_warning() {
    let mesh = stage::workshop();
    let rule = catalog::allow("for-later", "nobody", &["later-*"]);
    let file = mesh.file("for-later.yaml", &catalog::file(&[rule]));
    let dry = mesh.gatehouse(&["apply", "-f", &file, "--dry-run"]).good();
    assert!(dry.stderr.contains("warning GH2005"), "{dry}");
    for words in [
        &["apply", "-f", &file, "--strict"][..],
        &["apply", "-f", &file, "--strict", "--dry-run"],
    ] {
        let refused = mesh.gatehouse(words).ended_with(1);
        for part in ["GH2005", "for-later.yaml:", "nothing was applied"] {
            assert!(refused.stderr.contains(part), "no {part:?}: {refused}");
        }
    }
    mesh.gatehouse(&["get", "AccessRule", "for-later"])
        .ended_with(1);
}

#[test]
fn a_dry_run_shows_the_fields_that_would_change_and_stores_none() {
    let mesh = stage::workshop();
    let yaml = mesh
        .gatehouse(&["get", "Filter", "no-hacking", "-o", "yaml"])
        .good();
    let changed = yaml.stdout.replace("[hacking]", "[hacking, cracking]");
    let file = mesh.file("dry-run.yaml", &changed);
    let dry = mesh.gatehouse(&["apply", "-f", &file, "--dry-run"]).good();
    assert!(
        dry.stdout.contains("changed") && dry.stdout.contains("spec.keywords.words"),
        "{dry}"
    );
    let again = mesh
        .gatehouse(&["get", "Filter", "no-hacking", "-o", "yaml"])
        .good();
    assert_eq!(again.stdout, yaml.stdout);
    let late = mesh
        .gatehouse(&["apply", "-f", &file, "--if-revision", "1"])
        .ended_with(1);
    for part in ["GH5003", "--if-revision", "nothing was applied"] {
        assert!(late.stderr.contains(part), "no {part:?}: {late}");
    }
}

#[test]
fn with_o_json_standard_output_is_json_or_nothing() {
    let mesh = stage::workshop();
    let good: [&[&str]; 9] = [
        &["check", "--only", "machine"],
        &["describe", "Server", "slow"],
        &["describe", "Filter", "no-hacking"],
        &["explain", "GH1001"],
        &["explain", "cp-reachable"],
        &["explain", "Filter.spec", "--recursive"],
        &["wait", "AccessRule", "admins"],
        &["nodes"],
        &["get", "Filter"],
    ];
    for words in good {
        let output = mesh.gatehouse(&[words, &["-o", "json"]].concat());
        assert!(output.json().is_object(), "{output}");
    }
    let bad: [(&[&str], i32); 6] = [
        (&["describe", "Server", "no-such"], 1),
        (&["wait", "Server", "no-such", "--timeout", "100ms"], 1),
        (&["apply", "-f", "/no/such/file"], 1),
        (&["explain", "GH0000"], 2),
        (&["explain", "Server.spek"], 2),
        (&["get", "no-such-kind"], 2),
    ];
    for (words, status) in bad {
        let output = mesh
            .gatehouse(&[words, &["-o", "json"]].concat())
            .ended_with(status);
        assert_eq!(output.stdout, "", "{output}");
        assert!(output.errors()[0]["message"].is_string(), "{output}");
    }
}

#[test]
fn completions_and_the_manual_are_printed_without_any_installation() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let run = |words: &[&str]| {
        let mut command = Command::new(place::gatehouse());
        command.args(words).current_dir(folder.path());
        process::run(command.env_remove("GATEHOUSE_CONTEXT"), SOON)
    };
    let script = folder.path().join("gatehouse.bash");
    std::fs::write(&script, run(&["completions", "bash"]).good().stdout).expect("it is written");
    process::run(Command::new("bash").arg("-n").arg(&script), SOON).good();
    run(&["completions", "tcsh"]).ended_with(2);
    assert!(run(&["man"]).good().stdout.contains(".TH gatehouse"));
    run(&["man", "--out", "pages"]).good();
    assert!(folder.path().join("pages/gatehouse-describe.1").exists());
    run(&["man", "--out", "gatehouse.bash/pages"]).ended_with(1);
    let overview = run(&[]).good();
    for word in ["start", "configure", "watch", "check", "describe", "tap"] {
        assert!(overview.stdout.contains(word), "no {word:?}: {overview}");
    }
}
