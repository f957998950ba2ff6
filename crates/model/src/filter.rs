//! Filters: what inspects a message.

use std::time::Duration;

use crate::name::{FilterName, Glob, SecretName};
use crate::url::HttpUrl;

/// One filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Its name.
    pub name: FilterName,
    /// Which messages it sees.
    pub matches: Match,
    /// What it does.
    pub kind: Kind,
    /// What happens where the filter itself fails.
    pub on_error: OnError,
    /// Whether it may change messages.
    pub may_change: bool,
    /// Filters run from the lowest to the highest; equal ones by name.
    pub order: i32,
    /// Whether it decides.
    pub mode: Mode,
}

/// Whether a filter decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// It does.
    #[default]
    Enforce,
    /// It looks, and what it would have done is recorded.
    Observe,
}

/// Which messages a filter sees. An empty list is every one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Servers, by name or glob.
    pub servers: Vec<Glob>,
    /// MCP methods, by name or glob.
    pub methods: Vec<Glob>,
    /// Tools, by name or glob; where it is given, only `tools/call` matches.
    pub tools: Vec<Glob>,
    /// Which way messages go.
    pub direction: Direction,
}

/// Which way messages go that a filter sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From client to server.
    Request,
    /// From server to client.
    Response,
    /// Both ways.
    Both,
}

impl Direction {
    /// Whether messages that go `way` are seen. `way` is `Request` or `Response`.
    pub fn includes(self, way: Direction) -> bool {
        self == Self::Both || self == way
    }
}

/// What a filter does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Refuses messages in whose decoded strings one of the words stands.
    Keywords {
        /// Words or phrases, not empty.
        words: Vec<String>,
        /// Whether case is folded.
        fold: bool,
    },
    /// Asks a receiver.
    Webhook(Webhook),
}

/// A receiver that is asked about messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Where it listens.
    pub url: HttpUrl,
    /// The secret that signs what it is asked.
    pub secret: SecretName,
    /// How long it may take.
    pub timeout: Duration,
    /// What is spoken with it.
    pub format: Format,
    /// Whether only an answer counts that is signed with the same secret.
    pub signed_answer: bool,
}

/// A form of webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Our own (CONTRACT section 6), signed after Standard Webhooks.
    Standard,
    /// Obot's: the bare message; any status but 200 rejects.
    Obot,
}

/// What happens where a filter fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// The message is refused.
    Deny,
    /// The message goes on.
    Allow,
}
