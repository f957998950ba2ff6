//! A foreign OTLP receiver, over gRPC or HTTP: what `--otlp` sends, as anybody's collector would get it, and as moody
//! as any: away, too busy, refusing, taking a part.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tokio::task::JoinHandle;

use crate::gate::Gate;
use crate::http::runtime;
use crate::ports;

mod grpc;
mod http;
pub mod letters;
mod span;

pub use span::Span;

/// Spans kept; more than any test sends.
const SPANS_MAX: usize = 400_000;
/// Requests whose time is kept.
const REQUESTS_MAX: usize = 100_000;

/// How a receiver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// It takes everything.
    Takes,
    /// 429 with `Retry-After`; `RESOURCE_EXHAUSTED` with `RetryInfo`.
    TooMany(Duration),
    /// 503; `UNAVAILABLE`.
    Unavailable,
    /// It takes all of a request but its first span, and says so.
    Partial,
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Came {
    /// From which node.
    pub node: String,
    /// When.
    pub at: Instant,
    /// How it was answered.
    pub mood: Mood,
}

/// A receiver. It takes everything until it is told otherwise.
#[derive(Debug)]
pub struct Receiver {
    gate: Gate,
    wire: Wire,
    inbox: Arc<Inbox>,
    server: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    Grpc,
    Http,
}

/// What has come. All locks are held for single operations only.
#[derive(Debug)]
struct Inbox {
    mood: Mutex<Mood>,
    spans: Mutex<Vec<Span>>,
    came: Mutex<Vec<Came>>,
    /// Attributes that are kept; all where there is none.
    keeps: Vec<String>,
}

/// What a request is answered with.
enum Answer {
    Taken(ExportTraceServiceResponse),
    TooMany(Duration),
    Unavailable,
}

impl Receiver {
    /// Starts one that speaks gRPC on a free port.
    pub fn start() -> Self {
        Self::begin(Wire::Grpc, &[])
    }

    /// Starts one that speaks gRPC and keeps of each span no attributes but these: for loads.
    pub fn keeping(attributes: &[&str]) -> Self {
        Self::begin(Wire::Grpc, attributes)
    }

    /// The same over HTTP.
    pub fn http_keeping(attributes: &[&str]) -> Self {
        Self::begin(Wire::Http, attributes)
    }

    fn begin(wire: Wire, keeps: &[&str]) -> Self {
        let inbox = Inbox {
            mood: Mutex::new(Mood::Takes),
            spans: Mutex::default(),
            came: Mutex::default(),
            keeps: keeps.iter().map(|&name| name.to_owned()).collect(),
        };
        let inbox = Arc::new(inbox);
        let address = ports::address();
        let listener = std::net::TcpListener::bind(&address).expect("the port is free");
        listener
            .set_nonblocking(true)
            .expect("a listener can be made so");
        let served = inbox.clone();
        let server = runtime().spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("it is non-blocking");
            match wire {
                Wire::Grpc => grpc::serve(listener, served).await,
                Wire::Http => http::serve(listener, served).await,
            }
        });
        Self {
            gate: Gate::start(&address),
            wire,
            inbox,
            server,
        }
    }

    /// What `--otlp` takes.
    pub fn url(&self) -> String {
        match self.wire {
            Wire::Grpc => format!("http://{}", self.gate.address()),
            Wire::Http => format!("http://{}/v1/traces", self.gate.address()),
        }
    }

    /// All spans that it took so far, in the order of coming.
    pub fn spans(&self) -> Vec<Span> {
        self.inbox.spans().clone()
    }

    /// How many calls it has records of: by the ids of their requests.
    pub fn calls(&self) -> usize {
        let spans = self.inbox.spans();
        let ids = spans.iter().map(|span| span.text("jsonrpc.request.id"));
        ids.collect::<std::collections::BTreeSet<_>>().len()
    }

    /// All requests so far, in the order of coming.
    pub fn came(&self) -> Vec<Came> {
        lock(&self.inbox.came).clone()
    }

    /// From now on it answers like this.
    pub fn set(&self, mood: Mood) {
        *lock(&self.inbox.mood) = mood;
    }

    /// It goes away: nothing listens any more, and all connections are closed.
    pub fn go_away(&self) {
        self.gate.shut();
    }

    /// It is back at the same address.
    pub fn come_back(&self) {
        self.gate.open();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Inbox {
    /// Takes a request as the mood is, and says how to answer.
    fn take(&self, request: ExportTraceServiceRequest) -> Answer {
        let mood = *lock(&self.mood);
        self.note(&request, mood);
        match mood {
            Mood::TooMany(after) => return Answer::TooMany(after),
            Mood::Unavailable => return Answer::Unavailable,
            Mood::Takes | Mood::Partial => {}
        }
        let skipped = usize::from(mood == Mood::Partial);
        let came = span::all(request, &self.keeps);
        let mut spans = self.spans();
        spans.extend(came.into_iter().skip(skipped));
        assert!(spans.len() <= SPANS_MAX, "no test sends that much");
        let partial_success = (mood == Mood::Partial).then(|| ExportTracePartialSuccess {
            rejected_spans: 1,
            error_message: "the first one is not wanted".to_owned(),
        });
        Answer::Taken(ExportTraceServiceResponse { partial_success })
    }

    fn note(&self, request: &ExportTraceServiceRequest, mood: Mood) {
        let mut came = lock(&self.came);
        if came.len() < REQUESTS_MAX {
            came.push(Came {
                node: span::node(request),
                at: Instant::now(),
                mood,
            });
        }
    }

    fn spans(&self) -> MutexGuard<'_, Vec<Span>> {
        lock(&self.spans)
    }
}

/// The requests of each node in a mood, in the order of coming.
pub fn by_node(came: &[Came], is: impl Fn(Mood) -> bool) -> BTreeMap<&str, Vec<Instant>> {
    let mut found: BTreeMap<&str, Vec<Instant>> = BTreeMap::new();
    for each in came.iter().filter(|each| is(each.mood)) {
        found.entry(&each.node).or_default().push(each.at);
    }
    found
}

/// A panic elsewhere leaves nothing half done here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
