//! An event stream to the client: messages as they come, then the response; comments in between, so that nobody on the
//! way takes a quiet stream for a dead one.
//!
//! ```text
//! source: the server's messages, or another hop's stream (decoded) -> screen -> record -> encoded anew
//! ```
//! Nothing of another's framing reaches the client, and the record is closed before the response goes.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use hyper::body::Incoming;
use mcp::envelope::{IdKey, Kind};
use mcp::sse;
use model::decision::{Decision, Reason};
use tokio::time::{Instant, Sleep};

use super::Error;
use super::Judge;
use super::gate::Gate;
use super::screened::{Check, Checked, Screened};
use super::stream::{Patience, Stream};
use crate::answer;
use crate::deliver::direct::ANSWER_BYTES_MAX;
use crate::deliver::tasks::Sealer;
use crate::deliver::{Asker, Events, Message, Tape};
use crate::refusal::Fault;
use crate::stage::record::Recording;

/// How long the stream may be quiet before a comment is sent.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How soon a client that loses a stream is to come back for the rest, milliseconds.
const RETRY_MS: u64 = 500;

/// Where the messages of a reply come from.
enum Source {
    /// From our own server's pipe.
    Messages(Events),
    /// From an event stream of somebody else's.
    Stream(Stream),
}

/// A reply in several events.
pub struct EventBody {
    source: Option<Source>,
    /// Messages that came together and wait for their turn.
    waiting: VecDeque<Message>,
    /// The one that filters are looking at.
    checking: Option<Pin<Box<dyn Future<Output = Checked> + Send>>>,
    ready: VecDeque<Bytes>,
    screened: Screened,
    recording: Option<Recording>,
    keep_alive: Pin<Box<Sleep>>,
    tape: Option<Arc<dyn Tape>>,
    /// Who decides whether the client may go on listening, where that is what it does.
    gate: Option<Gate>,
    /// Whoever asks the client something.
    asker: Option<Arc<dyn Asker>>,
    /// Hides the server's own ids of tasks.
    sealer: Option<Sealer>,
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
    pub fn of_messages(mut events: Events, screened: Screened, recording: Recording) -> Self {
        let first = events.first.clone();
        let (tape, asker) = (events.tape.take(), events.asker.take());
        let mut body = Self::new(Source::Messages(events), screened, recording);
        body.waiting.push_back(first);
        let primed = tape.as_ref().and_then(|tape| tape.prime());
        body.ready
            .extend(primed.map(|id| sse::prime(&id, RETRY_MS)));
        (body.tape, body.asker) = (tape, asker);
        body
    }

    /// Passes the events of another hop on, and closes `recording` before the response.
    pub fn of_hop(incoming: Incoming, screened: Screened, recording: Recording) -> Self {
        let stream = Stream::new(incoming, sse::EVENT_BYTES_MAX, Patience::KeepAlives, None);
        Self::new(Source::Stream(stream.resumable(true)), screened, recording)
    }

    /// Passes the events of a server's own stream on, and closes `recording` before the response, which must be to the
    /// request `asked`. `resumable`: the client can fetch the rest by the ids of events.
    pub fn of_server(
        incoming: Incoming,
        (patience, resumable): (Patience, bool),
        asked: Option<IdKey>,
        screened: Screened,
        recording: Recording,
    ) -> Self {
        let stream = Stream::new(incoming, ANSWER_BYTES_MAX, patience, asked);
        Self::new(
            Source::Stream(stream.resumable(resumable)),
            screened,
            recording,
        )
    }

    fn new(source: Source, screened: Screened, recording: Recording) -> Self {
        Self {
            source: Some(source),
            waiting: VecDeque::new(),
            checking: None,
            ready: VecDeque::new(),
            screened,
            recording: Some(recording),
            keep_alive: Box::pin(tokio::time::sleep(KEEP_ALIVE)),
            tape: None,
            gate: None,
            asker: None,
            sealer: None,
        }
    }

    /// The same, in which ids of tasks are sealed.
    pub fn sealed_by(self, sealer: Option<Sealer>) -> Self {
        Self { sealer, ..self }
    }

    /// The same; where something that is asked does not go, `asker` is told.
    pub fn asked_by(self, asker: Option<Arc<dyn Asker>>) -> Self {
        Self { asker, ..self }
    }

    /// The same, which ends when its client may not listen any more.
    pub fn gated_by(self, judge: Option<Box<dyn Judge>>) -> Self {
        Self {
            gate: judge.map(Gate::new),
            ..self
        }
    }

