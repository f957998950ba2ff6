//! Who answers what a server asks on the own stream of a session, where nothing says for which call it is.
//!
//! The stream is read while calls are under way whose clients can be asked, and a little longer. A question is put to the
//! oldest of them that is not being asked already. A session is one user's, with one application that can do just this
//! much: nobody else can come to hear of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mcp::error::RpcError;
use mcp::revision::Era;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::attended::Attended;
use super::sessions::{Session, Slot};
use super::{Chore, HttpServer};
use crate::upstream::Error;
use crate::upstream::response::Heard;

/// Questions to one call that may wait.
const QUESTIONS_MAX: usize = 32;
/// How long a call waits for the stream to begin, as a server may ask at once. Some say nothing of a stream before there is
/// something on it: they are listened to all the same, and nobody waits for them twice.
const BEGIN: Duration = Duration::from_secs(1);
/// How long the stream is read on without a call: the next one need not begin it again.
const LINGER: Duration = Duration::from_secs(5);

/// How often a stream is tried that a server does not give now, and after what time.
const TIMES_MAX: u32 = 5;
const AGAIN: Duration = Duration::from_millis(300);

/// The calls of one session that may be asked, oldest first. Locked for a look.
#[derive(Debug, Default)]
pub(super) struct Askable(Mutex<Vec<Entry>>);

#[derive(Debug)]
struct Entry {
    id: u64,
    /// Its client is being asked.
    is_busy: bool,
    asks: mpsc::Sender<Heard>,
}

impl Askable {
    fn enter(&self, id: u64) -> mpsc::Receiver<Heard> {
        let (asks, questions) = mpsc::channel(QUESTIONS_MAX);
        self.0.lock().push(Entry {
            id,
            is_busy: false,
            asks,
        });
        questions
    }

    fn leave(&self, id: u64) {
        self.0.lock().retain(|call| call.id != id);
    }

    fn set_busy(&self, id: u64, is_busy: bool) {
        for call in self.0.lock().iter_mut().filter(|call| call.id == id) {
            call.is_busy = is_busy;
        }
    }

    /// Puts a question to a call. False: there is none that could be asked.
    pub(super) fn ask(&self, heard: &Heard) -> bool {
        let calls = self.0.lock();
        let takes = |call: &Entry| call.asks.try_send(heard.clone()).is_ok();
        let (busy, free): (Vec<_>, Vec<_>) = calls.iter().partition(|call| call.is_busy);
        free.into_iter().chain(busy).any(takes)
    }
}

/// A call's place among those that may be asked, as long as this lives.
#[derive(Debug)]
pub(super) struct Asked {
    server: HttpServer,
    session: Arc<Session>,
    id: u64,
    questions: mpsc::Receiver<Heard>,
    /// Ends the task that has the stream read.
    _over: DropGuard,
}

impl Asked {
    /// The next question. Loses nothing if it is dropped while it waits.
    pub(super) async fn next(&mut self) -> Heard {
        match self.questions.recv().await {
            Some(heard) => heard,
            // Its sender is dropped by this alone.
            None => std::future::pending().await,
        }
    }

    /// Whether its client is being asked.
    pub(super) fn set_busy(&self, is_busy: bool) {
        self.session.askable.set_busy(self.id, is_busy);
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.session.askable.leave(self.id);
        self.questions.close();
        // The call is over, and whoever asked in it waits still.
        while let Ok(heard) = self.questions.try_recv() {
            let error = RpcError::method_not_found(&heard.method, Era::Legacy);
            let answer = error.body(Some(heard.raw_id()));
            let session = self.session.clone();
            self.server.later(Chore::Tell(session, answer.into()));
        }
    }
}

impl HttpServer {
    /// Has the call `id` be asked what the server asks on the session's own stream.
    pub(super) async fn asked(
        &self,
        (slot, session): (&Arc<Slot>, &Arc<Session>),
        id: u64,
    ) -> Asked {
        let over = CancellationToken::new();
        let asked = Asked {
            server: self.clone(),
            session: session.clone(),
            id,
            questions: session.askable.enter(id),
            _over: over.clone().drop_guard(),
        };
        if session.is_mute.load(Ordering::Relaxed) {
            return asked;
        }
        let (begun, has_begun) = oneshot::channel();
        let place = (slot.clone(), session.clone());
        // Ends with the call, or a little later.
        tokio::spawn(self.clone().listen(place, begun, over));
        let waits = !session.is_late.load(Ordering::Relaxed);
        if waits && timeout(BEGIN, has_begun).await.is_err() {
            session.is_late.store(true, Ordering::Relaxed);
        }
        asked
    }

    async fn listen(
        self,
        (slot, session): (Arc<Slot>, Arc<Session>),
        begun: oneshot::Sender<()>,
        over: CancellationToken,
    ) {
        let attended = tokio::select! {
            attended = self.attend_again(&slot, &session) => attended,
            () = over.cancelled() => return,
        };
        let Some(attended) = attended else { return };
        // Where nobody waits for it, the call has been sent already.
        let _ = begun.send(());
        over.cancelled().await;
        if !attended.lingers.swap(true, Ordering::Relaxed) {
            sleep(LINGER).await;
            attended.lingers.store(false, Ordering::Relaxed);
        }
    }
}

impl HttpServer {
    /// Begins the stream. A server that has but one to give may not have noticed yet that the one before was left.
    async fn attend_again(
        &self,
        slot: &Arc<Slot>,
        session: &Arc<Session>,
    ) -> Option<Arc<Attended>> {
        for _ in 0..TIMES_MAX {
            match self.attend_in(slot.clone(), session.clone()).await {
                Ok(attended) => return Some(attended),
                Err(Error::Invalid(_)) => {
                    session.is_mute.store(true, Ordering::Relaxed);
                    return None;
                }
                Err(error) => tracing::debug!(%error, "a session cannot be listened to"),
            }
            sleep(AGAIN).await;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use bytes::Bytes;
    use mcp::envelope::{Limits, scan};

    use super::*;

    #[test]
    fn the_oldest_call_is_asked_that_is_not_being_asked_already() {
        let askable = Askable::default();
        let bytes = Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#);
        let heard = Heard::new(bytes.clone(), &scan(&bytes, &Limits::RESPONSE).unwrap());
        assert!(!askable.ask(&heard), "there is none");
        let (mut first, mut second) = (askable.enter(1), askable.enter(2));
        assert!(askable.ask(&heard) && first.try_recv().is_ok());
        askable.set_busy(1, true);
        assert!(askable.ask(&heard) && second.try_recv().is_ok());
        askable.set_busy(2, true);
        assert!(askable.ask(&heard) && first.try_recv().is_ok());
        askable.leave(1);
        for _ in 0..QUESTIONS_MAX {
            assert!(askable.ask(&heard));
        }
        assert!(!askable.ask(&heard), "there is no room");
    }
}
