//! What a server says on standard error: the last lines, kept for status and logs.
//!
//! Free text of a program that is not ours: bounded in lines and in length, control characters cut.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::AsyncRead;

use super::lines::{Line, Lines};
use crate::logs::ServerLog;

/// Lines that are kept; older ones go.
const LINES_MAX: usize = 200;
/// Longest line that is kept, bytes; what is longer is cut.
const LINE_BYTES_MAX: usize = 4096;

/// The last lines. Cheap to clone; the reading task writes, status and errors read, each for the time
/// of a push or a copy.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ring {
    lines: Arc<Mutex<VecDeque<String>>>,
    /// The log of the server over all its processes.
    log: ServerLog,
}

impl Ring {
    /// An empty one, whose lines go to `log` as well.
    pub(super) fn new(log: &ServerLog) -> Self {
        Self {
            lines: Arc::default(),
            log: log.clone(),
        }
    }

    /// Reads until the stream ends.
    pub(super) async fn fill(self, stream: impl AsyncRead + Unpin) {
        let mut lines = Lines::new(stream, LINE_BYTES_MAX);
        while let Ok(Some(line)) = lines.next().await {
            let (text, cut) = match &line {
                Line::Whole(bytes) => (bytes, ""),
                Line::TooLong { start } => (start, "…"),
            };
            let text = String::from_utf8_lossy(text);
            let clean: String = text
                .chars()
                .filter(|c| !c.is_control() || *c == '\t')
                .collect();
            tracing::debug!(target: "sidecar::server", "{clean}{cut}");
            let line = clean + cut;
            self.log.server(line.clone());
            self.push(line);
        }
    }

    /// The last `count` lines, oldest first.
    pub(crate) fn last(&self, count: usize) -> Vec<String> {
        let lines = self.lines.lock();
        lines
            .iter()
            .skip(lines.len().saturating_sub(count))
            .cloned()
            .collect()
    }

    fn push(&self, line: String) {
        let mut lines = self.lines.lock();
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_lines_are_kept_and_long_ones_cut() {
        let ring = Ring::default();
        let mut text: String = (0..LINES_MAX + 5).map(|n| format!("line {n}\n")).collect();
        text.push_str("\x1b[31mred\r\n");
        text.push_str(&"x".repeat(LINE_BYTES_MAX * 3));
        text.push_str("\nlast without newline");
        ring.clone().fill(text.as_bytes()).await;
        let lines = ring.last(LINES_MAX + 1);
        assert_eq!(lines.len(), LINES_MAX);
        let [.., red, long, last] = lines.as_slice() else {
            panic!("too few lines")
        };
        assert_eq!(
            (red.as_str(), last.as_str()),
            ("[31mred", "last without newline")
        );
        assert!(long.ends_with("x…") && long.len() < LINE_BYTES_MAX * 2);
        assert_eq!(ring.last(1), ["last without newline"]);
    }
}
