//! The way back: filter, cut lists, close the record, let the answer go.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use mcp::envelope::{self, Kind, Limits};
use mcp::method::{self, ListKind};
use mcp::sse;

mod direct;

use super::halt::Halt;
use super::pinned::Cut;
use super::{accepted, begin_session, old};
use crate::answer;
use crate::body::{EventBody, ForwardedBody, Judge, ReplyBody, Screened};
use crate::budget::{Budget, Permit};
use crate::call::Call;
use crate::deliver::direct::ANSWER_BYTES_MAX;
use crate::deliver::messages::is_event_stream;
use crate::deliver::tasks::{self, Sealer};
use crate::deliver::{Asker, Events, Forwarded, Message, Reply};
use crate::refusal::Fault;
use crate::stage::filter::{Questions, Screen};
use crate::stage::list;
use crate::stage::record::Recording;

/// Tells proxies on the way not to hold events back (PROTOCOL 2.6).
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// How long the rest of a list may take, once its head is here.
const LIST: Duration = Duration::from_secs(60);

/// Who looks at an answer on its way to the client.
pub(super) struct Looks {
    /// Filters over what the server says.
    pub(super) screen: Option<Screen>,
    /// Filters over what it asks.
    pub(super) questions: Option<Questions>,
    /// Who is told where a question to the client does not go, if the server's sidecar is not.
    pub(super) asker: Option<Arc<dyn Asker>>,
    /// Who decides as long as the client listens, where it does.
    pub(super) gate: Option<Box<dyn Judge>>,
    /// Who knows which tools are held, where they are listed.
    pub(super) pinned: Option<Cut>,
}

/// Turns what came back into the answer to the client.
pub(super) async fn finish(
    call: &Call<'_>,
    id: Option<&[u8]>,
    reply: Reply,
    looks: Looks,
    mut recording: Recording,
    permit: Permit,
) -> Response<ReplyBody> {
    recording.hold(permit);
    let Looks {
        screen,
        questions,
        asker,
        gate,
        pinned,
    } = looks;
    let screened = Screened {
        screen,
        questions,
        id: id.unwrap_or(b"null").to_vec(),
    };
    match reply {
        Reply::Whole(message) => {
            let looks = (pinned.as_ref(), &screened);
            whole(call, id, message, looks, recording).await
        }
        Reply::Events(events) => stream(call, events, (screened, gate), recording),
        Reply::Forwarded(forwarded) => forward(call, id, (forwarded, gate), recording).await,
        Reply::Direct(forwarded) => {
            let looks = direct::Looks {
                screened,
                asker,
                gate,
                pinned,
            };
            direct::finish(call, id, forwarded, looks, recording).await
        }
        Reply::Accepted => {
            let fault = Fault::unavailable("the server took the request for a notification");
            Halt::fault(&fault, id).end(Some(recording))
        }
    }
}

/// One message: all that must see it sees it, then its record is closed, then it goes.
async fn whole(
    call: &Call<'_>,
    id: Option<&[u8]>,
    mut message: Message,
    (pinned, screened): (Option<&Cut>, &Screened),
    mut recording: Recording,
) -> Response<ReplyBody> {
    recording.answered();
    if let Some(pinned) = pinned {
        // As the server says it, before filters change anything.
        message.body = match pinned.cut(call, message.body) {
            Ok(body) => body,
            Err(why) => return Halt::fault(&Fault::unavailable(why), id).end(Some(recording)),
        };
    }
    let session = message.session.clone();
    let checked = screened.pass(message).await;
    checked.note(&mut recording);
    let Some(message) = checked.message else {
        let fault = Fault::unavailable("the server's answer is no response");
        return Halt::fault(&fault, id).end(Some(recording));
    };
    let body = match mcp::method::is_list(call.method()) {
        Some(kind) => match list::cut(call, kind, message.body) {
            Ok(body) => body,
            Err(error) => {
                let fault = Fault::unavailable(error.to_string());
                return Halt::fault(&fault, id).end(Some(recording));
            }
        },
        None => message.body,
    };
    recording.outcome(message.status, message.error_code, message.tool_error);
    recording.heard(&body);
    if recording.close().is_err() {
        return Halt::unrecorded(id).into_response();
    }
    let status = StatusCode::from_u16(message.status).unwrap_or(StatusCode::OK);
    let mut response = answer::json(status, body);
    begin_session(&mut response, session.as_deref());
    response
}

