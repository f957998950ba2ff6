//! What operators are told about the server: its state, why, since when, and its last words.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::name::ServerName;
use proto::v1::ServerStatus;

use super::greeting::Greeting;

/// What the server does. The names are those of `gatehouse.v1.ServerStatus.state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// There is no such server in the catalog (any more).
    #[default]
    Absent,
    /// Its package is perhaps still being fetched.
    Installing,
    /// It was started and has not answered yet.
    Starting,
    /// It takes calls.
    Ready,
    /// It cannot be started, and nothing but a change will help.
    Failed,
    /// It ended, or did not start; it will be started again.
    Backoff,
    /// It was stopped.
    Stopped,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "absent",
            Self::Installing => "installing",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Backoff => "backoff",
            Self::Stopped => "stopped",
        })
    }
}

/// The state of one server, as it is reported.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// What it does.
    pub state: State,
    /// What to know about the state.
    pub message: String,
    /// Process id; 0: none.
    pub pid: u32,
    /// How often it was started again.
    pub restarts: u32,
    /// Since when it is in this state.
    pub since: Option<SystemTime>,
    /// When it will be started again.
    pub next_start: Option<SystemTime>,
    /// Its last words on standard error, oldest first.
    pub stderr: Vec<String>,
    /// The MCP revision that it speaks.
    pub mcp_revision: &'static str,
    /// Its own name and version.
    pub server_info: String,
    /// Lines on its standard output that were no message.
    pub rubbish_lines: u64,
    /// What it was started with. Values of its environment are never part of it.
    pub argv: Vec<String>,
    /// How the last process ended.
    pub last_exit: String,
}

impl Status {
    /// Goes into a state, now.
    pub fn enter(&mut self, state: State, message: impl Into<String>) {
        if self.state != state || self.since.is_none() {
            self.since = Some(SystemTime::now());
        }
        (self.state, self.message, self.next_start) = (state, message.into(), None);
    }

    /// It will be started again, after `wait`.
    pub fn again_after(&mut self, wait: Duration) {
        self.next_start = SystemTime::now().checked_add(wait);
    }

    /// Takes what the server says of itself.
    pub fn introduce(&mut self, greeting: &Greeting) {
        self.mcp_revision = greeting.revision.as_str();
        self.server_info.clone_from(&greeting.shown);
    }

    /// As it is sent to the control plane.
    pub fn report(&self, server: &ServerName, node: &str) -> ServerStatus {
        ServerStatus {
            server: server.as_str().to_owned(),
            node: node.to_owned(),
            state: self.state.to_string(),
            message: self.message.clone(),
            pid: self.pid,
            restarts: self.restarts,
            since_unix_ms: unix_ms(self.since),
            next_start_unix_ms: unix_ms(self.next_start),
            stderr: self.stderr.clone(),
            mcp_revision: self.mcp_revision.to_owned(),
            server_info: self.server_info.clone(),
            rubbish_lines: self.rubbish_lines,
            argv: self.argv.clone(),
            last_exit: self.last_exit.clone(),
        }
    }
}

/// Unix milliseconds; 0 where there is no time.
fn unix_ms(time: Option<SystemTime>) -> i64 {
    let since = time
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
