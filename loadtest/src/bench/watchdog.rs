//! Cleans up after a bench, however that ended: a process of its own, which waits for the end of its standard input,
//! which only the bench holds. Then it ends every process that carries the bench's mark, and removes its folder.
//!
//! The mark is a variable of the environment: a process has it from its first moment on, and hands it to all that
//! descend from it, so that none is missed that was just being started.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::pause;
use crate::process::Process;

/// The subcommand.
pub(crate) const WORD: &str = "watchdog";
/// The variable; its value is the bench's folder.
const MARK: &str = "LOADTEST_BENCH_FOLDER";
/// How long processes may take to end after they were asked.
const GRACE: Duration = Duration::from_secs(15);
/// How long killed processes may take to be gone.
const KILL: Duration = Duration::from_secs(5);
/// Between two looks which must both find nobody: who was just being started had no mark yet.
const LOOK: Duration = Duration::from_millis(100);

/// Flags of the watchdog.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The bench's folder
    folder: PathBuf,
}

/// The bench's hold on it. Dropping this lets the watchdog do its work, and waits for that.
#[derive(Debug)]
pub(crate) struct Watchdog(Child);

impl Watchdog {
    /// Starts it, from this very binary.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start(folder: &Path) -> io::Result<Self> {
        let child = Command::new(std::env::current_exe()?)
            .arg(WORD)
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            // Ctrl-C on a terminal goes to the whole group, and is not for whoever cleans up.
            .process_group(0)
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Gives the process that a command starts the mark of a bench.
pub(crate) fn mark(command: &mut Command, folder: &Path) {
    command.env(MARK, folder);
}

/// Is the watchdog: waits for the end of `input`, then cleans up.
///
/// # Errors
/// The input cannot be read.
pub(crate) fn run(args: &Args, mut input: impl Read) -> io::Result<()> {
    let mut nothing = [0; 64];
    while input.read(&mut nothing)? > 0 {}
    if !is_gone(&args.folder, Signal::TERM, GRACE) {
        is_gone(&args.folder, Signal::KILL, KILL);
    }
    // Gone already where the bench ended by itself.
    let _ = std::fs::remove_dir_all(&args.folder);
    Ok(())
}

/// Sends a signal to all that carry the mark, once each; whether they, and whoever comes after them, are gone in time.
fn is_gone(folder: &Path, signal: Signal, deadline: Duration) -> bool {
    let mut told = Vec::new();
    let mut quiet = 0;
    let gone = pause::until(deadline, || {
        let left = marked(folder);
        for pid in &left {
            if !told.contains(pid) {
                send(*pid, signal);
                told.push(*pid);
            }
        }
        quiet = if left.is_empty() { quiet + 1 } else { 0 };
        if quiet == 1 {
            pause::pause(LOOK);
        }
        (quiet > 1).then_some(())
    });
    gone.is_some()
}

/// The processes that carry the mark.
fn marked(folder: &Path) -> Vec<u32> {
    let mark = format!("{MARK}={}", folder.display());
    let carries = |pid: u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0);
        variables.any(|variable| variable == mark.as_bytes())
    };
    let all = Process::all().into_keys();
    all.filter(|pid| carries(*pid)).collect()
}

/// Sends a signal; a process that is gone already is no fault.
pub(super) fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_end_of_the_input_ends_all_that_carry_the_mark_and_nobody_else() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let mut children = folders.each_ref().map(|folder| {
            let mut command = Command::new("sh");
            // Its own child carries the mark, too, and does not end with it.
            command.args(["-c", "sleep 60 & wait"]);
            mark(&mut command, folder.path());
            command.spawn().unwrap()
        });
        let [ours, others] = folders.each_ref().map(|folder| folder.path().to_owned());
        pause::until(KILL, || (marked(&ours).len() == 2).then_some(())).unwrap();
        std::thread::scope(|scope| {
            let args = Args {
                folder: ours.clone(),
            };
            scope.spawn(move || run(&args, io::empty()).unwrap());
            // Whoever started it waits for it.
            assert!(!children[0].wait().unwrap().success());
        });
        assert_eq!((marked(&ours).len(), ours.exists()), (0, false));
        assert!(!marked(&others).is_empty() && others.exists());
        assert!(is_gone(&others, Signal::KILL, KILL));
        children[1].wait().unwrap();
    }
}
