//! The servers: packages as users run them, and programs in `tests/matrix/servers` and `tests/servers`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::catalog;
use crate::fixture_server::{FixtureServer, Made, Speaks};
use crate::listener::{Answer, Listener};
use crate::place;

/// How one is reached.
#[derive(Debug)]
pub(super) enum Target {
    /// The words of a command.
    Stdio(Vec<String>),
    /// A URL.
    Http(String),
    /// The URL of a stream of 2024-11-05.
    Sse(String),
}

/// A server in the catalog.
#[derive(Debug)]
pub(super) struct Server {
    /// Its name there, and its plan's.
    pub(super) name: &'static str,
    /// As the table has it.
    pub(super) title: &'static str,
    target: Target,
}

/// Whatever must be there before clients and Gatehouse come: servers over HTTP, and what the others read.
#[derive(Debug)]
pub(super) struct Stage {
    fastmcp: FixtureServer,
    modern: FixtureServer,
    rmcp: FixtureServer,
    sse: FixtureServer,
    page: Listener,
    folder: PathBuf,
}

impl Stage {
    /// With a folder for its files.
    pub(super) fn set(folder: &Path) -> Self {
        let file = |path| place::file(&format!("tests/matrix/servers/{path}"));
        let start =
            |program: PathBuf, script| FixtureServer::of(Command::new(program).arg(file(script)));
        let node = || place::program("node");
        let shown = folder.join("shown");
        std::fs::create_dir(&shown).expect("a folder can be made");
        std::fs::write(shown.join("note.txt"), "A note to read\n").expect("a file can be written");
        Self {
            fastmcp: start(python(), "python/server.py"),
            modern: start(node(), "ts/modern.mjs"),
            rmcp: FixtureServer::start(Made::Rust, Speaks::Both),
            sse: start(node(), "ts/sse.mjs"),
            page: Listener::start(|_| {
                let page = "<html><body><h1>A page to fetch</h1><p>And no more.</p></body></html>";
                Answer::status(200)
                    .with("content-type", "text/html")
                    .body(page)
            }),
            folder: shown,
        }
    }

    /// A plan with what only this run knows.
    pub(super) fn fill_in(&self, plan: &str) -> String {
        plan.replace("{page}", &self.page.url("/page"))
            .replace("{folder}", text(&self.folder))
    }

    pub(super) fn servers(&self) -> Vec<Server> {
        let folder = text(&self.folder);
        let memory = format!("MEMORY_FILE_PATH={folder}/memory.jsonl");
        let mut remembering = vec![program("env"), memory];
        remembering.extend(package("server-memory", &[]));
        let url = |server: &FixtureServer| server.url().to_owned();
        vec![
            Server::new(
                "everything",
                "`server-everything` 2026.8.31",
                Target::Stdio(package("server-everything", &["stdio"])),
            ),
            Server::new(
                "memory",
                "`server-memory` 2026.8.31",
                Target::Stdio(remembering),
            ),
            Server::new(
                "filesystem",
                "`server-filesystem` 2026.8.31",
                Target::Stdio(package("server-filesystem", &[folder])),
            ),
            Server::new(
                "time",
                "`mcp-server-time` 2026.10.19",
                Target::Stdio(module("mcp_server_time", &["--local-timezone", "UTC"])),
            ),
            Server::new(
                "fetch",
                "`mcp-server-fetch` 2026.10.24",
                Target::Stdio(module(
                    "mcp_server_fetch",
                    &["--allow-private-ips", "--ignore-robots-txt"],
                )),
            ),
            Server::new(
                "fastmcp",
                "a server on `fastmcp` 4.1.2",
                Target::Http(url(&self.fastmcp)),
            ),
            Server::new(
                "ts-modern",
                "a server on TypeScript `server` 2.4.0, 2026-07-28 alone",
                Target::Http(url(&self.modern)),
            ),
            Server::new(
                "rmcp",
                "a server on `rmcp` 3.9.0",
                Target::Http(url(&self.rmcp)),
            ),
            Server::new(
                "sse",
                "a server of 2024-11-05 over HTTP+SSE, on TypeScript `sdk` 1.9.0",
                Target::Sse(url(&self.sse)),
            ),
        ]
    }
}

impl Server {
    pub(super) fn new(name: &'static str, title: &'static str, target: Target) -> Self {
        Self {
            name,
            title,
            target,
        }
    }

    /// Its entry of the catalog.
    pub(super) fn resource(&self) -> Value {
        let runtime = match &self.target {
            Target::Stdio(argv) => json!({"command": {"argv": argv}}),
            Target::Http(url) | Target::Sse(url) => json!({"remote": {"url": url}}),
        };
        // Each client with a session of its own: only so may a server ask it something.
        let spec = json!({"tenancy": "per-session", "runtime": runtime});
        catalog::resource("Server", self.name, &spec)
    }

    /// How it is reached without Gatehouse.
    pub(super) fn target(&self) -> &Target {
        &self.target
    }
}

/// A package of npm, run by what it names as its program.
fn package(name: &str, arguments: &[&str]) -> Vec<String> {
    let main = format!("tests/matrix/node_modules/@modelcontextprotocol/{name}/dist/index.js");
    argv(
        vec![program("node"), text(&place::installed(&main)).to_owned()],
        arguments,
    )
}

/// A package of PyPI, run as a module.
fn module(name: &str, arguments: &[&str]) -> Vec<String> {
    let words = vec![text(&python()).to_owned(), "-m".to_owned(), name.to_owned()];
    argv(words, arguments)
}

fn argv(mut words: Vec<String>, arguments: &[&str]) -> Vec<String> {
    words.extend(arguments.iter().map(|&word| word.to_owned()));
    words
}

fn python() -> PathBuf {
    place::installed(".tools/matrix/bin/python")
}

fn program(name: &str) -> String {
    text(&place::program(name)).to_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are text")
}
