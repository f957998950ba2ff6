//! The whole of Gatehouse on this machine, as `gatehouse up` starts it: `Mesh` says what, [`Running`] is it.
//!
//! ```no_run
//! use tests::mesh::Mesh;
//!
//! let mesh = Mesh::new().apply("deploy/quickstart").edges(2).start();
//! let key = mesh.key("ana@example.com", &["engineering"]);
//! tests::rpc::Modern::new(&mesh.url(0, "everything"), &key.text).tools();
//! ```

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};

use serde_json::Value;
use tempfile::TempDir;

use crate::catalog;
use crate::place;
use crate::ports;

mod running;

pub use running::{Away, Key, Part, Running};

/// Meshes of single tests that run at once; shared ones come on top. More would only slow each other down.
const AT_ONCE: usize = 2;

/// What to start.
#[derive(Debug, Default)]
pub struct Mesh {
    apply: Vec<PathBuf>,
    resources: Vec<Value>,
    edges: usize,
    store: Option<String>,
    otlp: Vec<String>,
    variables: Vec<(String, String)>,
}

impl Mesh {
    /// One edge, the embedded store, and nothing in the catalog.
    pub fn new() -> Self {
        Self {
            edges: 1,
            ..Self::default()
        }
    }

    /// Applies a file or folder of the repository.
    #[must_use]
    pub fn apply(mut self, path: &str) -> Self {
        self.apply.push(place::file(path));
        self
    }

    /// Applies resources: see [`catalog`].
    #[must_use]
    pub fn with(mut self, resources: &[Value]) -> Self {
        self.resources.extend_from_slice(resources);
        self
    }

    /// How many edges.
    #[must_use]
    pub fn edges(mut self, edges: usize) -> Self {
        self.edges = edges;
        self
    }

    /// Another store than the embedded one, as `--store` takes it.
    #[must_use]
    pub fn store(mut self, store: String) -> Self {
        self.store = Some(store);
        self
    }

    /// One more destination of audit spans, as `--otlp` takes it.
    #[must_use]
    pub fn otlp(mut self, url: String) -> Self {
        self.otlp.push(url);
        self
    }

    /// A setting of one of its parts, as an environment variable: `GATEHOUSE_EDGE__CALLS_MAX`.
    #[must_use]
    pub fn setting(mut self, variable: &str, value: &str) -> Self {
        self.variables.push((variable.to_owned(), value.to_owned()));
        self
    }

    /// Starts it for one test, and waits until it is ready.
    ///
    /// # Panics
    /// With all that its parts said, where it is not ready in time.
    pub fn start(self) -> Running {
        let turn = Turn::take();
        self.launch(Some(turn))
    }

    /// Starts it for all tests of this process; see [`crate::shared`].
    pub fn start_shared(self) -> Running {
        self.launch(None)
    }

    fn launch(self, turn: Option<Turn>) -> Running {
        let folder = TempDir::with_prefix("gatehouse-test-").expect("a folder can be made");
        let data = folder.path().join("data");
        let edges: Vec<_> = (0..self.edges).map(|_| ports::address()).collect();
        self.remember_ports(&data);
        let words = self.words(folder.path(), &data, &edges);
        Running::start(words, &edges, data, folder, self.variables, turn)
    }

    /// `up` looks here for the ports that it chose at an earlier start. Left to itself it prefers the same ones in every
    /// folder, and of meshes side by side one would take another's while a part of that starts again.
    fn remember_ports(&self, data: &Path) {
        let admin = (1..=self.edges).map(|edge| format!("edge-{edge}.admin"));
        let purposes = [
            "control-plane.otlp".to_owned(),
            "control-plane.admin".to_owned(),
        ]
        .into_iter()
        .chain(admin);
        let ports: BTreeMap<_, _> = purposes.map(|purpose| (purpose, ports::free())).collect();
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(data)
            .expect("a folder can be made");
        let memory = serde_json::json!({"ports": ports}).to_string();
        std::fs::write(data.join("up.json"), memory).expect("a file can be written");
    }

    fn words(&self, folder: &Path, data: &Path, edges: &[String]) -> Vec<String> {
        let mut flags = vec![("--data", text(data))];
        flags.push(("--control-listen", ports::address()));
        flags.push(("--web-listen", ports::address()));
        flags.extend(edges.iter().map(|edge| ("--edge-listen", edge.clone())));
        flags.extend(self.store.iter().map(|store| ("--store", store.clone())));
        flags.extend(self.otlp.iter().map(|url| ("--otlp", url.clone())));
        flags.extend(self.apply.iter().map(|path| ("-f", text(path))));
        let mut words = vec!["up".to_owned()];
        if !self.resources.is_empty() {
            let file = folder.join("resources.yaml");
            std::fs::write(&file, catalog::file(&self.resources)).expect("a file can be written");
            flags.push(("-f", text(&file)));
            // Most servers of these tests are programs of the repository.
            words.push("--allow-command".to_owned());
            // And what they reach is on this machine.
            words.push("--egress-allow-private".to_owned());
        }
        words.extend(
            flags
                .into_iter()
                .flat_map(|(name, value)| [name.to_owned(), value]),
        );
        words
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("paths of tests are text").to_owned()
}

/// The right to run a mesh, or a cluster, which takes the place of all; given back when dropped.
#[derive(Debug)]
pub(crate) struct Turn(usize);

/// Turns taken. Whoever gives one back wakes all who wait.
static RUNNING: Mutex<usize> = Mutex::new(0);
static GIVEN_BACK: Condvar = Condvar::new();

impl Turn {
    fn take() -> Self {
        Self::of(1)
    }

    /// Nobody else of this process runs meanwhile.
    pub(crate) fn take_all() -> Self {
        Self::of(AT_ONCE)
    }

    fn of(turns: usize) -> Self {
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut running = GIVEN_BACK
            .wait_while(running, |running| *running + turns > AT_ONCE)
            .unwrap_or_else(PoisonError::into_inner);
        *running += turns;
        Self(turns)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= self.0;
        GIVEN_BACK.notify_all();
    }
}
