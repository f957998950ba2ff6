//! Servers that offer all of MCP, on two SDKs: `tests/servers`.

use std::process::Command;
use std::time::Duration;

use crate::place;
use crate::process::Process;
use crate::wait;

/// How long one may take to listen.
const LISTENS: Duration = Duration::from_secs(30);

/// The SDK that it is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// PyPI `mcp`.
    Python,
    /// crates.io `rmcp`.
    Rust,
}

/// What it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// Both eras at one URL.
    Both,
    /// The era of sessions alone.
    Legacy,
    /// 2026-07-28 alone.
    Modern,
}

/// A server over HTTP, while it is held.
#[derive(Debug)]
pub struct FixtureServer {
    _process: Process,
    url: String,
}

impl FixtureServer {
    /// Starts one.
    pub fn start(made: Made, speaks: Speaks) -> Self {
        let mut command = match made {
            Made::Python => {
                let mut command = Command::new(place::python());
                command.arg(place::file("tests/servers/python/fixture.py"));
                command
            }
            Made::Rust => Command::new(place::installed("target/clients/debug/rmcp-fixture")),
        };
        let era = match speaks {
            Speaks::Both => "dual",
            Speaks::Legacy => "legacy",
            Speaks::Modern => "modern",
        };
        Self::of(command.args(["--era", era, "http", "0"]))
    }

    /// Starts any server that says its URL, alone on a line, once it listens.
    pub fn of(command: &mut Command) -> Self {
        let process = Process::start(command, None);
        let url = wait::until("the fixture server to listen", LISTENS, || {
            let said = process.stdout();
            let url = said.lines().find(|line| line.starts_with("http://"));
            url.map(str::to_owned).ok_or_else(|| process.stderr())
        });
        Self {
            _process: process,
            url,
        }
    }

    /// Its endpoint.
    pub fn url(&self) -> &str {
        &self.url
    }
}
