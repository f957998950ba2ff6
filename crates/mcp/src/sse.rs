//! Server-sent events, both ways: what carries messages in HTTP responses (WHATWG HTML, section 9.2).
//!
//! The decoder takes bytes as they come, in any pieces, and holds at most one event. Must not know what is in an
//! event's data.

use bytes::Bytes;

/// Events larger than this are refused by [`Decoder::default`], bytes.
pub const EVENT_BYTES_MAX: usize = 64 << 20;
/// How many bytes beyond one event may wait to be read: a chunk from the network and more. Whoever pushes without
/// reading gets [`Error::TooLong`].
const BACKLOG_BYTES_MAX: usize = 4 << 20;
/// Names, ids and other short fields longer than this are ignored, bytes.
const FIELD_BYTES_MAX: usize = 4096;

/// A stream that cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An event, or what waits to be read, is larger than the limit.
    #[error("event longer than {limit} bytes")]
    TooLong {
        /// The limit, bytes.
        limit: usize,
    },
}

/// An event as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its type; `message` unless it says otherwise.
    pub event: String,
    /// Its data. Empty in an event that only sets an id.
    pub data: Bytes,
    /// The id it sets, if it sets one.
    pub id: Option<String>,
    /// The reconnection time it sets, milliseconds.
    pub retry: Option<u64>,
}

/// A message as an event of type `message`. Line breaks, which a JSON text may have between its values, become data
/// lines of their own.
#[must_use]
pub fn encode(data: &[u8]) -> Bytes {
    encode_event("message", None, data)
}

/// An event of any type, with an id if there is one. Line breaks end what is taken of `event` and `id`.
#[must_use]
pub fn encode_event(event: &str, id: Option<&str>, data: &[u8]) -> Bytes {
    let first_line = |text| {
        str::lines(text)
            .next()
            .unwrap_or_default()
            .replace(['\r', '\0'], "")
    };
    let mut out = Vec::with_capacity(data.len() + event.len() + 24);
    let mut field = |name: &[u8], value: &[u8]| {
        out.extend_from_slice(name);
        out.extend_from_slice(value);
        out.push(b'\n');
    };
    field(b"event: ", first_line(event).as_bytes());
    if let Some(id) = id {
        field(b"id: ", first_line(id).as_bytes());
    }
    let mut rest = data;
    loop {
        let (line, next) = split_line(rest);
        field(b"data: ", line);
        match next {
            Some(next) => rest = next,
            None => break,
        }
    }
    out.push(b'\n');
    Bytes::from(out)
}

/// An event that says nothing but its id, and how soon a client that loses the stream is to come back (2025-11-25,
/// basic/transports, "Sending Messages to the Server").
#[must_use]
pub fn prime(id: &str, retry_ms: u64) -> Bytes {
    let id: String = id.chars().filter(|c| !c.is_control()).collect();
    Bytes::from(format!("retry: {retry_ms}\nid: {id}\ndata:\n\n"))
}

/// A comment, which receivers skip: keeps the connection alive.
#[must_use]
pub fn comment() -> Bytes {
    Bytes::from_static(b":\n\n")
}

/// The first line, and what follows its break if there is one.
fn split_line(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let Some(end) = memchr::memchr2(b'\r', b'\n', text) else {
        return (text, None);
    };
    let (line, rest) = text.split_at(end);
    (line, rest.strip_prefix(b"\r\n").or_else(|| rest.get(1..)))
}

/// Takes bytes in, gives events out. After an error it gives nothing more.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    buffer: Vec<u8>,
    /// Up to here `buffer` is read.
    read: usize,
    /// Up to here it has no line break.
    searched: usize,
    begun: bool,
    /// A CR ended the last line; an LF that follows belongs to it.
    after_cr: bool,
    block: Block,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Failed,
    Told,
}

/// The event that is being read.
#[derive(Debug, Default)]
struct Block {
    event: String,
    data: Option<Vec<u8>>,
    id: Option<String>,
    retry: Option<u64>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(EVENT_BYTES_MAX)
    }
}

