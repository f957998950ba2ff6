//! The cross matrix: every client with every server, feature by feature, once directly and once through Gatehouse.
//!
//! ```text
//! clients ----directly----------------> servers      -> Report: what came of each feature
//!        \--- edge, (sidecar) --------/              -> Report
//! plans/SERVER.json: what it offers    excluded.toml: what PROTOCOL 4.4 rules out     -> Row: each cell judged
//! ```
//!
//! Once more the legacy clients alone go through a balancer that sends each request to another of two edges, and are judged
//! alike. What comes of clients whose edge is killed is in [`killed`].
//!
//! The programs are in `tests/matrix`; its README says how one cell is run by hand. Start from [`run`].

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use tempfile::TempDir;

use crate::catalog;
use crate::cluster::Balancer;
use crate::mesh::{Mesh, Running};
use crate::place;
use clients::{Client, Outcome, Report};
use excluded::Excluded;
use servers::{Server, Stage};

mod clients;
mod excluded;
pub mod killed;
mod servers;
pub mod table;

/// In the order of the table.
const FEATURES: [&str; 11] = [
    "list",
    "call",
    "progress",
    "cancel",
    "sampling",
    "elicitation",
    "resources",
    "subscribe",
    "prompts",
    "completion",
    "logging",
];

const GROUP: &str = "matrix";

/// Servers whose clients run at once. Clients of one server take turns: it counts what they cancel.
const AT_ONCE: usize = 2;

/// What a cell comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Cell {
    /// Directly and through Gatehouse.
    Works,
    /// Through Gatehouse alone: the two do not understand each other, or cannot reach each other.
    Bridged,
    /// The client cannot, whatever the server.
    Cannot,
    /// Excluded: the clause of PROTOCOL 4.4, and the reason.
    Excluded(i64, String),
    /// It should work, and does not.
    Fails,
}

/// A client with a server.
#[derive(Debug)]
struct Row {
    server: &'static str,
    client: &'static str,
    /// The revision that the client speaks with the server, and with Gatehouse.
    directly: Option<String>,
    through: Option<String>,
    /// For each feature that the server offers.
    cells: Vec<(&'static str, Cell)>,
    /// Each cell that is not as it should be, with the reason.
    faults: Vec<String>,
}

/// The whole matrix, and what it was played on: a test that fails shows the state of Gatehouse when this is dropped.
#[derive(Debug)]
pub struct Matrix {
    rows: Vec<Row>,
    _balancer: Option<Balancer>,
    // In this order: Gatehouse leaves the stage first.
    _mesh: Running,
    _stage: Stage,
    _folder: TempDir,
}

impl Matrix {
    /// All that is not as it should be, one a line.
    pub fn faults(&self) -> String {
        let all = self.rows.iter().flat_map(|row| &row.faults);
        all.fold(String::new(), |text, fault| text + fault + "\n")
    }
}

/// Runs all clients with all servers whose name holds `only`.
pub fn run(only: &str) -> Matrix {
    play(only, Way::Edge)
}

/// Runs legacy clients alone, each request of which meets another of two edges.
pub fn run_between_two_edges(only: &str) -> Matrix {
    play(only, Way::Edges)
}

/// What clients go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// One edge. All clients do it, and directly, too.
    Edge,
    /// Two edges in turn. Clients of the era of sessions do it: only they come back to something.
    Edges,
}

fn play(only: &str, way: Way) -> Matrix {
    let folder = TempDir::with_prefix("gatehouse-matrix-").expect("a folder can be made");
    let stage = Stage::set(folder.path());
    let servers: Vec<_> = stage
        .servers()
        .into_iter()
        .filter(|server| server.name.contains(only))
        .collect();
    assert!(!servers.is_empty(), "no server's name holds {only:?}");
    let clients = clients::ALL
        .into_iter()
        .filter(|client| way == Way::Edge || client.is_legacy());
    let names = clients.clone().map(|client| client.name);
    check_versions(names.chain(servers.iter().map(|server| server.title)));
    let mut resources: Vec<_> = servers.iter().map(Server::resource).collect();
    resources.push(catalog::allow("matrix", GROUP, &["*"]));
    let edges = match way {
        Way::Edge => 1,
        Way::Edges => 2,
    };
    let mesh = Mesh::new().with(&resources).edges(edges).start();
    let balancer = (way == Way::Edges).then(|| mesh.balancer());
    let play = Play {
        excluded: excluded::read(),
        clients: clients.map(|client| Caller::new(client, &mesh)).collect(),
        stage: &stage,
        folder: folder.path(),
        url: balancer.as_ref().map_or(mesh.edge(0), Balancer::url),
        way,
    };
    Matrix {
        rows: play.all(&servers),
        _balancer: balancer,
        _mesh: mesh,
        _stage: stage,
        _folder: folder,
    }
}

