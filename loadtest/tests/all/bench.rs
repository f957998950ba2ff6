//! The comparison, and that a bench leaves nothing behind, however it ends.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use loadtest::compare::{self, Candidate, Plan, Role, tables};
use loadtest::process::{Process, Watched, descendants};
use loadtest::{Fixture, Floor, Pace, Scenario, Target};

fn target(url: &str) -> Target {
    Target::new([url]).expect("the URL is good")
}

#[test]
fn candidates_are_compared_side_by_side() {
    let serving = Fixture::new().start().expect("a fixture starts");
    let floor = Floor::before(target(&serving.url()))
        .start()
        .expect("a floor starts");
    let this = |role| (role, Watched::one("this", std::process::id()));
    let candidate = |name: &str, url: &str, processes| Candidate {
        name: name.to_owned(),
        target: target(url),
        processes,
    };
    let gone = vec![(Role::Between, Watched::one("nobody", u32::MAX))];
    let candidates = [
        candidate("direct", &serving.url(), vec![this(Role::Server)]),
        candidate("floor", &floor.url(), vec![this(Role::Between)]),
        candidate("gone", &serving.url(), gone),
    ];
    let plan = Plan {
        scenario: Scenario::echo(64),
        paces: vec![Pace::Clients(1), Pace::Clients(4)],
        rounds: 3,
        warm_up: Duration::from_millis(20),
        slice: Duration::from_millis(60),
        settle_max: Duration::ZERO,
        budget: Duration::from_secs(60),
        threads: 1,
    };
    let mut rounds = 0;
    let rows = compare::run(&candidates, &plan, |_| rounds += 1);
    assert_eq!((rows.len(), rounds), (6, 3));
    for row in rows.iter().filter(|row| row.candidate != "gone") {
        let figures = &row.figures;
        assert_eq!((figures.rounds, figures.failed), (3, 0), "{figures:?}");
        assert!(figures.calls_per_s.median > 0.0 && figures.p50_us.median > 0.0);
        assert!(figures.generator_us.median > 0.0, "{figures:?}");
    }
    assert!(rows[1].figures.between_us.median > 0.0);
    assert_eq!(rows[1].figures.server_us.median, 0.0);
    let fault = rows[2].figures.fault.as_deref().unwrap_or_default();
    assert!(fault.starts_with("nobody is gone"), "{fault}");
    assert!(tables(&rows, &[]).contains("gone, 4 clients: a round was not measured"));
}

#[test]
fn a_bench_that_is_over_has_told_all_and_left_nothing() {
    let json = tempfile::NamedTempFile::new().expect("a file can be made");
    let done = bench(&[
        "--rounds", "1", "--slice", "0.05", "--only", "direct", "--only", "floor",
    ])
    .arg("--json")
    .arg(json.path())
    .output()
    .expect("the binary lies beside the test");
    let (text, error) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    assert!(done.status.success(), "{text}{error}");
    assert!(
        text.starts_with("machine ") && text.contains("floor"),
        "{text}"
    );
    let bytes = std::fs::read(json.path()).expect("it was written");
    let outcome: serde_json::Value = serde_json::from_slice(&bytes).expect("it is JSON");
    let rows = outcome["rows"].as_array().expect("it has rows");
    assert_eq!(rows.len(), 4);
    for row in rows {
        assert_eq!(row["figures"]["rounds"], 1, "{row}");
        assert!(row["figures"]["answered"].as_u64() > Some(0), "{row}");
        assert!(row["slices"][0]["latency"]["p99_us"].is_number(), "{row}");
    }
}

#[test]
fn a_target_that_cannot_be_started_is_told_and_the_others_are_measured() {
    let words = [
        "--rounds",
        "1",
        "--slice",
        "0.05",
        "--only",
        "direct",
        "--only",
        "edge-sidecar-stdio",
    ];
    let done = bench(&words)
        .output()
        .expect("the binary lies beside the test");
    let text = String::from_utf8_lossy(&done.stdout);
    assert_eq!(done.status.code(), Some(1), "{text}");
    assert!(
        text.contains("not started: edge-sidecar-stdio: up ended"),
        "{text}"
    );
    assert!(
        text.lines().any(|line| line.starts_with("direct ")),
        "{text}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_bench_that_is_killed_leaves_nothing() {
    let mut child = bench(&["--rounds", "1", "--slice", "60", "--only", "floor"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary lies beside the test");
    let family = until(|| {
        let all = Process::all();
        let below = descendants(&all, child.id());
        let word = |process: &Process| process.words().next().map(str::to_owned);
        let words: Vec<_> = below.iter().filter_map(|process| word(process)).collect();
        let complete = ["watchdog", "fixture", "floor"]
            .iter()
            .all(|word| words.iter().any(|each| each == word));
        complete.then(|| below.into_iter().cloned().collect::<Vec<_>>())
    });
    let folder = folder_of(&family);
    assert!(folder.is_dir());
    child.kill().expect("it can be killed");
    child.wait().expect("it can be waited for");
    until(|| {
        let left = |process: &Process| {
            Process::look(process.pid).is_some_and(|now| now.start == process.start)
        };
        (!family.iter().any(left)).then_some(())
    });
    assert!(!folder.exists());
}

/// A bench of one client, on a Gatehouse that ends at once.
fn bench(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatehouse-loadtest"));
    command.args([
        "bench",
        "--clients",
        "1",
        "--clients",
        "2",
        "--warm-up",
        "0.01",
    ]);
    command.args(["--gatehouse", "/bin/false"]).args(words);
    command
}

/// Where the server's words go: into the bench's own folder.
fn folder_of(family: &[Process]) -> PathBuf {
    let server = family
        .iter()
        .find(|process| process.words().next() == Some("fixture"));
    let pid = server.expect("a server runs").pid;
    let out = std::fs::read_link(format!("/proc/{pid}/fd/1")).expect("it has an output");
    out.parent().expect("a file lies in a folder").to_owned()
}

fn until<T>(mut probe: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "waited in vain");
        crate::pause(Duration::from_millis(10));
    }
}
