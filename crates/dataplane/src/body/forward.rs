//! The next hop's JSON on its way to the client: passed on unseen, its record closed before its last byte.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use model::decision::{Decision, Reason};
use tokio::time::{Instant, Sleep};

use super::Error;
use super::stream::SILENCE;
use crate::stage::record::Recording;

/// A whole answer, passed on frame by frame.
#[derive(Debug)]
pub struct ForwardedBody {
    /// What was read of it already.
    begun: Option<Bytes>,
    incoming: Incoming,
    recording: Option<Recording>,
    silence: Option<Pin<Box<Sleep>>>,
}

impl ForwardedBody {
    /// Passes `begun`, which was read already, and the rest of `incoming` on, and closes `recording` before its last
    /// byte.
    pub fn new(begun: Bytes, incoming: Incoming, recording: Recording) -> Self {
        Self {
            begun: (!begun.is_empty()).then_some(begun),
            incoming,
            recording: Some(recording),
            silence: None,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.recording.is_none()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let begun = self.begun.as_ref().map_or(0, Bytes::len) as u64;
        let rest = self.incoming.size_hint();
        match rest.exact() {
            Some(rest) => SizeHint::with_exact(begun + rest),
            None => SizeHint::default(),
        }
    }

    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(begun) = self.begun.take() {
            self.heard(&begun);
            if self.incoming.is_end_stream()
                && let Err(error) = self.close()
            {
                return Poll::Ready(Some(Err(error)));
            }
            return Poll::Ready(Some(Ok(Frame::data(begun))));
        }
        loop {
            let frame = match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    ready!(self.poll_silence(cx));
                    return Poll::Ready(Some(Err(self.fail("it fell silent"))));
                }
            };
            self.silence = None;
            return Poll::Ready(match frame {
                Some(Ok(frame)) => {
                    let Some(data) = frame.data_ref() else {
                        continue;
                    };
                    self.heard(data);
                    if self.incoming.is_end_stream()
                        && let Err(error) = self.close()
                    {
                        return Poll::Ready(Some(Err(error)));
                    }
                    Some(Ok(frame))
                }
                Some(Err(error)) => Some(Err(self.fail(&error.to_string()))),
                None => self.close().err().map(Err),
            });
        }
    }

    fn heard(&mut self, piece: &[u8]) {
        if let Some(recording) = &mut self.recording {
            recording.heard(piece);
        }
    }

    fn close(&mut self) -> Result<(), Error> {
        match self.recording.take() {
            Some(mut recording) => recording.close().map_err(|_| Error::Unrecorded),
            None => Ok(()),
        }
    }

    fn fail(&mut self, why: &str) -> Error {
        if let Some(mut recording) = self.recording.take() {
            recording.decide(Decision::Error, Some(Reason::Unavailable));
            if recording.close().is_err() {
                return Error::Unrecorded;
            }
        }
        Error::Broken(why.to_owned())
    }

    /// Ready once nothing has come for [`SILENCE`]; the clock starts with the first empty poll.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.silence
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + SILENCE)))
            .as_mut()
            .poll(cx)
    }
}
