//! A cluster that runs: what a test asks of it, and does to it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::load::Target;
use super::settings::Places;
use super::verdict::{Kill, Victim};
use super::{Balancer, Cluster, Load, Part, command, text};
use crate::etcd::Etcd;
use crate::gate::Gate;
use crate::leftovers::Family;
use crate::mesh::Turn;
use crate::process::{self, Output};
use crate::{catalog, place, wait};

mod asked;
mod ending;

/// How long a part may take to be ready at the start.
const READY: Duration = Duration::from_secs(60);
/// How long a command may take.
const COMMAND: Duration = Duration::from_secs(90);
/// How long all nodes may take to be where the store is.
const SETTLED: Duration = Duration::from_secs(30);

/// A cluster that runs. Dropping it ends it, and checks that nothing of it is left.
#[derive(Debug)]
pub struct Running {
    /// The store.
    pub etcd: Etcd,
    /// Between the store and control planes that are gated: one for each member.
    pub gates: Vec<Gate>,
    /// What clients see.
    pub balancer: Balancer,
    /// The control planes.
    pub control_planes: Vec<Part>,
    /// The edges.
    pub edges: Vec<Part>,
    /// The sidecars, in the order in which they were named.
    pub sidecars: Vec<Part>,
    servers: Vec<String>,
    listens: Vec<String>,
    contexts: Vec<PathBuf>,
    tolerated: Vec<String>,
    folder: TempDir,
    _turn: Turn,
}

impl Running {
    pub(super) fn new(
        etcd: Etcd,
        gates: Vec<Gate>,
        balancer: Balancer,
        control_planes: Vec<Part>,
        folder: TempDir,
        tolerated: Vec<String>,
        turn: Turn,
    ) -> Self {
        Self {
            etcd,
            gates,
            balancer,
            control_planes,
            edges: Vec::new(),
            sidecars: Vec::new(),
            servers: Vec::new(),
            listens: Vec::new(),
            contexts: Vec::new(),
            tolerated,
            folder,
            _turn: turn,
        }
    }

    /// Starts everything for the first time. Parts of a kind start side by side.
    pub(super) fn begin(&mut self, cluster: &Cluster, places: &Places) {
        start(&mut self.control_planes);
        self.contexts = (0..self.control_planes.len())
            .map(|index| places.context(index))
            .collect();
        if !cluster.resources.is_empty() {
            self.apply_without_wait(0, &cluster.resources);
        }
        for index in 0..cluster.edges {
            let token = self.token(&["--kind", "edge"]);
            let edge = places.edge(index, self.balancer.url(), &token);
            self.edges.push(edge);
        }
        for (index, server) in cluster.sidecars.iter().enumerate() {
            let token = self.token(&["--kind", "sidecar", "--server", server]);
            let sidecar = places.sidecar(index, server, &token);
            self.sidecars.push(sidecar);
        }
        self.servers.clone_from(&cluster.sidecars);
        self.listens.clone_from(&places.edges);
        start(&mut self.edges);
        start(&mut self.sidecars);
        self.settled();
        for server in &cluster.sidecars {
            self.server_is_ready(server);
        }
    }

    fn token(&self, flags: &[&str]) -> String {
        let words = [&["node", "token", "create", "-o", "json"], flags].concat();
        let made = self.gatehouse(0, &words).good().json();
        let token = made["token"].as_str();
        token
            .unwrap_or_else(|| panic!("no token: {made}"))
            .to_owned()
    }

    /// Where clients reach a server.
    pub fn url(&self, server: &str) -> String {
        format!("{}/mcp/{server}", self.balancer.url())
    }

    /// Where a server is reached through each edge, past the balancer.
    pub fn edge_urls(&self, server: &str) -> Vec<String> {
        let edges = self.listens.iter();
        edges
            .map(|edge| format!("http://{edge}/mcp/{server}"))
            .collect()
    }

    /// The base URL of an edge, past the balancer.
    pub fn edge_url(&self, index: usize) -> String {
        format!("http://{}", self.listens[index])
    }

    /// Waits until every process says that it is ready.
    pub fn wait_until_all_ready(&mut self) {
        self.etcd.wait_until_healthy();
        for part in self.parts() {
            part.wait_until_ready(READY);
        }
    }

    /// Begins a load of a hundred calls a second.
    pub fn load(&self, key: &str, targets: &[Target]) -> Load {
        Load::start(
            self.balancer.url(),
            self.balancer.routes(),
            key,
            100,
            targets,
        )
    }

