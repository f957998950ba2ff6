//! An event stream that begins before its call does: a client that waits for a person hears that it waits, and then what
//! its call has come to.
//!
//! ```text
//! progress, comments … -> the call's own stream, passed on as it is, or its one answer as an event
//! ```
//! Dropped, it ends the wait. The call's record and filters are inside of what it waits for.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame};
use mcp::edit::quoted;
use mcp::sse;
use tokio::time::{Interval, MissedTickBehavior};

use super::{Error, ReplyBody};

/// How often the client is told that it waits: often enough for clients and proxies that give up a quiet stream.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// How much each telling is ahead of the one before. Progress has to rise (2025-11-25 basic/utilities/progress), and what
/// the server says of its own must still be more.
const STEP: f64 = 1e-6;

/// What a wait has come to.
#[derive(Debug)]
pub enum Came {
    /// A stream.
    Stream(ReplyBody),
    /// One message.
    Whole(Bytes),
}

/// What a client hears while it waits.
#[derive(Debug)]
pub struct Telling {
    /// The raw token under which the client wants to hear of progress. `None`: it does not.
    pub token: Option<Vec<u8>>,
    /// What is waited for.
    pub message: String,
}

/// A stream that waits.
pub struct WaitingBody {
    waits: Option<Pin<Box<dyn Future<Output = Came> + Send>>>,
    telling: Telling,
    told: u32,
    /// Its first tick is at once: the client learns that it waits.
    every: Interval,
    ready: VecDeque<Bytes>,
    stream: Option<ReplyBody>,
}

impl std::fmt::Debug for WaitingBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WaitingBody")
            .field("told", &self.told)
            .finish_non_exhaustive()
    }
}

impl WaitingBody {
    /// Waits for `waits`, and tells of it.
    pub fn new(waits: Pin<Box<dyn Future<Output = Came> + Send>>, telling: Telling) -> Self {
        let mut every = tokio::time::interval(TELL_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            waits: Some(waits),
            telling,
            told: 0,
            every,
            ready: VecDeque::new(),
            stream: None,
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
            if let Some(stream) = &mut self.stream {
                return Pin::new(stream).poll_frame(cx);
            }
            let Some(waits) = &mut self.waits else {
                return Poll::Ready(None);
            };
            match waits.as_mut().poll(cx) {
                Poll::Ready(came) => {
                    self.waits = None;
                    match came {
                        Came::Stream(stream) => self.stream = Some(stream),
                        Came::Whole(message) if message.is_empty() => {}
                        Came::Whole(message) => {
                            self.ready
                                .push_back(sse::encode_event("message", None, &message));
                        }
                    }
                }
                Poll::Pending => {
                    ready!(self.every.poll_tick(cx));
                    let event = self.tell();
                    self.ready.push_back(event);
                }
            }
        }
    }

    fn tell(&mut self) -> Bytes {
        self.told += 1;
        let Some(token) = &self.telling.token else {
            return sse::comment();
        };
        let mut out =
            br#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"#
                .to_vec();
        out.extend_from_slice(token);
        let progress = format!(
            r#","progress":{:.6},"message":"#,
            f64::from(self.told) * STEP
        );
        out.extend_from_slice(progress.as_bytes());
        out.extend_from_slice(&quoted(&self.telling.message));
        out.extend_from_slice(b"}}");
        sse::encode_event("message", None, &out)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use http_body_util::BodyExt;
    use mcp::envelope::{Limits, scan};

    use super::*;

    async fn heard(token: Option<&str>, waits: Duration) -> Vec<Bytes> {
        let future = async move {
            tokio::time::sleep(waits).await;
            Came::Whole(Bytes::from_static(
                br#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            ))
        };
        let telling = Telling {
            token: token.map(|token| token.as_bytes().to_vec()),
            message: "waiting for \"bo\"".to_owned(),
        };
        let mut body = ReplyBody::from(WaitingBody::new(Box::pin(future), telling));
        let mut frames = Vec::new();
        while let Some(frame) = body.frame().await {
            frames.push(frame.unwrap().into_data().unwrap());
        }
        frames
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_for_progress_hears_of_it_until_the_answer_comes() {
        let frames = heard(Some("\"t\""), Duration::from_secs(12)).await;
        assert_eq!(frames.len(), 4, "{frames:?}");
        let mut decoder = sse::Decoder::default();
        frames.iter().for_each(|frame| decoder.push(frame));
        let mut last = 0.0;
        for _ in 0..3 {
            let data = decoder.next_event().unwrap().unwrap().data;
            scan(&data, &Limits::RESPONSE).unwrap();
            let said: serde_json::Value = serde_json::from_slice(&data).unwrap();
            assert_eq!(said["params"]["progressToken"], "t");
            let progress = said["params"]["progress"].as_f64().unwrap();
            assert!(progress > last && progress < 0.01, "{progress}");
            last = progress;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_gets_a_sign_of_life() {
        let frames = heard(None, Duration::from_secs(6)).await;
        assert_eq!(frames[..2], [sse::comment(), sse::comment()]);
        assert_eq!(frames.len(), 3);
    }
}
