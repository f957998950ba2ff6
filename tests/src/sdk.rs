//! Real clients: programs on the SDKs that users have, in `tests/clients`.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::place;
use crate::process;

/// Above the clients' own limit of 60 s.
const DEADLINE: Duration = Duration::from_secs(75);

/// A client program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sdk {
    /// PyPI `mcp`, stateless.
    PythonModern,
    /// PyPI `mcp`, with a session.
    PythonLegacy,
    /// npm `@modelcontextprotocol/sdk` 1.x.
    TypeScript,
    /// npm `@modelcontextprotocol/client` 2.x, stateless.
    TypeScript2,
    /// crates.io `rmcp`, stateless.
    RustModern,
    /// crates.io `rmcp`, with a session.
    RustLegacy,
}

/// What a client said about its one command.
#[derive(Debug, Clone)]
pub struct Answer(Value);

impl Sdk {
    /// The revision that it must end up speaking.
    pub fn revision(self) -> &'static str {
        match self {
            Self::PythonModern | Self::TypeScript2 | Self::RustModern => crate::rpc::MODERN,
            Self::PythonLegacy | Self::TypeScript | Self::RustLegacy => crate::rpc::LEGACY,
        }
    }

    /// Lists all tools.
    pub fn list(self, url: &str, key: &str) -> Answer {
        self.run(url, key, &["list"])
    }

    /// Calls a tool.
    pub fn call(self, url: &str, key: &str, tool: &str, arguments: &Value) -> Answer {
        self.run(url, key, &["call", tool, &arguments.to_string()])
    }

    fn run(self, url: &str, key: &str, words: &[&str]) -> Answer {
        let mut command = self.program();
        command.args(["--url", url]);
        if !key.is_empty() {
            command.args(["--key", key]);
        }
        let output = process::run(command.args(words), DEADLINE);
        Answer(output.json())
    }

    fn program(self) -> Command {
        let run = |program: std::path::PathBuf, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(arguments).current_dir(place::repository());
            command
        };
        let rust = || place::installed("target/clients/debug/rmcp-client");
        match self {
            Self::PythonModern => run(
                place::python(),
                &["tests/clients/python/client.py", "--mode", "modern"],
            ),
            Self::PythonLegacy => run(
                place::python(),
                &["tests/clients/python/client.py", "--mode", "legacy"],
            ),
            Self::TypeScript => run("node".into(), &["tests/clients/ts/client.mjs"]),
            Self::TypeScript2 => run("node".into(), &["tests/clients/ts2/modern.mjs"]),
            Self::RustModern => run(rust(), &["--mode", "modern"]),
            Self::RustLegacy => run(rust(), &["--mode", "legacy"]),
        }
    }
}

impl Answer {
    /// Itself, if the server answered with a result, in this revision.
    #[track_caller]
    pub fn in_revision(self, revision: &str) -> Self {
        assert_eq!(self.0["ok"], true, "{}", self.0);
        assert_eq!(self.0["protocol_version"], revision, "{}", self.0);
        self
    }

    /// The names of all tools.
    #[track_caller]
    pub fn tools(&self) -> Vec<&str> {
        let tools = self.0["tools"]
            .as_array()
            .unwrap_or_else(|| panic!("no tools: {}", self.0));
        tools.iter().filter_map(Value::as_str).collect()
    }

    /// The text of a call's result.
    #[track_caller]
    pub fn text(&self) -> &str {
        self.0["text"]
            .as_str()
            .unwrap_or_else(|| panic!("no text: {}", self.0))
    }

    /// The code of the error that the client met.
    #[track_caller]
    pub fn error_code(&self) -> i64 {
        self.0["error"]["code"]
            .as_i64()
            .unwrap_or_else(|| panic!("no error code: {}", self.0))
    }

    /// The status of the last HTTP answer that was none of success.
    #[track_caller]
    pub fn status(&self) -> u64 {
        self.0["status"]
            .as_u64()
            .unwrap_or_else(|| panic!("no status: {}", self.0))
    }
}
