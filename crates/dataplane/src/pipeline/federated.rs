//! A virtual server: a request to one of its members goes there as a request to that member; what concerns all of them
//! is asked of all at once.
//!
//! ```text
//! tools/call, tasks/get, resources/read, …     find the member -> name and URI as it knows them -> Incall::request
//!                                              -> URIs as the client knows them             (on record as the member's)
//! lists, discover, initialize, setLevel        every member, each in its time -> one answer (on record as one call)
//! subscriptions/listen, GET                    every member's stream -> one stream
//! ```
//!
//! Rights come from the members alone: each call is decided on as one of that member, here and by its sidecar. What the
//! caller may not use at a member does not exist here either.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use engine::federation::{Federation, Found};
use http::{HeaderMap, HeaderValue, Response};
use mcp::envelope::{self, Envelope, Kind, Limits};
use mcp::error::{RpcError, code};
use mcp::federate::{self, outward, uri};
use mcp::headers::{MCP_NAME, encode_value, wants_name};
use mcp::method::{self, ListKind, Target};
use mcp::tasks;
use model::decision::Reason;
use model::name::ServerName;
use tokio::time::timeout;

use self::member::{Absent, Said};
use super::halt::{Ended, Halt, scanned};
use super::reply::{collect_apart, event_stream};
use super::{Incall, note};
use crate::answer;
use crate::body::{FederatedBody, ReplyBody};
use crate::budget::Permit;
use crate::call::Call;
use crate::deliver::Hop;
use crate::deliver::messages::is_event_stream;
use crate::deliver::tasks::undeclared;
use crate::refusal::Fault;
use crate::stage::authorize::{Allowed, authorize};
use crate::stage::record::Recording;

mod begin;
mod gather;
mod listen;
mod member;
mod told;

/// Most pages of a member's list that are read to find a name that was shortened.
const PAGES_MAX: usize = 32;

