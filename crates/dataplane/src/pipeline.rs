//! The life of a request at one hop. [`handle`] is the parent: it reads from top to bottom as a call walks.
//!
//! Both hops run this code; they differ in [`Hop`] alone. One snapshot is taken at the start and kept to
//! the end: never two revisions in one decision.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::{Body, Incoming};
use mcp::envelope::{Envelope, Kind};
use mcp::era::{self, Caller};
use mcp::error::RpcError;
use mcp::headers::MCP_SESSION_ID;
use mcp::method;
use mcp::revision::Revision;
use model::decision::{Decision, Reason};
use model::filter::Direction;
use model::name::ServerName;
use model::record::{CallId, Hop as HopKind};
use runtime::audit::Log;
use runtime::drain::Drain;

use crate::answer;
use crate::body;
use crate::body::{MeteredBody, ReplyBody};
use crate::budget::{Budget, Permit};
use crate::call::{self, Accept, Call};
use crate::config::live::{Config, Live};
use crate::deliver::tasks::Tasks;
use crate::deliver::{Admitted, Connection, Hop, Session, federation};
use crate::door::{self, Route};
use crate::meter::Meter;
use crate::refusal::{Fault, Refused};
use crate::stage::authorize::{Allowed, Denied, authorize};
use crate::stage::filter::{Questions, Rejected, Screen};
use crate::stage::limit::{Counted, Held, Limiter};
use crate::stage::pins::Pins;
use crate::stage::record::Recording;
use crate::stage::webhook::Webhooks;

mod approve;
mod batch;
mod federated;
mod halt;
mod in_place;
pub mod old;
mod pinned;
mod reply;
mod standing;
mod told;

use self::halt::{Ended, Halt, scanned};
use self::pinned::Tool;

/// Everything that the calls of one listener share.
#[derive(Debug)]
pub struct Shared<H> {
    /// What this hop adds.
    pub hop: Arc<H>,
    /// The configuration in force.
    pub live: Live,
    /// Where calls are recorded.
    pub audit: Log,
    /// Which hosts and origins are answered.
    pub guard: door::Guard,
    /// Largest message, in bytes.
    pub body_bytes_max: usize,
    /// What calls add up to.
    pub meter: Meter,
    /// What calls under way may hold.
    pub budget: Budget,
    /// The way to receivers that are asked about messages.
    pub webhooks: Webhooks,
    /// What calls are counted by.
    pub limits: Limiter,
    /// What servers' tools are, and were.
    pub pins: Pins,
    /// Whether this process is on its way out.
    pub drain: Drain,
    /// Answers what is no MCP call: health and metadata.
    pub pages: fn(&Shared<H>, &Route) -> Response<ReplyBody>,
}

impl<H> Shared<H> {
    /// Whether there is a configuration to decide by, and no others should be asked instead.
    pub fn is_ready(&self) -> bool {
        self.live.load().is_some() && !self.drain.is_leaving()
    }
}

/// Serves one request.
pub async fn handle<H: Hop>(
    shared: &Arc<Shared<H>>,
    peer: &Connection,
    request: Request<Incoming>,
) -> Response<ReplyBody> {
    let (parts, body) = request.into_parts();
    let (server, is_old) = match door::route(&parts, &shared.guard, peer) {
        Ok(Route::Mcp(server)) => (server, false),
        Ok(Route::Sse(server)) => (server, true),
        Ok(page) => return (shared.pages)(shared, &page),
        Err(refused) => return answer::refused(&refused),
    };
    let Some(config) = shared.live.load() else {
        let fault = Fault::overloaded("the configuration has not come yet").retry_after(1);
        return answer::fault(&fault, None);
    };
    let admitted = match shared.hop.admit(&config, peer, &parts, &server) {
        Ok(admitted) => admitted,
        Err(refused) => return answer::refused(&refused),
    };
    let request = Incall {
        shared,
        peer,
        parts: &parts,
        admitted_to: &server,
        config: &config,
        admitted: &admitted,
        server: &server,
    };
    if is_old {
        return request.old(&parts, body).await;
    }
    if parts.method != Method::POST {
        return request.stand(&parts).await;
    }
    let mut recording = Some(begin::<H>(shared, &config, &admitted, &server, &parts));
    let response = match request.walk(&parts, body, None, &mut recording).await {
        Ok(response) => response,
        Err(halt) => halt.end(recording),
    };
    shared.hop.redirect(&parts, &admitted, response)
}

