//! What comes of a call over HTTP: its answer begins, comes message by message, and where the server ends the stream before
//! its last one (2025-11-25, basic/transports, "Sending Messages to the Server": the server lets its client poll), goes on
//! on another stream.

use std::sync::Arc;
use std::time::Duration;

use ::http::Response;
use bytes::Bytes;
use dataplane::deliver::messages::{Messages, Place};
use hyper::body::Incoming;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::attended::pause;
use super::sessions::Session;
use super::{HttpServer, MESSAGE_BYTES_MAX};
use crate::upstream::Error;

/// How often a stream is gone on with that brings nothing.
const TIMES_MAX: u32 = 10;
/// How long it is waited before, where the server does not say.
const PAUSE: Duration = Duration::from_secs(1);

/// What has come.
pub(super) enum Came {
    /// The answer begins.
    Begun(Response<Incoming>),
    /// A message.
    Message(Bytes),
    /// Nothing more will, as it is.
    Failed(Error),
}

/// The state of a call's answer.
#[derive(Debug, Default)]
pub(super) struct Coming {
    state: State,
    /// Up to where streams were read that have ended.
    place: Place,
    /// How often it was gone on with since the last message.
    times: u32,
}

#[derive(Debug, Default)]
enum State {
    /// Sent; the answer has not begun.
    Sent(Sending<Response<Incoming>>),
    /// It is there, as far as it has come.
    Here(Messages),
    /// It goes on on another stream.
    GoesOn(Sending<Messages>),
    /// Nothing comes.
    #[default]
    Over,
}

/// Something that is being done, by a task that ends with this.
#[derive(Debug)]
pub(super) struct Sending<T>(AbortOnDropHandle<Result<T, Error>>);

impl<T: Send + 'static> Sending<T> {
    /// Does it.
    pub(super) fn of(work: impl Future<Output = Result<T, Error>> + Send + 'static) -> Self {
        Self(AbortOnDropHandle::new(tokio::spawn(work)))
    }

    /// Waits until it is done; once.
    pub(super) async fn done(&mut self) -> Result<T, Error> {
        let done = (&mut self.0).await;
        done.unwrap_or_else(|_| Err(Error::Gone("the request came to no end".into())))
    }
}

impl Coming {
    /// The request is on its way.
    pub(super) fn is_sent(&mut self, sending: Sending<Response<Incoming>>) {
        self.state = State::Sent(sending);
    }

    /// The answer has begun.
    pub(super) fn begins(&mut self, response: Response<Incoming>) {
        self.state = State::Here(Messages::of(response, MESSAGE_BYTES_MAX));
    }

    /// What is still to be read.
    pub(super) fn take(&mut self) -> Option<Messages> {
        match std::mem::take(&mut self.state) {
            State::Here(messages) => Some(messages),
            _ => None,
        }
    }

    /// What comes next. Loses nothing if it is dropped while it waits.
    pub(super) async fn next(&mut self) -> Came {
        loop {
            match &mut self.state {
                State::Sent(sending) => {
                    let sent = sending.done().await;
                    self.state = State::Over;
                    return sent.map_or_else(Came::Failed, Came::Begun);
                }
                State::GoesOn(sending) => match sending.done().await {
                    Ok(messages) => self.state = State::Here(messages),
                    Err(error) => return self.failed(error),
                },
                State::Here(messages) => {
                    let next = messages.next().await;
                    let place = messages.place().clone();
                    let why = match next {
                        Some(Ok(message)) => {
                            self.times = 0;
                            return Came::Message(message);
                        }
                        Some(Err(why)) => format!("the server's answer broke off: {why}"),
                        None => "the server's stream ended before its answer".to_owned(),
                    };
                    self.place.follow(&place);
                    return self.failed(Error::Gone(why.into()));
                }
                State::Over => {
                    let why = "the server's stream ended before its answer";
                    return Came::Failed(Error::Gone(why.into()));
                }
            }
        }
    }

    fn failed(&mut self, error: Error) -> Came {
        self.state = State::Over;
        if matches!(error, Error::Invalid(_)) {
            // The server has no stream to go on with, and never will.
            self.place = Place::default();
        }
        Came::Failed(error)
    }

    /// Goes on with a stream that has ended, by the id of its last event. False: it cannot be.
    pub(super) fn go_on(&mut self, server: &HttpServer, session: &Arc<Session>) -> bool {
        if self.place.id.is_empty() || self.times >= TIMES_MAX {
            return false;
        }
        self.times += 1;
        let pause = pause(&self.place, PAUSE);
        let (server, session, after) = (server.clone(), session.clone(), self.place.id.clone());
        self.state = State::GoesOn(Sending::of(async move {
            sleep(pause).await;
            server.open_stream(&session, &after).await
        }));
        true
    }
}
