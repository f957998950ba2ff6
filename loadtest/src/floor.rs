//! The floor: a bare proxy, of the same parts as Gatehouse, which reads each message and does nothing about it. What a
//! gateway costs more than this, it costs for what it does: who may call, what goes through, what is put on record.
//!
//! ```text
//! client -> read whole -> mcp::envelope::scan -> a pooled HTTP/1.1 connection -> server
//!        <------------------- streamed ---------------------------------------
//! ```
//! It decides nothing, keeps no record, and speaks no TLS.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONNECTION, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use mcp::envelope::{Limits, scan};
use mcp::error::RpcError;

use crate::body;
use crate::client::balance::{Backends, Held};
use crate::client::link::{drive, poll_driver};
use crate::serve::Server;
use crate::target::Target;

/// Largest request, bytes.
const REQUEST_BYTES_MAX: usize = 4 << 20;
/// Headers that are one connection's own.
const HOP: [HeaderName; 6] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// A floor to be started: `Floor::before(target).start()`.
#[derive(Debug, Clone)]
pub struct Floor {
    target: Target,
    listen: SocketAddr,
    threads: usize,
}

impl Floor {
    /// Before this target, on a free loopback port and one thread. The key and era of the target are the clients' own
    /// matter here.
    #[must_use]
    pub fn before(target: Target) -> Self {
        Self {
            target,
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            threads: 1,
        }
    }

    /// Another address.
    #[must_use]
    pub fn at(self, listen: SocketAddr) -> Self {
        Self { listen, ..self }
    }

    /// On so many threads.
    #[must_use]
    pub fn on_threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// Starts it, on threads of its own; needs no runtime.
    ///
    /// # Errors
    /// The address is in use, or the system gives no thread.
    pub fn start(&self) -> io::Result<Serving> {
        let backends = Arc::new(Backends::new(&self.target.urls, 0));
        let server = Server::start(self.listen, self.threads, move |request| {
            forward(backends.clone(), request)
        })?;
        Ok(Serving { server })
    }
}

/// A floor that serves. Dropping it ends it.
#[derive(Debug)]
pub struct Serving {
    server: Server,
}

impl Serving {
    /// Where it takes calls.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.server.address)
    }

    /// Serves until the process is ended.
    pub fn wait(self) {
        self.server.wait();
    }
}

async fn forward(backends: Arc<Backends>, request: Request<Incoming>) -> Response<Relay> {
    let (mut parts, body) = request.into_parts();
    let Ok(message) = body::whole(body, REQUEST_BYTES_MAX).await else {
        return answer(StatusCode::PAYLOAD_TOO_LARGE, Vec::new());
    };
    if !message.is_empty()
        && let Err(error) = scan(&message, &Limits::REQUEST)
    {
        let error = RpcError::from(&error);
        return answer(StatusCode::BAD_REQUEST, error.body(None));
    }
    strip(&mut parts.headers);
    let request = Request::from_parts(parts, Full::new(message));
    send(backends, request)
        .await
        .unwrap_or_else(|_| answer(StatusCode::BAD_GATEWAY, Vec::new()))
}

/// Sends it on; once more where nothing was sent.
async fn send(
    backends: Arc<Backends>,
    mut request: Request<Full<Bytes>>,
) -> Result<Response<Relay>, StatusCode> {
    let failed = StatusCode::BAD_GATEWAY;
    let mut again = false;
    loop {
        let mut held = backends.take(again).await.map_err(|_| failed)?;
        let url = backends.url(&held);
        *request.uri_mut() = url.path.clone();
        request.headers_mut().insert(HOST, url.host.clone());
        let sent = held.link.sender.try_send_request(request);
        match drive(&mut held.link.driver, sent).await {
            Ok(response) => {
                let (mut parts, body) = response.into_parts();
                strip(&mut parts.headers);
                let stream = Stream::new(body, held, backends);
                return Ok(Response::from_parts(parts, Relay::Stream(stream.into())));
            }
            Err(mut error) => match error.take_message() {
                Some(unsent) if !again => request = unsent,
                _ => return Err(failed),
            },
        }
        again = true;
    }
}

fn strip(head: &mut HeaderMap) {
    for name in &HOP {
        head.remove(name);
    }
}

fn answer(status: StatusCode, body: Vec<u8>) -> Response<Relay> {
    let mut response = Response::new(Relay::Own(Full::new(body.into())));
    *response.status_mut() = status;
    response
}

/// A reply on its way back.
#[derive(Debug)]
enum Relay {
    /// The floor's own.
    Own(Full<Bytes>),
    /// The server's.
    Stream(Box<Stream>),
}

/// A reply that is still coming, with the connection on which it comes.
#[derive(Debug)]
struct Stream {
    body: Incoming,
    /// Given back when the reply has come whole.
    held: Option<Held>,
    backends: Arc<Backends>,
}

impl Body for Relay {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Own(body) => Pin::new(body)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(|never| match never {}))),
            Self::Stream(stream) => stream.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(body) => body.is_end_stream(),
            Self::Stream(stream) => stream.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(body) => body.size_hint(),
            Self::Stream(stream) => stream.body.size_hint(),
        }
    }
}

impl Stream {
    fn new(body: Incoming, held: Held, backends: Arc<Backends>) -> Self {
        let mut stream = Self {
            body,
            held: Some(held),
            backends,
        };
        // Nobody asks for the frames of an empty body.
        if stream.body.is_end_stream() {
            stream.give_back();
        }
        stream
    }

    fn give_back(&mut self) {
        if let Some(held) = self.held.take() {
            self.backends.give_back(held);
        }
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(held) = &mut self.held {
            poll_driver(&mut held.link.driver, cx);
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        // The last frame is known by itself where the length was told; nobody asks for another one then.
        let over = frame.is_none() || self.body.is_end_stream();
        if over {
            self.give_back();
        }
        Poll::Ready(frame)
    }
}
