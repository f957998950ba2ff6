//! GET and DELETE of a legacy session: let in like any request, taken to where the session leads, and on the way back each
//! message decided on by itself.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use engine::Engine;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use mcp::envelope::{self, Envelope, Kind, Limits};
use mcp::headers::{MCP_PROTOCOL_VERSION, MCP_SESSION_ID};
use mcp::method;
use mcp::revision::{Era, Revision};
use model::name::ServerName;
use model::principal::Principal;
use model::record::Hop as HopKind;

use super::in_place::{InPlace, Said};
use super::pinned::era;
use super::reply::event_stream;
use super::{Incall, Shared, old};
use crate::answer;
use crate::body::{Judge, ReplyBody, StandingBody, Verdict, refusal};
use crate::call::{Accept, Call};
use crate::config::live::{Config, Live};
use crate::deliver::standing::{LAST_EVENT_ID, Standing, Stood, not_offered};
use crate::deliver::{Admitted, Asker, Connection, Hop, Message, Session};
use crate::refusal::Refused;
use crate::stage::authorize::may_read;
use crate::stage::filter::{Passed, Rejected, Screen};
use crate::stage::list;
use crate::stage::pins::{About, Pins};
use crate::stage::webhook::Webhooks;

impl<H: Hop> Incall<'_, H> {
    /// Answers a request without a message. It is no call, and not on record.
    pub(super) async fn stand(&self, parts: &Parts) -> Response<ReplyBody> {
        let stood = self.try_stand(parts).await;
        stood.unwrap_or_else(|refused| answer::refused(&refused))
    }

    async fn try_stand(&self, parts: &Parts) -> Result<Response<ReplyBody>, Refused> {
        if !self.exists() {
            return Err(Refused::not_found());
        }
        let session = session_id(parts)?;
        if parts.method == Method::GET && !Accept::of(&parts.headers).sse {
            let message = "the Accept header must list text/event-stream";
            return Err(Refused::new(StatusCode::NOT_ACCEPTABLE, message));
        }
        let hop = &self.shared.hop;
        let opened = hop.session(self.config, self.admitted, self.server, session)?;
        match self.config.engine.federation(self.server) {
            Some(federation) => self.stand_federated(parts, federation, &opened).await,
            None => self.stand_in(parts, &opened, self.server, None).await,
        }
    }

    /// … in an open session, of a client that was let in for `admitted_to`. `first`: an event before all others.
    pub(super) async fn stand_in(
        &self,
        parts: &Parts,
        opened: &Session,
        admitted_to: &ServerName,
        first: Option<Bytes>,
    ) -> Result<Response<ReplyBody>, Refused> {
        let hop = &self.shared.hop;
        let Some(permit) = self.shared.budget.take(0) else {
            let message = "too many calls are under way";
            return Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, message));
        };
        let standing = Standing {
            method: &parts.method,
            id: self.admitted.call_id.unwrap_or_default(),
            server: self.server,
            principal: &self.admitted.principal,
            client_address: self.admitted.client_address,
            config: self.config,
            session: &opened.handle,
            headers: &parts.headers,
        };
        let stood = hop.stand(&standing).await?;
        let is_servers = match &stood {
            Stood::Ended(status) => {
                let mut response = Response::new(ReplyBody::full(Bytes::new()));
                *response.status_mut() = *status;
                return Ok(response);
            }
            Stood::Stream { is_servers, .. } => *is_servers,
            Stood::Messages { is_seen, .. } => !is_seen,
        };
        let asker = match &stood {
            Stood::Messages { asker, .. } => asker.clone(),
            Stood::Stream {
                is_servers: true, ..
            } => Some(self.in_place_of(parts, opened)),
            _ => None,
        };
        let listener = Listener {
            asker,
            shared: Around::of(self.shared),
            peer: self.peer.clone(),
            parts: parts.clone(),
            server: self.server.clone(),
            admitted: self.admitted.clone(),
            client: opened.client.clone(),
            admitted_to: admitted_to.clone(),
            is_servers,
            answers: parts.headers.contains_key(&LAST_EVENT_ID) || old::is_old(&opened.handle),
        };
        let drain = self.shared.drain.clone();
        let leaving = async move { drain.signaled().await };
        let listener = Box::new(listener);
        let body = match stood {
            Stood::Stream {
                response, guard, ..
            } => {
                let incoming = (response.into_body(), guard);
                StandingBody::of_stream(incoming, listener, leaving, permit)
            }
            Stood::Messages {
                messages, guard, ..
            } => StandingBody::of_messages((messages, guard), listener, leaving, permit),
            Stood::Ended(_) => return Err(not_offered(&parts.method)),
        };
        Ok(event_stream(body.after(first).into()))
    }
}

impl<H: Hop> Incall<'_, H> {
    /// Whoever answers what filters keep from the client of this session.
    fn in_place_of(&self, parts: &Parts, opened: &Session) -> Arc<dyn Asker> {
        let version = parts.headers.get(MCP_PROTOCOL_VERSION);
        let version = version.and_then(|version| Revision::parse(version.to_str().ok()?));
        let said = Said {
            headers: &parts.headers,
            session: &opened.handle,
            revision: opened.revision.or(version).unwrap_or(Revision::V2025_03_26),
            name: opened.client.clone(),
        };
        InPlace::of(self.shared, (self.config, self.admitted, self.server), said)
    }
}

