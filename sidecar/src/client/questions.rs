//! What was asked of a legacy client and has no answer yet, by the id that the client knows: ours, as two servers may use
//! the same one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use mcp::edit::Edits;
use mcp::envelope::{Envelope, Span};
use mcp::walk;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::upstream::link::Link;
use crate::upstream::response::Heard;

/// Questions that one client may be asked at once.
const QUESTIONS_MAX: usize = 64;

/// What a client answered: its raw result, or its raw error.
pub type Answer = Result<Vec<u8>, Vec<u8>>;

/// The open questions of one client. Locked for a look-up.
#[derive(Debug, Default)]
pub struct Questions {
    next: AtomicU64,
    open: Mutex<HashMap<u64, Open>>,
}

#[derive(Debug)]
enum Open {
    /// Of ours, on behalf of a call.
    Ours(oneshot::Sender<Answer>),
    /// Of a server's own, under its raw id.
    Servers(Link, Bytes),
}

impl Questions {
    /// Opens a question of ours: its id, and the place where its answer comes. `None`: too many are open.
    pub fn open(&self) -> Option<(u64, oneshot::Receiver<Answer>)> {
        let (answer, comes) = oneshot::channel();
        self.insert(Open::Ours(answer)).map(|id| (id, comes))
    }

    /// A server's own question, as the client is to get it. `None`: too many are open.
    pub fn ask_for(&self, link: &Link, heard: &Heard) -> Option<Bytes> {
        let span = heard.id?;
        let its = heard.bytes.slice(span.start as usize..span.end as usize);
        let id = self.insert(Open::Servers(link.clone(), its))?;
        let asked = with_id(&heard.bytes, span, id);
        if asked.is_none() {
            self.close(id);
        }
        asked
    }

    fn insert(&self, question: Open) -> Option<u64> {
        let mut open = self.open.lock();
        // Those whose asker is gone make room.
        if open.len() >= QUESTIONS_MAX {
            open.retain(|_, open| match open {
                Open::Ours(answer) => !answer.is_closed(),
                Open::Servers(..) => true,
            });
        }
        if open.len() >= QUESTIONS_MAX {
            return None;
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        open.insert(id, question);
        Some(id)
    }

    /// Nobody waits for this one any more.
    pub fn close(&self, id: u64) {
        self.open.lock().remove(&id);
    }

    /// The client answers. False: no question is open that it could be for.
    pub fn answer(&self, bytes: &Bytes, message: &Envelope<'_>) -> bool {
        let Some(id) = message.id.as_ref() else {
            return false;
        };
        let Some(open) = number(id.raw).and_then(|id| self.open.lock().remove(&id)) else {
            return false;
        };
        let part = |span: Span| span.of(bytes).to_vec();
        match open {
            Open::Ours(waits) => {
                let answer = match (message.result, message.error) {
                    (Some(result), _) => Ok(part(result)),
                    (None, error) => Err(error.map(part).unwrap_or_default()),
                };
                waits.send(answer).is_ok()
            }
            Open::Servers(link, its) => {
                let mut edits = Edits::new(bytes);
                edits.replace(id.span, &its[..]);
                match edits.apply() {
                    Ok(answer) => link.answer(answer),
                    Err(_) => return false,
                }
                true
            }
        }
    }

    /// The server takes a question back: what the client is told. `None`: it is not open.
    pub fn taken_back(&self, heard: &Heard) -> Option<Bytes> {
        let span = walk::find(&heard.bytes, heard.params?, "requestId")?;
        let its = span.of(&heard.bytes);
        let mut open = self.open.lock();
        let id = open.iter().find_map(|(id, open)| match open {
            Open::Servers(_, known) if &known[..] == its => Some(*id),
            _ => None,
        })?;
        open.remove(&id);
        with_id(&heard.bytes, span, id)
    }

    /// Whoever asked is gone.
    pub fn forget_all(&self) {
        self.open.lock().clear();
    }
}

fn with_id(message: &Bytes, span: Span, id: u64) -> Option<Bytes> {
    let mut edits = Edits::new(message);
    edits.replace(span, id.to_string().into_bytes());
    edits.apply().ok().map(Bytes::from)
}

fn number(raw: &[u8]) -> Option<u64> {
    std::str::from_utf8(raw).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use mcp::envelope::{Limits, scan};

    use super::*;

    fn answered(questions: &Questions, text: &'static str) -> bool {
        let bytes = Bytes::from_static(text.as_bytes());
        questions.answer(&bytes, &scan(&bytes, &Limits::REQUEST).unwrap())
    }

    #[tokio::test]
    async fn each_question_has_one_answer() {
        let questions = Questions::default();
        let (id, first) = questions.open().unwrap();
        let (_, second) = questions.open().unwrap();
        assert_eq!(id, 1);
        assert!(answered(
            &questions,
            r#"{"jsonrpc":"2.0","id":1,"result":{"a":1}}"#
        ));
        assert!(!answered(
            &questions,
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#
        ));
        assert!(!answered(
            &questions,
            r#"{"jsonrpc":"2.0","id":"2","result":{}}"#
        ));
        assert!(answered(
            &questions,
            r#"{"jsonrpc":"2.0","id":2,"error":{"code":-1,"message":"no"}}"#
        ));
        assert_eq!(first.await.unwrap().unwrap(), br#"{"a":1}"#);
        assert!(second.await.unwrap().is_err());
    }

    #[tokio::test]
    async fn nobody_is_asked_without_end() {
        let questions = Questions::default();
        let held: Vec<_> = (0..QUESTIONS_MAX)
            .map(|_| questions.open().unwrap())
            .collect();
        assert!(questions.open().is_none());
        drop(held);
        assert!(questions.open().is_some());
    }
}
