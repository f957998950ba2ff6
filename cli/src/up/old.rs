//! Parts of an earlier `up` that still end: one that was killed leaves them to drain by themselves.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How long they may take; then they are killed.
const WAIT: Duration = Duration::from_secs(25);
/// How often they are looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Where a part's process id is kept.
pub(super) fn pid_file(dir: &Path, part: &str) -> PathBuf {
    dir.join(part).join("pid")
}

/// Waits until no part of an earlier start runs in this folder: their ports and stores must be free.
pub(super) async fn await_end(dir: &Path) {
    let left = || async {
        while !running(dir).is_empty() {
            tokio::time::sleep(LOOK).await;
        }
    };
    if tokio::time::timeout(WAIT, left()).await.is_ok() {
        return;
    }
    for id in running(dir) {
        // It may have ended by itself just now.
        let _ = kill_process(id, Signal::KILL);
    }
    // Killed processes are gone as soon as the system gets to it; bounded all the same.
    let _ = tokio::time::timeout(WAIT, left()).await;
}

/// Processes of this folder that still run. A process counts as one of ours only where its command line names the
/// folder: ids are used again.
fn running(dir: &Path) -> Vec<Pid> {
    let Ok(parts) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for part in parts.flatten() {
        let Ok(text) = std::fs::read_to_string(part.path().join("pid")) else {
            continue;
        };
        let Some(id) = text.trim().parse().ok().and_then(Pid::from_raw) else {
            continue;
        };
        let command =
            std::fs::read(format!("/proc/{}/cmdline", id.as_raw_nonzero())).unwrap_or_default();
        let folder = part.path().display().to_string();
        if String::from_utf8_lossy(&command).contains(&folder) {
            found.push(id);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[tokio::test]
    async fn a_part_that_still_runs_is_awaited() {
        let dir = tempfile::tempdir().unwrap();
        let part = dir.path().join("edge-1");
        std::fs::create_dir(&part).unwrap();
        let named = format!("{}/settings.toml", part.display());
        // The shell keeps its second argument in its command line while it waits for its standard input.
        let mut child = std::process::Command::new("sh")
            .args(["-c", "read line; exit 0", &named])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::fs::write(pid_file(dir.path(), "edge-1"), child.id().to_string()).unwrap();
        // The system shows a command line a moment after the program runs.
        let seen = async {
            while running(dir.path()).is_empty() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(WAIT, seen).await.unwrap();
        drop(child.stdin.take());
        child.wait().unwrap();
        await_end(dir.path()).await;
        assert!(running(dir.path()).is_empty());
    }

    #[tokio::test]
    async fn a_process_of_somebody_else_is_none_of_ours() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("edge-1")).unwrap();
        std::fs::write(
            pid_file(dir.path(), "edge-1"),
            std::process::id().to_string(),
        )
        .unwrap();
        await_end(dir.path()).await;
    }
}