/// The one session id of the request. Without one, and in the modern era, there is nothing to GET or to DELETE.
fn session_id(parts: &Parts) -> Result<&str, Refused> {
    let bad = |what: &str| Refused::new(StatusCode::BAD_REQUEST, what);
    if let Some(version) = parts.headers.get(MCP_PROTOCOL_VERSION) {
        let version = version.to_str().ok().and_then(Revision::parse);
        let version = version.ok_or_else(|| bad("the MCP-Protocol-Version header names none"))?;
        if version.era() == Era::Modern {
            return Err(not_offered(&parts.method));
        }
    }
    let mut ids = parts.headers.get_all(MCP_SESSION_ID).iter();
    let Some(id) = ids.next() else {
        return Err(not_offered(&parts.method));
    };
    if ids.next().is_some() {
        return Err(bad("there is more than one Mcp-Session-Id header"));
    }
    id.to_str().map_err(|_| Refused::session_ended())
}

/// What is needed of [`Shared`] as long as a stream lives.
struct Around<H> {
    hop: Arc<H>,
    live: Live,
    webhooks: Webhooks,
    pins: Pins,
}

impl<H> Around<H> {
    fn of(shared: &Shared<H>) -> Self {
        Self {
            hop: shared.hop.clone(),
            live: shared.live.clone(),
            webhooks: shared.webhooks.clone(),
            pins: shared.pins.clone(),
        }
    }
}

/// Who listens, and what may be heard.
struct Listener<H> {
    shared: Around<H>,
    peer: Connection,
    parts: Parts,
    server: ServerName,
    admitted: Admitted,
    /// What the client is let in for: the server, or a virtual one that it is a member of.
    admitted_to: ServerName,
    client: Arc<str>,
    is_servers: bool,
    asker: Option<Arc<dyn Asker>>,
    /// Whether answers may be on it: the client goes on with a stream that it lost, or has this one alone.
    answers: bool,
}

impl<H: Hop> Listener<H> {
    /// The configuration in force, where the client is still let in by it. The edge's word for its client was good when
    /// the stream began; the edge ends the stream when it is not any more.
    fn config(&self) -> Option<Arc<Config>> {
        let config = self.shared.live.load()?;
        let hop = &self.shared.hop;
        // One whose groups have changed comes back, and is stated to the other hop as it is then.
        let is_as_it_was = |admitted: Admitted| admitted.principal == self.admitted.principal;
        let is_in = H::HOP != HopKind::Edge
            || hop
                .admit(&config, &self.peer, &self.parts, &self.admitted_to)
                .is_ok_and(is_as_it_was);
        let engine = &config.engine;
        let principal = &self.admitted.principal;
        let is_good = is_in
            && engine.may_use(principal, &self.server)
            && leads_to(engine, principal, &self.admitted_to, &self.server);
        is_good.then_some(config)
    }
}

impl<H: Hop> Incall<'_, H> {
    /// Who decides on a subscription as long as it lives.
    pub(super) fn gate(&self, call: &Call<'_>) -> Option<Box<dyn Judge>> {
        if call.method() != method::SUBSCRIPTIONS_LISTEN {
            return None;
        }
        Some(Box::new(Listener {
            asker: None,
            shared: Around::of(self.shared),
            peer: self.peer.clone(),
            parts: self.parts.clone(),
            server: call.server.clone(),
            admitted: self.admitted.clone(),
            admitted_to: self.admitted_to.clone(),
            client: call.client.into(),
            is_servers: false,
            answers: false,
        }))
    }
}

impl<H: Hop> Judge for Listener<H> {
    fn may_be_heard(&self, message: &Message) -> bool {
        let Some(config) = self.config() else {
            return false;
        };
        let Ok(read) = envelope::scan(&message.body, &Limits::RESPONSE) else {
            return true;
        };
        let who = (&*self.admitted.principal, &self.server);
        may_hear(&config, who, self.admitted.client_address, &read)
    }

    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut changed = self.shared.live.changed();
        Box::pin(async move {
            // Without anybody who could change it, all stays as it is.
            if changed.changed().await.is_err() {
                std::future::pending().await
            }
        })
    }

    fn may_go_on(&self) -> bool {
        self.config().is_some()
    }

    fn judge(&self, message: Message) -> Verdict {
        let Some(config) = self.config() else {
            return Verdict::Drop;
        };
        let Ok(read) = envelope::scan(&message.body, &Limits::RESPONSE) else {
            return Verdict::Drop;
        };
        if read.kind == Kind::Response {
            return self.judge_response(&config, message);
        }
        let principal = &self.admitted.principal;
        let (method, target) = (read.method(), read.target.as_deref());
        // On this stream nothing says whose a task is.
        let who = (&**principal, &self.server);
        if method == method::TASKS_STATUS
            || !may_hear(&config, who, self.admitted.client_address, &read)
        {
            return Verdict::Drop;
        }
        let screen = (self.is_servers && !message.is_seen)
            .then(|| {
                let about = (principal, &*self.client, &self.server);
                Screen::of_server_message(&config, about, (method, target), &self.shared.webhooks)
            })
            .flatten();
        shown(screen, message, self.afterwards(&config))
    }
}

