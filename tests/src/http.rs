//! An HTTP client that sends exactly what it is told, one connection a request: for messages that no SDK would send.
//!
//! Blocking, as tests are plain threads; hyper runs on a runtime behind it. Knows nothing of MCP but that a reply may
//! be JSON or a stream of events.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, HeaderValue, Method};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

mod pool;
mod reply;

pub use pool::{Lost, Pool};
use reply::Driver;
pub use reply::{Open, Response};

/// How long a request may take unless it says otherwise.
const DEADLINE: Duration = Duration::from_secs(90);

/// The runtime under all asynchronous parts of the harness. Lives as long as the test process.
pub fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime can be built")
    })
}

/// A request, to the byte.
#[derive(Debug, Clone)]
pub struct Request {
    method: Method,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<Bytes>,
    chunked: bool,
    deadline: Duration,
}

/// A request that got no whole reply.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Broken(String);

impl Broken {
    fn because(error: &dyn std::error::Error) -> Self {
        Self(error.to_string())
    }
}

impl Request {
    /// A request with nothing but a method, a URL and the `Host` that follows from it.
    pub fn new(method: Method, url: &str) -> Self {
        let host = authority(url).to_owned();
        let headers = vec![("host".to_owned(), host)];
        Self {
            method,
            url: url.to_owned(),
            headers,
            body: Vec::new(),
            chunked: false,
            deadline: DEADLINE,
        }
    }

    /// A GET.
    pub fn get(url: &str) -> Self {
        Self::new(Method::GET, url)
    }

    /// A POST.
    pub fn post(url: &str) -> Self {
        Self::new(Method::POST, url)
    }

    /// Adds a header, also beside one of the same name.
    #[must_use]
    pub fn and(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets a header, in place of all of the same name.
    #[must_use]
    pub fn with(self, name: &str, value: &str) -> Self {
        self.without(name).and(name, value)
    }

    /// Leaves a header out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|(each, _)| !each.eq_ignore_ascii_case(name));
        self
    }

    /// The same request to another URL.
    #[must_use]
    pub fn to(mut self, url: &str) -> Self {
        url.clone_into(&mut self.url);
        let host = authority(url).to_owned();
        self.with("host", &host)
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = vec![body.into()];
        self.chunked = false;
        self
    }

    /// Sets a body whose length is not told beforehand.
    #[must_use]
    pub fn chunks(mut self, chunks: Vec<Bytes>) -> Self {
        self.body = chunks;
        self.chunked = true;
        self
    }

    /// The body as text, for a test that changes it.
    pub fn text(&self) -> String {
        let whole: Vec<u8> = self.body.concat();
        String::from_utf8(whole).expect("the body is text")
    }

    /// Sets how long the whole may take.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sends it.
    ///
    /// # Panics
    /// Where no whole reply comes.
    #[track_caller]
    pub fn send(&self) -> Response {
        self.try_send()
            .unwrap_or_else(|error| panic!("{} {}: {error}", self.method, self.url))
    }

    /// Sends it.
    ///
    /// # Errors
    /// Where no whole reply comes: no connection, a broken one, or too late.
    pub fn try_send(&self) -> Result<Response, Broken> {
        self.in_time(async { self.exchange().await?.rest().await })
    }

    /// Sends it and reads no more than the head of the reply: for replies that come in pieces.
    ///
    /// # Panics
    /// Where no head comes.
    #[track_caller]
    pub fn open(&self) -> Open {
        let open = self.in_time(self.exchange());
        open.unwrap_or_else(|error| panic!("{} {}: {error}", self.method, self.url))
    }

    /// Sends it, and closes the connection as soon as `left` holds.
    ///
    /// # Panics
    /// Where a reply begins before, or it never holds.
    #[track_caller]
    pub fn leave_when(&self, mut left: impl FnMut() -> bool) {
        let leaves = async {
            let mut looks = tokio::time::interval(Duration::from_millis(20));
            while !left() {
                looks.tick().await;
            }
        };
        let done = self.in_time(async {
            tokio::select! {
                _ = self.exchange() => Err(Broken("a reply came, or the connection broke".into())),
                () = leaves => Ok(()),
            }
        });
        done.unwrap_or_else(|error| panic!("{} {}: {error}", self.method, self.url));
    }

    fn in_time<T>(&self, work: impl Future<Output = Result<T, Broken>>) -> Result<T, Broken> {
        runtime().block_on(async {
            match tokio::time::timeout(self.deadline, work).await {
                Ok(outcome) => outcome,
                Err(_) => Err(Broken(format!("no reply within {:?}", self.deadline))),
            }
        })
    }

    async fn exchange(&self) -> Result<Open, Broken> {
        let tcp = TcpStream::connect(authority(&self.url))
            .await
            .map_err(|e| Broken::because(&e))?;
        let connected = hyper::client::conn::http1::handshake(TokioIo::new(tcp)).await;
        let (mut sender, connection) = connected.map_err(|e| Broken::because(&e))?;
        let driver = Driver::of(connection);
        let response = sender
            .send_request(self.message()?)
            .await
            .map_err(|e| Broken::because(&e))?;
        Ok(Open::new(response, driver))
    }

    fn message(&self) -> Result<http::Request<BoxBody<Bytes, std::convert::Infallible>>, Broken> {
        let path = self.url.splitn(4, '/').nth(3).unwrap_or_default();
        let body = if self.chunked {
            let frames: Vec<_> = self
                .body
                .iter()
                .map(|chunk| Ok(Frame::data(chunk.clone())))
                .collect();
            BodyExt::boxed(StreamBody::new(stream::iter(frames)))
        } else {
            BodyExt::boxed(Full::new(self.body.first().cloned().unwrap_or_default()))
        };
        let mut request = http::Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = format!("/{path}")
            .parse()
            .map_err(|e| Broken(format!("/{path}: {e}")))?;
        for (name, value) in &self.headers {
            let name =
                HeaderName::from_bytes(name.as_bytes()).map_err(|e| Broken(e.to_string()))?;
            let value =
                HeaderValue::from_bytes(value.as_bytes()).map_err(|e| Broken(e.to_string()))?;
            request.headers_mut().append(name, value);
        }
        Ok(request)
    }
}

/// `host:port` of a URL.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}