/// Several messages, of which the last is the response.
fn stream(
    call: &Call<'_>,
    mut events: Events,
    (screened, gate): (Screened, Option<Box<dyn Judge>>),
    recording: Recording,
) -> Response<ReplyBody> {
    if mcp::method::is_list(call.method()).is_some() {
        // A list is answered whole, so that it can be cut; what else was said on the way is not passed on.
        events.rest.close();
        let fault = Fault::unavailable("the server answered a list with a stream");
        return Halt::fault(&fault, Some(&screened.id)).end(Some(recording));
    }
    let body = EventBody::of_messages(events, screened, recording);
    event_stream(body.gated_by(gate).into())
}

/// The next hop's answer: seen only where it is a list.
async fn forward(
    call: &Call<'_>,
    id: Option<&[u8]>,
    (forwarded, gate): (Forwarded, Option<Box<dyn Judge>>),
    mut recording: Recording,
) -> Response<ReplyBody> {
    if old::is_accepted(&forwarded.response) {
        // It goes to the client's one stream, where it is on record as the sidecar's.
        recording.answered();
        recording.outcome(202, 0, false);
        return match recording.close() {
            Ok(()) => accepted(),
            Err(_) => Halt::unrecorded(id).into_response(),
        };
    }
    let (parts, incoming) = forwarded.response.into_parts();
    recording.outcome(parts.status.as_u16(), 0, false);
    let is_stream = is_event_stream(&parts.headers);
    let list_kind = mcp::method::is_list(call.method()).filter(|_| parts.status.is_success());
    if let Some(kind) = list_kind {
        return forward_list(call, id, kind, incoming, is_stream, recording).await;
    }
    let retry_after = parts.headers.get(RETRY_AFTER).cloned();
    let sealer = tasks::may_be_named(call)
        .then(|| Sealer::of(call))
        .flatten();
    let sealer = sealer.map(|sealer| sealer.of_node(forwarded.node));
    let sealer = match sealer {
        Some(sealer) if !is_stream => {
            let answer = (parts.status, incoming, retry_after);
            return forward_sealed(call, id, answer, sealer, recording).await;
        }
        sealer => sealer,
    };
    recording.answered();
    let mut response = if is_stream {
        // Filters have seen it where it came from the server.
        let unscreened = Screened::by_nobody(id);
        let body = EventBody::of_hop(incoming, unscreened, recording).sealed_by(sealer);
        event_stream(body.gated_by(gate).into())
    } else {
        passed_on(ForwardedBody::new(Bytes::new(), incoming, recording))
    };
    *response.status_mut() = parts.status;
    if let Some(value) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, value);
    }
    begin_session(&mut response, forwarded.session.as_deref());
    response
}

/// An answer that may name a task: read as far as it has to be, and its ids sealed. What is too long to be the begin of a
/// task goes on as it is.
async fn forward_sealed(
    call: &Call<'_>,
    id: Option<&[u8]>,
    (status, incoming, retry_after): (StatusCode, Incoming, Option<HeaderValue>),
    mut sealer: Sealer,
    mut recording: Recording,
) -> Response<ReplyBody> {
    let fail = |fault: Fault, recording| Halt::fault(&fault, id).end(Some(recording));
    let must_see = call.method() != method::TOOLS_CALL;
    let read = direct::read(incoming, must_see, &mut recording);
    let read = tokio::time::timeout(direct::time(call), read).await;
    recording.answered();
    let body = match read {
        Ok(Ok(direct::Read::Whole(body))) => body,
        Ok(Ok(direct::Read::Begun(begun, rest))) => {
            let mut response = passed_on(ForwardedBody::new(begun, rest, recording));
            *response.status_mut() = status;
            return response;
        }
        Ok(Err(why)) => {
            let why = format!("the server's answer cannot be shown: {why}");
            return fail(Fault::unavailable(why), recording);
        }
        Err(_) => {
            let why = "the server did not finish its answer in time";
            return fail(Fault::timeout(why), recording);
        }
    };
    let Some(body) = sealer.seal(&body) else {
        let why = "the server's answer names a task that cannot be shown";
        return fail(Fault::unavailable(why), recording);
    };
    if let Ok(read) = envelope::scan(&body, &Limits::RESPONSE) {
        recording.outcome(
            status.as_u16(),
            read.error_code.unwrap_or_default(),
            read.is_error,
        );
    }
    recording.heard(&body);
    if recording.close().is_err() {
        return Halt::unrecorded(id).into_response();
    }
    let mut response = answer::json(status, body);
    if let Some(value) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, value);
    }
    response
}

