//! All processes below this one: found, signalled, reaped.
//!
//! The caller is a subreaper, so whatever loses its parent below it becomes its child: once it has no
//! child, it has no descendant. Linux only: the tree is read from `/proc`.

use std::collections::HashSet;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, wait};
use tokio::time::{Instant, sleep, timeout_at};

/// How long KILL is sent again and again. Only a process that hangs in the kernel, or that changed
/// its user, outlives the first time.
const KILL_FOR_MAX: Duration = Duration::from_secs(30);
/// How long to wait for what KILL has orphaned to become our child.
const KILL_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// Takes the exit statuses of whatever ended below this process.
#[derive(Debug)]
pub(super) struct Reaper {
    main: Pid,
    /// Of the main process, once it has ended.
    pub(super) status: Option<WaitStatus>,
    ended: tokio::signal::unix::Signal,
}

impl Reaper {
    /// `ended` is a listener for SIGCHLD that was there before `main` was started.
    pub(super) fn new(main: Pid, ended: tokio::signal::unix::Signal) -> Self {
        Self {
            main,
            status: None,
            ended,
        }
    }

    /// Waits until the main process has ended, reaping whatever else ends meanwhile.
    pub(super) async fn main_ended(&mut self) {
        while self.reap() && self.status.is_none() {
            self.ended.recv().await;
        }
    }

    /// Ends all processes below this one: TERM, `grace`, then KILL until none is left. False if some
    /// could not be killed.
    pub(super) async fn end_all(&mut self, grace: Duration) -> bool {
        signal_all(Signal::TERM);
        signal_all(Signal::CONT); // A stopped process hears TERM only once it goes on.
        let deadline = Instant::now() + grace;
        while self.reap() {
            if timeout_at(deadline, self.ended.recv()).await.is_err() {
                break;
            }
        }
        let deadline = Instant::now() + KILL_FOR_MAX;
        while self.reap() {
            if Instant::now() >= deadline {
                return false;
            }
            signal_all(Signal::KILL);
            tokio::select! {
                _ = self.ended.recv() => {}
                () = sleep(KILL_AGAIN_AFTER) => {}
            }
        }
        true
    }

    /// Takes what has ended. False: no child is left, and so no descendant.
    fn reap(&mut self) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.main => self.status = Some(status),
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }
}

/// Signals every process below this one. One that is gone meanwhile is none of our business.
fn signal_all(signal: Signal) {
    for pid in below(getpid(), &parents()) {
        let _gone_meanwhile = kill_process(pid, signal);
    }
}

/// All processes of the machine that can be seen, each with its parent.
fn parents() -> Vec<(Pid, Pid)> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name();
            let pid = Pid::from_raw(name.to_str()?.parse().ok()?)?;
            let stat = std::fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
            Some((pid, parent_in(&stat)?))
        })
        .collect()
}

/// The parent's id in a line of `/proc/PID/stat`: `pid (name) state parent …`, where the name may hold
/// anything, also brackets and blanks.
fn parent_in(stat: &[u8]) -> Option<Pid> {
    let name_end = stat.iter().rposition(|b| *b == b')')?;
    let rest = std::str::from_utf8(stat.get(name_end + 1..)?).ok()?;
    Pid::from_raw(rest.split_ascii_whitespace().nth(1)?.parse().ok()?)
}

/// What is below `root`, however deep.
fn below(root: Pid, parents: &[(Pid, Pid)]) -> HashSet<Pid> {
    let mut found = HashSet::new();
    let mut open = vec![root];
    while let Some(parent) = open.pop() {
        for (pid, _) in parents.iter().filter(|(_, of)| *of == parent) {
            if found.insert(*pid) {
                open.push(*pid);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn pid(raw: i32) -> Pid {
        Pid::from_raw(raw).unwrap()
    }

    #[test]
    fn the_parent_is_found_behind_any_name() {
        assert_eq!(parent_in(b"12 (node) S 7 12 12 0"), Some(pid(7)));
        assert_eq!(parent_in(b"12 (a) R 1 (b)) S 7 12 12 0"), Some(pid(7)));
        assert_eq!(parent_in(b"12 (node"), None);
        assert_eq!(parent_in(b"12 (kthreadd) S 0 0"), None);
    }

    #[test]
    fn what_is_below_is_found_at_any_depth_and_nothing_else() {
        let parents = [
            (pid(2), pid(1)),
            (pid(3), pid(2)),
            (pid(4), pid(3)),
            (pid(5), pid(1)),
            (pid(6), pid(6)),
        ];
        assert_eq!(below(pid(2), &parents), HashSet::from([pid(3), pid(4)]));
        assert_eq!(below(pid(5), &parents), HashSet::new());
    }

    #[test]
    fn this_very_process_is_below_its_parent() {
        let all = parents();
        let parent = all
            .iter()
            .find(|(pid, _)| *pid == getpid())
            .map(|(_, parent)| *parent);
        assert_eq!(parent, rustix::process::getppid());
    }
}
