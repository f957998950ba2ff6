//! What a server said on standard error, over all its processes, and what became of them: the last lines, in memory.
//!
//! One writer at a time: the process that runs, and the one that replaces it. Readers are asked over the stream to the
//! control plane; see [`dataplane::config::logs`].

use std::collections::VecDeque;
use std::sync::Arc;

use dataplane::config::logs::{LogSource, Read};
use parking_lot::Mutex;
use proto::v1::LogLine;
use runtime::clock::now_unix_ms;
use tokio::sync::watch;

/// Lines that are kept; older ones go.
const LINES_MAX: usize = 2000;
/// Bytes that are kept.
const BYTES_MAX: usize = 1 << 20;

/// The log. Clones are the same.
#[derive(Debug, Clone)]
pub struct ServerLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Locked for a line, or for a copy of some.
    kept: Mutex<Kept>,
    /// How many lines there have been.
    count: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<LogLine>,
    bytes: usize,
    /// The number of the line that comes next.
    next: u64,
}

impl Default for ServerLog {
    fn default() -> Self {
        Self(Arc::new(Inner {
            kept: Mutex::default(),
            count: watch::Sender::new(0),
        }))
    }
}

impl ServerLog {
    /// A line of the server's, free of control characters.
    pub fn server(&self, text: String) {
        self.push(text, false);
    }

    /// What the sidecar has to say of it.
    pub fn sidecar(&self, text: String) {
        self.push(text, true);
    }

    fn push(&self, text: String, by_sidecar: bool) {
        let mut kept = self.0.kept.lock();
        kept.bytes += text.len();
        kept.next += 1;
        kept.lines.push_back(LogLine {
            time_unix_ms: now_unix_ms(),
            text,
            by_sidecar,
        });
        while kept.lines.len() > LINES_MAX || kept.bytes > BYTES_MAX {
            let Some(gone) = kept.lines.pop_front() else {
                break;
            };
            kept.bytes -= gone.text.len();
        }
        let next = kept.next;
        drop(kept);
        self.0.count.send_replace(next);
    }
}

impl LogSource for ServerLog {
    fn read(&self, from: Option<u64>, max: usize) -> Read {
        let kept = self.0.kept.lock();
        let count = kept.lines.len() as u64;
        let oldest = kept.next - count;
        let last = max.min(kept.lines.len()) as u64;
        let wanted = from.unwrap_or(kept.next - last).min(kept.next);
        let first = wanted.max(oldest);
        let skipped = usize::try_from(first - oldest).unwrap_or(usize::MAX);
        let lines: Vec<LogLine> = kept.lines.iter().skip(skipped).take(max).cloned().collect();
        Read {
            next: first + lines.len() as u64,
            lost: first - wanted,
            lines,
        }
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.0.count.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(read: &Read) -> Vec<&str> {
        read.lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn lines_are_read_from_the_end_or_from_where_one_was_and_what_is_gone_is_counted() {
        let log = ServerLog::default();
        assert_eq!(log.read(None, 5), Read::default());
        for n in 0..5 {
            log.server(n.to_string());
        }
        let last = log.read(None, 2);
        assert_eq!((texts(&last), last.next, last.lost), (vec!["3", "4"], 5, 0));
        assert!(log.read(Some(5), 2).lines.is_empty());
        assert_eq!(texts(&log.read(Some(1), 2)), ["1", "2"]);
        for n in 5..LINES_MAX + 7 {
            log.server(n.to_string());
        }
        let behind = log.read(Some(5), 1);
        assert_eq!(
            (texts(&behind), behind.next, behind.lost),
            (vec!["7"], 8, 2)
        );
        log.sidecar("x".repeat(BYTES_MAX));
        assert_eq!(log.read(None, 10).lines.len(), 1);
        assert!(log.read(None, 1).lines.iter().all(|line| line.by_sidecar));
    }
}
