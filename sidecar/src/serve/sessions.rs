//! Which session of a legacy client a message belongs to.
//!
//! | handle | session |
//! |---|---|
//! | `{node}.~{id}` | the server's own, over HTTP: nothing is held here |
//! | `{node}.{random}` | begun here by `initialize` |
//! | `v.{random}` | a part of one with a virtual server: begun here by its first message, which introduces the client |
//!
//! Of a process that all share, little is kept for a session: what is unknown begins anew, so that a sidecar may come and
//! go. Everywhere else an unknown session is over, and its client has to begin another.

use std::sync::Arc;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use dataplane::call::Call;
use dataplane::deliver::federation::{self, CLIENT_HEADER};
use dataplane::refusal::Fault;
use http::HeaderMap;
use mcp::method;
use mcp::revision::Revision;
use mcp::walk;
use serde_json::Value;

use super::Sidecar;
use crate::client::{Client, Introduction};
use crate::upstream::session::Ready;

/// What stands in a handle before a server's own session id.
pub(super) const DIRECT: char = '~';
/// Longest introduction, bytes.
const INTRODUCTION_BYTES_MAX: usize = 4096;

/// The server's own session id, where the handle carries one.
pub(super) fn direct_session(handle: Option<&str>) -> Option<&str> {
    let (_, rest) = handle?.split_once('.')?;
    rest.strip_prefix(DIRECT)
}

impl Sidecar {
    /// The session of the call's client; `None` for modern ones, which have none.
    ///
    /// # Errors
    /// It is over, or was never begun.
    pub(super) fn client(
        &self,
        call: &Call<'_>,
        ready: &Ready,
    ) -> Result<Option<Arc<Client>>, Fault> {
        if call.is_modern() {
            return Ok(None);
        }
        let user = &call.principal.user;
        let begin = |handle: &str, introduction: &Introduction| {
            let begun = self.clients.begin(handle, user, introduction);
            begun.map(Some).ok_or_else(Fault::session_ended)
        };
        let begins = call.method() == method::INITIALIZE;
        let Some(handle) = call
            .session
            .filter(|id| !begins || federation::sid(id).is_some())
        else {
            let introduction = introduction_of(call);
            return begin(&self.new_handle()?, &introduction);
        };
        if begins {
            let begun = self.clients.introduce(handle, user, &introduction_of(call));
            return begun.map(Some).ok_or_else(Fault::session_ended);
        }
        self.held(handle, user, call.revision, (call.headers, ready))
            .map(Some)
    }

    /// The session of `user` with this handle, begun anew where that may be.
    ///
    /// # Errors
    /// It is over.
    pub(super) fn held(
        &self,
        handle: &str,
        user: &str,
        revision: Revision,
        (headers, ready): (&HeaderMap, &Ready),
    ) -> Result<Arc<Client>, Fault> {
        let found = self.clients.find(handle, user);
        if let Some(client) = found.map_err(|_| Fault::session_was_ended())? {
            return Ok(client);
        }
        let introduction = if federation::sid(handle).is_some() {
            introduced(headers, revision)
        } else {
            (!ready.is_own()).then(|| Introduction {
                revision,
                capabilities: Bytes::new(),
                info: Bytes::new(),
            })
        };
        let begun = introduction.and_then(|it| self.clients.begin(handle, user, &it));
        begun.ok_or_else(Fault::session_ended)
    }

    /// A name for a new session: this node, and 128 random bits.
    fn new_handle(&self) -> Result<String, Fault> {
        let mut random = [0; 16];
        rand::fill(&mut random).map_err(|_| Fault::unavailable("there is no randomness"))?;
        Ok(format!("{}.{}", self.node, URL_SAFE_NO_PAD.encode(random)))
    }
}

/// What a client says of itself in `initialize`.
fn introduction_of(call: &Call<'_>) -> Introduction {
    let params = call.message.params;
    let part = |key| {
        let span = walk::find(call.body, params?, key)?;
        Some(call.body.slice_ref(span.of(call.body)))
    };
    Introduction {
        revision: call.revision,
        capabilities: part("capabilities").unwrap_or_default(),
        info: part("clientInfo").unwrap_or_default(),
    }
}

/// What an edge says of a client.
fn introduced(headers: &HeaderMap, revision: Revision) -> Option<Introduction> {
    let header = headers.get(CLIENT_HEADER)?.as_bytes();
    if header.len() > INTRODUCTION_BYTES_MAX {
        return None;
    }
    let text = URL_SAFE_NO_PAD.decode(header).ok()?;
    let said: Value = serde_json::from_slice(&text).ok()?;
    let part = |key: &str| match said.get(key) {
        Some(value @ Value::Object(_)) => Bytes::from(value.to_string()),
        _ => Bytes::new(),
    };
    Some(Introduction {
        revision,
        capabilities: part("capabilities"),
        info: part("clientInfo"),
    })
}
