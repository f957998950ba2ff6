//! One started process, from the sidecar's side: its streams, its last words, its end.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::pipe::{PipeFlags, pipe_with};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::command::Program;
use super::shim;
use super::stderr::Ring;
use crate::logs::ServerLog;

/// How long a server may take to end by itself once its standard input is closed.
const CLOSE_GRACE: Duration = Duration::from_secs(2);
/// How long it may take to obey TERM, before KILL.
const TERM_GRACE: Duration = Duration::from_secs(2);
/// How long the shim may take, after that, to see that nothing is left.
const REAP_GRACE: Duration = Duration::from_secs(5);
/// How long to wait for the last lines on standard error once the process is gone.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Which binary plays the shim: one that calls [`shim::intercept`] first of all.
#[derive(Debug, Clone)]
pub struct Launcher(PathBuf);

impl Launcher {
    /// That binary.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self(program.into())
    }

    /// The one that runs now, also after it was replaced on disk.
    pub fn this_program() -> Self {
        Self::new("/proc/self/exe")
    }
}

/// A process that cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {program}: {source}")]
pub struct Error {
    program: String,
    source: io::Error,
}

/// A started process.
#[derive(Debug)]
pub struct Child {
    /// Its standard input.
    pub stdin: ChildStdin,
    /// Its standard output.
    pub stdout: ChildStdout,
    /// The rest of it.
    pub process: Process,
}

/// What is left of a child when its streams are taken: it lives as long as this does.
#[derive(Debug)]
pub struct Process {
    shim: tokio::process::Child,
    pid: u32,
    /// Both ends of the pipe at which the shim listens. The read end is here only to be opened by the
    /// shim, by path. Both close on exec, so nobody else can keep the pipe open. `None`: told to end.
    lifeline: Option<(OwnedFd, OwnedFd)>,
    stderr: Ring,
    /// Owns the task that reads standard error; it ends with the stream, or with this.
    reading: JoinSet<()>,
}

/// How a process ended. Displays as what follows "server".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with a status.
    Status(i32),
    /// By a signal.
    Signal(i32),
    /// Unknown: its end could not be waited for.
    Unknown,
}

/// Starts `program` under a shim.
///
/// # Errors
/// The shim cannot be started. A program that the shim can't start shows by its exit and its last words.
pub fn spawn(launcher: &Launcher, program: &Program, log: &ServerLog) -> Result<Child, Error> {
    start(&launcher.0, program, log).map_err(|source| Error {
        program: program.argv.join(" "),
        source,
    })
}

fn start(launcher: &Path, program: &Program, log: &ServerLog) -> io::Result<Child> {
    let (near, far) = pipe_with(PipeFlags::CLOEXEC)?;
    let path = format!("/proc/{}/fd/{}", std::process::id(), near.as_raw_fd());
    let mut command = tokio::process::Command::from(shim::command(
        launcher,
        Path::new(&path),
        TERM_GRACE,
        &program.argv,
    ));
    command
        .env_clear()
        .envs(&program.environment)
        .current_dir(&program.directory);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut shim = command.spawn()?;
    let lost = || io::Error::other("a pipe to it is missing");
    let stdin = shim.stdin.take().ok_or_else(lost)?;
    let stdout = shim.stdout.take().ok_or_else(lost)?;
    let stderr = Ring::new(log);
    let mut reading = JoinSet::new();
    reading.spawn(stderr.clone().fill(shim.stderr.take().ok_or_else(lost)?));
    let pid = shim.id().unwrap_or_default();
    let process = Process {
        shim,
        pid,
        lifeline: Some((near, far)),
        stderr,
        reading,
    };
    Ok(Child {
        stdin,
        stdout,
        process,
    })
}

impl Process {
    /// Of the shim, whose end is the end of all. 0 if it ended at once.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What it said last on standard error.
    pub(crate) fn stderr(&self) -> Ring {
        self.stderr.clone()
    }

    /// Waits until it has ended by itself, and all below it is gone.
    pub async fn ended(&mut self) -> Exit {
        let exit = self.shim.wait().await.map_or(Exit::Unknown, Exit::from);
        let _cut_off = timeout(LAST_WORDS, self.reading.join_next()).await;
        exit
    }

    /// Ends it at once: TERM, a grace, KILL, for all below it.
    pub async fn kill(&mut self) -> Exit {
        self.lifeline = None;
        match timeout(TERM_GRACE + REAP_GRACE, self.ended()).await {
            Ok(exit) => exit,
            Err(_) => {
                tracing::error!(pid = self.pid, "processes of the server cannot be killed");
                Exit::Unknown
            }
        }
    }

    /// Ends it in order, where the caller has closed its standard input: time to end by itself, then as
    /// [`Self::kill`].
    pub async fn close(&mut self) -> Exit {
        match timeout(CLOSE_GRACE, self.ended()).await {
            Ok(exit) => exit,
            Err(_) => self.kill().await,
        }
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let by_signal = i32::from(shim::EXIT_BY_SIGNAL);
        match (status.code(), status.signal()) {
            (Some(code), _) if code > by_signal => Self::Signal(code - by_signal),
            (Some(code), _) => Self::Status(code),
            (None, Some(signal)) => Self::Signal(signal),
            (None, None) => Self::Unknown,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(code) => write!(f, "exited with status {code}"),
            Self::Signal(signal) => write!(f, "was ended by signal {signal}"),
            Self::Unknown => f.write_str("ended"),
        }
    }
}
