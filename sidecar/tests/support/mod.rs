//! What the tests of this folder share: servers to run, and waiting for conditions with a deadline.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses what it needs"
)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dataplane::call::Call;
use dataplane::config::live::Config;
use dataplane::deliver::{Hop, Reply};
use dataplane::egress::{Egress, EgressSettings};
use dataplane::refusal::Fault;
use engine::Engine;
use http::HeaderMap;
use mcp::envelope;
use mcp::revision::Revision;
use model::name::ServerName;
use model::principal::Principal;
use model::record::{CallId, Trace};
use model::server::{Limits, Runtime, Server, Tenancy};
use model::snapshot::Snapshot;
use sidecar::logs::ServerLog;
use sidecar::process::child::Launcher;
use sidecar::process::command::Policy;
use sidecar::process::installed::Installed;
use sidecar::serve::Sidecar;
use sidecar::upstream::session::{Settings, Supervisor, Upstream};
use sidecar::upstream::status::Status;
use sidecar::upstream::wanted::{External, Wanted};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Longest wait for anything.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// The binary under test, which also plays the shim.
pub fn launcher() -> Launcher {
    Launcher::new(env!("CARGO_BIN_EXE_gatehouse-sidecar"))
}

/// Has a call of `user` delivered.
pub async fn deliver(
    hop: &Sidecar,
    config: &Arc<Config>,
    user: &str,
    (revision, session): (Revision, Option<&str>),
    body: Bytes,
) -> Result<Reply, Fault> {
    let call = Call {
        id: CallId::new(),
        server: &hop.server,
        principal: &Arc::new(Principal::new(user, &[], None, "k")),
        client_address: None,
        config,
        body: &body,
        message: &envelope::scan(&body, &mcp::envelope::Limits::REQUEST).unwrap(),
        revision,
        session,
        trace: Trace {
            trace_id: [1; 16],
            span_id: [2; 8],
            parent: None,
            sampled: true,
        },
        sse: true,
        headers: &HeaderMap::new(),
        client: "",
        came: None,
        tasks: &dataplane::deliver::tasks::NONE,
        approval: None,
    };
    hop.deliver(&call, &()).await
}

/// The sidecar's environment in these tests.
#[expect(
    clippy::disallowed_methods,
    reason = "servers need the PATH of whoever runs the tests"
)]
pub fn environment() -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    std::env::vars_os().collect()
}

/// One of the servers that misbehave, by file name, with arguments.
pub fn python(script: &str, arguments: &[&str]) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/clients/python/servers");
    let script = folder.join(script).canonicalize().unwrap();
    let program = ["python3".to_owned(), script.to_str().unwrap().to_owned()];
    program
        .into_iter()
        .chain(arguments.iter().map(ToString::to_string))
        .collect()
}

/// A server of the catalog that runs this program.
pub fn server(argv: Vec<String>) -> Server {
    Server {
        name: ServerName::new("it").unwrap(),
        labels: BTreeMap::new(),
        title: String::new(),
        description: String::new(),
        tenancy: Tenancy::Shared,
        runtime: Runtime::Command { argv },
        env: BTreeMap::new(),
        headers: BTreeMap::new(),
        url_values: BTreeMap::new(),
        tools: Default::default(),
        limits: Limits::default(),
    }
}

/// A way to the servers of these tests, which are on loopback.
pub fn egress() -> Egress {
    Egress::new(&EgressSettings {
        allow_private: true,
        ca_file: None,
    })
}

/// What is to be kept up of a server, by the engine that holds it alone.
pub fn wanted(server: &Server) -> Arc<Wanted> {
    let name = server.name.clone();
    let mut snapshot = Snapshot::default();
    snapshot
        .servers
        .insert(name.clone(), Arc::new(server.clone()));
    let engine = Engine::compile(Arc::new(snapshot)).unwrap();
    Arc::new(Wanted::of(&engine, &name, &External::Unset).unwrap())
}

/// How servers are started in `directory`.
pub fn settings(directory: &Path) -> Settings {
    Settings {
        launcher: launcher(),
        policy: Policy {
            allow_command: true,
            tools_path: Vec::new(),
            inherited: environment(),
            directory: directory.to_owned(),
        },
        installed: Installed::new(directory.join("installed")),
        line_bytes_max: 16 << 20,
        log: ServerLog::default(),
        egress: egress(),
        own_egress: egress(),
    }
}

/// A supervisor at work, in a directory of its own.
pub struct Supervised {
    pub directory: tempfile::TempDir,
    pub upstream: Upstream,
    pub status: watch::Receiver<Status>,
    pub wanted: watch::Sender<Option<Arc<Wanted>>>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Supervised {
    pub fn new(server: Server) -> Self {
        Self::with(server, |_| {})
    }

    pub fn with(server: Server, change: impl FnOnce(&mut Settings)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (wanted, server) = watch::channel(Some(wanted(&server)));
        let stop = CancellationToken::new();
        let mut settings = settings(directory.path());
        change(&mut settings);
        let (supervisor, upstream, status) = Supervisor::new(settings, server, stop.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(supervisor.run());
        Self {
            directory,
            upstream,
            status,
            wanted,
            stop,
            tasks,
        }
    }

    pub async fn status(&mut self, what: &str, is: impl FnMut(&Status) -> bool) -> Status {
        let waited = tokio::time::timeout(DEADLINE, self.status.wait_for(is)).await;
        let found = waited.ok().map(|status| status.unwrap().clone());
        found.unwrap_or_else(|| panic!("no status: {what}; last: {:#?}", self.status.borrow()))
    }

    /// Stops it; returns when all processes are gone.
    pub async fn stop(mut self) -> Status {
        self.stop.cancel();
        self.tasks.join_next().await.unwrap().unwrap();
        self.status.borrow().clone()
    }
}

/// Waits until `condition` holds.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "did not come: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Whether a process runs: it is there, and not merely waiting to be reaped.
pub fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .starts_with(" Z")
    })
}

/// The ids that `forker.py` has written to `path`, once it has.
pub async fn forked(path: &Path) -> Vec<u32> {
    let mut pids = Vec::new();
    eventually("the forker's processes", || {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        pids = text.lines().map(|line| line.parse().unwrap()).collect();
        !pids.is_empty()
    })
    .await;
    assert_eq!(pids.len(), 3, "itself, a child and a daemon");
    pids
}

pub fn path_in(directory: &tempfile::TempDir, name: &str) -> PathBuf {
    directory.path().join(name)
}