/// The versions in names are written by hand: they must be those that are installed.
fn check_versions(names: impl Iterator<Item = &'static str>) {
    let files = [
        "package.json",
        "requirements.txt",
        "requirements-mcp1.txt",
        "clients/rmcp/Cargo.toml",
    ];
    let read = |file| std::fs::read_to_string(place::file(&format!("tests/matrix/{file}")));
    let pins = files
        .map(|file| read(file).expect("it can be read"))
        .concat();
    for word in names.flat_map(|name| name.split([' ', ','])) {
        let version = word.starts_with(|first: char| first.is_ascii_digit()) && word.contains('.');
        assert!(!version || pins.contains(word), "{word} is not pinned");
    }
}

/// A client with a key of its own: what one does to its session with a server is nothing to another.
struct Caller {
    client: Client,
    key: String,
}

impl Caller {
    fn new(client: Client, mesh: &Running) -> Self {
        let user = format!("{}@example.com", client.name.replace([' ', ','], "-"));
        let key = mesh.key(&user, &[GROUP]).text;
        Self { client, key }
    }
}

struct Play<'a> {
    excluded: Vec<Excluded>,
    clients: Vec<Caller>,
    stage: &'a Stage,
    folder: &'a Path,
    /// The base URL of Gatehouse.
    url: &'a str,
    way: Way,
}

impl Play<'_> {
    fn all(&self, servers: &[Server]) -> Vec<Row> {
        let waiting: Mutex<VecDeque<_>> = Mutex::new(servers.iter().enumerate().collect());
        let done = Mutex::new(Vec::new());
        let next = || {
            let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.pop_front()
        };
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    while let Some((place, server)) = next() {
                        let rows = self.server(server);
                        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                        done.push((place, rows));
                    }
                });
            }
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(place, _)| *place);
        done.into_iter().flat_map(|(_, rows)| rows).collect()
    }

    fn server(&self, server: &Server) -> Vec<Row> {
        let (plan, file) = self.plan(server);
        let row = |caller: &Caller| {
            let Caller { client, key } = caller;
            let directly = match self.way {
                Way::Edge => client.run(server.target(), None, &file),
                Way::Edges => None,
            };
            let to = client.through(self.url, server.name);
            let through = client.run(&to, Some(key), &file);
            let through = through.expect("each client can speak to an edge");
            self.judge(server, client, &plan, directly, through)
        };
        self.clients.iter().map(row).collect()
    }

    /// What a server offers, and the file that says it.
    fn plan(&self, server: &Server) -> (Value, PathBuf) {
        let name = format!("{}.json", server.name);
        let path = place::file(&format!("tests/matrix/plans/{name}"));
        let text = std::fs::read_to_string(path).expect("a plan can be read");
        let text = self.stage.fill_in(&text);
        let file = self.folder.join(name);
        std::fs::write(&file, &text).expect("a file can be written");
        (serde_json::from_str(&text).expect("a plan is JSON"), file)
    }

    fn judge(
        &self,
        server: &Server,
        client: &Client,
        plan: &Value,
        directly: Option<Report>,
        through: Report,
    ) -> Row {
        let mut row = Row {
            server: server.title,
            client: client.name,
            directly: directly.as_ref().and_then(|report| report.revision.clone()),
            through: through.revision.clone(),
            cells: Vec::new(),
            faults: Vec::new(),
        };
        for feature in FEATURES {
            if plan.get(feature).is_none() {
                continue;
            }
            let works_directly = directly
                .as_ref()
                .is_some_and(|report| report.of(feature) == Outcome::Works);
            let excluded = self
                .excluded
                .iter()
                .find(|each| each.covers(client, server, feature, through.revision.as_deref()));
            let (cell, fault) = judge(through.of(feature), works_directly, excluded);
            if let Some(fault) = fault {
                let (client, server) = (client.name, server.name);
                let mut line = format!("{client} with {server}: {feature}: {fault}");
                if !works_directly && directly.is_some() {
                    line += " (nor does it directly)";
                }
                row.faults.push(line);
            }
            row.cells.push((feature, cell));
        }
        if row.through.is_none() {
            // The same for every feature.
            row.faults.truncate(1);
        }
        row
    }
}

/// The cell, and what is not as it should be.
fn judge(
    through: Outcome,
    works_directly: bool,
    excluded: Option<&Excluded>,
) -> (Cell, Option<String>) {
    match (through, excluded) {
        (Outcome::Cannot, _) => (Cell::Cannot, None),
        (Outcome::Works, None) if works_directly => (Cell::Works, None),
        (Outcome::Works, None) => (Cell::Bridged, None),
        (Outcome::Works, Some(excluded)) if excluded.by_chance => {
            let why = excluded.why.clone();
            (Cell::Excluded(excluded.clause, why), None)
        }
        (Outcome::Works, Some(excluded)) => {
            let why = format!("works, but is excluded: {}", excluded.why);
            (Cell::Works, Some(why))
        }
        (Outcome::Fails(_), Some(excluded)) => {
            let why = excluded.why.clone();
            (Cell::Excluded(excluded.clause, why), None)
        }
        (Outcome::Fails(why), None) => (Cell::Fails, Some(why)),
    }
}