impl<H: Hop> Listener<H> {
    /// Who decides on what filters leave of a message.
    fn afterwards(&self, config: &Arc<Config>) -> Afterwards {
        Afterwards {
            config: config.clone(),
            principal: self.admitted.principal.clone(),
            address: self.admitted.client_address,
            server: self.server.clone(),
            asker: self.asker.clone(),
        }
    }

    /// A response is on the stream only where its client has lost the one that it was to come on. Which request it answers
    /// is not known here: it is treated as the answer to all that it could be.
    fn judge_response(&self, config: &Arc<Config>, message: Message) -> Verdict {
        let (body, is_seen) = (message.body, message.is_seen);
        if !self.answers {
            return Verdict::Drop;
        }
        if !self.is_servers || is_seen {
            return Verdict::Pass(body);
        }
        let principal = &self.admitted.principal;
        let about = About {
            engine: &config.engine,
            server: &self.server,
            era: era(false),
            user: &principal.user,
        };
        let body = match about.policy() {
            Some(_) => self.shared.pins.cut(about, body).map(|(body, _)| body),
            None => Ok(body),
        };
        let Ok(body) = body else {
            return Verdict::Drop;
        };
        let about = (&config.engine, &**principal, &self.server);
        let Ok(body) = list::cut_any(about, body) else {
            return Verdict::Drop;
        };
        let about = (principal, &*self.client, &self.server);
        let screen = Screen::of_any_response(config, about, &self.shared.webhooks);
        let message = Message::said(Kind::Response, body);
        shown(screen, message, self.afterwards(config))
    }
}

/// Whether whoever was let in for `front` gets to `server` by it: it is the server itself, or still made of it, and
/// nothing denies all of it.
pub(super) fn leads_to(
    engine: &Engine,
    principal: &Principal,
    front: &ServerName,
    server: &ServerName,
) -> bool {
    front == server
        || engine.federation(front).is_some_and(|federation| {
            federation.member(server.as_str()).is_some()
                && (front.is_all() || !engine.is_denied(principal, front))
        })
}

/// Whether a client may hear of what a message is about: of a resource only if it may read it.
fn may_hear(
    config: &Config,
    who: (&Principal, &ServerName),
    address: Option<IpAddr>,
    read: &Envelope<'_>,
) -> bool {
    if read.method() != method::RESOURCES_UPDATED {
        return true;
    }
    let uri = read.target.as_deref().unwrap_or_default();
    may_read(&config.engine, who, address, uri)
}

/// Decides on what filters leave of a message, by the same configuration as before.
struct Afterwards {
    config: Arc<Config>,
    principal: Arc<Principal>,
    address: Option<IpAddr>,
    server: ServerName,
    /// Who is told where a question does not go.
    asker: Option<Arc<dyn Asker>>,
}

/// What goes on of a message, once filters have seen it.
fn shown(screen: Option<Screen>, message: Message, afterwards: Afterwards) -> Verdict {
    let Some(screen) = screen.map(|screen| screen.for_a(message.kind)) else {
        return Verdict::Pass(message.body);
    };
    if !screen.calls_out() {
        let shown = screen.look(message.body.clone());
        let left = afterwards.left(shown, &message);
        return left.map_or(Verdict::Drop, Verdict::Pass);
    }
    Verdict::Ask(Box::pin(async move {
        let shown = screen.show(message.body.clone()).await;
        afterwards.left(shown, &message)
    }))
}

impl Afterwards {
    fn left(&self, shown: Result<Passed, Rejected>, message: &Message) -> Option<Bytes> {
        match shown {
            Ok(Passed {
                change: None,
                message,
            }) => Some(message),
            Ok(changed) => self.again(message.kind, changed.message),
            // Its client waits for an answer: that it was refused is one.
            Err(rejected) if message.kind == Kind::Response => {
                let read = envelope::scan(&message.body, &Limits::RESPONSE).ok()?;
                Some(rejected.body(read.raw_id()))
            }
            Err(rejected) => {
                if let (Some(refusal), Some(asker)) = (refusal(message, &rejected), &self.asker) {
                    asker.refused(refusal);
                }
                None
            }
        }
    }

    /// What may go of a message that is not what was decided on.
    fn again(&self, kind: Kind, body: Bytes) -> Option<Bytes> {
        if kind == Kind::Response {
            let about = (&self.config.engine, &*self.principal, &self.server);
            return list::cut_any(about, body).ok();
        }
        let read = envelope::scan(&body, &Limits::RESPONSE).ok()?;
        let who = (&*self.principal, &self.server);
        let is_heard = may_hear(&self.config, who, self.address, &read);
        is_heard.then_some(body)
    }
}