    /// Where it is kept.
    pub(super) fn tape(&self) -> Option<Arc<dyn Tape>> {
        self.tape.clone()
    }

    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.still_alive();
                return Poll::Ready(Some(Ok(Frame::data(event))));
            }
            if self.recording.is_none() {
                return Poll::Ready(None);
            }
            if self.gate.as_mut().is_some_and(|gate| gate.is_shut(cx)) {
                return Poll::Ready(self.shut().err().map(Err));
            }
            match self.poll_next(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
                Poll::Pending => {
                    ready!(self.keep_alive.as_mut().poll(cx));
                    self.ready.push_back(sse::comment());
                }
            }
        }
    }

    /// One step: a message is asked for, looked at, or let go.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if let Some(checking) = &mut self.checking {
            let checked = ready!(checking.as_mut().poll(cx));
            self.checking = None;
            return Poll::Ready(self.settle(checked));
        }
        if let Some(message) = self.waiting.pop_front() {
            return Poll::Ready(match self.screened.begin(message) {
                Check::Done(checked) => self.settle(*checked),
                Check::Later(checking) => {
                    self.checking = Some(checking);
                    Ok(())
                }
            });
        }
        let came = match &mut self.source {
            Some(Source::Messages(events)) => ready!(events.rest.poll_recv(cx))
                .map(|message| vec![message])
                .ok_or_else(|| Fault::unavailable("the server went away")),
            Some(Source::Stream(stream)) => {
                let recording = &mut self.recording;
                let mut room = |bytes| {
                    let recording = recording.as_mut();
                    recording.is_none_or(|recording| recording.hold_reply(bytes))
                };
                ready!(stream.poll(cx, &mut room))
            }
            None => Err(Fault::unavailable("it is over")),
        };
        Poll::Ready(match came {
            Ok(messages) => {
                self.waiting.extend(messages);
                Ok(())
            }
            Err(fault) => self.broken(&fault),
        })
    }

    /// A message that was looked at goes; the response is the last.
    fn settle(&mut self, checked: Checked) -> Result<(), Error> {
        let Some(recording) = &mut self.recording else {
            return Ok(());
        };
        checked.note(recording);
        if let (Some(refusal), Some(asker)) = (&checked.refusal, &self.asker) {
            asker.refused(refusal.clone());
        }
        let may_be_heard = |message: &Message| {
            message.kind != Kind::Notification
                || self
                    .gate
                    .as_ref()
                    .is_none_or(|gate| gate.judge.may_be_heard(message))
        };
        let sealed =
            checked
                .message
                .filter(may_be_heard)
                .and_then(|message| match &mut self.sealer {
                    None => Some(message),
                    Some(sealer) => {
                        let body = sealer.seal(&message.body)?;
                        Some(Message { body, ..message })
                    }
                });
        let Some(message) = sealed else {
            return Ok(());
        };
        if message.kind == Kind::Response {
            recording.answered();
            recording.outcome(200, message.error_code, message.tool_error);
            recording.heard(&message.body);
            let closed = recording.close();
            self.recording = None;
            self.source = None;
            closed.map_err(|_| Error::Unrecorded)?;
        }
        let event = encode(&message, self.tape.as_deref());
        self.ready.push_back(event);
        Ok(())
    }

    /// The client may not listen any more: nothing is said of it, as nothing is there for it.
    fn shut(&mut self) -> Result<(), Error> {
        self.source = None;
        let Some(mut recording) = self.recording.take() else {
            return Ok(());
        };
        recording.decide(Decision::Deny, Some(Reason::NoRule));
        recording.close().map_err(|_| Error::Unrecorded)
    }

    fn still_alive(&mut self) {
        self.keep_alive.as_mut().reset(Instant::now() + KEEP_ALIVE);
    }

    /// The other side ended without a response, or with something that is none: the client gets an error in its place.
    fn broken(&mut self, fault: &Fault) -> Result<(), Error> {
        let is_left = matches!(&self.source, Some(Source::Stream(stream)) if stream.is_left());
        self.source = None;
        let Some(mut recording) = self.recording.take() else {
            return Ok(());
        };
        if is_left {
            // The client comes back for the rest.
            recording.outcome(200, 0, false);
            return recording.close().map_err(|_| Error::Unrecorded);
        }
        let error = answer::rpc_of(fault);
        recording.decide(Decision::Error, Some(fault.reason));
        recording.outcome(200, error.code, false);
        recording.close().map_err(|_| Error::Unrecorded)?;
        let error = error.body(Some(&self.screened.id));
        let error = Message::said(Kind::Response, error.into());
        self.ready.push_back(encode(&error, self.tape.as_deref()));
        Ok(())
    }
}

/// A message as an event, under the id that it has or is kept under.
pub(super) fn encode(message: &Message, tape: Option<&dyn Tape>) -> Bytes {
    let kept = || tape.map(|tape| tape.keep(message));
    let id = message.event.clone().or_else(kept);
    match &id {
        Some(id) if message.body.is_empty() => sse::prime(id, RETRY_MS),
        id => sse::encode_event("message", id.as_deref(), &message.body),
    }
}
