//! A mesh that runs: what a test asks of it, and does to it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::{Turn, text};
use crate::catalog;
use crate::cluster::Balancer;
use crate::http::Request;
use crate::leftovers::{self, Family};
use crate::place;
use crate::process::{self, Output, Process, Signal};
use crate::report;
use crate::wait;

/// How long `up` may take to `ready`. Long enough for packages that must be fetched first.
const READY: Duration = Duration::from_secs(180);
/// How long a drain may take.
const DRAIN: Duration = Duration::from_secs(40);
/// How long a command may take.
const COMMAND: Duration = Duration::from_secs(60);
/// How long a record may take to the audit store.
const RECORD: Duration = Duration::from_secs(15);

/// An API key.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its id.
    pub id: String,
    /// The key itself.
    pub text: String,
}

/// A part of a mesh: a process that `up` keeps running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its id.
    pub pid: u32,
    /// Its words after the program's name; the first is its kind.
    pub words: Vec<String>,
}

/// A mesh that runs. Dropping it drains it, and checks that nothing of it is left.
#[derive(Debug)]
pub struct Running {
    process: Process,
    words: Vec<String>,
    variables: Vec<(String, String)>,
    edges: Vec<String>,
    data: PathBuf,
    folder: TempDir,
    _turn: Option<Turn>,
}

impl Running {
    /// Starts it with these words, and waits until it is ready.
    pub(super) fn start(
        words: Vec<String>,
        edges: &[String],
        data: PathBuf,
        folder: TempDir,
        variables: Vec<(String, String)>,
        turn: Option<Turn>,
    ) -> Self {
        let process = up(&words, &variables, folder.path());
        let edges = edges
            .iter()
            .map(|address| format!("http://{address}"))
            .collect();
        let mut running = Self {
            process,
            words,
            variables,
            edges,
            data,
            folder,
            _turn: turn,
        };
        running.wait_until_ready();
        running
    }

    /// The base URL of an edge.
    pub fn edge(&self, index: usize) -> &str {
        &self.edges[index]
    }

    /// A balancer before all its edges, which sends each request to the next one, whoever it is from.
    pub fn balancer(&self) -> Balancer {
        let address = |url: &String| url.trim_start_matches("http://").to_owned();
        Balancer::for_requests(&self.edges.iter().map(address).collect::<Vec<_>>())
    }

    /// Where clients reach a server through an edge.
    pub fn url(&self, edge: usize, server: &str) -> String {
        format!("{}/mcp/{server}", self.edge(edge))
    }

    /// The folder in which it keeps its state.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A folder for the test's own files, removed with the mesh.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The id of `gatehouse up`.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What `up` has printed.
    pub fn stdout(&self) -> String {
        self.process.stdout()
    }

    /// What `up` has complained about.
    pub fn stderr(&self) -> String {
        self.process.stderr()
    }

    /// Runs a command in its context.
    ///
    /// # Panics
    /// Where it does not end.
    #[track_caller]
    pub fn gatehouse(&self, words: &[&str]) -> Output {
        process::run(self.command().args(words), COMMAND)
    }

    /// Runs a command in its context; `None` where it does not end.
    pub fn try_gatehouse(&self, words: &[&str]) -> Option<Output> {
        process::try_run(self.command().args(words), Duration::from_secs(10))
    }

    /// The command line program in its context.
    pub fn command(&self) -> Command {
        let mut command = Command::new(place::gatehouse());
        command
            .env("GATEHOUSE_CONTEXT", self.data.join("client.toml"))
            .current_dir(place::repository());
        command
    }

    /// Writes resources to a file of the test's own, and answers with its path.
    pub fn file(&self, name: &str, content: &str) -> String {
        let path = self.folder().join(name);
        std::fs::write(&path, content).expect("a file can be written");
        text(&path)
    }

    /// Applies resources and waits until every live node runs them.
    #[track_caller]
    pub fn apply(&self, resources: &[Value]) -> Output {
        // Tests that share a mesh apply side by side.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("apply-{}.yaml", COUNT.fetch_add(1, Ordering::Relaxed));
        let file = self.file(&name, &catalog::file(resources));
        self.gatehouse(&["apply", "-f", &file, "--wait"]).good()
    }

    /// Makes an API key that is good for all servers and for ever.
    #[track_caller]
    pub fn key(&self, user: &str, groups: &[&str]) -> Key {
        let groups = groups.iter().flat_map(|group| ["--group", group]);
        self.key_with(
            &["--user", user]
                .into_iter()
                .chain(groups)
                .collect::<Vec<_>>(),
        )
    }

    /// Makes an API key with these flags.
    #[track_caller]
    pub fn key_with(&self, flags: &[&str]) -> Key {
        let words: Vec<_> = ["key", "create", "-o", "json"]
            .iter()
            .chain(flags)
            .copied()
            .collect();
        let made = self.gatehouse(&words).good().json();
        let member = |name: &str| {
            made[name]
                .as_str()
                .unwrap_or_else(|| panic!("no {name} in {made}"))
                .to_owned()
        };
        Key {
            id: member("id"),
            text: member("key"),
        }
    }

    /// Rows of `audit list` with these flags, newest first.
    #[track_caller]
    pub fn audit(&self, flags: &[&str]) -> Vec<Value> {
        let words: Vec<_> = ["audit", "list", "-o", "json"]
            .iter()
            .chain(flags)
            .copied()
            .collect();
        self.gatehouse(&words).good().items()
    }

