//! One start of a server: the process, the first words, and how much time they get.

use std::sync::Arc;
use std::time::Duration;

use mcp::revision::Era;
use model::server::Server;

use super::handshake::{self, Greeting, Outcome};
use super::status::State;
use super::stdio::Running;
use crate::process::child::{self, Exit, Launcher};
use crate::process::command::{self, Policy, Program};
use crate::process::installed::Installed;

/// How long a start may take that may have to fetch a package first.
const INSTALL_MAX: Duration = Duration::from_secs(600);

/// How servers are started here.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which binary plays the shim.
    pub launcher: Launcher,
    /// What the operator allows and provides.
    pub policy: Policy,
    /// Which package is known to be there.
    pub installed: Installed,
    /// Longest line that a server may write, bytes.
    pub line_bytes_max: usize,
}

/// Why a server did not start. Displays as one line.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// There is nothing to start.
    #[error(transparent)]
    Command(#[from] command::Error),
    /// The process cannot be made.
    #[error(transparent)]
    Child(#[from] child::Error),
    /// It ended before it was ready.
    #[error("the server {exit} before it was ready{heard}")]
    Exited {
        /// How.
        exit: Exit,
        /// What it said instead.
        heard: String,
    },
    /// It is not what we can talk to.
    #[error("{source}{heard}")]
    Handshake {
        /// Why.
        source: handshake::Error,
        /// What else it said.
        heard: String,
    },
}

impl Error {
    /// Whether another try can help without a change of configuration.
    pub(super) fn may_pass(&self) -> bool {
        !matches!(self, Self::Command(error) if !error.may_pass())
    }
}

/// A start that did not work out, with what is known of its process.
#[derive(Debug)]
pub(super) struct Failed {
    /// Why.
    pub(super) error: Error,
    /// How the process ended, where there was one.
    pub(super) exit: Option<Exit>,
    /// Its last words.
    pub(super) stderr: Vec<String>,
    /// Lines that were no message.
    pub(super) rubbish_lines: u64,
}

impl<E: Into<Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self {
            error: error.into(),
            exit: None,
            stderr: Vec::new(),
            rubbish_lines: 0,
        }
    }
}

/// What a start will be of: known before it begins, so that it can be shown.
#[derive(Debug)]
pub(super) struct Start<'a> {
    settings: &'a Settings,
    pub(super) program: Program,
    server: Arc<Server>,
    /// Whether a package may have to be fetched first.
    fetches: bool,
}

impl<'a> Start<'a> {
    /// Prepares to start `server`.
    pub(super) fn of(server: Arc<Server>, settings: &'a Settings) -> Result<Self, Error> {
        let program = command::build(&server, &settings.policy)?;
        let fetches = program
            .package
            .as_deref()
            .is_some_and(|name| !settings.installed.has(name));
        Ok(Self {
            settings,
            program,
            server,
            fetches,
        })
    }

    /// What the server does while this runs, and what to know about it.
    pub(super) fn state(&self) -> (State, String) {
        match self.program.package.as_deref().filter(|_| self.fetches) {
            Some(package) => (
                State::Installing,
                format!("{package} is being fetched or started"),
            ),
            None => (
                State::Starting,
                "it has been started and has not answered yet".to_owned(),
            ),
        }
    }

    /// Starts a process and greets it, first in the form of `era`; a server that refuses both forms gets
    /// one more process.
    pub(super) async fn run(&self, era: Era) -> Result<(Running, Greeting), Failed> {
        if let Some(ready) = self.attempt(era).await? {
            return Ok(ready);
        }
        match self.attempt(Era::Modern).await? {
            Some(ready) => Ok(ready),
            None => Err(handshake_refused().into()),
        }
    }

    /// `None`: it refused both questions.
    async fn attempt(&self, era: Era) -> Result<Option<(Running, Greeting)>, Failed> {
        let child = child::spawn(&self.settings.launcher, &self.program)?;
        let mut running = Running::new(child, self.settings.line_bytes_max);
        let link = running.link().clone();
        let limit = if self.fetches {
            INSTALL_MAX
        } else {
            self.server.limits.startup
        };
        let outcome = tokio::select! {
            // An answer counts, even of a server that ended right after it.
            biased;
            outcome = handshake::greet(&link, era, limit) => outcome,
            exit = running.ended() => {
                let error = Error::Exited { exit, heard: heard(&running) };
                return Err(failed(error, Some(exit), &running));
            }
        };
        match outcome {
            Ok(Outcome::Ready(greeting)) => {
                if let Some(package) = &self.program.package {
                    self.settings.installed.note(package);
                }
                Ok(Some((running, greeting)))
            }
            Ok(Outcome::Restart) => {
                running.kill().await;
                Ok(None)
            }
            Err(source) => {
                // Perhaps the package was cleared away, and fetching it takes its time.
                self.settings.installed.forget();
                let error = Error::Handshake {
                    source,
                    heard: heard(&running),
                };
                let mut failed = failed(error, None, &running);
                failed.exit = Some(running.kill().await);
                Err(failed)
            }
        }
    }
}

fn failed(error: Error, exit: Option<Exit>, running: &Running) -> Failed {
    let rubbish_lines = running.link().noise().rubbish_lines();
    Failed {
        error,
        exit,
        stderr: running.last_words(),
        rubbish_lines,
    }
}

fn handshake_refused() -> Error {
    let source = handshake::Error::Refused {
        asked: "server/discover",
        why: "of a new process, too".to_owned(),
    };
    Error::Handshake {
        source,
        heard: String::new(),
    }
}

/// What a server said instead of an answer: on standard output what is no message, else its last words.
fn heard(running: &Running) -> String {
    let noise = running.link().noise();
    let last = running.last_words().pop().unwrap_or_default();
    match (noise.rubbish_lines(), last.is_empty()) {
        (0, true) => String::new(),
        (0, false) => format!("; its last words: {last}"),
        (lines, _) => format!(
            "; {lines} of the lines on its standard output {are} no MCP message, first: {}",
            noise.sample(),
            are = if lines == 1 { "is" } else { "are" },
        ),
    }
}
