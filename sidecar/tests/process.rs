//! Real processes under a real shim: what is started is ended, with all that it left behind.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use sidecar::logs::ServerLog;
use sidecar::process::child::{self, Child, Exit};
use sidecar::process::command::Program;
use sidecar::process::lines::{Line, Lines};
use tokio::io::AsyncWriteExt;

use support::{DEADLINE, environment, eventually, forked, launcher, path_in, python, runs};

fn program(argv: &[&str], directory: &Path) -> Program {
    Program {
        argv: argv.iter().map(ToString::to_string).collect(),
        environment: environment().into_iter().collect(),
        directory: directory.to_owned(),
        package: None,
    }
}

fn spawn(argv: &[&str], directory: &Path) -> Child {
    child::spawn(
        &launcher(),
        &program(argv, directory),
        &ServerLog::default(),
    )
    .unwrap()
}

async fn exit(argv: &[&str]) -> Exit {
    let directory = tempfile::tempdir().unwrap();
    let mut child = spawn(argv, directory.path());
    tokio::time::timeout(DEADLINE, child.process.ended())
        .await
        .unwrap()
}

#[tokio::test]
async fn the_programs_own_end_is_what_is_seen() {
    assert_eq!(exit(&["/bin/sh", "-c", "exit 7"]).await, Exit::Status(7));
    assert_eq!(
        exit(&["/bin/sh", "-c", "kill -9 $$"]).await,
        Exit::Signal(9)
    );
    assert_eq!(exit(&["/nowhere/at-all"]).await, Exit::Status(127));
}

#[tokio::test]
async fn streams_go_straight_through() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = spawn(&["/bin/cat"], directory.path());
    child.stdin.write_all(b"one\ntwo").await.unwrap();
    drop(child.stdin);
    let mut lines = Lines::new(child.stdout, 100);
    let mut read = Vec::new();
    while let Some(line) = lines.next().await.unwrap() {
        read.push(line);
    }
    assert_eq!(read, [Line::Whole("one".into()), Line::Whole("two".into())]);
    assert_eq!(child.process.ended().await, Exit::Status(0));
}

#[tokio::test]
async fn a_server_that_closes_its_output_is_heard_to_do_so_while_it_runs() {
    let directory = tempfile::tempdir().unwrap();
    let child = spawn(&["/bin/sh", "-c", "exec >&-; read line"], directory.path());
    let mut lines = Lines::new(child.stdout, 100);
    let end = tokio::time::timeout(DEADLINE, lines.next()).await.unwrap();
    assert_eq!(end.unwrap(), None);
    assert!(runs(child.process.pid()));
}

#[tokio::test]
async fn nothing_is_left_when_a_server_is_ended() {
    let directory = tempfile::tempdir().unwrap();
    let argv = python("forker.py", &["pids"]);
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    let mut child = spawn(&argv_with_path(&argv), directory.path());
    let pids = forked(&path_in(&directory, "pids")).await;
    assert!(pids.iter().all(|pid| runs(*pid)));
    drop(child.stdin);
    child.process.close().await;
    let left: Vec<_> = pids.into_iter().filter(|pid| runs(*pid)).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// `python3` by path, as programs are when a catalog's server is started.
fn argv_with_path<'a>(argv: &[&'a str]) -> Vec<&'a str> {
    [&["/usr/bin/env"][..], argv].concat()
}

/// Not a test by itself: the sidecar's part in the next one, in a process that can be killed.
#[tokio::test]
#[ignore = "run by another test"]
async fn holds_a_forker() {
    if !Path::new("hold").exists() {
        return; // Not in the folder that the next test prepares: run with all that is ignored.
    }
    let argv = python("forker.py", &["pids"]);
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    let child = spawn(&argv_with_path(&argv), Path::new("."));
    std::fs::write("shim", child.process.pid().to_string()).unwrap();
    tokio::time::sleep(Duration::from_secs(120)).await;
    drop(child);
}

#[tokio::test]
async fn nothing_is_left_when_the_sidecar_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("hold"), "").unwrap();
    let mut sidecar = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "holds_a_forker", "--ignored"])
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut pids = forked(&path_in(&directory, "pids")).await;
    let shim = path_in(&directory, "shim");
    eventually("the shim's id", || shim.exists()).await;
    pids.push(std::fs::read_to_string(shim).unwrap().parse().unwrap());
    assert!(pids.iter().all(|pid| runs(*pid)));
    sidecar.kill().unwrap(); // SIGKILL
    sidecar.wait().unwrap();
    eventually("the end of all processes", || {
        !pids.iter().any(|pid| runs(*pid))
    })
    .await;
}

#[tokio::test]
async fn a_server_does_not_outlive_its_shim() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = spawn(
        &["/bin/sh", "-c", "echo $$ >&2; echo up; exec sleep 600"],
        directory.path(),
    );
    let mut lines = Lines::new(child.stdout, 100);
    assert_eq!(lines.next().await.unwrap(), Some(Line::Whole("up".into())));
    let shim = rustix::process::Pid::from_raw(child.process.pid().cast_signed()).unwrap();
    rustix::process::kill_process(shim, rustix::process::Signal::KILL).unwrap();
    // Its output ends only when the last process that holds it has ended.
    let end = tokio::time::timeout(DEADLINE, lines.next()).await.unwrap();
    assert_eq!(end.unwrap(), None);
    assert_eq!(child.process.ended().await, Exit::Signal(9));
}
