//! The messages of one HTTP answer, be it JSON or an event stream, for whoever has to read them all.

use bytes::Bytes;
use http::Response;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use mcp::sse::Decoder;

/// The messages of an answer, one after the other.
#[derive(Debug)]
pub struct Messages(State);

#[derive(Debug)]
enum State {
    /// One whole message, not yet read.
    Json(Limited<Incoming>),
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
        Self(if is_stream {
            State::Stream(Box::new(Decoder::new(bytes_max)), body)
        } else {
            State::Json(Limited::new(body, bytes_max))
        })
    }

    /// The next message; `None` after the last. Of a stream, nothing is lost if it is dropped while it waits.
    ///
    /// # Errors
    /// The connection broke, or a message is too long. Nothing comes after it.
    pub async fn next(&mut self) -> Option<Result<Bytes, String>> {
        let next = match &mut self.0 {
            State::Json(body) => {
                let whole = body.collect().await;
                self.0 = State::Over;
                return Some(match whole {
                    Ok(body) => Ok(body.to_bytes()),
                    Err(error) => Err(error.to_string()),
                });
            }
            State::Stream(decoder, incoming) => next_event(decoder, incoming).await,
            State::Over => None,
        };
        if !matches!(next, Some(Ok(_))) {
            self.0 = State::Over;
        }
        next
    }
}

async fn next_event(
    decoder: &mut Decoder,
    incoming: &mut Incoming,
) -> Option<Result<Bytes, String>> {
    loop {
        match decoder.next_event() {
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
