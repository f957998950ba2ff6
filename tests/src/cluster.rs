//! Gatehouse as an operator runs it who does not use `gatehouse up`: every part a process of its own with its own
//! settings, folder and log, two control planes on one etcd, edges behind a load balancer.
//!
//! ```text
//!                    ┌─▶ edge-1 ─┐   ┌─▶ sidecar-1 (slow)
//! Load ─▶ Balancer ──┤           ├───┼─▶ sidecar-2 (slow)
//!                    └─▶ edge-2 ─┘   └─▶ sidecar-3 (everything)
//!        edges and sidecars ─▶ control-plane-1, -2 ─▶ (Gate) ─▶ Etcd 0, 1, 2
//! ```
//!
//! Whatever is killed or stopped here is started again by the test: there is no supervisor, so that a test says when.
//! Start from [`Cluster`].

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::etcd::Etcd;
use crate::gate::Gate;
use crate::mesh::Turn;
use crate::ports;

pub mod balancer;
pub mod load;
mod part;
mod running;
mod settings;
pub mod verdict;

pub use crate::process::Signal;
pub use balancer::Balancer;
pub use load::{Call, Load};
pub use part::{Gap, Part};
pub use running::Running;

use settings::Places;

/// What to start.
#[derive(Debug, Clone)]
pub struct Cluster {
    members: usize,
    control_planes: usize,
    gated: Vec<usize>,
    together: bool,
    edges: usize,
    sidecars: Vec<String>,
    resources: Vec<Value>,
    otlp: Vec<String>,
    tolerated: Vec<String>,
    drain_delay_s: Option<u64>,
}

impl Default for Cluster {
    fn default() -> Self {
        Self::new()
    }
}

impl Cluster {
    /// Three members of etcd, two control planes, two edges, no sidecar, and nothing in the catalog.
    pub fn new() -> Self {
        Self {
            members: 3,
            control_planes: 2,
            gated: Vec::new(),
            together: false,
            edges: 2,
            sidecars: Vec::new(),
            resources: Vec::new(),
            otlp: Vec::new(),
            tolerated: Vec::new(),
            drain_delay_s: None,
        }
    }

    /// How many members etcd has.
    #[must_use]
    pub fn members(mut self, members: usize) -> Self {
        self.members = members;
        self
    }

    /// How many edges there are.
    #[must_use]
    pub fn edges(mut self, edges: usize) -> Self {
        self.edges = edges;
        self
    }

    /// One more sidecar for a server.
    #[must_use]
    pub fn sidecar(mut self, server: &str) -> Self {
        self.sidecars.push(server.to_owned());
        self
    }

    /// Applies resources: see [`crate::catalog`].
    #[must_use]
    pub fn with(mut self, resources: &[Value]) -> Self {
        self.resources.extend_from_slice(resources);
        self
    }

    /// One control plane reaches etcd through [`Gate`]s only, so that a test can cut it off.
    #[must_use]
    pub fn gated(mut self, control_plane: usize) -> Self {
        self.gated.push(control_plane);
        self
    }

    /// All nodes try the first control plane first; else they begin at one each in turn.
    #[must_use]
    pub fn nodes_at_the_first(mut self) -> Self {
        self.together = true;
        self
    }

    /// One more destination of audit spans of all nodes.
    #[must_use]
    pub fn otlp(mut self, url: String) -> Self {
        self.otlp.push(url);
        self
    }

    /// How long nodes go on when they are asked to end; else as long as they do by default.
    #[must_use]
    pub fn drain_delay_s(mut self, seconds: u64) -> Self {
        self.drain_delay_s = Some(seconds);
        self
    }

    /// Lines of logs with this text are no alarm in this test, which brings them about.
    #[must_use]
    pub fn tolerating(mut self, text: &str) -> Self {
        self.tolerated.push(text.to_owned());
        self
    }

    /// Starts it for one test, and waits until it is ready.
    ///
    /// # Panics
    /// With all that its parts said, where it is not ready in time.
    pub fn start(self) -> Running {
        let turn = Turn::take_all();
        let folder = TempDir::with_prefix("gatehouse-cluster-").expect("a folder can be made");
        let places = Places::new(folder.path(), &self);
        let etcd = Etcd::of(self.members);
        let gates = self.gates(&etcd);
        let balancer = Balancer::start(&places.edges);
        let control_planes = (0..self.control_planes)
            .map(|index| {
                let store = match self.gated.contains(&index) {
                    true => store(&gates),
                    false => etcd.store(),
                };
                let settings = places.control_plane(index, &store);
                let name = format!("control-plane-{}", index + 1);
                places.part(&name, "control-plane", &settings, &places.admin[index])
            })
            .collect();
        let mut running = Running::new(
            etcd,
            gates,
            balancer,
            control_planes,
            folder,
            self.tolerated.clone(),
            turn,
        );
        running.begin(&self, &places);
        running
    }

    fn gates(&self, etcd: &Etcd) -> Vec<Gate> {
        if self.gated.is_empty() {
            return Vec::new();
        }
        etcd.clients().iter().map(|to| Gate::start(to)).collect()
    }
}

/// The store that lies behind gates.
fn store(gates: &[Gate]) -> String {
    let addresses: Vec<_> = gates.iter().map(Gate::address).collect();
    format!("etcd://{}", addresses.join(","))
}

/// A path as text.
fn text(path: &Path) -> String {
    path.to_str().expect("paths of tests are text").to_owned()
}

/// A private file, as settings demand for secrets.
fn private(path: PathBuf, content: &str) -> PathBuf {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = std::fs::File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path);
    let written = file.and_then(|mut file| file.write_all(content.as_bytes()));
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path
}

/// Addresses that nothing listens on yet.
fn addresses(count: usize) -> Vec<String> {
    (0..count).map(|_| ports::address()).collect()
}

/// 32 random bytes as hex.
fn secret() -> String {
    use std::io::Read as _;
    let mut bytes = [0; 32];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.expect("there is randomness");
    hex::encode(bytes)
}

/// Words of a command as the standard library takes them.
fn command(words: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(crate::place::gatehouse());
    command
        .args(words)
        .current_dir(crate::place::repository())
        .env_remove("GATEHOUSE_CONTEXT");
    command
}
