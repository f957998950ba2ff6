//! The messages of one HTTP answer, be it JSON or an event stream, for whoever has to read them all.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Response;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use mcp::sse::{Decoder, Event};

/// The messages of an answer, one after the other.
#[derive(Debug)]
pub struct Messages {
    state: State,
    place: Place,
}

/// Where a stream can be gone on with once it has ended, as far as it says so itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The id of the last event; empty: it has none.
    pub id: String,
    /// How long whoever goes on with it is to wait before.
    pub retry: Option<Duration>,
}

impl Place {
    /// The place after another stream: one that says nothing new of itself goes on where the one before ended.
    pub fn follow(&mut self, newer: &Self) {
        if !newer.id.is_empty() {
            self.id.clone_from(&newer.id);
        }
        self.retry = newer.retry.or(self.retry);
    }
}

#[derive(Debug)]
enum State {
    /// One whole message, and what has come of it.
    Json(Limited<Incoming>, BytesMut),
    /// Events.
    Stream(Box<Decoder>, Incoming),
    Over,
}

/// Whether an answer is an event stream.
pub fn is_event_stream(headers: &http::HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// Whether an answer is one JSON message.
pub fn is_json(headers: &http::HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"))
}

impl Messages {
    /// Those of `response`, each of at most `bytes_max`.
    pub fn of(response: Response<Incoming>, bytes_max: usize) -> Self {
        let is_stream = is_event_stream(response.headers());
        let body = response.into_body();
        let state = if is_stream {
            State::Stream(Box::new(Decoder::new(bytes_max)), body)
        } else {
            State::Json(Limited::new(body, bytes_max), BytesMut::new())
        };
        Self {
            state,
            place: Place::default(),
        }
    }

    /// Up to where it was read.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The next message; `None` after the last. Nothing is lost if it is dropped while it waits.
    ///
    /// # Errors
    /// The connection broke, or a message is too long. Nothing comes after it.
    pub async fn next(&mut self) -> Option<Result<Bytes, String>> {
        let next = match &mut self.state {
            State::Json(body, read) => {
                let whole = whole(body, read).await;
                self.state = State::Over;
                return Some(whole);
            }
            State::Stream(decoder, incoming) => {
                next_event(decoder, incoming, &mut self.place).await
            }
            State::Over => None,
        };
        if !matches!(next, Some(Ok(_))) {
            self.state = State::Over;
        }
        next
    }
}

async fn whole(body: &mut Limited<Incoming>, read: &mut BytesMut) -> Result<Bytes, String> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| error.to_string())?;
        read.extend_from_slice(&frame.into_data().unwrap_or_default());
    }
    Ok(std::mem::take(read).freeze())
}

impl Place {
    fn note(&mut self, event: &Event) {
        if let Some(id) = &event.id {
            self.id.clone_from(id);
        }
        if let Some(ms) = event.retry {
            self.retry = Some(Duration::from_millis(ms));
        }
    }
}

async fn next_event(
    decoder: &mut Decoder,
    incoming: &mut Incoming,
    place: &mut Place,
) -> Option<Result<Bytes, String>> {
    loop {
        let event = decoder.next_event();
        if let Some(Ok(event)) = &event {
            place.note(event);
        }
        match event {
            // Priming events carry an id and no message.
            Some(Ok(event)) if event.data.is_empty() => continue,
            Some(Ok(event)) => return Some(Ok(event.data)),
            Some(Err(error)) => return Some(Err(error.to_string())),
            None => {}
        }
        match incoming.frame().await? {
            Ok(frame) => {
                if let Ok(data) = frame.into_data() {
                    decoder.push(&data);
                }
            }
            Err(error) => return Some(Err(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_stream_loses_no_place() {
        let place = |id: &str, retry: Option<u64>| Place {
            id: id.to_owned(),
            retry: retry.map(Duration::from_millis),
        };
        let mut at = Place::default();
        at.follow(&place("a", Some(5)));
        at.follow(&place("", None));
        assert_eq!(at, place("a", Some(5)));
        at.follow(&place("b", Some(7)));
        assert_eq!(at, place("b", Some(7)));
    }
}
