//! Processes of a bench: what they say goes to files, and they end with the bench.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child as Process, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;

use super::watchdog::{self, send};
use crate::pause;

/// How long a process may take to end after it was asked.
const GRACE: Duration = Duration::from_secs(15);
/// Lines of a log that are told where a process failed.
const TAIL_LINES: usize = 5;

/// A process under way. Dropping it asks it to end, and after a while kills it.
#[derive(Debug)]
pub(crate) struct Child {
    name: String,
    process: Process,
    out: PathBuf,
    err: PathBuf,
}

impl Child {
    /// Starts it. `folder` takes what it says, as `NAME.out` and `NAME.err`; it carries the mark of `bench`, the bench's
    /// own folder.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(
        name: &str,
        command: &mut Command,
        folder: &Path,
        bench: &Path,
    ) -> anyhow::Result<Self> {
        let out = folder.join(format!("{name}.out"));
        let err = folder.join(format!("{name}.err"));
        watchdog::mark(command, bench);
        let process = command
            .stdin(Stdio::null())
            .stdout(File::create(&out)?)
            .stderr(File::create(&err)?)
            .process_group(0)
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?;
        Ok(Self {
            name: name.to_owned(),
            process,
            out,
            err,
        })
    }

    /// Its id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits for a line of its output that `fits`, and answers with what that makes of it.
    ///
    /// # Errors
    /// It ends before, or says no such thing in time; with the last that it said.
    pub(crate) fn said<T>(
        &mut self,
        deadline: Duration,
        fits: impl Fn(&str) -> Option<T>,
    ) -> anyhow::Result<T> {
        let mut ended = None;
        let found = pause::until(deadline, || {
            // Looked at in this order: what it said before its end counts.
            ended = self.process.try_wait().ok().flatten();
            let said = text(&self.out).lines().find_map(&fits);
            match said {
                Some(said) => Some(Ok(said)),
                None => ended.map(Err),
            }
        });
        match found {
            Some(Ok(said)) => Ok(said),
            Some(Err(status)) => bail!("{} ended ({status}): {}", self.name, self.last_words()),
            None => bail!(
                "{} did not say what was awaited within {deadline:?}: {}",
                self.name,
                self.last_words()
            ),
        }
    }

    /// The last lines of what it complained about, or else of what it said.
    pub(crate) fn last_words(&self) -> String {
        let complaint = tail(&text(&self.err));
        if complaint.is_empty() {
            tail(&text(&self.out))
        } else {
            complaint
        }
    }

    /// How it ended; `None` while it runs.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().ok().flatten()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        send(self.pid(), Signal::TERM);
        if pause::until(GRACE, || self.ended()).is_none() {
            // What cannot be killed cannot be waited for either.
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// Runs a command to its end, and answers with its output.
///
/// # Errors
/// It fails, with what it complained about.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let done = command.stdin(Stdio::null()).output()?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let words = command.get_args().map(|word| word.to_string_lossy());
    bail!(
        "{}: {}",
        words.collect::<Vec<_>>().join(" "),
        tail(&String::from_utf8_lossy(&done.stderr))
    )
}

fn text(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    lines[from..].join("\n  ")
}
