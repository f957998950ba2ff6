//! A server that is reached over HTTP: one message out, its answer back, and sessions where its era has them.
//!
//! ```text
//! running (asked what it speaks, asked again, given up) -- HttpServer -- sessions: legacy era, by user and capabilities
//!                                                             |     '-- attended: a session's own stream
//!                                                             '-- exchange: one call, until its answer or deadline
//!                                                                   '-- asked: what is asked on that stream
//! ```
//!
//! Where the client speaks the server's era, its messages do not come by here: they go as they came, by
//! [`dataplane::deliver::direct`].

mod asked;
mod attended;
mod chores;
mod coming;
mod exchange;
mod greet;
mod running;
mod sessions;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use ::http::{HeaderValue, Request, Response};
use bytes::Bytes;
use dashmap::DashMap;
use dataplane::call::Call;
use dataplane::deliver::direct;
use dataplane::deliver::probe::Probed;
use dataplane::egress::Egress;
use dataplane::refusal::Fault;
use engine::upstream::Upstream;
use http_body_util::Full;
use hyper::body::Incoming;
use mcp::bridge::Mirror;
use mcp::headers::{MCP_PROTOCOL_VERSION, MCP_SESSION_ID};
use mcp::revision::{Era, Revision};
use tokio::sync::{Notify, mpsc};

pub use self::attended::Attended;
use self::chores::{CHORES_MAX, Chore};
pub use self::exchange::Exchange;
pub use self::greet::Held;
pub use self::running::Running;
use self::sessions::{Session, Sessions};
use super::Error;

/// Longest message of a server, bytes.
pub(super) const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// Tools of which it is kept. A full map is emptied, and filled by the next list.
const MIRRORS_MAX: usize = 10_000;

/// A server behind HTTP. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HttpServer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    egress: Egress,
    upstream: Arc<Upstream>,
    /// What it said when it was greeted.
    probed: OnceLock<Probed>,
    sessions: Sessions,
    next_id: AtomicU64,
    /// Calls that were sent and are not over.
    waiting: AtomicUsize,
    /// None of them is left.
    rests: Notify,
    /// Somebody was answered in a way that does not fit what is known of it.
    doubted: Notify,
    /// What is told to it when nobody waits; one task reads.
    chores: mpsc::Sender<Chore>,
    /// The arguments that tools of a modern server have mirrored into headers, as its lists say.
    mirrors: DashMap<String, Arc<[Mirror]>>,
}

impl HttpServer {
    /// A server, and what has to be told to it by whoever keeps it up.
    fn new(egress: Egress, upstream: Arc<Upstream>) -> (Self, mpsc::Receiver<Chore>) {
        let (chores, todo) = mpsc::channel(CHORES_MAX);
        let server = Self(Arc::new(Inner {
            egress,
            upstream,
            probed: OnceLock::new(),
            sessions: Sessions::default(),
            next_id: AtomicU64::new(1),
            waiting: AtomicUsize::new(0),
            rests: Notify::new(),
            doubted: Notify::new(),
            chores,
            mirrors: DashMap::new(),
        }));
        (server, todo)
    }

    /// The way to it.
    pub fn egress(&self) -> &Egress {
        &self.0.egress
    }

    /// Where it is.
    pub fn upstream(&self) -> &Upstream {
        &self.0.upstream
    }

    /// Whether it speaks the caller's era.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn speaks(&self, call: &Call<'_>) -> Result<bool, Fault> {
        self.speaks_era(call.revision.era()).await
    }

    /// Whether it speaks this era.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn speaks_era(&self, era: Era) -> Result<bool, Fault> {
        let Some(probed) = self.0.probed.get() else {
            return Ok(false);
        };
        let (egress, upstream) = (&self.0.egress, &self.0.upstream);
        probed.speaks(era, egress, upstream).await
    }

    /// The arguments that a tool has mirrored, as far as that is known.
    pub fn mirrors(&self, tool: &str) -> Arc<[Mirror]> {
        let known = self.0.mirrors.get(tool);
        known.map(|known| known.clone()).unwrap_or_default()
    }

    /// Keeps what a list says of them.
    pub fn keep_mirrors(&self, mirrors: Vec<(String, Vec<Mirror>)>) {
        if self.0.mirrors.len() > MIRRORS_MAX {
            self.0.mirrors.clear();
        }
        for (tool, mirrors) in mirrors {
            self.0.mirrors.insert(tool, mirrors.into());
        }
    }

    /// An id for the next request, also good as its progress token: unique in this process.
    pub fn next_id(&self) -> u64 {
        self.0.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// How many calls wait for an answer. Those that go as they came are not among them.
    pub fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed)
    }

    /// Waits until no call waits for an answer.
    async fn at_rest(&self) {
        loop {
            let rests = self.0.rests.notified();
            tokio::pin!(rests);
            // Before the look, so that nothing is missed after it.
            rests.as_mut().enable();
            if self.waiting() == 0 {
                return;
            }
            rests.await;
        }
    }

    /// It could not be reached, or its answer contradicts what is known of it: it is asked again.
    pub fn doubt(&self) {
        self.0.doubted.notify_one();
    }

    /// Sends one message of the legacy era; nothing here bounds the time.
    async fn post(
        &self,
        message: Bytes,
        session: Option<&Session>,
    ) -> Result<Response<Incoming>, Error> {
        let unusable = |_| Error::Gone("a header of the session cannot be sent".into());
        let request = direct::post(&self.0.upstream, message);
        let mut request = request.map_err(|fault| Error::Gone(fault.message.as_str().into()))?;
        if let Some(session) = session {
            let headers = request.headers_mut();
            // The header came with 2025-06-18; who is older ignores it.
            let revision = HeaderValue::from_static(Revision::as_str(session.revision));
            headers.insert(MCP_PROTOCOL_VERSION, revision);
            if !session.id.is_empty() {
                let id = HeaderValue::from_str(&session.id).map_err(unusable)?;
                headers.insert(MCP_SESSION_ID, id);
            }
        }
        self.request(request).await
    }

    async fn request(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Error> {
        let sent = self.0.egress.send(&self.0.upstream.url, request).await;
        sent.map_err(|error| {
            tracing::warn!(%error, "the server cannot be reached");
            if error.is_before_sending() {
                self.doubt();
                Error::Gone("the server cannot be reached".into())
            } else {
                Error::Gone("the connection to the server broke".into())
            }
        })
    }

    /// Does something when there is time. Where too much waits already, it is not done.
    fn later(&self, chore: Chore) {
        if self.0.chores.try_send(chore).is_err() {
            tracing::debug!("no room to tell the server something");
        }
    }
}
