//! Tool definitions that the control plane does not know, on their way to it.
//!
//! Kept in memory only: what is not told because the control plane is away, or because a stream broke, is told when it
//! is seen again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proto::v1 as pb;
use tokio::sync::mpsc;

/// Messages that wait for the stream.
const QUEUE_MAX: usize = 16;

/// Takes what was seen. Cloned freely.
#[derive(Debug, Clone)]
pub struct Sightings {
    /// Every call may send, the stream's task receives.
    queue: mpsc::Sender<pb::ToolSightings>,
    streams: Arc<AtomicU64>,
}

/// Hands it to the stream.
#[derive(Debug)]
pub struct Told {
    queue: mpsc::Receiver<pb::ToolSightings>,
    streams: Arc<AtomicU64>,
}

impl Sightings {
    /// Both ends.
    pub fn new() -> (Self, Told) {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let streams = Arc::new(AtomicU64::new(0));
        let told = Told {
            queue: receiver,
            streams: streams.clone(),
        };
        let queue = sender;
        (Self { queue, streams }, told)
    }

    /// Queues a message. False: there is no room, and it has to be told again.
    pub fn tell(&self, seen: pb::ToolSightings) -> bool {
        self.queue.try_send(seen).is_ok()
    }

    /// How many streams there were. What was told on an earlier one may be lost.
    pub fn streams(&self) -> u64 {
        self.streams.load(Ordering::Relaxed)
    }
}

impl Told {
    /// Another stream begins.
    pub(crate) fn begin(&self) {
        self.streams.fetch_add(1, Ordering::Relaxed);
    }

    /// The next message.
    pub(crate) async fn next(&mut self) -> Option<pb::ToolSightings> {
        self.queue.recv().await
    }
}
