//! One start of a server: the process, or where it is; the first words; and how much time they get.

use std::sync::Arc;
use std::time::Duration;

use dataplane::egress::Egress;
use engine::upstream::Upstream;
use mcp::revision::Era;

use super::greeting::{Greeting, Who};
use super::handshake::{self, Outcome};
use super::running::Running;
use super::status::State;
use super::wanted::{Target, Wanted};
use super::{http, stdio};
use crate::logs::ServerLog;
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
    /// What servers say, and what becomes of them.
    pub log: ServerLog,
    /// The way to servers that the catalog names by URL.
    pub egress: Egress,
    /// The way to the server that the sidecar's own settings name by URL.
    pub own_egress: Egress,
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
    /// It cannot be reached, or is of no use.
    #[error("{0}")]
    Http(String),
    /// It cannot be brought up with the configuration in force.
    #[error("{0}")]
    Nothing(String),
}

impl Error {
    /// Whether another try can help without a change of configuration.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Command(error) => error.may_pass(),
            Self::Nothing(_) => false,
            Self::Child(_) | Self::Exited { .. } | Self::Handshake { .. } | Self::Http(_) => true,
        }
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
pub(super) enum Start<'a> {
    /// A process.
    Process(ProcessStart<'a>),
    /// A server that is there already.
    Http {
        /// Where it is.
        upstream: Arc<Upstream>,
        /// The way there.
        egress: Box<Egress>,
        /// How long it may take to say what it is.
        limit: Duration,
    },
}

/// A process to start.
#[derive(Debug)]
pub(super) struct ProcessStart<'a> {
    settings: &'a Settings,
    program: Program,
    /// How long it may take to be ready once it is installed.
    limit: Duration,
    /// Whether a package may have to be fetched first.
    fetches: bool,
}

impl<'a> Start<'a> {
    /// Prepares to bring `wanted` up.
    pub(super) fn of(wanted: &Wanted, settings: &'a Settings) -> Result<Self, Error> {
        let limit = wanted.server.limits.startup;
        match &wanted.target {
            Target::Process(process) => {
                let program = command::build(process, &settings.policy)?;
                let package = program.package.as_deref();
                Ok(Self::Process(ProcessStart {
                    settings,
                    fetches: package.is_some_and(|name| !settings.installed.has(name)),
                    program,
                    limit,
                }))
            }
            Target::Http(http) => {
                let by_operator = http.by_operator;
                let egress = if by_operator {
                    &settings.own_egress
                } else {
                    &settings.egress
                };
                Ok(Self::Http {
                    upstream: http.upstream.clone(),
                    egress: Box::new(egress.clone()),
                    limit,
                })
            }
            Target::Nothing(why) => Err(Error::Nothing(why.clone())),
        }
    }

    /// What is run; empty where nothing is.
    pub(super) fn argv(&self) -> Vec<String> {
        match self {
            Self::Process(process) => process.program.argv.clone(),
            Self::Http { .. } => Vec::new(),
        }
    }

    /// What the server does while this runs, and what to know about it.
    pub(super) fn state(&self) -> (State, String) {
        match self {
            Self::Process(process) => process.state(),
            Self::Http { upstream, .. } => (
                State::Starting,
                format!("{} is asked what it is", upstream.url.authority()),
            ),
        }
    }

    /// Brings it up and greets it, first in the form of `era`; a process that refuses both forms gets one more try.
    pub(super) async fn run(&self, era: Era) -> Result<(Running, Greeting), Failed> {
        match self {
            Self::Process(process) => {
                let (running, greeting) = process.run(era, &Who::default()).await?;
                Ok((Running::Process(Box::new(running)), greeting))
            }
            Self::Http {
                upstream,
                egress,
                limit,
            } => {
                let reached =
                    http::Running::reach((**egress).clone(), upstream.clone(), *limit).await;
                let (running, greeting) = reached.map_err(Error::Http)?;
                Ok((Running::Http(running), greeting))
            }
        }
    }
}

impl ProcessStart<'_> {
    fn state(&self) -> (State, String) {
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

    /// Starts it for `who`; a process that refuses both forms of greeting gets one more try.
    pub(super) async fn run(
        &self,
        era: Era,
        who: &Who,
    ) -> Result<(stdio::Running, Greeting), Failed> {
        if let Some(ready) = self.attempt(era, who).await? {
            return Ok(ready);
        }
        match self.attempt(Era::Modern, who).await? {
            Some(ready) => Ok(ready),
            None => Err(handshake_refused().into()),
        }
    }

    /// `None`: it refused both questions.
    async fn attempt(
        &self,
        era: Era,
        who: &Who,
    ) -> Result<Option<(stdio::Running, Greeting)>, Failed> {
        let child = child::spawn(&self.settings.launcher, &self.program, &self.settings.log)?;
        let line_bytes_max = self.settings.line_bytes_max;
        let mut running = stdio::Running::new(child, line_bytes_max, who.holder.is_some());
        let link = running.link().clone();
        let limit = if self.fetches {
            INSTALL_MAX
        } else {
            self.limit
        };
        let outcome = tokio::select! {
            // An answer counts, even of a server that ended right after it.
            biased;
            outcome = handshake::greet(&link, era, who, limit) => outcome,
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

fn failed(error: Error, exit: Option<Exit>, running: &stdio::Running) -> Failed {
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
fn heard(running: &stdio::Running) -> String {
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
