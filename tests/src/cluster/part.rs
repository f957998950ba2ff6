//! One process of a cluster: killed, asked to end, held, started again, asked whether it is ready.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{command, text};
use crate::http::Request;
use crate::process::{self, Process, Signal};
use crate::wait;

/// How long a part may take to be ready.
const READY: Duration = Duration::from_secs(60);
/// How long a drain may take.
const DRAIN: Duration = Duration::from_secs(40);
/// How long one question to its admin page may take.
const ASK: Duration = Duration::from_secs(2);

/// A process of a cluster.
#[derive(Debug)]
pub struct Part {
    name: String,
    kind: String,
    /// Of the whole cluster.
    root: PathBuf,
    admin: String,
    process: Option<Process>,
}

/// When a part went away.
#[derive(Debug, Clone, Copy)]
pub struct Gap {
    /// Just before it was killed: it was there until then.
    pub there: Instant,
    /// It was surely gone by then.
    pub gone: Instant,
}

impl Part {
    /// A part whose settings lie in its folder; it does not run yet.
    pub(super) fn new(name: &str, kind: &str, root: &Path, admin: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            root: root.to_owned(),
            admin: admin.to_owned(),
            process: None,
        }
    }

    /// `edge-1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its id.
    ///
    /// # Panics
    /// Where it was never started.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("it was started").pid()
    }

    /// Where it keeps its state.
    pub fn data(&self) -> PathBuf {
        self.root.join(&self.name).join("data")
    }

    /// All that it has said in all its lives.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The file that it says everything into.
    pub fn log_file(&self) -> PathBuf {
        self.root.join(format!("{}.log", self.name))
    }

    /// Starts it on its data; it is not waited for.
    ///
    /// # Panics
    /// Where it runs.
    pub fn launch(&mut self) {
        assert!(!self.runs(), "{} runs already", self.name);
        let settings = text(&self.root.join(&self.name).join("settings.toml"));
        let mut command = command(&[&self.kind, "--config", &settings]);
        let process = Process::start_into(&mut command, &self.log_file(), Some(&self.root));
        self.process = Some(process);
    }

    /// Whether its process is there.
    pub fn runs(&mut self) -> bool {
        self.process
            .as_mut()
            .is_some_and(|process| process.ended().is_none())
    }

    /// Kills it, and tells when.
    pub fn kill9(&mut self) -> Gap {
        let there = Instant::now();
        if let Some(process) = &mut self.process {
            process.kill9();
        }
        Gap {
            there,
            gone: Instant::now(),
        }
    }

    /// Asks it to end; it is not waited for.
    pub fn ask_to_end(&self) {
        if let Some(process) = &self.process {
            process.ask_to_end();
        }
    }

    /// Waits for its end, at most so long; `None` where it does not come.
    pub fn ended_within(&mut self, deadline: Duration) -> Option<ExitStatus> {
        let process = self.process.as_mut()?;
        let mut ended = None;
        wait::within(deadline, || {
            ended = process.ended();
            ended.is_some()
        });
        ended
    }

    /// Asks it to end, waits until it has, and tells how long that took.
    ///
    /// # Panics
    /// Where it does not end, or not well.
    pub fn stop(&mut self) -> Duration {
        let began = Instant::now();
        self.ask_to_end();
        let status = self.ended_within(DRAIN);
        let well = status.is_some_and(|status| status.success());
        assert!(
            well,
            "{} was asked to end: {status:?}\n{}",
            self.name,
            self.last_words()
        );
        began.elapsed()
    }

    /// Lets it go on where it was held, so that it can end.
    pub(super) fn signal_to_go_on(&mut self) {
        if self.runs() {
            self.signal(Signal::CONT);
        }
    }

    /// Holds it where it stands (SIGSTOP), or lets it go on (SIGCONT).
    pub fn signal(&self, signal: Signal) {
        process::signal(self.pid(), signal);
    }

    /// Starts it again, waits until it is ready, and tells how long that took.
    pub fn restart(&mut self) -> Duration {
        let began = Instant::now();
        self.launch();
        self.wait_until_ready(READY);
        began.elapsed()
    }

    /// Whether its admin page says that it is ready.
    pub fn is_ready(&self) -> bool {
        self.ready().is_ok()
    }

    /// What its admin page says of being ready; an `Err` where it is not.
    pub fn ready(&self) -> Result<(), String> {
        let (status, body) = self.page("/readyz")?;
        if status == 200 { Ok(()) } else { Err(body) }
    }

    /// Status and body of a page of its admin port.
    ///
    /// # Errors
    /// Where there is no answer.
    pub fn page(&self, path: &str) -> Result<(u16, String), String> {
        let request = Request::get(&format!("http://{}{path}", self.admin)).deadline(ASK);
        let response = request.try_send().map_err(|error| error.to_string())?;
        Ok((response.status, response.text()))
    }

    /// What its admin page says of its configuration; null where there is no answer.
    pub fn config(&self) -> Value {
        let (_, body) = self.page("/config").unwrap_or_default();
        serde_json::from_str(&body).unwrap_or_default()
    }

    /// Waits until it is ready.
    ///
    /// # Panics
    /// Where it ends before, or does not become ready in time.
    pub fn wait_until_ready(&mut self, deadline: Duration) {
        let what = format!("{} to be ready", self.name);
        wait::until(&what, deadline, || {
            assert!(
                self.runs(),
                "{} ended before it was ready\n{}",
                self.name,
                self.last_words()
            );
            self.ready()
                .map_err(|why| format!("{why}\n{}", self.last_words()))
        });
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        const LINES_MAX: usize = 60;
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let last = &lines[lines.len().saturating_sub(LINES_MAX)..];
        format!(
            "-------- {} ({} lines, the last {})\n{}\n",
            self.name,
            lines.len(),
            last.len(),
            last.join("\n")
        )
    }
}
