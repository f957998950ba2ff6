//! Our own event stream: notifications as they come, then the response; comments in between, so that
//! nobody on the way takes a quiet stream for a dead one.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use mcp::envelope::Kind;
use mcp::sse;
use model::decision::{Decision, Reason};
use tokio::time::Sleep;

use super::Error;
use crate::deliver::{Events, Message};
use crate::stage::filter::Screen;
use crate::stage::record::Recording;

/// How long the stream may be quiet before a comment is sent.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Filters over the messages of one reply.
#[derive(Debug)]
pub struct Screened {
    /// The filters; `None`: none selects these messages.
    pub screen: Option<Screen>,
    /// The request's id, for an error in the place of its response.
    pub id: Vec<u8>,
}

impl Screened {
    /// The message, or what stands in its place: an error for a response, nothing for a notification.
    pub fn pass(&self, message: Message, recording: &mut Recording) -> Option<Message> {
        let Some(screen) = &self.screen else {
            return Some(message);
        };
        let Err(rejected) = screen.check(&message.body) else {
            return Some(message);
        };
        if message.kind != Kind::Response {
            // The call's own outcome is still open.
            return None;
        }
        recording.decide(Decision::Deny, Some(rejected.reason));
        Some(Message {
            body: rejected.body(Some(&self.id)),
            kind: Kind::Response,
            error_code: rejected.error.code,
            tool_error: false,
            status: rejected.error.http_status,
            session: None,
        })
    }
}

/// A reply in several events.
pub struct EventBody {
    events: Option<Events>,
    ready: VecDeque<Bytes>,
    screened: Screened,
    recording: Option<Recording>,
    keep_alive: Pin<Box<Sleep>>,
}

impl std::fmt::Debug for EventBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventBody")
            .field("ready", &self.ready.len())
            .finish_non_exhaustive()
    }
}

impl EventBody {
    /// Streams `events` and closes `recording` before the response.
    pub fn new(events: Events, screened: Screened, recording: Recording) -> Result<Self, Error> {
        let first = events.first.clone();
        let mut body = Self {
            events: Some(events),
            ready: VecDeque::new(),
            screened,
            recording: Some(recording),
            keep_alive: Box::pin(tokio::time::sleep(KEEP_ALIVE)),
        };
        body.take(first)?;
        Ok(body)
    }

    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(event))));
            }
            let Some(events) = &mut self.events else {
                return Poll::Ready(None);
            };
            match events.rest.poll_recv(cx) {
                Poll::Ready(Some(message)) => {
                    self.keep_alive
                        .as_mut()
                        .reset(tokio::time::Instant::now() + KEEP_ALIVE);
                    if let Err(error) = self.take(message) {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                Poll::Ready(None) => return Poll::Ready(Some(Err(self.broken()))),
                Poll::Pending => {
                    ready!(self.keep_alive.as_mut().poll(cx));
                    self.keep_alive
                        .as_mut()
                        .reset(tokio::time::Instant::now() + KEEP_ALIVE);
                    self.ready.push_back(sse::comment());
                }
            }
        }
    }

    fn take(&mut self, message: Message) -> Result<(), Error> {
        let Some(recording) = &mut self.recording else {
            return Ok(());
        };
        let Some(message) = self.screened.pass(message, recording) else {
            return Ok(());
        };
        if message.kind == Kind::Response {
            recording.answered();
            recording.outcome(200, message.error_code, message.tool_error);
            let closed = recording.close();
            self.recording = None;
            self.events = None;
            closed.map_err(|_| Error::Unrecorded)?;
        }
        self.ready.push_back(sse::encode(&message.body));
        Ok(())
    }

    /// The server's side ended without a response.
    fn broken(&mut self) -> Error {
        self.events = None;
        if let Some(mut recording) = self.recording.take() {
            recording.decide(Decision::Error, Some(Reason::Unavailable));
            if recording.close().is_err() {
                return Error::Unrecorded;
            }
        }
        Error::Broken("the server went away".to_owned())
    }
}
