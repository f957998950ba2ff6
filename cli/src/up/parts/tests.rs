//! Parts played by shell scripts: real processes, their ends and their pipes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::PermissionsExt;

use super::*;

/// How long a test waits for what must come.
const WAIT: Duration = Duration::from_secs(20);

/// A folder with a "binary" that runs this script; its arguments are those of a part.
fn stage(script: &str) -> (tempfile::TempDir, Parts, mpsc::Receiver<Event>) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("logs")).unwrap();
    let exe = dir.path().join("exe");
    std::fs::write(&exe, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&exe, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (parts, events) = Parts::new(exe, dir.path());
    (dir, parts, events)
}

fn part() -> Part {
    Part {
        name: "control-plane".to_owned(),
        role: Role::ControlPlane,
        server: String::new(),
        settings: Table::new(),
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(WAIT, future)
        .await
        .expect("it must come in time")
}

#[tokio::test]
async fn a_part_that_dies_is_told_of_and_started_again() {
    let (_dir, parts, mut events) = stage("echo \"started as $1\"; echo oops >&2; exit 3");
    parts.start(part());
    let first = within(events.recv()).await.unwrap();
    assert_eq!(
        (first.what.as_str(), first.times),
        ("exited with status 3", 1)
    );
    assert_eq!(first.lines, ["started as control-plane", "oops"]);
    assert_eq!(first.again_in, BACKOFF_MIN);
    let second = within(events.recv()).await.unwrap();
    assert_eq!((second.times, second.again_in), (2, 2 * BACKOFF_MIN));
    assert_eq!(
        second.lines.len(),
        2,
        "lines of the start before are not shown again"
    );
    parts.stop("control-plane");
    within(parts.finish()).await;
}

#[tokio::test]
async fn the_end_of_its_pipe_tells_a_part_to_drain() {
    let (dir, parts, _events) = stage("cat >/dev/null; echo drained > \"$3.drained\"");
    parts.start(part());
    let pid = pid_file(dir.path(), "control-plane");
    within(async {
        while !pid.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    within(parts.stop_all(Role::ControlPlane)).await;
    assert!(
        dir.path()
            .join("control-plane/settings.toml.drained")
            .exists()
    );
}

#[tokio::test]
async fn a_part_that_does_not_drain_can_be_killed_at_once() {
    let (dir, parts, _events) = stage("echo up > \"$3.up\"; while :; do sleep 1; done");
    parts.start(part());
    let up = dir.path().join("control-plane/settings.toml.up");
    within(async {
        while !up.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    parts.kill();
    within(parts.stop_all(Role::ControlPlane)).await;
}

#[tokio::test]
async fn a_node_without_identity_waits_for_a_way_to_join() {
    let (_dir, parts, mut events) = stage("exit 0");
    parts.start(Part {
        name: "edge-1".to_owned(),
        role: Role::Edge,
        ..part()
    });
    let event = within(events.recv()).await.unwrap();
    assert!(event.what.contains("join token"), "{event:?}");
    parts.stop("edge-1");
    within(parts.finish()).await;
}

#[test]
fn waits_double_up_to_a_bound() {
    assert_eq!(backoff(1), Duration::from_millis(500));
    assert_eq!(backoff(3), Duration::from_secs(2));
    assert_eq!(backoff(40), BACKOFF_MAX);
}
