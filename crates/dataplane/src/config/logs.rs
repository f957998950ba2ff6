//! A server's log, read through the stream to the control plane: the last lines, and those that come.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use proto::v1 as pb;
use proto::v1::node_message::Kind;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

/// Readers of one stream; further ones get nothing.
const READERS_MAX: usize = 16;
/// Lines of one message.
const LINES_AT_ONCE: usize = 200;

/// Where a server's log is.
pub trait LogSource: fmt::Debug + Send + Sync {
    /// Lines from number `from` on, at most `max`; `None`: the last `max`.
    fn read(&self, from: Option<u64>, max: usize) -> Read;

    /// Told of every line.
    fn changed(&self) -> watch::Receiver<u64>;
}

/// Some lines.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Read {
    /// Oldest first.
    pub lines: Vec<pb::LogLine>,
    /// The number of the line after them.
    pub next: u64,
    /// How many were asked for and are gone.
    pub lost: u64,
}

/// Those who read over one stream. Dropped with it.
#[derive(Debug)]
pub(super) struct Readers {
    source: Option<Arc<dyn LogSource>>,
    tasks: JoinSet<()>,
    by_id: HashMap<u64, AbortHandle>,
}

impl Readers {
    /// Nobody reads. Without a source nobody ever will.
    pub(super) fn new(source: Option<Arc<dyn LogSource>>) -> Self {
        Self {
            source,
            tasks: JoinSet::new(),
            by_id: HashMap::new(),
        }
    }

    /// Does as it was asked; lines go to `outbox`.
    pub(super) fn take(&mut self, request: pb::LogRequest, outbox: &mpsc::Sender<pb::NodeMessage>) {
        while self.tasks.try_join_next().is_some() {}
        self.by_id.retain(|_, reader| !reader.is_finished());
        if let Some(reader) = self.by_id.remove(&request.id) {
            reader.abort();
        }
        if request.stop {
            return;
        }
        let Some(source) = self
            .source
            .clone()
            .filter(|_| self.by_id.len() < READERS_MAX)
        else {
            return;
        };
        let id = request.id;
        let reader = self.tasks.spawn(send(source, request, outbox.clone()));
        self.by_id.insert(id, reader);
    }
}

/// Sends what was asked for, until the stream ends.
async fn send(
    source: Arc<dyn LogSource>,
    request: pb::LogRequest,
    outbox: mpsc::Sender<pb::NodeMessage>,
) {
    let mut changed = source.changed();
    let mut from = None;
    loop {
        changed.mark_unchanged();
        let max = from.map_or(request.lines as usize, |_| LINES_AT_ONCE);
        let read = source.read(from, max);
        let is_last = !request.follow;
        let more = from.is_some() && read.lines.len() == LINES_AT_ONCE;
        from = Some(read.next);
        if !read.lines.is_empty() || read.lost > 0 || is_last {
            let lines = pb::LogLines {
                id: request.id,
                lines: read.lines,
                lost: read.lost,
                end: is_last,
            };
            let message = pb::NodeMessage {
                kind: Some(Kind::LogLines(lines)),
            };
            if outbox.send(message).await.is_err() || is_last {
                return;
            }
        }
        if !more && changed.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// Lines that are numbers.
    #[derive(Debug)]
    struct Numbers(watch::Sender<u64>);

    impl LogSource for Numbers {
        fn read(&self, from: Option<u64>, max: usize) -> Read {
            let all = *self.0.borrow();
            let first = from.unwrap_or(all.saturating_sub(max as u64));
            let next = all.min(first + max as u64);
            let line = |n: u64| pb::LogLine {
                text: n.to_string(),
                ..Default::default()
            };
            Read {
                lines: (first..next).map(line).collect(),
                next,
                lost: 0,
            }
        }

        fn changed(&self) -> watch::Receiver<u64> {
            self.0.subscribe()
        }
    }

    async fn next(inbox: &mut mpsc::Receiver<pb::NodeMessage>) -> (Vec<String>, bool) {
        match inbox.recv().await.unwrap().kind.unwrap() {
            Kind::LogLines(lines) => {
                assert_eq!(lines.id, 7);
                let text = lines.lines.into_iter().map(|line| line.text);
                (text.collect(), lines.end)
            }
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_last_lines_come_and_then_each_until_told_to_stop() {
        let numbers = Arc::new(Numbers(watch::Sender::new(10)));
        let mut readers = Readers::new(Some(numbers.clone()));
        let (outbox, mut inbox) = mpsc::channel(4);
        let request = |follow, stop| pb::LogRequest {
            id: 7,
            lines: 2,
            follow,
            stop,
        };
        readers.take(request(false, false), &outbox);
        let text = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(next(&mut inbox).await, (text(&["8", "9"]), true));
        readers.take(request(true, false), &outbox);
        assert_eq!(next(&mut inbox).await, (text(&["8", "9"]), false));
        numbers.0.send_replace(11);
        assert_eq!(next(&mut inbox).await, (text(&["10"]), false));
        numbers.0.send_replace(11 + LINES_AT_ONCE as u64 + 1);
        assert_eq!(next(&mut inbox).await.0.len(), LINES_AT_ONCE);
        assert_eq!(next(&mut inbox).await.0.len(), 1);
        readers.take(request(true, true), &outbox);
        numbers.0.send_replace(1000);
        drop(outbox);
        assert!(inbox.recv().await.is_none(), "it goes on");
    }
}