impl<H: Hop> Incall<'_, H> {
    /// Whether there is such a server for this caller: one of the catalog, or one that is made from any that it may use.
    pub(super) fn exists(&self) -> bool {
        let engine = &self.config.engine;
        let principal = &self.admitted.principal;
        match engine.federation(self.server) {
            Some(federation) => {
                let is_denied = !self.server.is_all() && engine.is_denied(principal, self.server);
                !is_denied && self.usable(federation).next().is_some()
            }
            None => self.may_use(self.server),
        }
    }

    pub(super) fn may_use(&self, server: &ServerName) -> bool {
        let engine = &self.config.engine;
        engine.server(server.as_str()).is_some() && engine.may_use(&self.admitted.principal, server)
    }

    /// The places of members that the caller may use at all.
    fn usable<'f>(&'f self, federation: &'f Federation) -> impl Iterator<Item = usize> + 'f {
        let members = federation.members().iter().enumerate();
        members
            .filter(|(_, member)| self.may_use(&member.server))
            .map(|(at, _)| at)
    }

    /// Answers a message to a virtual server.
    pub(super) async fn federated(
        &self,
        federation: &Arc<Federation>,
        call: &Call<'_>,
        slot: &mut Option<Recording>,
        permit: Permit,
    ) -> Ended<Response<ReplyBody>> {
        let id = call.message.raw_id();
        match call.message.kind {
            Kind::Notification => return self.tell_members(federation, call, slot).await,
            Kind::Response => return self.answer_member(federation, call, slot).await,
            Kind::Request => {}
        }
        let is_known = method::from_client(call.method(), call.revision)
            || method::of_extension(call.method(), call.revision);
        if !is_known {
            let error = RpcError::method_not_found(call.method(), call.revision.era());
            return Err(Halt::invalid(&error, id));
        }
        if let Some(kind) = method::is_list(call.method()) {
            return self.gather(federation, kind, call, slot, permit).await;
        }
        match call.method() {
            method::PING => self.ping_federated(federation, call, slot).await,
            method::SERVER_DISCOVER => self.discover(federation, call, slot).await,
            method::INITIALIZE => self.begin_federated(federation, call, slot).await,
            method::LOGGING_SET_LEVEL => self.set_level(federation, call, slot).await,
            method::SUBSCRIPTIONS_LISTEN => self.listen(federation, call, slot, permit).await,
            method::TOOLS_CALL
            | method::PROMPTS_GET
            | method::RESOURCES_READ
            | method::RESOURCES_SUBSCRIBE
            | method::RESOURCES_UNSUBSCRIBE
            | method::COMPLETION_COMPLETE => self.routed(federation, call, slot, permit).await,
            _ if call.message.target_kind == Target::Task => {
                if let Some(fault) = undeclared(call) {
                    return Err(Halt::fault(&fault, id));
                }
                self.routed(federation, call, slot, permit).await
            }
            // Whose a task in a list is nobody knows.
            _ => {
                let error = RpcError::method_not_found(call.method(), call.revision.era());
                Err(Halt::invalid(&error, id))
            }
        }
    }

    /// Says that all is well, where the session is not over: that only its parts know.
    async fn ping_federated(
        &self,
        federation: &Federation,
        call: &Call<'_>,
        slot: &mut Option<Recording>,
    ) -> Ended<Response<ReplyBody>> {
        let id = call.message.raw_id();
        self.open_and_ask_each(federation, call, slot).await?;
        whole(slot, id, result(id, b"{}"))
    }

    /// A request to one member: on record, decided on and filtered as one of that member.
    async fn routed(
        &self,
        federation: &Arc<Federation>,
        call: &Call<'_>,
        slot: &mut Option<Recording>,
        permit: Permit,
    ) -> Ended<Response<ReplyBody>> {
        let id = call.message.raw_id();
        let unknown = || {
            let (kind, era) = (call.message.target_kind, call.revision.era());
            RpcError::unknown_target(kind, call.target().unwrap_or_default(), era)
        };
        let found = self.find(federation, call).await;
        let found = found.map_err(|absent| Halt::fault(&absent.fault(), id))?;
        let Some((at, own)) = found else {
            return Err(Halt::invalid(&unknown(), id));
        };
        let server = &federation.members()[at].server;
        let body = aimed_at(call, &own, id)?;
        let message = scanned(&body)?;
        let headers = mirrored(call, &message);
        let tasks = self.tasks(server, &body, &message);
        let member = Call {
            tasks: &tasks,
            server,
            body: &body,
            message: &message,
            headers: &headers,
            ..*call
        };
        if let Some(recording) = slot {
            recording.move_to(server, self.shared.meter.of(Some(server)));
            recording.describe(member.method(), member.target(), id);
        }
        // What is refused is called as the client calls it.
        let decided = authorize(&member);
        note(slot, &member, &decided, H::HOP);
        decided.or_else(|mut denied| {
            // Whoever has to agree is asked on the way.
            if denied.reason == Reason::Approval {
                return Ok(Allowed { by: denied.by });
            }
            if denied.error.code != code::REFUSED {
                denied.error = unknown();
            }
            Err(Halt::denied(&denied, id))
        })?;
        let response = Box::pin(self.request(&member, id, slot, permit)).await?;
        Ok(self.outward(&member, response).await)
    }

    /// Which member a request is for, and what that one calls its target. `None`: there is no such target.
    async fn find(
        &self,
        federation: &Federation,
        call: &Call<'_>,
    ) -> Result<Option<(usize, String)>, Absent> {
        let name = call.target().unwrap_or_default();
        let chars_max = self.shared.hop.federating().name_chars_max;
        let (found, kind) = match call.message.target_kind {
            Target::Resource => (found_resource(federation, name), ListKind::Resources),
            Target::Tool => (federation.find_tool(name, chars_max), ListKind::Tools),
            Target::Prompt => (federation.find_prompt(name, chars_max), ListKind::Prompts),
            Target::Task => (found_task(federation, name), ListKind::Tools),
            Target::None => return Ok(None),
        };
        let Some(found) = found else {
            return Ok(None);
        };
        let (Found::Own(at, _) | Found::Shortened(at)) = found;
        let server = &federation.members()[at].server;
        if !self.may_use(server) {
            return Ok(None);
        }
        match found {
            Found::Own(at, own) => Ok(Some((at, own.into_owned()))),
            Found::Shortened(at) => {
                let own = self.look_up(federation, at, kind, call);
                let own = timeout(self.time_of(server), own).await;
                let own = own.unwrap_or_else(|_| Err(Absent::late()))?;
                Ok(own.map(|own| (at, own)))
            }
        }
    }

    /// Finds out by a member's list which name was shortened.
    async fn look_up(
        &self,
        federation: &Federation,
        at: usize,
        kind: ListKind,
        call: &Call<'_>,
    ) -> Result<Option<String>, Absent> {
        let name = call.target();
        let chars_max = self.shared.hop.federating().name_chars_max;
        let server = &federation.members()[at].server;
        let is_meant = |own: &String| match kind {
            ListKind::Tools => federation.tool(at, own, chars_max).as_deref() == name,
            _ => federation.prompt(at, own, chars_max).as_deref() == name,
        };
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let body = list_request(call, kind, cursor.as_deref());
            let page = match self.ask(call, server, &body).await {
                Said::Result(page) => page,
                Said::Failed(absent) => return Err(absent),
                Said::Nothing | Said::BadParams | Said::Refused | Said::Over => return Ok(None),
            };
            let (names, next) = names_of(&page.body, kind);
            let own = names.into_iter().find(is_meant);
            if own.is_some() || next.is_none() {
                return Ok(own);
            }
            cursor = next;
        }
        Ok(None)
    }

    /// A member's reply as the client gets it.
    async fn outward(&self, call: &Call<'_>, response: Response<ReplyBody>) -> Response<ReplyBody> {
        let (parts, body) = response.into_parts();
        let server = call.server;
        if is_event_stream(&parts.headers) {
            let body = FederatedBody::of_request(server.clone(), call.method(), body);
            let mut response = event_stream(body.into());
            *response.status_mut() = parts.status;
            return response;
        }
        if call.method() == method::COMPLETION_COMPLETE {
            return Response::from_parts(parts, body);
        }
        let id = call.message.raw_id();
        let failed = |why: String| {
            let why = format!("the answer of {server} cannot be shown: {why}");
            answer::fault(&Fault::unavailable(why), id)
        };
        let body = match collect_apart(&self.shared.budget, body).await {
            Ok(body) => body,
            Err(why) => return failed(why),
        };
        let read = match envelope::scan(&body, &Limits::RESPONSE) {
            Ok(read) => read,
            Err(error) => return failed(error.to_string()),
        };
        match outward::message(&body, &read, call.method(), server.as_str()) {
            Ok(None) => Response::from_parts(parts, ReplyBody::full(body)),
            Ok(Some(changed)) => Response::from_parts(parts, ReplyBody::full(changed.into())),
            Err(error) => failed(error.to_string()),
        }
    }

    /// Puts a call on record that concerns several members. None of them has a part of it on record at this hop.
    fn open(&self, slot: &mut Option<Recording>, id: Option<&[u8]>) -> Ended<()> {
        let Some(recording) = slot else {
            return Err(Halt::unrecorded(id));
        };
        recording.direct();
        if recording.open().is_ok() {
            return Ok(());
        }
        if let Some(recording) = slot.take() {
            recording.forget();
        }
        Err(Halt::unrecorded(id))
    }
}

