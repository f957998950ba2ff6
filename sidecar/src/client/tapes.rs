//! What was said on the streams of one client, so that it can go on with one that it lost: on whatever edge it comes back,
//! the stream is here (2025-11-25, basic/transports, "Resumability and Redelivery").
//!
//! The id of an event is `{stream}-{count}`. Bounded: of each stream the newest messages are kept, of a client the newest
//! streams, a stream that has ended only for a while, and of all clients together so many bytes. Where one of these is
//! reached, a stream is lost for those who come back for it, and nothing else is.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dataplane::deliver::{Message, Tape};
use mcp::revision::Revision;
use parking_lot::Mutex;
use runtime::drain::Drain;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Streams of one client that are kept.
const STREAMS_MAX: usize = 16;
/// Messages of one stream.
const MESSAGES_MAX: usize = 128;
/// Their bytes; the last message is kept where it is not larger than all of one client's may be.
const BYTES_MAX: usize = 64 << 10;
/// Bytes of all streams of one client.
const CLIENT_BYTES_MAX: usize = 1 << 20;
/// Bytes of all clients together.
const ALL_BYTES_MAX: usize = 256 << 20;
/// How long a stream is kept that has ended.
const KEPT: Duration = Duration::from_secs(120);
/// Messages that a client which has come back may be behind.
const BEHIND_MAX: usize = 16;

/// Room for what is kept of all clients.
#[derive(Debug, Clone, Default)]
pub struct Room(Arc<AtomicUsize>);

impl Room {
    /// Keeps a message, where there is room for it.
    fn keep(&self, message: &Message) -> Option<Kept> {
        let bytes = message.body.len();
        let taken = self.0.fetch_add(bytes, Ordering::Relaxed) + bytes;
        // Given back by its drop, also where it was too much.
        let kept = Kept {
            message: message.clone(),
            room: self.clone(),
        };
        (taken <= ALL_BYTES_MAX).then_some(kept)
    }
}

/// A message that takes room.
#[derive(Debug)]
struct Kept {
    message: Message,
    room: Room,
}

