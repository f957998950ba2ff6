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
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use hyper::body::Incoming;
use mcp::envelope::{self, Kind, Limits};
use mcp::sse;
use model::decision::{Decision, Reason};
use tokio::time::{Instant, Sleep};

use super::Error;
use super::screened::{Check, Checked, Screened};
use crate::deliver::{Events, Message};
use crate::stage::record::Recording;

/// How long the stream may be quiet before a comment is sent.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long another hop, or a remote server, may be silent in mid-reply. Those that are well send keep-alives.
pub(super) const SILENCE: Duration = Duration::from_secs(60);

/// Where the messages of a reply come from.
enum Source {
    /// From our own server's pipe.
    Messages(Events),
    /// From an event stream of somebody else's.
    Stream(Stream),
}

/// An event stream that is being read.
struct Stream {
    incoming: Incoming,
    decoder: sse::Decoder,
    silence: Pin<Box<Sleep>>,
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
    pub fn of_messages(events: Events, screened: Screened, recording: Recording) -> Self {
        let first = events.first.clone();
        let mut body = Self::new(Source::Messages(events), screened, recording);
        body.waiting.push_back(first);
        body
    }

    /// Passes the events of `incoming` on and closes `recording` before the response.
    pub fn of_stream(incoming: Incoming, screened: Screened, recording: Recording) -> Self {
        let stream = Stream {
            incoming,
            decoder: sse::Decoder::default(),
            silence: Box::pin(tokio::time::sleep(SILENCE)),
        };
        Self::new(Source::Stream(stream), screened, recording)
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
        }
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
                .ok_or_else(|| "the server went away".to_owned()),
            Some(Source::Stream(stream)) => ready!(stream.poll(cx)),
            None => Err("it is over".to_owned()),
        };
        Poll::Ready(match came {
            Ok(messages) => {
                self.waiting.extend(messages);
                Ok(())
            }
            Err(why) => Err(self.broken(why)),
        })
    }

    /// A message that was looked at goes; the response is the last.
    fn settle(&mut self, checked: Checked) -> Result<(), Error> {
        let Some(recording) = &mut self.recording else {
            return Ok(());
        };
        checked.note(recording);
        let Some(message) = checked.message else {
            return Ok(());
        };
        if message.kind == Kind::Response {
            recording.answered();
            recording.outcome(200, message.error_code, message.tool_error);
            let closed = recording.close();
            self.recording = None;
            self.source = None;
            closed.map_err(|_| Error::Unrecorded)?;
        }
        self.ready.push_back(sse::encode(&message.body));
        Ok(())
    }

    fn still_alive(&mut self) {
        self.keep_alive.as_mut().reset(Instant::now() + KEEP_ALIVE);
    }

    /// The other side ended without a response, or with something that is none.
    fn broken(&mut self, why: String) -> Error {
        self.source = None;
        if let Some(mut recording) = self.recording.take() {
            recording.decide(Decision::Error, Some(Reason::Unavailable));
            if recording.close().is_err() {
                return Error::Unrecorded;
            }
        }
        Error::Broken(why)
    }
}

impl Stream {
    /// The next messages, at least one; or why there are no more.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<Message>, String>> {
        loop {
            let frame = match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    ready!(self.silence.as_mut().poll(cx));
                    return Poll::Ready(Err("it fell silent".to_owned()));
                }
            };
            self.silence.as_mut().reset(Instant::now() + SILENCE);
            let data = match frame {
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Poll::Ready(Err(error.to_string())),
                None => return Poll::Ready(Err("it ended before the response".to_owned())),
            };
            self.decoder.push(&data);
            let messages = self.messages();
            if !matches!(&messages, Ok(messages) if messages.is_empty()) {
                return Poll::Ready(messages);
            }
        }
    }

    fn messages(&mut self) -> Result<Vec<Message>, String> {
        let mut messages = Vec::new();
        while let Some(event) = self.decoder.next_event() {
            let event = event.map_err(|error| error.to_string())?;
            if event.data.is_empty() {
                continue;
            }
            let data: &[u8] = event.data.as_ref();
            let read = envelope::scan(data, &Limits::RESPONSE).map_err(|e| e.to_string())?;
            messages.push(Message {
                kind: read.kind,
                error_code: read.error_code.unwrap_or_default(),
                tool_error: read.is_error,
                status: 200,
                session: None,
                body: Bytes::copy_from_slice(data),
            });
        }
        Ok(messages)
    }
}
