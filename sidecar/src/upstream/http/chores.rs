//! What is told to a server when nobody waits for it: that a call is taken back, that a session is over.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dataplane::deliver::direct;
use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::HttpServer;
use super::sessions::Session;

/// Chores that may wait. What comes beyond is not done: the server then finishes what nobody wants.
pub(super) const CHORES_MAX: usize = 1024;
/// How long one may take.
const CHORE: Duration = Duration::from_secs(5);
/// How many are done at once.
const AT_ONCE: usize = 16;
/// How often sessions are looked through.
const SWEEP: Duration = Duration::from_secs(60);

/// Something to tell.
#[derive(Debug)]
pub(super) enum Chore {
    /// A message of the session.
    Tell(Arc<Session>, Bytes),
    /// The session is over.
    Close(Arc<Session>),
}

/// Does what comes, until it is dropped.
pub(super) async fn run(server: HttpServer, todo: mpsc::Receiver<Chore>) {
    let sweeping = async {
        let mut sweep = interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            sweep.tick().await;
            for session in server.0.sessions.idle() {
                server.later(Chore::Close(session));
            }
        }
    };
    let chores = stream::unfold(todo, |mut todo| async {
        let chore = todo.recv().await?;
        Some((chore, todo))
    });
    let doing = chores.for_each_concurrent(AT_ONCE, |chore| server.perform(chore));
    tokio::select! {
        () = sweeping => {}
        () = doing => {}
    }
}

impl HttpServer {
    /// Ends all sessions, within a bound.
    pub(super) async fn close_sessions(&self) {
        let sessions = stream::iter(self.0.sessions.all());
        let closing = sessions.for_each_concurrent(AT_ONCE, |session| self.close(session));
        if timeout(CHORE, closing).await.is_err() {
            tracing::warn!("not all sessions with the server could be closed in time");
        }
    }

    async fn perform(&self, chore: Chore) {
        let done = async {
            match chore {
                Chore::Tell(session, message) => {
                    if let Err(error) = self.post(message, Some(&session)).await {
                        tracing::debug!(%error, "the server was not told something");
                    }
                }
                Chore::Close(session) => self.close(session).await,
            }
        };
        if timeout(CHORE, done).await.is_err() {
            tracing::debug!("the server does not listen");
        }
    }

    async fn close(&self, session: Arc<Session>) {
        direct::end_session(&self.0.egress, &self.0.upstream, &session.id).await;
    }
}