impl Drop for Kept {
    fn drop(&mut self) {
        let bytes = self.message.body.len();
        self.room.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// All streams of one client that are kept. Locked for a look-up.
#[derive(Debug, Default)]
pub struct Tapes {
    room: Room,
    kept: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    reels: VecDeque<Arc<Reel>>,
}

/// One stream.
#[derive(Debug)]
pub struct Reel {
    name: u64,
    primes: bool,
    drain: Drain,
    room: Room,
    state: Mutex<State>,
    /// Written with each change.
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    kept: VecDeque<(u64, Kept)>,
    bytes: usize,
    count: u64,
    /// Up to here nothing is kept any more.
    lost: u64,
    ended: Option<Instant>,
    /// Who reads it now: a client that comes back takes the place of the one before.
    reader: u64,
}

impl Tapes {
    /// Of a client that shares `room` with others.
    pub fn within(room: &Room) -> Self {
        Self {
            room: room.clone(),
            kept: Mutex::default(),
        }
    }

    /// Keeps another stream, of a client that speaks `revision`.
    pub fn begin(&self, revision: Revision, drain: &Drain) -> Arc<Reel> {
        let mut inner = self.kept.lock();
        inner.next += 1;
        let reel = Arc::new(Reel {
            name: inner.next,
            primes: revision >= Revision::V2025_11_25,
            drain: drain.clone(),
            room: self.room.clone(),
            state: Mutex::default(),
            changed: watch::Sender::new(0),
        });
        inner.tidy();
        if inner.reels.len() >= STREAMS_MAX {
            // One that has ended goes before one that goes on.
            let ended = inner.reels.iter().position(|reel| reel.has_ended());
            inner.reels.remove(ended.unwrap_or(0));
        }
        inner.reels.push_back(reel.clone());
        reel
    }

    /// What comes after the event with this id, on the stream that it is of. `None`: it is not kept (any more).
    pub fn after(&self, event: &str) -> Option<mpsc::Receiver<Message>> {
        let (name, count) = event.split_once('-')?;
        let (name, count) = (name.parse::<u64>().ok()?, count.parse::<u64>().ok()?);
        let reel = {
            let inner = self.kept.lock();
            inner.reels.iter().find(|reel| reel.name == name)?.clone()
        };
        let reader = {
            let mut state = reel.state.lock();
            if count < state.lost {
                return None;
            }
            state.reader += 1;
            state.reader
        };
        reel.changed.send_modify(|changes| *changes += 1);
        let (says, heard) = mpsc::channel(BEHIND_MAX);
        let drain = reel.drain.clone();
        drain.spawn("resumed stream", reel.play(count, reader, says));
        Some(heard)
    }

    /// Forgets what is too old or too much.
    pub fn sweep(&self) {
        self.kept.lock().tidy();
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.kept.lock().reels.clear();
    }
}

impl Inner {
    /// The newest streams stay, as far as there is room.
    fn tidy(&mut self) {
        self.reels.retain(|reel| !reel.is_old());
        let mut bytes = 0;
        let mut stay: Vec<bool> = Vec::with_capacity(self.reels.len());
        for reel in self.reels.iter().rev() {
            bytes += reel.state.lock().bytes;
            stay.push(bytes <= CLIENT_BYTES_MAX || !reel.has_ended());
        }
        let mut stay = stay.into_iter().rev();
        self.reels.retain(|_| stay.next().unwrap_or(true));
    }
}

impl Reel {
    /// Says what comes after `count`, until the stream ends or nobody listens.
    async fn play(self: Arc<Self>, mut count: u64, reader: u64, says: mpsc::Sender<Message>) {
        let mut changed = self.changed.subscribe();
        loop {
            let (next, ended) = {
                let state = self.state.lock();
                if state.reader != reader || count < state.lost {
                    return;
                }
                let next = state.kept.iter().find(|(at, _)| *at > count);
                let next = next.map(|(at, kept)| (*at, kept.message.clone()));
                (next, state.ended.is_some())
            };
            if let Some((at, message)) = next {
                count = at;
                let event = Some(self.id(at));
                if says.send(Message { event, ..message }).await.is_err() {
                    return;
                }
                continue;
            }
            if ended {
                return;
            }
            tokio::select! {
                () = says.closed() => return,
                () = self.drain.signaled() => return,
                changed = changed.changed() => if changed.is_err() { return },
            }
        }
    }

    fn id(&self, at: u64) -> Box<str> {
        format!("{}-{at}", self.name).into()
    }

    fn has_ended(&self) -> bool {
        self.state.lock().ended.is_some()
    }

    fn is_old(&self) -> bool {
        let ended = self.state.lock().ended;
        ended.is_some_and(|ended| ended.elapsed() > KEPT)
    }
}

impl Tape for Reel {
    fn keep(&self, message: &Message) -> Box<str> {
        let at = {
            let mut state = self.state.lock();
            state.count += 1;
            let at = state.count;
            let is_small = message.body.len() <= CLIENT_BYTES_MAX;
            let kept = is_small.then(|| self.room.keep(message)).flatten();
            if let Some(kept) = kept {
                state.bytes += message.body.len();
                state.kept.push_back((at, kept));
            } else {
                // Nobody is to believe that it was never said.
                state.kept.clear();
                (state.bytes, state.lost) = (0, at);
            }
            while state.kept.len() > 1
                && (state.kept.len() > MESSAGES_MAX || state.bytes > BYTES_MAX)
            {
                if let Some((at, lost)) = state.kept.pop_front() {
                    state.bytes -= lost.message.body.len();
                    state.lost = at;
                }
            }
            at
        };
        self.changed.send_modify(|changes| *changes += 1);
        self.id(at)
    }

    fn end(&self) {
        self.state.lock().ended = Some(Instant::now());
        self.changed.send_modify(|changes| *changes += 1);
    }

    fn prime(&self) -> Option<Box<str>> {
        self.primes.then(|| self.id(0))
    }

    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.drain.spawn("reply that is kept", task);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use bytes::Bytes;
    use mcp::envelope::Kind;

    use super::*;

    fn say(text: &str) -> Message {
        Message::said(Kind::Notification, Bytes::from(text.to_owned()))
    }

    #[tokio::test]
    async fn a_lost_stream_goes_on_where_it_was_lost() {
        let tapes = Tapes::default();
        let reel = tapes.begin(Revision::LATEST_LEGACY, &Drain::new());
        let primed = reel.prime().unwrap();
        let ids: Vec<_> = ["a", "b"].map(|text| reel.keep(&say(text))).into();
        let mut before = tapes.after(&primed).unwrap();
        let mut rest = tapes.after(&ids[0]).unwrap();
        reel.keep(&say("c"));
        reel.end();
        let texts = async |stream: &mut mpsc::Receiver<Message>| {
            let mut texts = Vec::new();
            while let Some(message) = stream.recv().await {
                assert!(message.event.is_some());
                texts.push(String::from_utf8(message.body.to_vec()).unwrap());
            }
            texts
        };
        assert_eq!(texts(&mut rest).await, ["b", "c"]);
        assert!(texts(&mut before).await.len() < 3, "one reader at a time");
        let mut whole = tapes.after(&primed).unwrap();
        assert_eq!(texts(&mut whole).await, ["a", "b", "c"]);
        assert!(tapes.after("9-0").is_none() && tapes.after("x").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_is_bounded() {
        let tapes = Tapes::default();
        let drain = Drain::new();
        let first = tapes.begin(Revision::V2025_06_18, &drain);
        assert_eq!(first.prime(), None, "older clients know nothing of it");
        for n in 0..1000 {
            first.keep(&say(&format!("{n} {}", "x".repeat(1000))));
        }
        assert!(first.state.lock().bytes <= BYTES_MAX);
        assert!(
            tapes.after("1-0").is_none(),
            "what is lost is not passed over"
        );
        first.end();
        for _ in 0..STREAMS_MAX {
            tapes.begin(Revision::V2025_06_18, &drain);
        }
        assert!(tapes.after("1-0").is_none());
        assert_eq!(tapes.kept.lock().reels.len(), STREAMS_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_of_all_is_bounded_and_room_is_given_back() {
        let room = Room::default();
        let drain = Drain::new();
        let large = say(&"x".repeat(CLIENT_BYTES_MAX));
        let clients: Vec<Tapes> = (0..=256).map(|_| Tapes::within(&room)).collect();
        let reels: Vec<_> = clients
            .iter()
            .map(|tapes| tapes.begin(Revision::LATEST_LEGACY, &drain))
            .collect();
        for reel in &reels {
            reel.keep(&large);
        }
        assert_eq!(room.0.load(Ordering::Relaxed), ALL_BYTES_MAX);
        assert!(clients[255].after("1-0").is_some());
        assert!(
            clients[256].after("1-0").is_none(),
            "there was no room for it"
        );
        drop((clients, reels));
        let given_back = async {
            while room.0.load(Ordering::Relaxed) > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(KEPT, given_back).await.unwrap();
    }
}
