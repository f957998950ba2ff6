//! A stream that is kept: it goes on to its end when its client is gone, so that the client can fetch the rest elsewhere.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc;

use super::{Error, EventBody};
use crate::deliver::Tape;

/// Events that its client may be behind.
const BEHIND_MAX: usize = 16;

/// The client's end of a stream that is kept.
#[derive(Debug)]
pub struct TapedBody(mpsc::Receiver<Result<Bytes, Error>>);

impl TapedBody {
    /// Has `body` go on by itself, kept by `tape`.
    pub fn start(body: EventBody, tape: &Arc<dyn Tape>) -> Self {
        let (client, events) = mpsc::channel(BEHIND_MAX);
        let kept = tape.clone();
        tape.spawn(Box::pin(async move {
            drive(body, &client).await;
            kept.end();
        }));
        Self(events)
    }

    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let event = self.0.poll_recv(cx);
        event.map(|event| event.map(|event| event.map(Frame::data)))
    }
}

async fn drive(mut body: EventBody, client: &mpsc::Sender<Result<Bytes, Error>>) {
    while let Some(frame) = poll_fn(|cx| body.poll(cx)).await {
        let event = frame.map(|frame| frame.into_data().unwrap_or_default());
        let is_over = event.is_err();
        // Where the client is gone, the call still comes to its end.
        let _ = client.send(event).await;
        if is_over {
            return;
        }
    }
}
