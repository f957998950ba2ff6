//! Replies: read whole, or message by message while they come.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::Value;

use super::Broken;

/// Largest reply that is read.
pub(super) const REPLY_BYTES_MAX: usize = 64 << 20;

/// A reply whose body is still coming. Dropping it closes the connection.
#[derive(Debug)]
pub struct Open {
    head: Response,
    body: Incoming,
    read: BytesMut,
    _driver: Driver,
}

/// The task that moves a connection's bytes. It ends with the connection, or when this is dropped.
#[derive(Debug)]
pub(super) struct Driver(tokio::task::JoinHandle<()>);

impl Driver {
    pub(super) fn of(connection: impl Future<Output = hyper::Result<()>> + Send + 'static) -> Self {
        Self(tokio::spawn(async move {
            // What broke it is told to whoever reads the reply.
            let _ = connection.await;
        }))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Open {
    pub(super) fn new(response: http::Response<Incoming>, driver: Driver) -> Self {
        let (head, body) = response.into_parts();
        let head = Response {
            status: head.status.as_u16(),
            headers: head.headers,
            body: Bytes::new(),
        };
        Self {
            head,
            body,
            read: BytesMut::new(),
            _driver: driver,
        }
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.head.header(name)
    }

    /// Waits until the first whole message of a stream of events is there, and answers with it.
    ///
    /// # Panics
    /// Where the stream ends before, or none comes in time.
    #[track_caller]
    pub fn first_message(&mut self) -> Value {
        self.messages(1).swap_remove(0)
    }

    /// Waits until so many whole messages of a stream of events are there, and answers with them.
    ///
    /// # Panics
    /// Where the stream ends before, or they do not come in time.
    #[track_caller]
    pub fn messages(&mut self, count: usize) -> Vec<Value> {
        self.until(|open| {
            let messages = open.so_far().messages();
            (messages.len() >= count).then_some(messages)
        })
    }

    /// Waits for the event by which a server of 2024-11-05 says where to post, and answers with that; it is no message.
    ///
    /// # Panics
    /// As [`Self::messages`].
    #[track_caller]
    pub fn endpoint(&mut self) -> String {
        let text = self.until(|open| {
            let text = open.so_far().text();
            text.starts_with("event: endpoint\n").then_some(text)
        });
        let end = text.find("\n\n").map_or(text.len(), |at| at + 2);
        let _read = self.read.split_to(end);
        let data = text.lines().find_map(|line| line.strip_prefix("data: "));
        data.expect("it says where").to_owned()
    }

    /// Waits for an event with an id, and answers with that.
    ///
    /// # Panics
    /// As [`Self::messages`].
    #[track_caller]
    pub fn first_event_id(&mut self) -> String {
        self.until(|open| open.event_ids().into_iter().next())
    }

    /// Reads on until `found` finds something in what has come, up to the last whole event.
    #[track_caller]
    fn until<T>(&mut self, found: impl Fn(&Self) -> Option<T>) -> T {
        let read = async {
            loop {
                let whole = self.read.windows(2).any(|pair| pair == b"\n\n");
                if let Some(found) = whole.then(|| found(self)).flatten() {
                    return found;
                }
                let frame = self
                    .body
                    .frame()
                    .await
                    .expect("more before the end")
                    .expect("no broken stream");
                self.read
                    .extend_from_slice(frame.data_ref().map_or(&[], |data| data));
            }
        };
        let found =
            super::runtime().block_on(async { tokio::time::timeout(super::DEADLINE, read).await });
        found.expect("it comes in time")
    }

    /// The ids of the events that have come so far.
    pub fn event_ids(&self) -> Vec<String> {
        let text = self.so_far().text();
        let ids = text.lines().filter_map(|line| line.strip_prefix("id: "));
        ids.map(str::to_owned).collect()
    }

    /// Reads the reply to its end.
    ///
    /// # Panics
    /// Where it breaks off, or does not end in time.
    #[track_caller]
    pub fn whole(self) -> Response {
        let rest = self.rest();
        let whole =
            super::runtime().block_on(async { tokio::time::timeout(super::DEADLINE, rest).await });
        let whole = whole.expect("the reply ends in time");
        whole.expect("the reply comes whole")
    }

    /// Reads until more than so many bytes of the body have come, and answers with how many; they are not kept.
    ///
    /// # Panics
    /// Where the reply ends before, or they do not come in time.
    #[track_caller]
    pub fn read_past(&mut self, bytes: usize) -> usize {
        let mut sum = self.read.len();
        while sum <= bytes {
            sum += self.next_bytes().expect("more before the end");
        }
        sum
    }

    /// Reads the rest of the body, and answers with how many bytes it has; they are not kept.
    ///
    /// # Panics
    /// Where it breaks off, or does not come in time.
    #[track_caller]
    pub fn count_rest(mut self) -> usize {
        std::iter::from_fn(|| self.next_bytes()).sum()
    }

    /// How many bytes the next piece of the body has. `None`: there is none.
    #[track_caller]
    fn next_bytes(&mut self) -> Option<usize> {
        let next = async { tokio::time::timeout(super::DEADLINE, self.body.frame()).await };
        let frame = super::runtime().block_on(next).expect("it comes in time")?;
        let frame = frame.expect("no broken reply");
        Some(frame.data_ref().map_or(0, Bytes::len))
    }

    /// What has come so far, up to the last whole event.
    fn so_far(&self) -> Response {
        let end = self
            .read
            .windows(2)
            .rposition(|pair| pair == b"\n\n")
            .map_or(0, |at| at + 2);
        Response {
            body: Bytes::copy_from_slice(&self.read[..end]),
            ..self.head.clone()
        }
    }

    pub(super) async fn rest(self) -> Result<Response, Broken> {
        let Self {
            head,
            body,
            mut read,
            _driver,
        } = self;
        let rest = Limited::new(body, REPLY_BYTES_MAX).collect().await;
        read.extend_from_slice(&rest.map_err(|e| Broken::because(&*e))?.to_bytes());
        Ok(Response {
            body: read.freeze(),
            ..head
        })
    }
}

/// A whole reply.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Response {
    /// A header's value; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Itself, if the status is this one.
    ///
    /// # Panics
    /// With the whole reply, where it is another one.
    #[track_caller]
    pub fn expect_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// All JSON-RPC messages of the reply, in order: the body, or the data of its events.
    #[track_caller]
    pub fn messages(&self) -> Vec<Value> {
        self.try_messages()
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self}"))
    }

