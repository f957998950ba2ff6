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

/// How to run one: the last words say over what it is spoken to.
pub fn argv(made: Made, speaks: Speaks, over: &[&str]) -> Vec<String> {
    let program = match made {
        Made::Python => vec![
            place::python(),
            place::file("tests/servers/python/fixture.py"),
        ],
        Made::Rust => vec![place::installed("target/clients/debug/rmcp-fixture")],
    };
    let era = match speaks {
        Speaks::Both => "dual",
        Speaks::Legacy => "legacy",
        Speaks::Modern => "modern",
    };
    let words = program
        .iter()
        .map(|path| path.to_string_lossy().into_owned());
    let options = ["--era", era].into_iter().chain(over.iter().copied());
    words.chain(options.map(str::to_owned)).collect()
}

impl FixtureServer {
    /// Starts one.
    pub fn start(made: Made, speaks: Speaks) -> Self {
        let words = argv(made, speaks, &["http", "0"]);
        let (program, options) = words.split_first().expect("it has a program");
        Self::of(Command::new(program).args(options))
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
