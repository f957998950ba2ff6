//! A reply whose bytes are counted, and with whose end the call gives back what it held of its limits.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{Error, ReplyBody};
use crate::stage::limit::Held;

/// Another body, counted.
#[derive(Debug)]
pub struct MeteredBody {
    inner: ReplyBody,
    /// Given back with the last byte: whoever has the whole answer may call again. `None`: it is.
    held: Option<Held>,
}

impl MeteredBody {
    /// `inner`, for which a call holds `held`.
    pub fn new(inner: ReplyBody, held: Held) -> Self {
        Self {
            inner,
            held: Some(held),
        }
    }

    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let (Some(Ok(frame)), Some(held)) = (&frame, &self.held)
            && let Some(data) = frame.data_ref()
        {
            held.replied(data.len());
        }
        if !matches!(frame, Some(Ok(_))) || self.inner.is_end_stream() {
            self.held = None;
        }
        Poll::Ready(frame)
    }

    pub(super) fn is_done(&self) -> bool {
        self.inner.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
