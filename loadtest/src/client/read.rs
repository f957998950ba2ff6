//! Reads an answer to its end, as JSON or as a stream of events, and tells when the answer itself was there.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper::body::Incoming;
use mcp::headers::MCP_SESSION_ID;
use mcp::sse::Decoder;

use super::answer::{self, Asked, Message};
use crate::body;
use crate::failure::{Fault, Kind};

/// Largest answer that is read, bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How long a stream may go on after its answer; then the connection is given up, and the call is none the worse.
const LINGER: Duration = Duration::from_millis(250);

/// What is to come back.
#[derive(Debug, Clone, Copy)]
pub(super) enum Want<'a> {
    /// The answer to a request.
    Answer(&'a Asked),
    /// A word that a notification was taken, or that a session is over.
    Taken,
}

/// What came back, and was wanted.
#[derive(Debug)]
pub(super) struct Received {
    /// The session that the response names.
    pub(super) session: Option<HeaderValue>,
    /// The answer, if one was wanted.
    pub(super) answer: Option<Answered>,
    /// Whether the response was read to its end, so that the connection may carry another request.
    pub(super) whole: bool,
}

/// A good answer.
#[derive(Debug)]
pub(super) struct Answered {
    /// When it was there, whole.
    pub(super) at: Instant,
    /// The message.
    pub(super) message: Bytes,
    /// Notifications that came before it.
    pub(super) notifications: u64,
}

/// Reads a response.
///
/// # Errors
/// [`Fault`]; the connection must not be used again then.
pub(super) async fn response(
    response: Response<Incoming>,
    want: Want<'_>,
) -> Result<Received, Fault> {
    let (mut parts, body) = response.into_parts();
    let session = parts.headers.remove(MCP_SESSION_ID);
    let (answer, whole) = match want {
        Want::Taken if parts.status.is_success() => {
            whole(body).await?;
            (None, true)
        }
        Want::Answer(asked) if parts.status == StatusCode::OK => {
            let (answer, whole) = if is_stream(&parts.headers) {
                stream(body, asked).await?
            } else {
                (single(body, asked).await?, true)
            };
            (Some(answer), whole)
        }
        _ => return Err(refused(parts.status, body).await),
    };
    Ok(Received {
        session,
        answer,
        whole,
    })
}

/// One message as the whole body.
async fn single(body: Incoming, asked: &Asked) -> Result<Answered, Fault> {
    let message = whole(body).await?;
    let at = Instant::now();
    if answer::check(&message, asked)? == Message::Notification {
        return Err(Fault::wrong("a notification instead of the answer"));
    }
    Ok(Answered {
        at,
        message,
        notifications: 0,
    })
}

async fn whole(body: Incoming) -> Result<Bytes, Fault> {
    let read = body::whole(body, ANSWER_BYTES_MAX).await;
    read.map_err(|error| match error {
        body::Error::Broken(error) => broken(&error),
        body::Error::TooLarge(_) => Fault::wrong(format_args!("the answer is {error}")),
    })
}

/// The answer at the end of a stream of events, and whether the stream then ended, too.
async fn stream(mut body: Incoming, asked: &Asked) -> Result<(Answered, bool), Fault> {
    let mut decoder = Decoder::new(ANSWER_BYTES_MAX);
    let mut notifications = 0;
    while let Some(data) = next(&mut body).await? {
        decoder.push(&data);
        while let Some(event) = decoder.next_event() {
            let event = event.map_err(Fault::wrong)?;
            // Sets an id or a time only.
            if event.data.is_empty() {
                continue;
            }
            if answer::check(&event.data, asked)? == Message::Notification {
                notifications += 1;
                continue;
            }
            let at = Instant::now();
            let answered = Answered {
                at,
                message: event.data,
                notifications,
            };
            return Ok((answered, drained(body).await));
        }
    }
    Err(Fault::new(
        Kind::Broken,
        "the stream ended before the answer",
    ))
}

/// Whether the rest of a stream came to its end soon.
async fn drained(mut body: Incoming) -> bool {
    let rest = async {
        loop {
            match next(&mut body).await {
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    };
    tokio::time::timeout(LINGER, rest).await.unwrap_or(false)
}

async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Fault> {
    body::next(body).await.map_err(|error| broken(&error))
}

async fn refused(status: StatusCode, body: Incoming) -> Fault {
    let body = match whole(body).await {
        Ok(body) => body,
        Err(fault) => return fault,
    };
    let status = status.as_u16();
    let fault = answer::error_of(&body);
    fault
        .unwrap_or_else(|| Fault::new(Kind::Status(status), answer::shown(&body)))
        .with_status(status)
}

/// A connection that broke, with all causes.
pub(super) fn broken(error: &hyper::Error) -> Fault {
    let mut detail = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(each) = cause {
        detail.push_str(": ");
        detail.push_str(&each.to_string());
        cause = each.source();
    }
    Fault::new(Kind::Broken, detail)
}

fn is_stream(head: &HeaderMap) -> bool {
    let kind = head.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.is_some_and(|kind| kind.starts_with(b"text/event-stream"))
}
