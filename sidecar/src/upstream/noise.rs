//! What a server says that is of no use to anybody: counted, and its beginning kept for people.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// How much is kept of what was no message, characters.
const SAMPLE_CHARS_MAX: usize = 200;

/// What a server said that was of no use.
#[derive(Debug, Default)]
pub struct Noise {
    rubbish: AtomicU64,
    unasked: AtomicU64,
    /// The first line that was no message; written once, read for status.
    sample: Mutex<String>,
    heard: Notify,
}

impl Noise {
    /// Lines on standard output that were no message.
    pub fn rubbish_lines(&self) -> u64 {
        self.rubbish.load(Ordering::Relaxed)
    }

    /// Messages that nobody waited for: late answers, notifications that are not passed on.
    pub fn unasked_messages(&self) -> u64 {
        self.unasked.load(Ordering::Relaxed)
    }

    /// A message that nobody waited for.
    pub(super) fn unasked(&self) {
        self.unasked.fetch_add(1, Ordering::Relaxed);
    }

    /// The start of the first line that was no message.
    pub fn sample(&self) -> String {
        self.sample.lock().clone()
    }

    /// Waits for the next line that is no message.
    pub async fn heard(&self) {
        self.heard.notified().await;
    }

    /// A line that was no message.
    pub(super) fn add(&self, line: &[u8]) {
        if self.rubbish.fetch_add(1, Ordering::Relaxed) == 0 {
            let start = line.get(..SAMPLE_CHARS_MAX * 4).unwrap_or(line);
            let text = String::from_utf8_lossy(start);
            let clean = text
                .chars()
                .filter(|c| !c.is_control())
                .take(SAMPLE_CHARS_MAX);
            *self.sample.lock() = clean.collect();
        }
        self.heard.notify_one();
    }
}
