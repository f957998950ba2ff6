//! Somebody else's event stream: read as it comes, within a time and a room.
//!
//! It knows what a message means for the time that is left; what becomes of messages is the reader's.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use hyper::body::Incoming;
use mcp::envelope::{self, Envelope, IdKey, Kind, Limits};
use mcp::{method, sse};
use tokio::time::{Instant, Sleep};

use crate::deliver::Message;
use crate::deliver::deadline::{Deadline, INPUT_WAIT};
use crate::refusal::Fault;

/// How long another hop may be silent in mid-reply. One that is well sends keep-alives.
pub(super) const SILENCE: Duration = Duration::from_secs(60);

/// How long a stream of somebody else's is waited for.
#[derive(Debug)]
pub enum Patience {
    /// Another hop's, which sends keep-alives: until it falls silent.
    KeepAlives,
    /// A server's own: as long as the call may take, which begins anew with each progress.
    Call(Deadline),
    /// A subscription: as long as the client likes.
    Endless,
}

/// An event stream that is being read.
pub(super) struct Stream {
    incoming: Incoming,
    decoder: sse::Decoder,
    patience: Patience,
    /// Until when, unless the patience is endless.
    until: Pin<Box<Sleep>>,
    /// The request's id: an answer to another one is none. `None`: it was checked before.
    asked: Option<IdKey>,
    /// Whether the ids of events mean anything to the client.
    resumable: bool,
    /// Whether the client was given one.
    given: bool,
    /// It ended where the client can go on with it.
    is_left: bool,
}

impl Stream {
    pub(super) fn new(
        incoming: Incoming,
        event_bytes_max: usize,
        patience: Patience,
        asked: Option<IdKey>,
    ) -> Self {
        let until = match &patience {
            Patience::Call(deadline) => deadline.at(),
            Patience::KeepAlives | Patience::Endless => Instant::now() + SILENCE,
        };
        Self {
            incoming,
            decoder: sse::Decoder::new(event_bytes_max),
            patience,
            until: Box::pin(tokio::time::sleep_until(until)),
            asked,
            resumable: false,
            given: false,
            is_left: false,
        }
    }

    /// The same, of which the client can fetch the rest by the ids of its events.
    pub(super) fn resumable(self, resumable: bool) -> Self {
        Self { resumable, ..self }
    }

    /// Whether it ended in order, before the response, where the client was told how to fetch the rest (2025-11-25,
    /// basic/transports: a server may close a stream once it has sent an event id).
    pub(super) fn is_left(&self) -> bool {
        self.is_left
    }

    /// The next messages, at least one; or why there are no more. `room` is asked for what is held meanwhile, in bytes.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut dyn FnMut(usize) -> bool,
    ) -> Poll<Result<Vec<Message>, Fault>> {
        loop {
            let frame = match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending => return self.poll_patience(cx).map(Err),
            };
            if matches!(self.patience, Patience::KeepAlives) {
                self.until.as_mut().reset(Instant::now() + SILENCE);
            }
            let data = match frame {
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Poll::Ready(Err(broke_off(&error))),
                None => {
                    self.is_left = self.given;
                    return Poll::Ready(Err(broke_off(&"it ended before the response")));
                }
            };
            self.decoder.push(&data);
            let messages = self.messages();
            if !matches!(&messages, Ok(messages) if messages.is_empty()) {
                return Poll::Ready(messages);
            }
            if !room(self.decoder.held()) {
                let fault = Fault::overloaded("there is no room for the server's answer");
                return Poll::Ready(Err(fault));
            }
        }
    }

    /// Why it is waited for no longer.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<Fault> {
        let over = match &self.patience {
            Patience::Endless => return Poll::Pending,
            Patience::KeepAlives => Fault::unavailable("the server's sidecar fell silent"),
            Patience::Call(_) => Fault::timeout("the server did not answer in time"),
        };
        ready!(self.until.as_mut().poll(cx));
        Poll::Ready(over)
    }

    fn messages(&mut self) -> Result<Vec<Message>, Fault> {
        let mut messages = Vec::new();
        while let Some(event) = self.decoder.next_event() {
            let event = event.map_err(|error| broke_off(&error))?;
            let id = event.id.filter(|_| self.resumable);
            let id = id.map(String::into_boxed_str);
            self.given |= id.is_some();
            if event.data.is_empty() {
                messages.extend(id.map(|id| Message {
                    event: Some(id),
                    ..Message::said(Kind::Notification, Bytes::new())
                }));
                continue;
            }
            let data: &[u8] = event.data.as_ref();
            let read = envelope::scan(data, &Limits::RESPONSE).map_err(|e| broke_off(&e))?;
            self.follow(&read)?;
            messages.push(Message {
                error_code: read.error_code.unwrap_or_default(),
                tool_error: read.is_error,
                event: id,
                ..Message::said(read.kind, event.data.clone())
            });
        }
        Ok(messages)
    }

    /// What a message means for the time that is left, and whether it may be at all.
    fn follow(&mut self, read: &Envelope<'_>) -> Result<(), Fault> {
        if read.kind == Kind::Response
            && let Some(asked) = &self.asked
            && read.id.as_ref().map(envelope::Id::key).as_ref() != Some(asked)
        {
            return Err(broke_off(&"it answers another request"));
        }
        if read.kind == Kind::Request
            && read.method() != method::PING
            && let Patience::Call(deadline) = &mut self.patience
        {
            // Somebody is being asked: the server waits, not we.
            deadline.extend(INPUT_WAIT);
            self.until.as_mut().reset(deadline.at());
        }
        if read.kind == Kind::Notification
            && read.method() == method::PROGRESS
            && let Patience::Call(deadline) = &mut self.patience
        {
            if !deadline.renew() {
                return Err(Fault::timeout("the server did not answer in time"));
            }
            self.until.as_mut().reset(deadline.at());
        }
        Ok(())
    }
}

fn broke_off(why: &dyn std::fmt::Display) -> Fault {
    Fault::unavailable(format!("the server's answer broke off: {why}"))
}
