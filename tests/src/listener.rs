//! An HTTP server in this process that remembers what it was sent and answers as a test says: a receiver of webhooks, or
//! a remote server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::http::runtime;

/// What was sent.
#[derive(Debug, Clone)]
pub struct Heard {
    /// `POST`, …
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers, names in lower case; of several with one name the last.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Bytes,
}

impl Heard {
    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// How long it takes; `None`: it never comes.
    pub after: Option<Duration>,
}

impl Answer {
    /// A status alone.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
            after: Some(Duration::ZERO),
        }
    }

    /// JSON.
    pub fn json(value: &Value) -> Self {
        Self::status(200)
            .with("content-type", "application/json")
            .body(value.to_string())
    }

    /// Never.
    pub fn never() -> Self {
        Self {
            after: None,
            ..Self::status(200)
        }
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With another body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Later.
    #[must_use]
    pub fn after(mut self, time: Duration) -> Self {
        self.after = Some(time);
        self
    }
}

type Answering = Arc<dyn Fn(&Heard) -> Answer + Send + Sync>;

/// A listener on loopback, while it is held.
pub struct Listener {
    address: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    /// Answers that were given.
    answered: AtomicUsize,
    /// Answers that came to nothing, as whoever was to have them left before.
    left: AtomicUsize,
    heard: std::sync::Mutex<Vec<Heard>>,
    answering: std::sync::Mutex<Answering>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Listener({})", self.address)
    }
}

impl Listener {
    /// One that answers so.
    pub fn start(answering: impl Fn(&Heard) -> Answer + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared {
            answered: AtomicUsize::new(0),
            left: AtomicUsize::new(0),
            heard: std::sync::Mutex::default(),
            answering: std::sync::Mutex::new(Arc::new(answering)),
        });
        let listener = runtime()
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a port is free");
        let address = listener.local_addr().expect("it has one").to_string();
        let task = runtime().spawn(accept(listener, shared.clone()));
        Self {
            address,
            shared,
            task,
        }
    }

    /// Its URL, with this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers otherwise from now on.
    pub fn answer(&self, answering: impl Fn(&Heard) -> Answer + Send + Sync + 'static) {
        *self.shared.answering.lock().expect("no test panicked") = Arc::new(answering);
    }

    /// What was sent so far; then nothing was.
    pub fn take(&self) -> Vec<Heard> {
        std::mem::take(&mut self.shared.heard.lock().expect("no test panicked"))
    }

    /// How many were answered.
    pub fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// How many were gone before their answer.
    pub fn left(&self) -> usize {
        self.shared.left.load(Ordering::Relaxed)
    }

    /// How much was sent so far.
    pub fn count(&self) -> usize {
        self.shared.heard.lock().expect("no test panicked").len()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Connections end with their task, which ends with this one.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        connections.spawn(async move {
            let service = service_fn(|request| answer(request, shared.clone()));
            // A client that goes is none of this server's errors.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    request: http::Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<http::Response<Full<Bytes>>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = parts.headers.iter();
    let heard = Heard {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        headers: headers
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect(),
        body: body.collect().await?.to_bytes(),
    };
    let answering = shared.answering.lock().expect("no test panicked").clone();
    let answer = answering(&heard);
    shared.heard.lock().expect("no test panicked").push(heard);
    let mut waiting = Waiting(Some(shared));
    match answer.after {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
    if let Some(shared) = waiting.0.take() {
        shared.answered.fetch_add(1, Ordering::Relaxed);
    }
    let mut response = http::Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    Ok(response
        .body(Full::new(answer.body))
        .expect("tests write headers that are some"))
}

/// Counts a caller that leaves before its answer, by being dropped.
struct Waiting(Option<Arc<Shared>>);

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            shared.left.fetch_add(1, Ordering::Relaxed);
        }
    }
}