/// An answer that was made here: its record is closed, and it goes.
fn whole(
    slot: &mut Option<Recording>,
    id: Option<&[u8]>,
    body: Vec<u8>,
) -> Ended<Response<ReplyBody>> {
    if let Some(mut recording) = slot.take() {
        recording.outcome(200, 0, false);
        if recording.close().is_err() {
            return Ok(Halt::unrecorded(id).into_response());
        }
    }
    Ok(answer::json(http::StatusCode::OK, body.into()))
}

/// A response with this raw result.
fn result(id: Option<&[u8]>, result: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(result.len() + 64);
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.unwrap_or(b"null"));
    out.extend_from_slice(br#","result":"#);
    out.extend_from_slice(result);
    out.push(b'}');
    out
}

fn aimed_at(call: &Call<'_>, own: &str, id: Option<&[u8]>) -> Ended<Bytes> {
    match federate::aimed_at(call.body, call.message, own) {
        Ok(Cow::Borrowed(_)) => Ok(call.body.clone()),
        Ok(Cow::Owned(changed)) => Ok(changed.into()),
        Err(error) => {
            tracing::error!(%error, "a call could not be aimed at a member");
            Err(Halt::invalid(&RpcError::internal(), id))
        }
    }
}

/// The headers that mirror the message, as it is for the member. What mirrors arguments stays as it was sent.
fn mirrored(call: &Call<'_>, message: &Envelope<'_>) -> HeaderMap {
    let mut headers = call.headers.clone();
    headers.remove(MCP_NAME);
    let name = message
        .target
        .as_deref()
        .filter(|_| call.is_modern() && wants_name(message.method()));
    if let Some(value) = name.and_then(|name| HeaderValue::from_str(&encode_value(name)).ok()) {
        headers.insert(MCP_NAME, value);
    }
    headers
}

/// A request of our own for a page of a list, in the name of the client's.
fn list_request(call: &Call<'_>, kind: ListKind, cursor: Option<&str>) -> Bytes {
    let method = match kind {
        ListKind::Prompts => method::PROMPTS_LIST,
        _ => method::TOOLS_LIST,
    };
    let mut out = br#"{"jsonrpc":"2.0","id":"#.to_vec();
    out.extend_from_slice(call.message.raw_id().unwrap_or(b"0"));
    out.extend_from_slice(format!(r#","method":"{method}","params":{{"#).as_bytes());
    let meta = call
        .message
        .meta
        .as_ref()
        .map(|meta| meta.span.of(call.body));
    if let Some(meta) = meta {
        out.extend_from_slice(br#""_meta":"#);
        out.extend_from_slice(meta);
    }
    if let Some(cursor) = cursor {
        out.extend_from_slice(if meta.is_some() { b"," } else { b"" });
        out.extend_from_slice(br#""cursor":"#);
        out.extend_from_slice(&mcp::edit::quoted(cursor));
    }
    out.extend_from_slice(b"}}");
    out.into()
}

fn found_resource<'n>(federation: &Federation, name: &'n str) -> Option<Found<'n>> {
    let (server, own) = uri::own(name)?;
    Some(Found::Own(federation.member(server)?, own))
}

fn found_task<'n>(federation: &Federation, name: &'n str) -> Option<Found<'n>> {
    let (server, own) = tasks::own(name)?;
    Some(Found::Own(federation.member(server)?, own.into()))
}

/// The names of a page, and where the list goes on.
fn names_of(page: &Bytes, kind: ListKind) -> (Vec<String>, Option<String>) {
    let Some(result) = envelope::scan(page, &Limits::RESPONSE)
        .ok()
        .and_then(|read| read.result)
    else {
        return (Vec::new(), None);
    };
    let next = mcp::walk::find(page, result, "nextCursor");
    let next = next.and_then(|next| mcp::walk::text(next.of(page)));
    (
        mcp::list::names(result.of(page), kind),
        next.map(Cow::into_owned),
    )
}
