//! A server that is up, whatever it is: what its keeper and its callers need of either kind.

use std::time::Duration;

use super::http::{self, HttpServer};
use super::link::Link;
use super::status::Status;
use super::{sse, stdio};

/// A server that is up. Dropped, a process is ended in the background.
#[derive(Debug)]
pub enum Running {
    /// A process of ours.
    Process(Box<stdio::Running>),
    /// Somebody else's, over HTTP.
    Http(http::Running),
    /// Somebody else's, over HTTP+SSE.
    Sse(sse::Running),
}

/// Where calls to it go. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Target {
    /// Over the pipes of a process, or what is used like them.
    Process(Link),
    /// Over HTTP.
    Http(HttpServer),
}

impl Target {
    /// Waits until there is something new to know about it.
    pub async fn noticed(&self) {
        match self {
            Self::Process(link) => link.noise().heard().await,
            Self::Http(_) => std::future::pending().await,
        }
    }
}

impl Running {
    /// Where calls to it go.
    pub fn target(&self) -> Target {
        match self {
            Self::Process(running) => Target::Process(running.link().clone()),
            Self::Sse(running) => Target::Process(running.link().clone()),
            Self::Http(running) => Target::Http(running.server().clone()),
        }
    }

    /// Waits until it has ended by itself; says how, in words that go on from "the server". Loses nothing if it is
    /// dropped while it waits.
    pub async fn ended(&mut self) -> String {
        match self {
            Self::Process(running) => running.ended().await.to_string(),
            Self::Http(running) => running.ended().await,
            Self::Sse(running) => running.ended().await,
        }
    }

    /// Lets calls finish for at most `within`, then ends it in order; says how it ended.
    pub async fn retire(self, within: Duration) -> String {
        match self {
            Self::Process(running) => running.retire(within).await.to_string(),
            Self::Http(running) => {
                running.retire(within).await;
                "is left alone".to_owned()
            }
            Self::Sse(running) => {
                running.retire(within).await;
                "is left alone".to_owned()
            }
        }
    }

    /// Notes what is known of it.
    pub fn observe(&self, status: &mut Status) {
        match self {
            Self::Process(running) => {
                status.pid = running.pid();
                status.stderr = running.last_words();
                status.rubbish_lines = running.link().noise().rubbish_lines();
            }
            Self::Http(_) | Self::Sse(_) => (status.pid, status.rubbish_lines) = (0, 0),
        }
    }

    /// What to know about it while it is ready. Empty: nothing.
    pub fn remark(&self) -> String {
        let Self::Process(running) = self else {
            return String::new();
        };
        let noise = running.link().noise();
        match noise.rubbish_lines() {
            0 => String::new(),
            lines => format!(
                "lines on its standard output that are no MCP message: {lines}, first: {}",
                noise.sample()
            ),
        }
    }
}
