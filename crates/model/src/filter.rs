//! Filters: what inspects a message.

mod pii;

use std::time::Duration;

use crate::name::{FilterName, Glob, SecretName};
use crate::url::HttpUrl;
pub use pii::Detector;

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
    /// Finds what regular expressions match.
    Regex(Regex),
    /// Finds personal data and secrets.
    Pii(Pii),
    /// Compares calls and results with the tool's own schemas.
    Schema,
    /// Bounds messages.
    Size(Size),
    /// Refuses text that gives orders to a model.
    Injection(Injection),
    /// Finds characters that nobody sees.
    Hidden(Hidden),
}

impl Kind {
    /// As users write it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Keywords { .. } => "keywords",
            Self::Webhook(_) => "webhook",
            Self::Regex(_) => "regex",
            Self::Pii(_) => "pii",
            Self::Schema => "schema",
            Self::Size(_) => "size",
            Self::Injection(_) => "injection",
            Self::Hidden(_) => "hidden",
        }
    }

    /// What it does with what it finds; `None` where a receiver says that.
    pub fn action(&self) -> Option<Action> {
        match self {
            Self::Webhook(_) => None,
            Self::Keywords { .. } | Self::Schema | Self::Size(_) | Self::Injection(_) => {
                Some(Action::Refuse)
            }
            Self::Regex(regex) => Some(regex.action),
            Self::Pii(pii) => Some(pii.action),
            Self::Hidden(hidden) => Some(hidden.action),
        }
    }

    /// The secret that it needs, and the field that names it.
    pub fn secret(&self) -> Option<(&'static str, &SecretName)> {
        match self {
            Self::Webhook(hook) => Some(("spec.webhook.secretName", &hook.secret)),
            Self::Pii(pii) => Some(("spec.pii.secretName", pii.secret.as_ref()?)),
            _ => None,
        }
    }
}

/// What becomes of a message in which a filter finds something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is refused.
    Refuse,
    /// The name of what was found takes its place.
    Redact,
    /// A token takes its place.
    Tokenise,
    /// What was found is left out.
    Strip,
}

impl Action {
    /// As users write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Redact => "redact",
            Self::Tokenise => "tokenise",
            Self::Strip => "strip",
        }
    }
}

/// Regular expressions, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regex {
    /// The expressions.
    pub patterns: Vec<Pattern>,
    /// `Refuse` or `Redact`.
    pub action: Action,
}

/// One regular expression. Whether it is one is the engine's to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// For reasons and redactions.
    pub name: String,
    /// The expression.
    pub pattern: String,
}

/// Personal data and secrets that are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pii {
    /// What is looked for; at least one, each once.
    pub detect: Vec<Detector>,
    /// `Refuse`, `Redact` or `Tokenise`.
    pub action: Action,
    /// The key of tokens; there exactly where `action` is `Tokenise`.
    pub secret: Option<SecretName>,
}

/// Bounds of a message; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// Bytes of the whole.
    pub bytes: Option<u64>,
    /// Containers in one another.
    pub depth: Option<u32>,
    /// Values.
    pub nodes: Option<u32>,
    /// Bytes of one string, decoded.
    pub string_bytes: Option<u64>,
}

/// Text that gives orders to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Injection {
    /// Points from which text is refused; at least 1.
    pub threshold: u32,
}

/// Characters that nobody sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hidden {
    /// `Refuse` or `Strip`.
    pub action: Action,
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
