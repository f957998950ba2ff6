//! HTTP+SSE of 2024-11-05, for clients that still need it: a stream on which they hear everything, and an address where they
//! say everything (S1105 basic/transports, "HTTP with SSE").
//!
//! Answers come on the stream, which may be on another edge than the message: so they go by the session's sidecar, which
//! puts them into the outbox that the stream is read from. What this edge answers by itself goes the same way.

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use hyper::body::Incoming;
use mcp::envelope::{Envelope, Kind};
use mcp::error::RpcError;
use mcp::method;
use mcp::revision::Revision;
use mcp::sse;

use super::halt::{Ended, Halt};
use super::reply::collect;
use super::{Incall, Stance, accepted, begin};
use crate::answer;
use crate::body::ReplyBody;
use crate::call::Accept;
use crate::deliver::federation;
use crate::deliver::standing::{Standing, not_offered};
use crate::deliver::{Hop, Session};
use crate::refusal::Refused;

/// The query by which a message names its session.
const QUERY: &str = "session=";
/// What such sessions' own ids begin with.
const OLD: &str = "sse-";
/// Longest answer of this edge's own that is put on a stream, bytes.
const OWN_BYTES_MAX: usize = 8 << 10;

/// Whether the session with this id is one that hears everything on one stream.
pub fn is_old(handle: &str) -> bool {
    federation::sid(handle).is_some_and(|sid| sid.starts_with(OLD))
}

impl<H: Hop> Incall<'_, H> {
    /// Serves a client of 2024-11-05.
    pub(super) async fn old(&self, parts: &Parts, body: Incoming) -> Response<ReplyBody> {
        let done = match parts.method {
            Method::GET => self.old_stream(parts).await,
            Method::POST => self.old_message(parts, body).await,
            _ => Err(not_offered(&parts.method)),
        };
        done.unwrap_or_else(|refused| answer::refused(&refused))
    }

    /// Opens the stream; its first event says where messages are posted.
    async fn old_stream(&self, parts: &Parts) -> Result<Response<ReplyBody>, Refused> {
        if !self.exists() || self.config.engine.federation(self.server).is_some() {
            return Err(Refused::not_found());
        }
        if !Accept::of(&parts.headers).sse {
            let message = "the Accept header must list text/event-stream";
            return Err(Refused::new(StatusCode::NOT_ACCEPTABLE, message));
        }
        let away = || {
            let message = "no session could be begun";
            Refused::new(StatusCode::SERVICE_UNAVAILABLE, message)
        };
        let mut random = [0; 16];
        rand::fill(&mut random).map_err(|_| away())?;
        let sid = format!("{OLD}{}", URL_SAFE_NO_PAD.encode(random));
        let session = Session {
            revision: None,
            handle: federation::handle(&sid, &URL_SAFE_NO_PAD.encode("{}")),
            client: "".into(),
        };
        let principal = &self.admitted.principal;
        let sealed = self
            .shared
            .hop
            .sealed(self.config, principal, self.server, &session);
        let sealed = sealed.ok_or_else(away)?;
        let endpoint = format!("/sse/{}?{QUERY}{sealed}", self.server);
        let first = sse::encode_event("endpoint", None, endpoint.as_bytes());
        self.stand_in(parts, &session, self.server, Some(first))
            .await
    }

    /// Takes a message; whatever is answered to it goes to the stream.
    async fn old_message(
        &self,
        parts: &Parts,
        body: Incoming,
    ) -> Result<Response<ReplyBody>, Refused> {
        let token = parts.uri.query().and_then(|q| q.strip_prefix(QUERY));
        let token = token.ok_or_else(|| {
            let message = "the session is missing: open the stream first, and post where it says";
            Refused::new(StatusCode::BAD_REQUEST, message)
        })?;
        let hop = &self.shared.hop;
        let session = hop.session(self.config, self.admitted, self.server, token)?;
        if !is_old(&session.handle) {
            return Err(Refused::session_ended());
        }
        let mut recording = Some(begin::<H>(
            self.shared,
            self.config,
            self.admitted,
            self.server,
            parts,
        ));
        let walked = self.walk(parts, body, Some(&session), &mut recording).await;
        let response = walked.unwrap_or_else(|halt| halt.end(recording));
        let is_taken = matches!(response.status().as_u16(), 202 | 401 | 404);
        if is_taken {
            return Ok(response);
        }
        let own = collect(response.into_body(), OWN_BYTES_MAX, |_| true).await;
        let own = own.map_err(|why| {
            // The stream would never tell: so the message itself is refused.
            let message = format!("the answer cannot be put on the session's stream: {why}");
            Refused::new(StatusCode::INTERNAL_SERVER_ERROR, message)
        })?;
        let standing = Standing {
            method: &Method::GET,
            id: self.admitted.call_id.unwrap_or_default(),
            server: self.server,
            principal: &self.admitted.principal,
            client_address: self.admitted.client_address,
            config: self.config,
            session: &session.handle,
            headers: &parts.headers,
        };
        if !hop.put(&standing, &own).await {
            // Nobody would hear it.
            return Err(Refused::session_ended());
        }
        Ok(accepted())
    }
}

/// What is spoken in such a session: the sidecar knows the revision that was agreed on, and says it to the server.
pub(super) fn stance<'m>(message: &'m Envelope<'_>, session: &Session) -> Ended<Stance<'m>> {
    let id = message.raw_id();
    let refused = |what: &str| Halt::invalid(&RpcError::invalid_request(what), id);
    if message.meta_version().is_some() {
        return Err(refused(
            "this address is for the revisions before 2026-07-28",
        ));
    }
    let asked = message.initialize.as_ref();
    let begins = message.kind == Kind::Request && message.method() == method::INITIALIZE;
    let revision = match asked {
        Some(asked) => Revision::negotiate(&asked.protocol_version),
        None if begins => return Err(refused("initialize names no revision")),
        None => Revision::LATEST_LEGACY,
    };
    let client = asked.and_then(|asked| asked.client_name.as_deref());
    let meta = message.meta.as_ref();
    Ok(Stance {
        revision,
        handle: Some(session.handle.clone()),
        client: client.unwrap_or_default().into(),
        parent: meta.and_then(|meta| meta.traceparent.as_deref()),
    })
}

/// The answer of the next hop says that it goes to the stream.
pub(super) fn is_accepted<B>(response: &Response<B>) -> bool {
    response.status() == StatusCode::ACCEPTED
}
