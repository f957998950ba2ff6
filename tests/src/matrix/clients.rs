//! The clients: programs in `tests/matrix/clients`, each on an SDK that users have.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::servers::Target;
use crate::place;
use crate::process;

/// Above the clients' own limits: 20 s for connecting, 10 s for each feature, 5 s for the goodbye.
const DEADLINE: Duration = Duration::from_secs(150);

/// A client, and the era that it is told to speak.
#[derive(Debug, Clone)]
pub(super) struct Client {
    /// As the table has it.
    pub(super) name: &'static str,
    program: Program,
    era: &'static str,
    over: &'static [Over],
}

#[derive(Debug, Clone, Copy)]
enum Program {
    /// A venv, and a script in it.
    Python(&'static str, &'static str),
    Node(&'static str),
    Rust,
}

#[derive(Debug, PartialEq, Eq)]
enum Over {
    Stdio,
    Http,
    /// HTTP+SSE of 2024-11-05.
    Sse,
}

use Over::{Http, Sse, Stdio};

const ANY: &[Over] = &[Stdio, Http, Sse];

const MCP1: Program = Program::Python("matrix-mcp1", "mcp1");
const MCP2: Program = Program::Python("matrix", "mcp2");
const FASTMCP: Program = Program::Python("matrix", "fastmcp4");
const SDK1: Program = Program::Node("sdk1");
const SDK2: Program = Program::Node("sdk2");
const INSPECTOR: Program = Program::Node("inspector");
const SSE: Program = Program::Node("sse");
const RMCP: Program = Program::Rust;

/// All of them. One that speaks both eras is here twice: it finds out what the other side speaks, or is told to speak
/// the older one.
pub(super) const ALL: [Client; 13] = [
    client("Python mcp 1.30.0", MCP1, "legacy", ANY),
    client("Python mcp 2.3.0", MCP2, "auto", ANY),
    client("Python mcp 2.3.0, legacy", MCP2, "legacy", ANY),
    client("TypeScript sdk 1.32.2", SDK1, "legacy", ANY),
    client("TypeScript client 2.4.0", SDK2, "auto", ANY),
    client("TypeScript client 2.4.0, legacy", SDK2, "legacy", ANY),
    client("rmcp 3.9.0", RMCP, "auto", &[Stdio, Http]),
    client("rmcp 3.9.0, legacy", RMCP, "legacy", &[Stdio, Http]),
    client("fastmcp 4.1.2", FASTMCP, "auto", ANY),
    client("fastmcp 4.1.2, legacy", FASTMCP, "legacy", ANY),
    client("Inspector 2.12.0", INSPECTOR, "auto", ANY),
    client("Inspector 2.12.0, legacy", INSPECTOR, "legacy", ANY),
    client("TypeScript sdk 1.9.0, SSE", SSE, "legacy", &[Stdio, Sse]),
];

const fn client(
    name: &'static str,
    program: Program,
    era: &'static str,
    over: &'static [Over],
) -> Client {
    Client {
        name,
        program,
        era,
        over,
    }
}

/// What came of a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Works,
    Fails(String),
    Cannot,
}

/// What a client said about all of a plan.
#[derive(Debug)]
pub(super) struct Report {
    /// What it speaks; `None` where it did not connect.
    pub(super) revision: Option<String>,
    features: BTreeMap<String, Value>,
    /// Why there is nothing of a feature.
    otherwise: String,
}

impl Client {
    /// Whether it speaks nothing newer than sessions.
    pub(super) fn is_legacy(&self) -> bool {
        self.era == "legacy"
    }

    /// Where it reaches a server through an edge.
    pub(super) fn through(&self, edge: &str, server: &str) -> Target {
        if self.over.contains(&Http) {
            Target::Http(format!("{edge}/mcp/{server}"))
        } else {
            Target::Sse(format!("{edge}/sse/{server}"))
        }
    }

    /// Does all of a plan; `None` where it cannot speak that way.
    pub(super) fn run(&self, to: &Target, key: Option<&str>, plan: &Path) -> Option<Report> {
        let (over, mut words) = match to {
            Target::Stdio(argv) => (Stdio, vec!["--stdio".to_owned(), json!(argv).to_string()]),
            Target::Http(url) => (Http, vec!["--url".to_owned(), url.clone()]),
            Target::Sse(url) => (
                Sse,
                vec!["--url".to_owned(), url.clone(), "--sse".to_owned()],
            ),
        };
        if !self.over.contains(&over) {
            return None;
        }
        if let Some(key) = key {
            words.extend(["--key".to_owned(), key.to_owned()]);
        }
        let mut command = self.command();
        command
            .args(words)
            .args(["--era", self.era, "--plan"])
            .arg(plan);
        Some(Report::of_run(process::try_run(&mut command, DEADLINE)))
    }

    fn command(&self) -> Command {
        let script = |path| place::file(&format!("tests/matrix/clients/{path}"));
        match self.program {
            Program::Python(venv, name) => {
                let python = place::installed(&format!(".tools/{venv}/bin/python"));
                let mut command = Command::new(python);
                command.arg(script(format!("python/{name}.py")));
                command
            }
            Program::Node(name) => {
                let mut command = Command::new("node");
                command.arg(script(format!("ts/{name}.mjs")));
                command
            }
            Program::Rust => Command::new(place::installed("target/clients/debug/rmcp-matrix")),
        }
    }
}

impl Report {
    fn of_run(output: Option<process::Output>) -> Self {
        let nothing = |otherwise| Self {
            revision: None,
            features: BTreeMap::new(),
            otherwise,
        };
        let Some(output) = output else {
            return nothing(format!("the client did not end within {DEADLINE:?}"));
        };
        let document: Result<Value, _> = serde_json::from_str(&output.stdout);
        let Ok(mut document) = document else {
            return nothing(format!("no document: {output}"));
        };
        Self {
            revision: document["revision"].as_str().map(str::to_owned),
            features: serde_json::from_value(document["features"].take()).unwrap_or_default(),
            otherwise: "the client said nothing about it".to_owned(),
        }
    }

    /// All that it said, as text.
    pub(super) fn text(&self) -> String {
        json!(self.features).to_string() + &self.otherwise
    }

    /// What came of a feature.
    pub(super) fn of(&self, feature: &str) -> Outcome {
        let Some(said) = self.features.get(feature) else {
            return Outcome::Fails(self.otherwise.clone());
        };
        if said["ok"] == true {
            Outcome::Works
        } else if said.get("skipped").is_some() {
            Outcome::Cannot
        } else {
            Outcome::Fails(said["why"].as_str().unwrap_or_default().to_owned())
        }
    }
}