    /// Waits until `audit list` with these flags has a row that `fits`, and answers with it.
    #[track_caller]
    pub fn recorded(&self, flags: &[&str], fits: impl Fn(&Value) -> bool) -> Value {
        wait::until(&format!("a record of {flags:?}"), RECORD, || {
            let rows = self.audit(flags);
            rows.iter()
                .find(|row| fits(row))
                .cloned()
                .ok_or_else(|| format!("only {rows:#?}"))
        })
    }

    /// Waits until `server status` shows a server in this state, and answers with its row.
    #[track_caller]
    pub fn server_in(&self, server: &str, state: &str) -> Value {
        wait::until(&format!("server {server} to be {state}"), COMMAND, || {
            let rows = self
                .gatehouse(&["server", "status", server, "-o", "json"])
                .good()
                .items();
            rows.iter()
                .find(|row| row["state"] == state)
                .cloned()
                .ok_or_else(|| format!("only {rows:#?}"))
        })
    }

    /// Its parts of a kind: `control-plane`, `edge` or `sidecar`.
    pub fn parts(&self, kind: &str) -> Vec<Part> {
        let ours = leftovers::all()
            .into_iter()
            .filter(|(_, seen)| seen.parent == self.pid());
        let parts = ours.map(|(pid, seen)| Part {
            pid,
            words: seen.argv.into_iter().skip(1).collect(),
        });
        parts
            .filter(|part| part.words.first().is_some_and(|word| word == kind))
            .collect()
    }

    /// Its one part of a kind that names `word` anywhere in its words.
    #[track_caller]
    pub fn part(&self, kind: &str, word: &str) -> Part {
        let parts = self.parts(kind);
        let named = |part: &&Part| part.words.iter().any(|each| each.contains(word));
        parts
            .iter()
            .find(named)
            .cloned()
            .unwrap_or_else(|| panic!("no {kind} {word:?} among {parts:#?}"))
    }

    /// Kills a part and waits until `up` has started it again.
    pub fn kill9_part(&self, kind: &str, word: &str) -> Part {
        let before = self.part(kind, word);
        process::signal(before.pid, Signal::KILL);
        let what = format!("up to start {kind} {word:?} again");
        wait::until(&what, COMMAND, || {
            let parts = self.parts(kind);
            let named = |part: &Part| part.words.iter().any(|each| each.contains(word));
            let next = |part: &&Part| named(part) && part.pid != before.pid;
            parts
                .iter()
                .find(next)
                .cloned()
                .ok_or_else(|| format!("only {parts:?}"))
        })
    }

    /// Takes the control plane away: it is killed, and cannot start without its master key, however often `up` tries.
    /// It comes back when the answer is dropped.
    pub fn without_control_plane(&self) -> Away {
        let key = self.data.join("master.key");
        let hidden = self.data.join("master.key.away");
        std::fs::rename(&key, &hidden).expect("the master key lies in the data folder");
        let part = self.part("control-plane", "");
        process::signal(part.pid, Signal::KILL);
        wait::wait_for("the control plane to be away", COMMAND, || {
            self.gatehouse(&["nodes"]).status != Some(0)
        });
        Away { key, hidden }
    }

    /// All processes of it: `up`, its parts, the servers and whatever those have started.
    pub fn family(&self) -> Family {
        Family::of(self.pid()).and_all_that_name(self.data())
    }

    /// Kills `up` and no other process, and answers with all that should be gone now.
    pub fn kill9(&mut self) -> Family {
        let family = self.family();
        self.process.kill9();
        family
    }

    /// Drains it as Ctrl-C does, and waits for its end.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        self.process.ask_to_end();
        self.process.wait(DRAIN)
    }

    /// Starts it again on the same folder, as it was started before.
    pub fn restart(&mut self) {
        self.process = up(&self.words, &self.variables, self.folder.path());
        self.wait_until_ready();
    }

    fn wait_until_ready(&mut self) {
        let ready = |stdout: &str| stdout.lines().any(|line| line.trim() == "ready");
        let mut ended = None;
        let in_time = wait::within(READY, || {
            ended = self.process.ended();
            ended.is_some() || ready(&self.process.stdout())
        });
        // Dropping `self` prints the report.
        assert!(in_time, "`gatehouse up` was not ready within {READY:?}");
        assert!(
            ended.is_none(),
            "`gatehouse up` ended before it was ready: {ended:?}"
        );
    }

    /// Whether an edge says that it is ready.
    pub fn edge_is_ready(&self, index: usize) -> bool {
        let page =
            Request::get(&format!("{}/readyz", self.edge(index))).deadline(Duration::from_secs(2));
        page.try_send().is_ok_and(|response| response.status == 200)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        if failed {
            report::print(self);
        }
        if self.process.ended().is_some() {
            return;
        }
        let family = self.family();
        self.process.ask_to_end();
        let drained = wait::within(DRAIN, || self.process.ended().is_some());
        if !drained {
            self.process.kill9();
        }
        if !failed {
            assert!(drained, "`gatehouse up` did not drain within {DRAIN:?}");
            family.wait_until_gone();
            let alarming = report::alarming(self);
            assert!(alarming.is_empty(), "{alarming:#?}");
        }
    }
}

fn up(words: &[String], variables: &[(String, String)], folder: &Path) -> Process {
    let mut command = Command::new(place::gatehouse());
    command
        .args(words)
        .envs(variables.iter().cloned())
        .current_dir(place::repository())
        .env_remove("GATEHOUSE_CONTEXT");
    Process::start(&mut command, Some(folder))
}

/// A control plane that is away, until this is dropped.
#[derive(Debug)]
pub struct Away {
    key: PathBuf,
    hidden: PathBuf,
}

impl Drop for Away {
    fn drop(&mut self) {
        // Where this fails, whatever waits for the control plane says so.
        let _ = std::fs::rename(&self.hidden, &self.key);
    }
}
