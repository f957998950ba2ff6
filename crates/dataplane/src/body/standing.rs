//! The stream of a legacy session on which a server says what belongs to no call.
//!
//! Each message is judged by itself, by the configuration in force then. Events are written anew; their ids are those of
//! whoever can resume the stream.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Frame;
use hyper::body::Incoming;
use mcp::envelope::Kind;
use mcp::sse;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};

use super::Error;
use super::events::{KEEP_ALIVE, encode};
use super::gate::Gate;
use super::stream::{Patience, Stream};
use crate::budget::Permit;
use crate::deliver::Message;
use crate::deliver::direct::ANSWER_BYTES_MAX;
use crate::refusal::Fault;

/// What becomes of a message.
pub enum Verdict {
    /// It goes to the client.
    Pass(Bytes),
    /// It does not.
    Drop,
    /// Filters are being asked. `None`: it does not go.
    Ask(Pin<Box<dyn Future<Output = Option<Bytes>> + Send>>),
}

impl std::fmt::Debug for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pass(_) => "Pass",
            Self::Drop => "Drop",
            Self::Ask(_) => "Ask",
        })
    }
}

/// Who decides what goes to the client.
pub trait Judge: Send {
    /// Whether the client may still have the stream.
    fn may_go_on(&self) -> bool;
    /// Whether the client may hear of what a message is about, filters apart.
    fn may_be_heard(&self, message: &Message) -> bool;
    /// Ready when that may have changed.
    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send>>;
    /// What becomes of a message of the server's.
    fn judge(&self, message: Message) -> Verdict;
}

/// Where the messages come from.
enum Source {
    /// From somebody else's stream.
    Stream(
        Box<Stream>,
        #[expect(dead_code, reason = "held")] Box<dyn Send>,
    ),
    /// From what this hop hears; the guard is dropped when nobody listens any more.
    Messages(
        mpsc::Receiver<Message>,
        #[expect(dead_code, reason = "held")] Box<dyn Send>,
    ),
}

/// Filters look at a message, which goes in an event with this id.
type Asking = (
    Option<Box<str>>,
    Pin<Box<dyn Future<Output = Option<Bytes>> + Send>>,
);

/// A stream without an end of its own.
pub struct StandingBody {
    source: Source,
    first: Option<Bytes>,
    waiting: VecDeque<Message>,
    asking: Option<Asking>,
    gate: Gate,
    keep_alive: Pin<Box<Sleep>>,
    /// Ready when this process goes.
    leaving: Pin<Box<dyn Future<Output = ()> + Send>>,
    permit: Permit,
}

impl std::fmt::Debug for StandingBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StandingBody")
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}

impl StandingBody {
    /// Passes on of `incoming` what `judge` lets through, until the server, the client or this process ends it.
    pub fn of_stream(
        (incoming, guard): (Incoming, Box<dyn Send>),
        judge: Box<dyn Judge>,
        leaving: impl Future<Output = ()> + Send + 'static,
        permit: Permit,
    ) -> Self {
        let stream = Stream::new(incoming, ANSWER_BYTES_MAX, Patience::Endless, None);
        let stream = stream.resumable(true);
        Self::new(
            Source::Stream(Box::new(stream), guard),
            judge,
            leaving,
            permit,
        )
    }

    /// Passes on of `messages` what `judge` lets through; `guard` is dropped when nobody listens any more.
    pub fn of_messages(
        (messages, guard): (mpsc::Receiver<Message>, Box<dyn Send>),
        judge: Box<dyn Judge>,
        leaving: impl Future<Output = ()> + Send + 'static,
        permit: Permit,
    ) -> Self {
        Self::new(Source::Messages(messages, guard), judge, leaving, permit)
    }

    /// The same after another event.
    pub fn after(self, first: Option<Bytes>) -> Self {
        Self { first, ..self }
    }

    fn new(
        source: Source,
        judge: Box<dyn Judge>,
        leaving: impl Future<Output = ()> + Send + 'static,
        permit: Permit,
    ) -> Self {
        Self {
            source,
            first: None,
            waiting: VecDeque::new(),
            asking: None,
            gate: Gate::new(judge),
            keep_alive: Box::pin(tokio::time::sleep(KEEP_ALIVE)),
            leaving: Box::pin(leaving),
            permit,
        }
    }

    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.leaving.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        if self.gate.is_shut(cx) {
            return Poll::Ready(None);
        }
        if let Some(first) = self.first.take() {
            return self.go(first);
        }
        loop {
            match self.poll_message(cx) {
                Poll::Ready(Some(Some(message))) => return self.go(encode(&message, None)),
                Poll::Ready(Some(None)) => {}
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    ready!(self.keep_alive.as_mut().poll(cx));
                    return self.go(sse::comment());
                }
            }
        }
    }

    fn go(&mut self, event: Bytes) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let next = Instant::now() + KEEP_ALIVE;
        self.keep_alive.as_mut().reset(next);
        let goes_on = self.gate.judge.may_go_on();
        Poll::Ready(goes_on.then(|| Ok(Frame::data(event))))
    }

    /// The next message that was judged; in it `None` where it does not go. `None`: there are no more.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Option<Message>>> {
        let said = |body, event| Message {
            event,
            ..Message::said(Kind::Notification, body)
        };
        if let Some((_, asking)) = &mut self.asking {
            let passed = ready!(asking.as_mut().poll(cx));
            let event = self.asking.take().and_then(|(event, _)| event);
            return Poll::Ready(Some(passed.map(|body| said(body, event))));
        }
        if let Some(mut message) = self.waiting.pop_front() {
            if message.body.is_empty() {
                // It says how far the stream is, and nothing else.
                return Poll::Ready(Some(Some(message)));
            }
            let event = message.event.take();
            return Poll::Ready(Some(match self.gate.judge.judge(message) {
                Verdict::Pass(body) => Some(said(body, event)),
                Verdict::Drop => None,
                Verdict::Ask(asking) => {
                    self.asking = Some((event, asking));
                    None
                }
            }));
        }
        let permit = &mut self.permit;
        let mut room = |bytes| permit.hold_reply(bytes);
        let came = match &mut self.source {
            Source::Stream(stream, _) => ready!(stream.poll(cx, &mut room)),
            Source::Messages(messages, _) => ready!(messages.poll_recv(cx))
                .map(|message| vec![message])
                .ok_or_else(|| Fault::unavailable("nothing more is heard")),
        };
        match came {
            Ok(messages) => {
                self.waiting.extend(messages);
                Poll::Ready(Some(None))
            }
            Err(fault) => {
                tracing::debug!(why = fault.message, "a session's own stream has ended");
                Poll::Ready(None)
            }
        }
    }
}
