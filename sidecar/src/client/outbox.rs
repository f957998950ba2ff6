//! What a legacy client is to hear that belongs to no call: it waits here until the client fetches it by GET.
//!
//! Bounded: that something has changed needs to be said only once, and of the rest the oldest is lost.

use std::collections::VecDeque;
use std::time::Duration;

use dataplane::deliver::Message;
use mcp::envelope::Kind;
use parking_lot::Mutex;
use tokio::sync::mpsc;

/// Messages that wait for a stream.
const WAITING_MAX: usize = 64;
/// Their bytes.
const WAITING_BYTES_MAX: usize = 64 << 10;
/// Messages that a stream may be behind; one that is further behind is ended, and fetched anew.
const BEHIND_MAX: usize = 32;

/// How long a message is waited for that somebody waits for.
const DELIVERY: Duration = Duration::from_secs(30);

/// The messages for one client's stream.
#[derive(Debug, Default)]
pub struct Outbox(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    waiting: VecDeque<Message>,
    bytes: usize,
    stream: Option<mpsc::Sender<Message>>,
}

impl Outbox {
    /// Says something: on the stream where there is one, else it waits for one.
    pub fn push(&self, message: Message) {
        let mut inner = self.0.lock();
        let message = match &inner.stream {
            None => message,
            Some(stream) => match stream.try_send(message) {
                Ok(()) => return,
                Err(error) => {
                    inner.stream = None;
                    error.into_inner()
                }
            },
        };
        inner.wait(message);
    }

    /// Says something that is waited for: where there is a stream, it is waited until there is room on it.
    pub async fn deliver(&self, message: Message) {
        let stream = self.0.lock().stream.clone();
        let Some(stream) = stream else {
            return self.push(message);
        };
        // A client that does not read at all loses its stream.
        let sent = stream.send_timeout(message, DELIVERY).await;
        if let Err(error) = sent {
            self.push(error.into_inner());
        }
    }

    /// Begins a stream; the one before it ends.
    pub fn attend(&self) -> mpsc::Receiver<Message> {
        let mut inner = self.0.lock();
        let (stream, messages) = mpsc::channel(BEHIND_MAX.max(inner.waiting.len()));
        for message in std::mem::take(&mut inner.waiting) {
            // There is room for all of them.
            let _ = stream.try_send(message);
        }
        inner.bytes = 0;
        inner.stream = Some(stream);
        messages
    }

    /// Whether somebody listens.
    pub fn is_attended(&self) -> bool {
        let inner = self.0.lock();
        inner.stream.as_ref().is_some_and(|s| !s.is_closed())
    }

    /// Ends the stream; what is said from now on waits for the next one.
    pub fn detach(&self) {
        self.0.lock().stream = None;
    }

    /// Ends the stream, and forgets what waits.
    pub fn close(&self) {
        *self.0.lock() = Inner::default();
    }
}

impl Inner {
    fn wait(&mut self, message: Message) {
        let is_said = |known: &Message| known.body == message.body;
        if message.kind == Kind::Notification && self.waiting.iter().any(is_said) {
            return;
        }
        self.bytes += message.body.len();
        self.waiting.push_back(message);
        while self.waiting.len() > WAITING_MAX || self.bytes > WAITING_BYTES_MAX {
            let Some(lost) = self.waiting.pop_front() else {
                break;
            };
            self.bytes -= lost.body.len();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use bytes::Bytes;

    use super::*;

    fn say(text: String) -> Message {
        Message::said(Kind::Notification, Bytes::from(text))
    }

    #[tokio::test]
    async fn what_waits_is_said_once_and_in_order() {
        let outbox = Outbox::default();
        for text in ["a", "b", "a"] {
            outbox.push(say(text.to_owned()));
        }
        assert!(!outbox.is_attended());
        let mut stream = outbox.attend();
        outbox.push(say("a".to_owned()));
        for text in ["a", "b", "a"] {
            assert_eq!(stream.recv().await.unwrap().body, text);
        }
        let mut second = outbox.attend();
        assert!(stream.recv().await.is_none(), "one stream at a time");
        outbox.push(say("c".to_owned()));
        assert_eq!(second.recv().await.unwrap().body, "c");
        drop(second);
        outbox.push(say("d".to_owned()));
        assert_eq!(outbox.attend().recv().await.unwrap().body, "d");
    }

    #[tokio::test]
    async fn what_nobody_fetches_is_bounded() {
        let outbox = Outbox::default();
        for n in 0..1000 {
            outbox.push(say(format!("{n} {}", "x".repeat(2000))));
        }
        let mut stream = outbox.attend();
        let mut count = 0;
        while let Ok(message) = stream.try_recv() {
            count += 1;
            assert!(message.body.len() > 2000);
        }
        assert_eq!(count, WAITING_BYTES_MAX / 2004);
    }
}
