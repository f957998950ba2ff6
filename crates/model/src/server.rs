//! A server of the catalog: what it is and how it is run or reached.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::name::ServerName;

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
    /// Values that it is given by the admin, as environment variables.
    pub env: BTreeMap<String, String>,
    /// Bounds of one instance.
    pub limits: Limits,
}

/// How callers share a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tenancy {
    /// One process, and over stdio one upstream session, for all callers.
    Shared,
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
}

impl Runtime {
    /// As users write it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Npx { .. } => "npx",
            Self::Uvx { .. } => "uvx",
            Self::Command { .. } => "command",
        }
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
