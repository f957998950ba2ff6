//! Sessions of the legacy era: each call under way has one for itself, as clients have; they are begun as they are
//! needed.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request};
use mcp::envelope::{Limits, scan};
use mcp::headers::{MCP_PROTOCOL_VERSION, MCP_SESSION_ID};
use mcp::method::{INITIALIZE, INITIALIZED};
use mcp::revision::{Era, Revision};
use mcp::walk;
use serde_json::json;

use super::Caller;
use super::answer::{Asked, Content};
use super::link::RequestBody;
use super::read::{Answered, Want};
use super::template::{client_info, common_head, post};
use crate::failure::Fault;
use crate::target::Target;

/// Most sessions that are kept; each call under way has one.
const SESSIONS_MAX: usize = 65_536;
/// How long the end of a session may take.
const END: Duration = Duration::from_secs(1);

/// The sessions of one thread's calls that no call has now.
#[derive(Debug)]
pub(super) struct Sessions {
    /// The headers of all POSTs, before there is a session.
    head: HeaderMap,
    /// Held for single pushes and pops only.
    idle: Mutex<Vec<Session>>,
}

/// A session that was granted.
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// A server may do without ids.
    id: Option<HeaderValue>,
    revision: HeaderValue,
}

impl Session {
    /// Adds what a request in this session says of it.
    pub(super) fn mark(&self, head: &mut HeaderMap) {
        head.insert(MCP_PROTOCOL_VERSION, self.revision.clone());
        if let Some(id) = &self.id {
            head.insert(MCP_SESSION_ID, id.clone());
        }
    }
}

impl Sessions {
    pub(super) fn new(target: &Target) -> Self {
        Self {
            head: common_head(target),
            idle: Mutex::default(),
        }
    }

    /// A session for one call: one that exists, or a new one, which is begun with this id.
    pub(super) async fn take(&self, caller: &Caller, id: u64) -> Result<Session, Fault> {
        let idle = self.lock().pop();
        match idle {
            Some(session) => Ok(session),
            None => self.begin(caller, id).await,
        }
    }

    /// Puts a session aside for the next call, unless its server has forgotten it: then a client must begin anew
    /// (2025-11-25, basic/transports: 404).
    pub(super) fn give_back(&self, session: Session, answered: &Result<Answered, Fault>) {
        let status = answered.as_ref().err().and_then(|fault| fault.status);
        let mut idle = self.lock();
        if status != Some(404) && idle.len() < SESSIONS_MAX {
            idle.push(session);
        }
    }

    /// Ends all sessions that no call has, until one cannot be ended.
    pub(super) async fn end_all(&self, caller: &Caller) {
        let sessions = std::mem::take(&mut *self.lock());
        for session in sessions.into_iter().filter(|session| session.id.is_some()) {
            let mut delete = self.post(&session, Bytes::new());
            *delete.method_mut() = Method::DELETE;
            let ended = tokio::time::timeout(END, caller.exchange(delete, Want::Taken)).await;
            // A server need not take it (405); others then do not either.
            if !matches!(ended, Ok(Ok(_))) {
                return;
            }
        }
    }

    async fn begin(&self, caller: &Caller, id: u64) -> Result<Session, Fault> {
        let initialize = json!({"jsonrpc": "2.0", "id": id, "method": INITIALIZE, "params": {
            "protocolVersion": Revision::LATEST_LEGACY.as_str(),
            "capabilities": {},
            "clientInfo": client_info(),
        }});
        let asked = Asked {
            id,
            content: Content::Any,
        };
        let initialize = post(self.head.clone(), initialize.to_string().into());
        let granted = caller.exchange(initialize, Want::Answer(&asked)).await?;
        let answer = granted.answer.as_ref();
        let message = answer.map(|answer| &*answer.message).unwrap_or_default();
        let session = Session {
            revision: agreed(message)?,
            id: granted.session,
        };
        let initialized = json!({"jsonrpc": "2.0", "method": INITIALIZED});
        let initialized = self.post(&session, initialized.to_string().into());
        caller.exchange(initialized, Want::Taken).await?;
        Ok(session)
    }

    /// A POST in a session.
    fn post(&self, session: &Session, body: Bytes) -> Request<RequestBody> {
        let mut head = self.head.clone();
        session.mark(&mut head);
        post(head, body)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The revision that the answer to `initialize` names, as a header.
fn agreed(message: &[u8]) -> Result<HeaderValue, Fault> {
    let envelope = scan(message, &Limits::RESPONSE).map_err(Fault::wrong)?;
    let result = envelope.result.unwrap_or_default();
    let revision = walk::find(message, result, "protocolVersion")
        .and_then(|revision| walk::text(revision.of(message)))
        .and_then(|revision| Revision::parse(&revision))
        .filter(|revision| revision.era() == Era::Legacy);
    match revision {
        Some(revision) => Ok(HeaderValue::from_static(revision.as_str())),
        None => Err(Fault::wrong(
            "initialize was answered with no legacy revision",
        )),
    }
}
