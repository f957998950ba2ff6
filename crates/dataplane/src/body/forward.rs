//! The next hop's reply on its way to the client: JSON unseen, events written anew.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use mcp::envelope::{self, Kind, Limits};
use mcp::sse;
use model::decision::{Decision, Reason};
use tokio::time::{Instant, Sleep};

use super::Error;
use crate::stage::record::Recording;

/// How long the next hop may be silent in mid-reply. It sends keep-alives every 15 s.
const SILENCE: Duration = Duration::from_secs(60);

/// A whole answer, passed on frame by frame.
#[derive(Debug)]
pub struct ForwardedBody {
    incoming: Incoming,
    recording: Option<Recording>,
    silence: Option<Pin<Box<Sleep>>>,
}

impl ForwardedBody {
    /// Passes `incoming` on and closes `recording` before its last byte.
    pub fn new(incoming: Incoming, recording: Recording) -> Self {
        Self {
            incoming,
            recording: Some(recording),
            silence: None,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.recording.is_none()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }

    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        loop {
            let frame = match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    ready!(poll_silence(&mut self.silence, cx));
                    return Poll::Ready(Some(Err(fail(&mut self.recording, "it fell silent"))));
                }
            };
            self.silence = None;
            return Poll::Ready(match frame {
                Some(Ok(frame)) => {
                    if !frame.is_data() {
                        continue;
                    }
                    if self.incoming.is_end_stream()
                        && let Err(error) = close(&mut self.recording)
                    {
                        return Poll::Ready(Some(Err(error)));
                    }
                    Some(Ok(frame))
                }
                Some(Err(error)) => Some(Err(fail(&mut self.recording, &error.to_string()))),
                None => close(&mut self.recording).err().map(Err),
            });
        }
    }
}

/// An event stream, decoded and encoded again: nothing of the next hop's framing reaches the client.
#[derive(Debug)]
pub struct ForwardedEvents {
    incoming: Incoming,
    decoder: sse::Decoder,
    ready: VecDeque<Bytes>,
    recording: Option<Recording>,
    silence: Option<Pin<Box<Sleep>>>,
}

impl ForwardedEvents {
    /// Passes the events of `incoming` on and closes `recording` before the response.
    pub fn new(incoming: Incoming, recording: Recording) -> Self {
        Self {
            incoming,
            decoder: sse::Decoder::default(),
            ready: VecDeque::new(),
            recording: Some(recording),
            silence: None,
        }
    }

    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(event))));
            }
            if self.recording.is_none() {
                return Poll::Ready(None);
            }
            let frame = match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    ready!(poll_silence(&mut self.silence, cx));
                    return Poll::Ready(Some(Err(fail(&mut self.recording, "it fell silent"))));
                }
            };
            self.silence = None;
            let taken = match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.take(&data),
                    Err(_) => Ok(()),
                },
                Some(Err(error)) => Err(fail(&mut self.recording, &error.to_string())),
                None => Err(fail(&mut self.recording, "it ended before the response")),
            };
            if let Err(error) = taken {
                return Poll::Ready(Some(Err(error)));
            }
        }
    }

    fn take(&mut self, data: &[u8]) -> Result<(), Error> {
        let before = self.ready.len();
        self.decoder.push(data);
        while let Some(event) = self.decoder.next_event() {
            let event = event.map_err(|e| fail(&mut self.recording, &e.to_string()))?;
            if event.data.is_empty() {
                continue;
            }
            let message = envelope::scan(event.data.as_ref(), &Limits::RESPONSE)
                .map_err(|e| fail(&mut self.recording, &e.to_string()))?;
            if message.kind == Kind::Response {
                if let Some(recording) = &mut self.recording {
                    recording.answered();
                    let code = message.error_code.unwrap_or_default();
                    recording.outcome(200, code, message.is_error);
                }
                close(&mut self.recording)?;
            }
            self.ready.push_back(sse::encode(event.data.as_ref()));
        }
        if self.ready.len() == before {
            // A keep-alive came: the client's connection is kept alive, too.
            self.ready.push_back(sse::comment());
        }
        Ok(())
    }
}

fn close(recording: &mut Option<Recording>) -> Result<(), Error> {
    match recording.take() {
        Some(mut recording) => recording.close().map_err(|_| Error::Unrecorded),
        None => Ok(()),
    }
}

fn fail(recording: &mut Option<Recording>, why: &str) -> Error {
    if let Some(mut recording) = recording.take() {
        recording.decide(Decision::Error, Some(Reason::Unavailable));
        if recording.close().is_err() {
            return Error::Unrecorded;
        }
    }
    Error::Broken(why.to_owned())
}

/// Ready once nothing has come for [`SILENCE`]; the clock starts with the first empty poll.
fn poll_silence(silence: &mut Option<Pin<Box<Sleep>>>, cx: &mut Context<'_>) -> Poll<()> {
    silence
        .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + SILENCE)))
        .as_mut()
        .poll(cx)
}