    /// A folder for the test's own files, removed with the cluster.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a command against one control plane.
    ///
    /// # Panics
    /// Where it does not end.
    #[track_caller]
    pub fn gatehouse(&self, control_plane: usize, words: &[&str]) -> Output {
        let mut command = command(words);
        command.env("GATEHOUSE_CONTEXT", &self.contexts[control_plane]);
        process::run(&mut command, COMMAND)
    }

    /// Writes resources to a file, and answers with its path.
    pub fn file(&self, resources: &[Value]) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("apply-{}.yaml", COUNT.fetch_add(1, Ordering::Relaxed));
        let path = self.folder().join(name);
        std::fs::write(&path, catalog::file(resources)).expect("a file can be written");
        text(&path)
    }

    /// Applies resources through one control plane, and waits until every live node runs them.
    #[track_caller]
    pub fn apply(&self, control_plane: usize, resources: &[Value]) -> Output {
        let file = self.file(resources);
        let words = ["apply", "-f", &file, "--wait"];
        self.gatehouse(control_plane, &words).good()
    }

    /// Applies resources through one control plane.
    #[track_caller]
    pub fn apply_without_wait(&self, control_plane: usize, resources: &[Value]) -> Output {
        let file = self.file(resources);
        self.gatehouse(control_plane, &["apply", "-f", &file])
            .good()
    }

    /// Makes an API key that is good for all servers and for ever; answers with its text.
    #[track_caller]
    pub fn key(&self, user: &str, group: &str) -> String {
        let words = [
            "key", "create", "--user", user, "--group", group, "-o", "json",
        ];
        let made = self.gatehouse(0, &words).good().json();
        let key = made["key"].as_str();
        key.unwrap_or_else(|| panic!("no key: {made}")).to_owned()
    }

    /// All parts, as they are to be ended: those that clients see first.
    fn parts(&mut self) -> impl Iterator<Item = &mut Part> {
        self.edges
            .iter_mut()
            .chain(&mut self.sidecars)
            .chain(&mut self.control_planes)
    }

    /// Kills an edge.
    pub fn kill_edge(&mut self, index: usize) -> Kill {
        Kill {
            name: self.edges[index].name().to_owned(),
            victim: Victim::Edge(index),
            gap: self.edges[index].kill9(),
        }
    }

    /// Kills a sidecar.
    pub fn kill_sidecar(&mut self, index: usize) -> Kill {
        Kill {
            name: self.sidecars[index].name().to_owned(),
            victim: Victim::Sidecar(self.servers[index].clone()),
            gap: self.sidecars[index].kill9(),
        }
    }

    /// Kills a control plane.
    pub fn kill_control_plane(&mut self, index: usize) -> Kill {
        Kill {
            name: self.control_planes[index].name().to_owned(),
            victim: Victim::Aside,
            gap: self.control_planes[index].kill9(),
        }
    }

    /// Kills a member of etcd.
    pub fn kill_member(&mut self, index: usize) -> Kill {
        let there = std::time::Instant::now();
        self.etcd.kill9_member(index);
        let gone = std::time::Instant::now();
        Kill {
            name: format!("etcd-{}", index + 1),
            victim: Victim::Aside,
            gap: super::Gap { there, gone },
        }
    }

    /// All processes of it, and whatever those have started.
    fn family(&mut self) -> Family {
        let folder = self.folder.path().to_owned();
        let pids = self
            .parts()
            .filter_map(|part| part.runs().then(|| part.pid()));
        let pids: Vec<_> = pids.collect();
        let members = self.etcd.pids();
        let families = pids.into_iter().chain(members).map(Family::of);
        let all = families.fold(Family::default(), Family::with);
        all.and_all_that_name(&folder)
    }
}

/// Starts parts side by side, and waits until all are ready.
fn start(parts: &mut [Part]) {
    for part in parts.iter_mut() {
        part.launch();
    }
    for part in parts {
        part.wait_until_ready(READY);
    }
}

/// Where the logs of a failed test are kept.
fn kept() -> PathBuf {
    let beside = place::gatehouse();
    let folder = beside.parent().expect("it lies in a folder");
    folder.join("failed-clusters")
}

/// Waits for what `missing` says is not there yet.
fn settle(what: &str, missing: impl FnMut() -> Result<(), String>) {
    wait::until(what, SETTLED, missing);
}
