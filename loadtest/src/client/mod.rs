//! One MCP client of a target, for both eras: makes a call, reads its answer, judges it.
//!
//! ```text
//! Caller::call -> sessions (legacy) -> template -> balance (which connection) -> link -> read -> answer
//! ```
//!
//! A call that a server may have received is never sent again. What can be shown not to have been sent goes to another
//! connection, once: one that was refused, or one that had been closed before a byte of the request was written.
//! Start from [`Caller::call`]. Must not know when calls are made; that is [`crate::load`]'s.

mod answer;
pub(crate) mod balance;
pub(crate) mod link;
mod read;
mod session;
pub(crate) mod template;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::Request;
use mcp::revision::Era;

use crate::failure::{Fault, Kind};
use crate::scenario::Scenario;
use crate::target::Target;
use answer::Asked;
use balance::Backends;
use link::RequestBody;
use read::{Answered, Received, Want};
use session::Sessions;
use template::Template;

/// A client. All calls of one thread share it, and its connections.
#[derive(Debug)]
pub(crate) struct Caller {
    template: Template,
    backends: Backends,
    sessions: Sessions,
    era: Era,
    timeout: Duration,
    /// Calls that were sent again on a new connection, as nothing of them had been sent on the old one.
    resent: AtomicU64,
}

/// How often a client had to do with connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Connections {
    /// Connections made.
    pub opened: u64,
    /// Connections that a URL did not take; the call went on to the next URL.
    pub refused: u64,
    /// Connections that were found closed when a call was to be sent, not a byte of which was; it went over a new one.
    pub resent: u64,
}

impl Connections {
    pub(crate) fn add(&mut self, other: Self) {
        self.opened += other.opened;
        self.refused += other.refused;
        self.resent += other.resent;
    }
}

/// A call that is over.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// When it was begun: before a connection was looked for.
    pub(crate) began: Instant,
    /// When its answer was there, or it failed.
    pub(crate) ended: Instant,
    /// Notifications before the answer, or why there is none.
    pub(crate) result: Result<u64, Fault>,
}

impl Caller {
    /// A client of one thread. `turn`: which URL it begins with; `load`: another number for each load.
    pub(crate) fn new(
        target: &Target,
        scenario: &Scenario,
        timeout: Duration,
        turn: usize,
        load: u32,
    ) -> Self {
        Self {
            template: Template::new(scenario, target, load),
            backends: Backends::new(&target.urls, turn),
            sessions: Sessions::new(target),
            era: target.era,
            timeout,
            resent: AtomicU64::new(0),
        }
    }

    /// Makes one call. `id` must be another one for each call under way.
    pub(crate) async fn call(&self, id: u64) -> Outcome {
        let began = Instant::now();
        let called = tokio::time::timeout(self.timeout, self.answered(id)).await;
        let late = || {
            Fault::new(
                Kind::Timeout,
                format_args!("no answer in {:?}", self.timeout),
            )
        };
        match called.unwrap_or_else(|_| Err(late())) {
            Ok(answered) => Outcome {
                began,
                ended: answered.at,
                result: Ok(answered.notifications),
            },
            Err(fault) => Outcome {
                began,
                ended: Instant::now(),
                result: Err(fault),
            },
        }
    }

    /// What it had to do with connections.
    pub(crate) fn connections(&self) -> Connections {
        Connections {
            opened: self.backends.opened.load(Ordering::Relaxed),
            refused: self.backends.refused.load(Ordering::Relaxed),
            resent: self.resent.load(Ordering::Relaxed),
        }
    }

    /// Ends what is left of sessions. What cannot be ended is left to the server.
    pub(crate) async fn finish(&self) {
        self.sessions.end_all(self).await;
    }

    async fn answered(&self, id: u64) -> Result<Answered, Fault> {
        let (body, asked) = self.template.body(id);
        let mut request = template::post(self.template.head(), body);
        if self.era == Era::Modern {
            return self.asked(request, &asked).await;
        }
        let session = self.sessions.take(self, id).await?;
        session.mark(request.headers_mut());
        let answered = self.asked(request, &asked).await;
        self.sessions.give_back(session, &answered);
        answered
    }

    async fn asked(&self, request: Request<RequestBody>, asked: &Asked) -> Result<Answered, Fault> {
        let received = self.exchange(request, Want::Answer(asked)).await?;
        received
            .answer
            .ok_or_else(|| Fault::wrong("no answer, and no error either"))
    }

    /// Sends one request and reads what comes back.
    async fn exchange(
        &self,
        mut request: Request<RequestBody>,
        want: Want<'_>,
    ) -> Result<Received, Fault> {
        let mut again = false;
        loop {
            let mut held = self.backends.take(again).await?;
            template::aim(&mut request, self.backends.url(&held));
            let sent = held.link.sender.try_send_request(request);
            let done = link::drive(&mut held.link.driver, async {
                match sent.await {
                    Ok(response) => Ok(read::response(response, want).await),
                    Err(error) => Err(error),
                }
            });
            let mut error = match done.await {
                Ok(Ok(received)) => {
                    if received.whole {
                        self.backends.give_back(held);
                    }
                    return Ok(received);
                }
                Ok(Err(fault)) => return Err(fault),
                Err(error) => error,
            };
            // A request that comes back was not written, not a byte of it: the connection was closed before.
            request = match error.take_message() {
                Some(unsent) if !again => unsent,
                _ => return Err(read::broken(error.error())),
            };
            self.resent.fetch_add(1, Ordering::Relaxed);
            again = true;
        }
    }
}