impl Decoder {
    /// A decoder for events of at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            buffer: Vec::new(),
            read: 0,
            searched: 0,
            begun: false,
            after_cr: false,
            block: Block::default(),
            state: State::Open,
        }
    }

    /// Takes the next bytes of the stream. Call [`Self::next_event`] until it has no more before the next push.
    pub fn push(&mut self, chunk: &[u8]) {
        if self.state != State::Open {
            return;
        }
        self.buffer.drain(..self.read);
        self.searched = self.searched.saturating_sub(self.read);
        self.read = 0;
        if self.buffer.len() + chunk.len() > self.limit.saturating_add(BACKLOG_BYTES_MAX) {
            self.fail();
        } else {
            self.buffer.extend_from_slice(chunk);
        }
    }

    /// Bytes that are held: of an event that is not whole yet, and of what was not read yet.
    #[must_use]
    pub fn held(&self) -> usize {
        self.buffer.len() - self.read + self.block.size()
    }

    /// The next whole event, if there is one.
    ///
    /// # Errors
    /// [`Error::TooLong`], once; the stream must be given up.
    pub fn next_event(&mut self) -> Option<Result<Event, Error>> {
        while self.state == State::Open {
            let line = self.next_line()?;
            if !line.is_empty() {
                if self.block.size() + line.len() > self.limit {
                    self.fail();
                    break;
                }
                let (start, end) = (line.start, line.end);
                self.block
                    .field(self.buffer.get(start..end).unwrap_or_default());
            } else if let Some(event) = std::mem::take(&mut self.block).finish() {
                return Some(Ok(event));
            }
        }
        let first = self.state == State::Failed;
        self.state = if first { State::Told } else { self.state };
        first.then_some(Err(Error::TooLong { limit: self.limit }))
    }

    fn fail(&mut self) {
        self.state = State::Failed;
        self.buffer = Vec::new();
        (self.read, self.searched) = (0, 0);
        self.block = Block::default();
    }

    /// The place of the next whole line in the buffer, without its break, which counts as read; `None` until more
    /// bytes come, or if the line is too long.
    fn next_line(&mut self) -> Option<std::ops::Range<usize>> {
        self.skip_mark()?;
        if self.after_cr && self.read < self.buffer.len() {
            self.after_cr = false;
            if self.buffer.get(self.read) == Some(&b'\n') {
                self.read += 1;
            }
        }
        let start = self.read;
        let from = self.searched.max(start);
        let Some(found) = memchr::memchr2(b'\r', b'\n', self.buffer.get(from..)?) else {
            self.searched = self.buffer.len();
            if self.buffer.len() - start + self.block.size() > self.limit {
                self.fail();
                // An empty line: the caller's loop looks at the state and ends.
                return Some(0..0);
            }
            return None;
        };
        let end = from + found;
        self.after_cr = self.buffer.get(end) == Some(&b'\r');
        self.read = end + 1;
        Some(start..end)
    }

    /// Skips a byte order mark at the start of the stream; `None` while it cannot be told.
    fn skip_mark(&mut self) -> Option<()> {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        if !self.begun {
            if self.buffer.len() < MARK.len() && MARK.starts_with(&self.buffer) {
                return None;
            }
            self.begun = true;
            if self.buffer.starts_with(MARK) {
                self.read = MARK.len();
            }
        }
        Some(())
    }
}

impl Block {
    fn size(&self) -> usize {
        self.data.as_ref().map_or(0, Vec::len)
            + self.event.len()
            + self.id.as_ref().map_or(0, String::len)
    }

    /// Takes one line in; comments and unknown fields are ignored.
    fn field(&mut self, line: &[u8]) {
        let (name, value) = match memchr::memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => match &mut self.data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => self.data = Some(value.to_vec()),
            },
            b"event" if value.len() <= FIELD_BYTES_MAX => {
                self.event = String::from_utf8_lossy(value).into_owned()
            }
            b"id" if value.len() <= FIELD_BYTES_MAX && !value.contains(&0) => {
                self.id = Some(String::from_utf8_lossy(value).into_owned());
            }
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                self.retry = std::str::from_utf8(value)
                    .ok()
                    .and_then(|digits| digits.parse().ok());
            }
            _ => {}
        }
    }

    /// The event, unless nothing of worth was in it. Unlike a browser, we also give out those that only set an id or
    /// a time: 2025-11-25 servers send them before they hang up.
    fn finish(self) -> Option<Event> {
        if self.data.is_none() && self.id.is_none() && self.retry.is_none() {
            return None;
        }
        let event = if self.event.is_empty() {
            "message".to_owned()
        } else {
            self.event
        };
        Some(Event {
            event,
            data: self.data.unwrap_or_default().into(),
            id: self.id,
            retry: self.retry,
        })
    }
}

#[cfg(test)]
mod tests;
