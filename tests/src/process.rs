//! Foreign processes: started, listened to, waited for with a deadline, ended.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Pid;
pub use rustix::process::Signal;

use crate::wait;

/// Lines kept of one stream; the oldest go first.
const LINES_MAX: usize = 20_000;
/// How long a killed process may take to be gone.
const KILL: Duration = Duration::from_secs(10);

/// Ends a process when the test is gone, however that ended: statics are not dropped. Started before the test ends,
/// it waits for the end of its standard input, which only the test holds.
const WATCHDOG: &str = r#"
read -r _
kill -TERM "$1" 2>/dev/null
for _ in $(seq 300); do kill -0 "$1" 2>/dev/null || break; sleep 0.1; done
kill -KILL "$1" 2>/dev/null
[ -z "$2" ] || rm -rf -- "$2"
"#;

/// The lines of one stream. Written by its reader thread, which ends with the stream.
type Lines = Arc<Mutex<VecDeque<String>>>;

/// A process under way. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdout: Lines,
    stderr: Lines,
    watchdog: Child,
}

impl Process {
    /// Starts a process. `folder` is removed when the test ends without dropping this.
    pub fn start(command: &mut Command, folder: Option<&Path>) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn(command);
        Self {
            stdout: gather(child.stdout.take()),
            stderr: gather(child.stderr.take()),
            watchdog: watchdog(&child, folder),
            child,
        }
    }

    /// Starts a process that says everything at the end of a file, where it stays when the process is gone.
    pub fn start_into(command: &mut Command, log: &Path, folder: Option<&Path>) -> Self {
        let open = || {
            let opened = std::fs::File::options().create(true).append(true).open(log);
            opened.unwrap_or_else(|error| panic!("{}: {error}", log.display()))
        };
        let child = spawn(command.stdout(open()).stderr(open()));
        Self {
            stdout: Lines::default(),
            stderr: Lines::default(),
            watchdog: watchdog(&child, folder),
            child,
        }
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// What it has complained about so far.
    pub fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// How it ended; `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child
            .try_wait()
            .expect("a child of ours can be waited for")
    }

    /// Waits for its end.
    pub fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("the end of process {}", self.pid());
        wait::until(&what, deadline, || {
            self.ended().ok_or_else(|| "it still runs".to_owned())
        })
    }

    /// Asks it to end (SIGTERM).
    pub fn ask_to_end(&self) {
        signal(self.pid(), Signal::TERM);
    }

    /// Kills it, and nobody else.
    pub fn kill9(&mut self) {
        if self.ended().is_none() {
            signal(self.pid(), Signal::KILL);
            self.wait(KILL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // No panic here: that would hide the one that brought us here.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
    }
}

fn spawn(command: &mut Command) -> Child {
    command
        .stdin(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn watchdog(child: &Child, folder: Option<&Path>) -> Child {
    Command::new("sh")
        .args(["-c", WATCHDOG, "watchdog", &child.id().to_string()])
        .arg(folder.unwrap_or_else(|| Path::new("")))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh starts")
}

/// Sends a signal; a process that is gone already is no fault.
pub fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a process id is above zero");
    let _ = rustix::process::kill_process(pid, signal);
}

/// What a command said and how it ended.
#[derive(Debug, Clone)]
pub struct Output {
    /// The command, for messages.
    pub command: String,
    /// The exit code; `None`: a signal ended it.
    pub status: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Itself, having ended well.
    ///
    /// # Panics
    /// With what was said, where the exit code is not 0.
    #[track_caller]
    pub fn good(self) -> Self {
        self.ended_with(0)
    }

    /// Itself, having ended with this exit code.
    ///
    /// # Panics
    /// With what was said, where it is another one.
    #[track_caller]
    pub fn ended_with(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{self}");
        self
    }

    /// Standard output as the one JSON document that it should be.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self}"))
    }

    /// The items of a list.
    #[track_caller]
    pub fn items(&self) -> Vec<serde_json::Value> {
        match self.json()["items"].take() {
            serde_json::Value::Array(items) => items,
            other => panic!("`items` is {other}, not a list: {self}"),
        }
    }

    /// All errors that `-o json` puts on standard error, as one document.
    #[track_caller]
    pub fn errors(&self) -> Vec<serde_json::Value> {
        let line = self
            .stderr
            .lines()
            .find(|line| line.starts_with("{\"error\""))
            .unwrap_or_default();
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(line);
        let mut document =
            parsed.unwrap_or_else(|error| panic!("no JSON on standard error ({error}): {self}"));
        match document["errors"].take() {
            serde_json::Value::Array(errors) => errors,
            _ => vec![document["error"].take()],
        }
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            command,
            status,
            stdout,
            stderr,
        } = self;
        write!(
            f,
            "`{command}` ended with {status:?}\n--- stdout\n{stdout}--- stderr\n{stderr}---"
        )
    }
}

/// Runs a command to its end.
///
/// # Panics
/// Where it does not end by the deadline; it is killed then.
#[track_caller]
pub fn run(command: &mut Command, deadline: Duration) -> Output {
    let output = try_run(command, deadline);
    output.unwrap_or_else(|| panic!("`{}` did not end within {deadline:?}", shown(command)))
}

/// Runs a command to its end; `None` where it had to be killed at the deadline.
pub fn try_run(command: &mut Command, deadline: Duration) -> Option<Output> {
    let shown = shown(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("`{shown}`: {error}"));
    let stdout = reader(child.stdout.take());
    let stderr = reader(child.stderr.take());
    let mut ended = None;
    let in_time = wait::within(deadline, || {
        ended = child.try_wait().expect("a child of ours can be waited for");
        ended.is_some()
    });
    if !in_time {
        let _ = child.kill();
        let _ = child.wait();
        return None;
    }
    let status = ended.and_then(|status| status.code());
    let join =
        |thread: std::thread::JoinHandle<String>| thread.join().expect("a reader does not panic");
    Some(Output {
        command: shown,
        status,
        stdout: join(stdout),
        stderr: join(stderr),
    })
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Reads a stream to its end, so that the process never waits for us. Ends with the stream.
fn reader(stream: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    let mut stream = stream.expect("the stream is piped");
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn gather(stream: Option<impl Read + Send + 'static>) -> Lines {
    let stream = BufReader::new(stream.expect("the stream is piped"));
    let lines = Lines::default();
    let ours = lines.clone();
    std::thread::spawn(move || {
        for line in stream.split(b'\n').map_while(Result::ok) {
            let mut lines = ours.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() == LINES_MAX {
                lines.pop_front();
            }
            lines.push_back(String::from_utf8_lossy(&line).into_owned());
        }
    });
    lines
}

fn text(lines: &Lines) -> String {
    let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
    lines
        .iter()
        .fold(String::new(), |text, line| text + line + "\n")
}