    /// All JSON-RPC messages of the reply, in order.
    ///
    /// # Errors
    /// Where one is no JSON.
    pub fn try_messages(&self) -> Result<Vec<Value>, serde_json::Error> {
        let text = self.text();
        if self.header("content-type").starts_with("text/event-stream") {
            text.replace("\r\n", "\n")
                .split("\n\n")
                .filter_map(data)
                .map(|data| serde_json::from_str(&data))
                .collect()
        } else {
            Ok(vec![serde_json::from_str(&text)?])
        }
    }

    /// The JSON-RPC response, which comes last.
    #[track_caller]
    pub fn reply(&self) -> Value {
        self.messages()
            .pop()
            .unwrap_or_else(|| panic!("no message: {self}"))
    }

    /// The result.
    ///
    /// # Panics
    /// Where the reply is an error.
    #[track_caller]
    pub fn result(&self) -> Value {
        match self.reply()["result"].take() {
            Value::Null => panic!("no result: {self}"),
            result => result,
        }
    }

    /// The error.
    ///
    /// # Panics
    /// Where the reply is a result.
    #[track_caller]
    pub fn error(&self) -> Value {
        match self.reply()["error"].take() {
            Value::Null => panic!("no error: {self}"),
            error => error,
        }
    }

    /// The error's code.
    #[track_caller]
    pub fn error_code(&self) -> i64 {
        self.error()["code"]
            .as_i64()
            .unwrap_or_else(|| panic!("the error has no code: {self}"))
    }

    /// The error's code and reason, for the two codes of ours.
    #[track_caller]
    pub fn refusal(&self) -> (i64, String) {
        let error = self.error();
        (
            self.error_code(),
            error["data"]["reason"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    }

    /// All text blocks of a tool's result, joined.
    #[track_caller]
    pub fn content(&self) -> String {
        let result = self.result();
        let blocks = result["content"]
            .as_array()
            .unwrap_or_else(|| panic!("no content: {self}"));
        blocks
            .iter()
            .filter_map(|block| block["text"].as_str())
            .collect()
    }
}

impl std::fmt::Display for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "HTTP {} {:?}\n{}",
            self.status,
            self.headers,
            self.text()
        )
    }
}

/// The data of one event; `None` for comments and events without data.
fn data(event: &str) -> Option<String> {
    let lines: Vec<_> = event
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .collect();
    let joined = lines
        .iter()
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect::<Vec<_>>()
        .join("\n");
    (!joined.is_empty()).then_some(joined)
}
