//! A load balancer: each connection, or each request, goes to the next edge that says it is ready, without stickiness.
//!
//! It asks each edge's `/readyz` many times a second, as balancers do more slowly, and when an edge takes no connection
//! it goes on to the next one. It remembers where the newest from each port of a client went, so that a test can tell
//! whose call was lost.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::http::runtime;
use crate::ports;
use crate::relay::{self, Accepting};

mod requests;

/// Between two looks at an edge.
const LOOK: Duration = Duration::from_millis(100);
/// How long an edge may take to answer one.
const ANSWER: Duration = Duration::from_secs(2);

/// A balancer that runs until it is dropped.
#[derive(Debug)]
pub struct Balancer {
    url: String,
    shared: Arc<Shared>,
    _accepting: Accepting,
    _looks: Vec<Look>,
}

#[derive(Debug)]
struct Shared {
    edges: Vec<Edge>,
    turn: AtomicUsize,
    /// From a client's port to the edge that its newest connection or request went to: as many as there are ports. Held
    /// for single operations only.
    routes: Mutex<BTreeMap<u16, usize>>,
    /// Connections or requests for which no edge was there.
    lost: AtomicU64,
}

#[derive(Debug)]
struct Edge {
    address: String,
    ready: AtomicBool,
    /// Whether it is to be left alone while there is another.
    held_back: AtomicBool,
}

/// What is balanced.
#[derive(Debug, Clone, Copy)]
enum By {
    Connection,
    Request,
}

/// The task that looks at one edge. It ends when this is dropped.
#[derive(Debug)]
struct Look(tokio::task::JoinHandle<()>);

impl Drop for Look {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Balancer {
    /// One before these edges, none of which need run yet, for connections.
    pub fn start(edges: &[String]) -> Self {
        Self::by(By::Connection, edges)
    }

    /// The same for requests: those that one client sends over one connection go to different edges.
    pub fn for_requests(edges: &[String]) -> Self {
        Self::by(By::Request, edges)
    }

    fn by(by: By, edges: &[String]) -> Self {
        let address = ports::address();
        let edge = |address: &String| Edge {
            address: address.clone(),
            ready: AtomicBool::new(false),
            held_back: AtomicBool::new(false),
        };
        let shared = Arc::new(Shared {
            edges: edges.iter().map(edge).collect(),
            turn: AtomicUsize::new(0),
            routes: Mutex::default(),
            lost: AtomicU64::new(0),
        });
        let looks = (0..edges.len()).map(|index| {
            let shared = shared.clone();
            Look(runtime().spawn(async move { shared.look(index).await }))
        });
        let looks = looks.collect();
        let passing = shared.clone();
        let accepting = Accepting::start(&address, move |near, port, open| {
            let shared = passing.clone();
            async move {
                match by {
                    By::Connection => shared.pass(near, port, open).await,
                    By::Request => requests::pass(&shared, near, port, open).await,
                }
            }
        });
        Self {
            url: format!("http://{address}"),
            shared,
            _accepting: accepting,
            _looks: looks,
        }
    }

    /// The base URL at which clients reach the edges.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether an edge was ready when it was looked at last.
    pub fn is_ready(&self, edge: usize) -> bool {
        self.shared.edges[edge].ready.load(Ordering::Relaxed)
    }

    /// Whether nothing is to go to an edge while another is there, as an operator has it before a restart.
    pub fn hold_back(&self, edge: usize, held_back: bool) {
        let edge = &self.shared.edges[edge];
        edge.held_back.store(held_back, Ordering::Relaxed);
    }

    /// Tells where connections went.
    pub fn routes(&self) -> Routes {
        Routes(self.shared.clone())
    }

    /// Connections or requests that no edge took.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

/// Tells where the connections of a balancer went.
#[derive(Debug, Clone)]
pub struct Routes(Arc<Shared>);

impl Routes {
    /// The edge to which the newest connection from this port of a client went.
    pub fn edge_of(&self, port: u16) -> Option<usize> {
        self.0.routes().get(&port).copied()
    }
}

impl Shared {
    async fn pass(&self, near: TcpStream, port: u16, open: watch::Receiver<bool>) {
        for index in self.order() {
            let Ok(far) = relay::connect(&self.edges[index].address).await else {
                continue;
            };
            self.routes().insert(port, index);
            return relay::relay(near, far, open).await;
        }
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// Ready edges in turn; then the others, as a try is better than none; those that are held back come last.
    fn order(&self) -> Vec<usize> {
        let count = self.edges.len();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut order: Vec<_> = (0..count).map(|step| (turn + step) % count).collect();
        order.sort_by_key(|index| {
            let edge = &self.edges[*index];
            let held_back = edge.held_back.load(Ordering::Relaxed);
            (held_back, !edge.ready.load(Ordering::Relaxed))
        });
        order
    }

    async fn look(&self, index: usize) {
        let edge = &self.edges[index];
        loop {
            let ready = tokio::time::timeout(ANSWER, ready(&edge.address)).await;
            let ready = matches!(ready, Ok(Ok(true)));
            edge.ready.store(ready, Ordering::Relaxed);
            tokio::time::sleep(LOOK).await;
        }
    }

    fn routes(&self) -> std::sync::MutexGuard<'_, BTreeMap<u16, usize>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks an edge, over a connection of its own.
async fn ready(address: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    let question = format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(question.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}