/// A list is read whole, cut, and then goes as JSON.
async fn forward_list(
    call: &Call<'_>,
    id: Option<&[u8]>,
    kind: ListKind,
    incoming: Incoming,
    is_stream: bool,
    mut recording: Recording,
) -> Response<ReplyBody> {
    let broken = |why: &str, recording| {
        let fault = Fault::unavailable(format!("the server's list cannot be shown: {why}"));
        Halt::fault(&fault, id).end(Some(recording))
    };
    let whole = collect(incoming, Limits::RESPONSE.bytes, |bytes| {
        recording.hold_reply(bytes)
    });
    let collected = tokio::time::timeout(LIST, whole).await;
    recording.answered();
    let body = match collected {
        Ok(Ok(collected)) => collected,
        Ok(Err(why)) => return broken(&why, recording),
        Err(_) => return broken("it took too long", recording),
    };
    let body = if is_stream {
        last_response(&body)
    } else {
        Some(body)
    };
    let Some(body) = body else {
        return broken("it never came", recording);
    };
    let body = match list::cut(call, kind, body) {
        Ok(body) => body,
        Err(error) => return broken(&error.to_string(), recording),
    };
    recording.heard(&body);
    if recording.close().is_err() {
        return Halt::unrecorded(id).into_response();
    }
    answer::json(StatusCode::OK, body)
}

/// Reads a whole answer that is held apart from its call, with room of its own from what all calls under way may hold.
pub(super) async fn collect_apart(budget: &Budget, body: ReplyBody) -> Result<Bytes, String> {
    if let ReplyBody::Full(bytes) = body {
        return Ok(bytes.unwrap_or_default());
    }
    let room = budget.take(0);
    let mut room = room.ok_or("too much is under way to hold it")?;
    collect(body, ANSWER_BYTES_MAX, |bytes| room.hold_reply(bytes)).await
}

/// Reads a whole reply of at most `bytes_max`; `hold` makes room for so many bytes, or says that there is none.
pub(super) async fn collect<B>(
    mut incoming: B,
    bytes_max: usize,
    mut hold: impl FnMut(usize) -> bool,
) -> Result<Bytes, String>
where
    B: Body<Data = Bytes, Error: std::fmt::Display> + Unpin,
{
    let mut whole = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| error.to_string())?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if whole.is_empty() && incoming.is_end_stream() {
            // The usual case: one frame, not copied.
            return Ok(data);
        }
        if whole.len() + data.len() > bytes_max {
            return Err(format!("it is longer than {bytes_max} bytes"));
        }
        if !hold(whole.len() + data.len()) {
            return Err("too much is under way to hold it".to_owned());
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// The response among the events of a finished stream.
pub(super) fn last_response(stream: &[u8]) -> Option<Bytes> {
    let mut decoder = sse::Decoder::default();
    decoder.push(stream);
    let mut found = None;
    while let Some(event) = decoder.next_event() {
        let event = event.ok()?;
        let data: &[u8] = event.data.as_ref();
        if envelope::scan(data, &Limits::RESPONSE).is_ok_and(|m| m.kind == Kind::Response) {
            found = Some(Bytes::copy_from_slice(data));
        }
    }
    found
}

/// JSON that nobody here looks at.
fn passed_on(body: ForwardedBody) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::Forwarded(Box::new(body)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An event stream, whatever is on it.
pub(super) fn event_stream(body: ReplyBody) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}
