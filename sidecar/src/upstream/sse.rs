//! A server of 2024-11-05 over HTTP+SSE: one stream on which it says everything, and an address that it is told things at
//! (2024-11-05, basic/transports, "HTTP with SSE"). To its callers it is a pair of pipes like any other.

use std::sync::Arc;
use std::time::Duration;

use ::http::header::{ACCEPT, CONTENT_TYPE};
use ::http::{HeaderValue, Method, StatusCode};
use bytes::Bytes;
use dataplane::deliver::direct;
use dataplane::deliver::messages::is_event_stream;
use dataplane::egress::Egress;
use engine::upstream::Upstream;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use mcp::envelope::{self, Kind, Limits};
use mcp::error::RpcError;
use mcp::revision::Era;
use mcp::sse::{Decoder, Event};
use model::decision::Reason;
use model::url::HttpUrl;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::greeting::{Greeting, Who};
use super::handshake::{self, Outcome};
use super::link::Link;

/// Bytes that wait between a stream and its reader.
const PIPE_BYTES: usize = 64 << 10;
/// Answers in the server's place that wait for the reader.
const REFUSED_MAX: usize = 16;
/// How long a server may take to take a message.
const POST: Duration = Duration::from_secs(30);

/// A connection with such a server. Dropped, it is closed.
#[derive(Debug)]
pub struct Running {
    link: Link,
    /// Own the two ways; they end with the stream, or with this.
    _tasks: JoinSet<()>,
}

impl Running {
    /// Connects to the server at `upstream` and greets it in the name of `who`.
    ///
    /// # Errors
    /// Why it is of no use as it is now, for people.
    pub async fn reach(
        egress: &Egress,
        upstream: &Upstream,
        who: &Who,
        within: Duration,
        line_bytes_max: usize,
    ) -> Result<(Self, Greeting), String> {
        let reached = async {
            let (stream, endpoint) = connect(egress, upstream).await?;
            let running = Self::new(egress.clone(), stream, endpoint, who, line_bytes_max);
            match handshake::greet(&running.link, Era::Legacy, who, within).await {
                Ok(Outcome::Ready(greeting)) => Ok((running, greeting)),
                Ok(Outcome::Restart) => Err("the server refuses to begin".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        };
        let late = |_| format!("the server did not begin within {} s", within.as_secs_f32());
        timeout(within, reached).await.map_err(late)?
    }

    fn new(
        egress: Egress,
        stream: Stream,
        endpoint: Upstream,
        who: &Who,
        line_bytes_max: usize,
    ) -> Self {
        let (near_out, far_in) = tokio::io::duplex(PIPE_BYTES);
        let (far_out, near_in) = tokio::io::duplex(PIPE_BYTES);
        let own = who.holder.is_some();
        let (link, writing, reading) = Link::new(near_in, near_out, line_bytes_max, own);
        let mut tasks = JoinSet::new();
        tasks.spawn(writing);
        tasks.spawn(reading);
        let (refuse, refused) = mpsc::channel(REFUSED_MAX);
        tasks.spawn(hear(stream, refused, far_in));
        tasks.spawn(tell(egress, endpoint, far_out, refuse));
        Self {
            link,
            _tasks: tasks,
        }
    }

    /// The way to it.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Waits until it has ended its stream; says so, in words that go on from "the server".
    pub async fn ended(&mut self) -> String {
        self.link.silent().await;
        self.link.close("the server has ended its stream");
        "has ended its stream".to_owned()
    }

    /// Lets calls finish for at most `within`, then closes the connection.
    pub async fn retire(self, within: Duration) {
        let _late = timeout(within, self.link.idle()).await;
        self.link.close("the connection to the server was closed");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.link.close("the connection to the server was closed");
    }
}

/// A stream that is being read.
struct Stream {
    decoder: Decoder,
    incoming: Incoming,
}

impl Stream {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.decoder.next_event() {
                return event.ok();
            }
            let frame = self.incoming.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.decoder.push(&data);
            }
        }
    }
}

