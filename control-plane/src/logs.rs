//! Who reads servers' logs, and which lines are whose: questions go out over sidecars' streams, lines come back over them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use proto::v1 as pb;
use proto::v1::control_message::Kind as Control;
use tokio::sync::mpsc;

/// Messages that may wait for one reader. What comes when it is full is lost, and counted.
const WAITING_MAX: usize = 64;
/// Readers of this replica.
const READERS_MAX: usize = 256;

/// All readers of this replica. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Logs(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    last_id: AtomicU64,
    /// By the question's id. Locked for a look-up.
    readers: Mutex<HashMap<u64, Reader>>,
}

#[derive(Debug)]
struct Reader {
    node: String,
    lines: mpsc::Sender<pb::LogLines>,
    /// Lines that found no room.
    lost: u64,
}

/// One sidecar's lines. Dropped, no more are sent.
#[derive(Debug)]
pub(crate) struct Reading {
    logs: Logs,
    id: u64,
    node: String,
    orders: mpsc::Sender<Control>,
    lines: mpsc::Receiver<pb::LogLines>,
}

impl Logs {
    /// Asks the sidecar `node`, whose stream takes `orders`. `None`: too many read, or its stream takes no more.
    pub(crate) fn read(
        &self,
        node: &str,
        orders: mpsc::Sender<Control>,
        lines: u32,
        follow: bool,
    ) -> Option<Reading> {
        let id = self.0.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        {
            let mut readers = self.0.readers.lock();
            if readers.len() >= READERS_MAX {
                return None;
            }
            let reader = Reader {
                node: node.to_owned(),
                lines: sender,
                lost: 0,
            };
            readers.insert(id, reader);
        }
        let reading = Reading {
            logs: self.clone(),
            id,
            node: node.to_owned(),
            orders,
            lines: receiver,
        };
        let request = pb::LogRequest {
            id,
            lines,
            follow,
            stop: false,
        };
        let sent = reading.orders.try_send(Control::LogRequest(request));
        sent.is_ok().then_some(reading)
    }

    /// Lines have come from `node`.
    pub(crate) fn heard(&self, node: &str, mut lines: pb::LogLines) {
        let mut readers = self.0.readers.lock();
        let id = lines.id;
        // A node answers for itself alone, whatever id it names.
        let Some(reader) = readers.get_mut(&id).filter(|reader| reader.node == node) else {
            return;
        };
        let is_last = lines.end;
        let count = lines.lines.len() as u64;
        lines.lost += reader.lost;
        match reader.lines.try_send(lines) {
            Ok(()) => reader.lost = 0,
            Err(_) => reader.lost += count,
        }
        if is_last {
            readers.remove(&id);
        }
    }

    /// The stream of `node` has ended: so have its lines.
    pub(crate) fn gone(&self, node: &str) {
        self.0
            .readers
            .lock()
            .retain(|_, reader| reader.node != node);
    }
}

impl Reading {
    /// The next lines; `None`: there are no more.
    pub(crate) async fn next(&mut self) -> Option<pb::ServerLogsEvent> {
        let lines = self.lines.recv().await?;
        Some(pb::ServerLogsEvent {
            node: self.node.clone(),
            lines: lines.lines,
            lost: lines.lost,
            absent: None,
        })
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if self.logs.0.readers.lock().remove(&self.id).is_some() {
            let stop = pb::LogRequest {
                id: self.id,
                stop: true,
                ..Default::default()
            };
            // Where it does not get there, the stream ends soon, or its lines find no reader.
            let _ = self.orders.try_send(Control::LogRequest(stop));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn lines(id: u64, text: &str, end: bool) -> pb::LogLines {
        pb::LogLines {
            id,
            lines: vec![pb::LogLine {
                text: text.to_owned(),
                ..Default::default()
            }],
            lost: 0,
            end,
        }
    }

    fn id(order: Control) -> (u64, bool) {
        match order {
            Control::LogRequest(request) => (request.id, request.stop),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn lines_come_to_who_asked_and_from_who_was_asked() {
        let logs = Logs::default();
        let (orders, mut ordered) = mpsc::channel(8);
        let mut reading = logs.read("s1", orders.clone(), 5, true).unwrap();
        let (asked, stop) = id(ordered.recv().await.unwrap());
        assert!(!stop);
        logs.heard("s2", lines(asked, "a liar", false));
        logs.heard("s1", lines(asked, "a", false));
        assert_eq!(reading.next().await.unwrap().lines[0].text, "a");
        for n in 0..WAITING_MAX + 3 {
            logs.heard("s1", lines(asked, &n.to_string(), false));
        }
        for _ in 0..WAITING_MAX {
            assert_eq!(reading.next().await.unwrap().lost, 0);
        }
        logs.heard("s1", lines(asked, "after", false));
        assert_eq!(reading.next().await.unwrap().lost, 3);
        drop(reading);
        assert_eq!(id(ordered.recv().await.unwrap()), (asked, true));
        let mut reading = logs.read("s1", orders, 5, true).unwrap();
        logs.gone("s1");
        assert!(reading.next().await.is_none());
    }
}
