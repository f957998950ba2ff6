//! A server of the catalog: what it is and how it is run or reached.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::name::{SecretName, ServerName};

/// A server, as far as this version acts on it. Everything else is refused where it is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name.
    pub name: ServerName,
    /// Free labels.
    pub labels: BTreeMap<String, String>,
    /// For people. May be empty.
    pub title: String,
    /// For people. May be empty.
    pub description: String,
    /// How callers share it.
    pub tenancy: Tenancy,
    /// How it is run or reached.
    pub runtime: Runtime,
    /// Values that it is given as environment variables. Hosted servers only.
    pub env: BTreeMap<String, Value>,
    /// Values that it is sent as headers, by name in lower case. Remote servers only.
    pub headers: BTreeMap<String, Value>,
    /// Values that stand in its URL, by key. Remote servers only.
    pub url_values: BTreeMap<String, Value>,
    /// Bounds of one instance.
    pub limits: Limits,
    /// What is done with its tool definitions.
    pub tools: ToolPolicy,
}

/// What is done with a server's tool definitions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ToolPolicy {
    /// With one that is new or has changed.
    pub pin: Pin,
    /// How old what is known of them may be when a tool is called. Zero: they are asked for before each call.
    pub check: Duration,
    /// Whether rules may go by what approved definitions say of their tools.
    pub trust_annotations: bool,
}

impl ToolPolicy {
    /// Whether rules may go by what approved definitions say: where nobody looks, none is approved.
    pub fn is_trusted(&self) -> bool {
        self.trust_annotations && self.pin != Pin::Off
    }
}

/// What is done with a tool definition that is new or has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pin {
    /// Nobody looks.
    #[default]
    Off,
    /// It is taken, and said.
    Auto,
    /// It is held until somebody accepts it.
    Review,
}

impl Pin {
    /// As users write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Auto => "auto",
            Self::Review => "review",
        }
    }
}

/// A value that a server is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// As the admin wrote it.
    Plain(String),
    /// That of a secret.
    Secret(SecretName),
}

impl Value {
    /// The secret that it needs, if any.
    pub fn secret(&self) -> Option<&SecretName> {
        match self {
            Self::Plain(_) => None,
            Self::Secret(name) => Some(name),
        }
    }
}

impl Server {
    /// Every value that it is told, with the key that it stands under.
    pub fn values(&self) -> impl Iterator<Item = (&str, &Value)> {
        let maps = [&self.env, &self.headers, &self.url_values];
        maps.into_iter()
            .flat_map(|map| map.iter())
            .map(|(key, value)| (key.as_str(), value))
    }

    /// The secrets that it needs.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretName> {
        self.values().filter_map(|(_, value)| value.secret())
    }
}

/// How callers share a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tenancy {
    /// One process, and over stdio one upstream session, for all callers.
    Shared,
    /// An upstream session, over stdio a process, for each user and set of client capabilities.
    PerSession,
    /// An instance for each user.
    PerUser,
}

/// How a server is run or reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runtime {
    /// A package of npm, at one exact version.
    Npx {
        /// Name, with scope.
        package: String,
        /// Exact version.
        version: String,
        /// Arguments of the program.
        args: Vec<String>,
    },
    /// A package of PyPI, at one exact version.
    Uvx {
        /// Name.
        package: String,
        /// Exact version.
        version: String,
        /// Arguments of the program.
        args: Vec<String>,
    },
    /// A program by path. Runs only where the sidecar's operator allows it.
    Command {
        /// Program and arguments; never given to a shell.
        argv: Vec<String>,
    },
    /// A server that somebody else runs, spoken to over HTTP.
    Remote {
        /// Its endpoint; `${KEY}` stands for a value of [`Server::url_values`].
        url: String,
    },
    /// Its own sidecar, started by somebody else, joins and serves it.
    External,
}

impl Runtime {
    /// As users write it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Npx { .. } => "npx",
            Self::Uvx { .. } => "uvx",
            Self::Command { .. } => "command",
            Self::Remote { .. } => "remote",
            Self::External => "external",
        }
    }

    /// Whether a sidecar runs it as a process.
    pub const fn is_hosted(&self) -> bool {
        matches!(
            self,
            Self::Npx { .. } | Self::Uvx { .. } | Self::Command { .. }
        )
    }
}

/// Bounds of one instance of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How long a start may take, once installed. Default 60 s.
    pub startup: Duration,
    /// How long a call may take. Default 60 s.
    pub call: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            startup: Duration::from_secs(60),
            call: Duration::from_secs(60),
        }
    }
}