fn begin<H: Hop>(
    shared: &Shared<H>,
    config: &Config,
    admitted: &Admitted,
    server: &ServerName,
    parts: &Parts,
) -> Recording {
    let id = admitted.call_id.unwrap_or_default();
    let parent = parts
        .headers
        .get(call::TRACEPARENT)
        .and_then(|v| v.to_str().ok());
    let trace = call::trace(parent, id);
    let who = (&*admitted.principal, server);
    let engine = &config.engine;
    let exists = engine.server(server.as_str()).is_some() || engine.federation(server).is_some();
    Recording::begin(
        &shared.audit,
        H::HOP,
        id,
        trace,
        who,
        config.engine.revision(),
        shared.meter.of(exists.then_some(server)),
    )
}

/// A request whose caller is known.
struct Incall<'r, H> {
    shared: &'r Arc<Shared<H>>,
    peer: &'r Connection,
    parts: &'r Parts,
    /// What the caller was let in for: the server, or a virtual one that it is a member of.
    admitted_to: &'r ServerName,
    config: &'r Arc<Config>,
    admitted: &'r Admitted,
    server: &'r ServerName,
}

/// The client's revision and session, as its headers and message say.
struct Stance<'a> {
    revision: Revision,
    handle: Option<String>,
    client: Arc<str>,
    parent: Option<&'a str>,
}

/// Puts on record the rule that decided, what rules that only observe would have changed, and what the rule asks for of
/// what is said. The last is the edge's to do: it hears what the client says as it came, and answers last.
fn note(
    slot: &mut Option<Recording>,
    call: &Call<'_>,
    decided: &Result<Allowed, Denied>,
    hop: HopKind,
) {
    let Some(recording) = slot else { return };
    let by = match decided {
        Ok(allowed) => &allowed.by,
        Err(denied) => &denied.by,
    };
    let rule = by.rule.as_ref();
    recording.rule(rule);
    recording.observed(by.observed.as_deref());
    if hop == HopKind::Edge {
        let arguments = call.message.arguments.map(|span| span.of(call.body));
        recording.ask(call.config.engine.recorded(rule), arguments);
    }
}