/// Opens the stream; its first event says where messages are posted.
async fn connect(egress: &Egress, upstream: &Upstream) -> Result<(Stream, Upstream), String> {
    let request = direct::bodiless(upstream, Method::GET, "");
    let mut request = request.map_err(|fault| fault.message)?;
    let accept = HeaderValue::from_static("text/event-stream");
    request.headers_mut().insert(ACCEPT, accept);
    let sent = egress.send(&upstream.url, request).await;
    let response = sent.map_err(|_| "the server cannot be reached".to_owned())?;
    let status = response.status();
    if !status.is_success() || !is_event_stream(response.headers()) {
        return Err(format!("the server answers HTTP {status} to who listens"));
    }
    let mut stream = Stream {
        decoder: Decoder::new(super::http::MESSAGE_BYTES_MAX),
        incoming: response.into_body(),
    };
    loop {
        let event = stream.next().await;
        let event = event.ok_or("the server's stream ended before it said where to post")?;
        if event.event == "endpoint" {
            let said = String::from_utf8_lossy(&event.data);
            let url = endpoint(&upstream.url, &said)?;
            let headers = upstream.headers.clone();
            return Ok((stream, Upstream { url, headers }));
        }
    }
}

/// Where to post, which must be at the server itself: its word is not to lead us to somebody else.
fn endpoint(at: &HttpUrl, said: &str) -> Result<HttpUrl, String> {
    let refused = || format!("the server wants messages at {said:?}, which is not its own");
    let text = if said.starts_with("http://") || said.starts_with("https://") {
        said.to_owned()
    } else if said.starts_with('/') && !said.starts_with("//") {
        let origin = HttpUrl {
            path: String::new(),
            ..at.clone()
        };
        format!("{origin}{said}")
    } else {
        return Err(refused());
    };
    let url = HttpUrl::parse(&text).map_err(|_| refused())?;
    let is_own = (url.is_https, &url.host, url.port) == (at.is_https, &at.host, at.port);
    is_own.then_some(url).ok_or_else(refused)
}

/// What the server says, one message a line, and in its place the answers to requests that it did not take. Ends with
/// the stream, or when the server can be told nothing any more.
async fn hear(mut stream: Stream, mut refused: mpsc::Receiver<Vec<u8>>, mut to: DuplexStream) {
    loop {
        let mut line = tokio::select! {
            event = stream.next() => match event {
                Some(event) if event.event == "message" => event.data.to_vec(),
                Some(_) => continue,
                None => return,
            },
            answer = refused.recv() => match answer {
                Some(answer) => answer,
                None => return,
            },
        };
        // Between its tokens alone: a bare line end in a string is not JSON.
        line.iter_mut()
            .filter(|b| matches!(b, b'\n' | b'\r'))
            .for_each(|b| *b = b' ');
        line.push(b'\n');
        if to.write_all(&line).await.is_err() {
            return;
        }
    }
}

/// What is said to the server, one message after the other. Nobody waits for the answer to a request that the server
/// did not take: it is answered here. A server that knows the session no more, or cannot be reached, is told nothing
/// more; with `refuse` the stream ends, and with that the connection.
async fn tell(
    egress: Egress,
    endpoint: Upstream,
    from: DuplexStream,
    refuse: mpsc::Sender<Vec<u8>>,
) {
    let mut lines = BufReader::new(from).split(b'\n');
    let endpoint = Arc::new(endpoint);
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = Bytes::from(line);
        let Ok(mut request) = direct::post(&endpoint, line.clone()) else {
            return;
        };
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        let (why, is_over) = match timeout(POST, egress.send(&endpoint.url, request)).await {
            Ok(Ok(response)) if response.status().is_success() => continue,
            Ok(Ok(response)) => {
                let status = response.status();
                let why = format!("the server answers a message with HTTP {status}");
                (why, status == StatusCode::NOT_FOUND)
            }
            Ok(Err(error)) => (format!("the server cannot be told anything: {error}"), true),
            Err(_) => ("the server takes no messages".to_owned(), false),
        };
        tracing::warn!("{why}");
        if is_over {
            return;
        }
        if let Some(answer) = not_taken(&line, &why)
            && refuse.send(answer).await.is_err()
        {
            return;
        }
    }
}

/// The answer to a request that the server did not take. `None` for what nobody waits for.
fn not_taken(message: &[u8], why: &str) -> Option<Vec<u8>> {
    let envelope = envelope::scan(message, &Limits::REQUEST).ok()?;
    let id = envelope
        .raw_id()
        .filter(|_| envelope.kind == Kind::Request)?;
    Some(RpcError::unavailable(Reason::Unavailable.as_str(), why).body(Some(id)))
}

#[cfg(test)]
#[path = "sse_tests.rs"]
mod tests;