impl<H: Hop> Incall<'_, H> {
    async fn walk(
        &self,
        parts: &Parts,
        body: Incoming,
        old: Option<&Session>,
        recording: &mut Option<Recording>,
    ) -> Ended<Response<ReplyBody>> {
        if !self.exists() {
            return Err(Halt::refused(&Refused::not_found()));
        }
        let accept = match old {
            Some(_) => Accept::ALL,
            None => accept(parts)?,
        };
        let body_bytes = body.size_hint().upper();
        let room = body_bytes.unwrap_or(self.shared.body_bytes_max as u64);
        let room = room.min(self.shared.body_bytes_max as u64);
        let Some(mut permit) = self.shared.budget.take(room) else {
            let fault = Fault::overloaded("too many calls are under way");
            return Err(Halt::fault(&fault, None));
        };
        let body = body::read(body, self.shared.body_bytes_max).await;
        let body = body.map_err(|refused| Halt::refused(&refused))?;
        permit.shrink_to(body.len());
        if old.is_none() && batch::is_one(&body) {
            return self.batch(parts, &body, recording).await;
        }
        self.message(parts, body, (accept, old), recording, permit)
            .await
    }

    /// One message, read whole.
    async fn message(
        &self,
        parts: &Parts,
        body: Bytes,
        (accept, old): (Accept, Option<&Session>),
        recording: &mut Option<Recording>,
        permit: Permit,
    ) -> Ended<Response<ReplyBody>> {
        let engine = &self.config.engine;
        let message = scanned(&body)?;
        let id = message.id.as_ref().map(|id| id.raw);
        let stance = match old {
            Some(session) => old::stance(&message, session)?,
            None => self.stance(parts, &message)?,
        };
        self.describe(recording, &message, &stance);
        let tasks = self.tasks(self.server, &body, &message);
        let call = Call {
            id: recording.as_ref().map_or_else(CallId::new, Recording::id),
            server: self.server,
            principal: &self.admitted.principal,
            client_address: self.admitted.client_address,
            config: self.config,
            body: &body,
            message: &message,
            revision: stance.revision,
            session: stance.handle.as_deref(),
            trace: self.trace(recording, &stance),
            sse: accept.sse,
            headers: &parts.headers,
            client: &stance.client,
            came: None,
            tasks: &tasks,
            approval: None,
        };
        self.heed_cancelled(&call);
        if let Some(federation) = engine.federation(self.server) {
            return Box::pin(self.federated(federation, &call, recording, permit)).await;
        }
        match message.kind {
            Kind::Request => self.request(&call, id, recording, permit).await,
            Kind::Notification => self.notification(&call, recording).await,
            Kind::Response => self.response(&call, recording).await,
        }
    }

    /// The tasks that a message to `server` is about: their ids were sealed for the caller, and are opened by edges alone.
    fn tasks(&self, server: &ServerName, body: &[u8], message: &Envelope<'_>) -> Tasks {
        match H::HOP {
            HopKind::Edge => {
                let who = (&*self.admitted.principal, server);
                Tasks::of_request(self.config, who, (body, message))
            }
            HopKind::Sidecar => Tasks::as_told(self.admitted.tasks.as_ref(), (body, message)),
        }
    }

    /// Decides, records, delivers, and lets the reply go.
    async fn request(
        &self,
        call: &Call<'_>,
        id: Option<&[u8]>,
        slot: &mut Option<Recording>,
        permit: Permit,
    ) -> Ended<Response<ReplyBody>> {
        let is_known = method::from_client(call.method(), call.revision)
            || method::of_extension(call.method(), call.revision);
        if !is_known {
            let error = RpcError::method_not_found(call.method(), call.revision.era());
            return Err(Halt::invalid(&error, id));
        }
        let decided = authorize(call);
        note(slot, call, &decided, H::HOP);
        match decided {
            Ok(_) => match self.waited(call) {
                Some(brought) => {
                    Box::pin(self.agreed_to_by_rules(brought, call, slot, permit)).await
                }
                None => self.proceed(call, id, slot, permit).await,
            },
            Err(denied) if denied.reason == Reason::Approval => {
                Box::pin(self.approve(call, &denied, slot, permit)).await
            }
            Err(denied) => Err(Halt::denied(&denied, id)),
        }
    }

    /// A call that may go on: limits, filters, record, delivery.
    async fn proceed(
        &self,
        call: &Call<'_>,
        id: Option<&[u8]>,
        slot: &mut Option<Recording>,
        permit: Permit,
    ) -> Ended<Response<ReplyBody>> {
        let held = self.count(call, id, slot).await?;
        self.counted(call, held, id, slot, permit).await
    }

    /// A call that limits have counted.
    async fn counted(
        &self,
        call: &Call<'_>,
        held: Held,
        id: Option<&[u8]>,
        slot: &mut Option<Recording>,
        permit: Permit,
    ) -> Ended<Response<ReplyBody>> {
        let way = self.shared.hop.way(call).await;
        let way = way.map_err(|fault| Halt::fault(&fault, id))?;
        let mut tool = self.tool(call, &way).await;
        let filtered = self.filter_request(call, &way, slot, &mut tool).await;
        let filtered = filtered.map_err(|rejected| Halt::rejected(&rejected, id))?;
        let response = match filtered {
            None => self.go(call, &way, tool, slot, permit).await?,
            Some(body) => {
                let way = (&way, tool);
                self.go_changed(call, &body, way, slot, permit).await?
            }
        };
        Ok(if held.follows() {
            response.map(|body| MeteredBody::new(body, held).into())
        } else {
            response
        })
    }

    /// Counts the call where its client is: no other hop counts it again.
    async fn count(
        &self,
        call: &Call<'_>,
        id: Option<&[u8]>,
        slot: &mut Option<Recording>,
    ) -> Ended<Held> {
        if H::HOP != HopKind::Edge {
            return Ok(Held::default());
        }
        let counted = self
            .shared
            .limits
            .check(self.config, &Counted::of(call))
            .await;
        let over = match &counted {
            Ok(passed) => passed.observed.as_ref(),
            Err(limited) => Some(&limited.limit),
        };
        if let (Some(recording), Some(limit)) = (slot, over) {
            recording.limit(limit);
        }
        match counted {
            Ok(passed) => Ok(passed.held),
            Err(limited) => Err(Halt::limited(&limited, id)),
        }
    }

    /// A call that a filter has changed is decided on again, as it is now.
    async fn go_changed(
        &self,
        call: &Call<'_>,
        body: &Bytes,
        (way, tool): (&H::Way, Tool),
        slot: &mut Option<Recording>,
        permit: Permit,
    ) -> Ended<Response<ReplyBody>> {
        let message = scanned(body)?;
        let id = message.id.as_ref().map(|id| id.raw);
        let changed = Call {
            body,
            message: &message,
            came: Some(call.body),
            ..*call
        };
        let decided = authorize(&changed);
        if let Some(recording) = slot {
            recording.decide(Decision::Change, None);
            recording.describe(changed.method(), changed.target(), id);
            if call.approval.is_some() {
                // It went on by that, whatever a filter has made of it.
                recording.decide(Decision::Approve, None);
            }
        }
        note(slot, &changed, &decided, H::HOP);
        if let Err(denied) = &decided {
            approve::still_agreed(&changed, denied)?;
        }
        self.go(&changed, way, tool, slot, permit).await
    }

    /// Records, delivers, and lets the reply go.
    async fn go(
        &self,
        call: &Call<'_>,
        way: &H::Way,
        tool: Tool,
        slot: &mut Option<Recording>,
        permit: Permit,
    ) -> Ended<Response<ReplyBody>> {
        let id = call.message.raw_id();
        let pinned = self.pinned(call, way, id, tool.since).await?;
        let screen = H::is_last(way)
            .then(|| Screen::of(call, Direction::Response, &self.shared.webhooks))
            .flatten()
            .map(|screen| screen.knowing(tool.schemas));
        let Some(recording) = slot else {
            return Err(Halt::unrecorded(id));
        };
        let screen = screen.map(|screen| {
            recording.filters(screen.names());
            screen.noted_in(recording.findings())
        });
        let questions = H::is_last(way)
            .then(|| Questions::of(call, &self.shared.webhooks))
            .flatten()
            .map(|questions| questions.noted_in(recording.findings()));
        if H::is_last(way) {
            recording.direct();
        }
        if recording.open().is_err() {
            // Nothing was written, and nothing is: what room the log has left is for calls under way.
            if let Some(recording) = slot.take() {
                recording.forget();
            }
            return Err(Halt::unrecorded(id));
        }
        let delivered = self.shared.hop.deliver(call, way).await;
        let reply = delivered.map_err(|fault| Halt::fault(&fault, id))?;
        let Some(recording) = slot.take() else {
            return Err(Halt::unrecorded(id));
        };
        let looks = reply::Looks {
            screen,
            asker: questions.as_ref().and_then(|_| self.in_place(call)),
            questions,
            gate: self.gate(call),
            pinned,
        };
        Ok(reply::finish(call, id, reply, looks, recording, permit).await)
    }

    /// Shows the request to the filters, where this hop delivers to the server; gives what they have made of it.
    async fn filter_request(
        &self,
        call: &Call<'_>,
        way: &H::Way,
        slot: &mut Option<Recording>,
        tool: &mut Tool,
    ) -> Result<Option<Bytes>, Rejected> {
        if !H::is_last(way) {
            return Ok(None);
        }
        let screen = Screen::of(call, Direction::Request, &self.shared.webhooks);
        let Some(mut screen) = screen.map(|screen| screen.for_a(call.message.kind)) else {
            return Ok(None);
        };
        screen = screen.knowing(tool.schemas.clone());
        if screen.calls_out() {
            // What the server shows may be another thing by then.
            tool.since = None;
        }
        if let Some(recording) = slot {
            recording.filters(screen.names());
            screen = screen.noted_in(recording.findings());
        }
        let passed = screen.show(call.body.clone()).await?;
        let Some(change) = passed.change else {
            return Ok(None);
        };
        if let Some(recording) = slot {
            recording.request_changed(change);
        }
        Ok(Some(passed.message))
    }

    /// The era of the caller and, for a legacy one, its session (PROTOCOL 3.1).
    fn stance<'m>(&self, parts: &'m Parts, message: &'m Envelope<'_>) -> Ended<Stance<'m>> {
        let id = message.id.as_ref().map(|id| id.raw);
        let caller = era::classify(&parts.headers, message)
            .map_err(|fault| Halt::invalid(&RpcError::from(&fault), id))?;
        let meta = message.meta.as_ref();
        let parent = meta.and_then(|m| m.traceparent.as_deref());
        let stance = |revision, handle, client: &str| Stance {
            revision,
            handle,
            client: client.into(),
            parent,
        };
        match caller {
            Caller::Modern { revision } => {
                let client = meta
                    .and_then(|m| m.client_name.as_deref())
                    .unwrap_or_default();
                Ok(stance(revision, None, client))
            }
            Caller::LegacyInitialize { negotiated, .. } => {
                let named = message
                    .initialize
                    .as_ref()
                    .and_then(|i| i.client_name.as_deref());
                let named = named.unwrap_or_default();
                // Between the hops an edge says which session it is to be, where one has several parts.
                let handle = (H::HOP == HopKind::Sidecar)
                    .then(|| federation::named(&parts.headers))
                    .flatten();
                Ok(stance(negotiated, handle.map(str::to_owned), named))
            }
            Caller::LegacySession { session, revision } => {
                let opened = self
                    .shared
                    .hop
                    .session(self.config, self.admitted, self.server, session)
                    .map_err(|refused| Halt::refused(&refused))?;
                let agreed = opened
                    .revision
                    .or(revision)
                    .unwrap_or(Revision::V2025_03_26);
                if revision.is_some_and(|said| said != agreed) {
                    let error = RpcError::invalid_request(format!(
                        "the session speaks {agreed}, the MCP-Protocol-Version header says otherwise"
                    ));
                    return Err(Halt::invalid(&error, id));
                }
                Ok(stance(agreed, Some(opened.handle), &opened.client))
            }
        }
    }

    fn describe(&self, slot: &mut Option<Recording>, message: &Envelope<'_>, stance: &Stance<'_>) {
        let Some(recording) = slot else { return };
        let id = message.id.as_ref().map(|id| id.raw);
        let method = message.method.as_deref().unwrap_or_default();
        recording.describe(method, message.target.as_deref(), id);
        recording.client(&stance.client);
        let address = (H::HOP == HopKind::Edge).then(|| self.peer.remote.to_string());
        recording.peer(stance.revision.as_str(), address);
    }

    /// The trace goes on from the message's own `_meta`, else from the header (PROTOCOL 2.14). Between the
    /// hops the header alone counts: the edge has written it.
    fn trace(&self, slot: &mut Option<Recording>, stance: &Stance<'_>) -> model::record::Trace {
        let Some(recording) = slot else {
            return call::trace(None, CallId::new());
        };
        if let (HopKind::Edge, Some(parent)) = (H::HOP, stance.parent) {
            recording.trace(call::trace(Some(parent), recording.id()));
        }
        recording.current_trace()
    }
}

fn accepted() -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::full(Bytes::new()));
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// The media types must be those of the protocol, both ways.
fn accept(parts: &Parts) -> Ended<Accept> {
    door::media(&parts.headers).map_err(|refused| Halt::refused(&refused))?;
    let accept = Accept::of(&parts.headers);
    if accept.json {
        return Ok(accept);
    }
    let refused = Refused::new(
        StatusCode::NOT_ACCEPTABLE,
        "the Accept header must list application/json and text/event-stream",
    );
    Err(Halt::refused(&refused))
}

/// Sets the header by which a legacy client learns its session id.
fn begin_session(response: &mut Response<ReplyBody>, session: Option<&str>) {
    if let Some(value) = session.and_then(|s| HeaderValue::from_str(s).ok()) {
        response.headers_mut().insert(MCP_SESSION_ID, value);
    }
}
