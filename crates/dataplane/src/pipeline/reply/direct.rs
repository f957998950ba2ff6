//! A server's own answer over HTTP: this hop is the one that looks at it, filters it and puts its outcome on record.
//!
//! What nobody has to see whole, because no filter selects it and it is no list, streams through once it is too large
//! to be looked at in passing.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use mcp::edit::{self, Edits};
use mcp::envelope::Span;
use mcp::envelope::{self, Kind, Limits};
use mcp::revision::Revision;
use mcp::{method, walk};

use super::{
    Cut, Forwarded, Halt, collect, event_stream, is_event_stream, last_response, passed_on, whole,
};
use crate::body::{EventBody, ForwardedBody, Judge, Patience, ReplyBody, Screened};
use crate::call::Call;
use crate::deliver::deadline::Deadline;
use crate::deliver::direct::ANSWER_BYTES_MAX;
use crate::deliver::tasks::Sealer;
use crate::deliver::{Asker, Message};
use crate::refusal::Fault;
use crate::stage::record::Recording;

/// Bytes of an answer that are held to be looked at though nobody must: nearly all answers are smaller.
const GLANCE_BYTES: usize = 256 * 1024;

/// What was read of an answer.
pub(super) enum Read {
    /// All of it.
    Whole(Bytes),
    /// The beginning; the rest is still to come.
    Begun(Bytes, Incoming),
}

/// Who looks at the answer.
pub(super) struct Looks {
    /// The filters.
    pub(super) screened: Screened,
    /// Who is told where a question to the client does not go.
    pub(super) asker: Option<Arc<dyn Asker>>,
    /// Who decides as long as the client listens, where it does.
    pub(super) gate: Option<Box<dyn Judge>>,
    /// Who knows which tools are held, where they are listed.
    pub(super) pinned: Option<Cut>,
}

/// Turns the answer into ours.
pub(super) async fn finish(
    call: &Call<'_>,
    id: Option<&[u8]>,
    forwarded: Forwarded,
    looks: Looks,
    mut recording: Recording,
) -> Response<ReplyBody> {
    let Looks {
        screened,
        asker,
        gate,
        pinned,
    } = looks;
    let (parts, incoming) = forwarded.response.into_parts();
    // Lists are cut, and what is discovered is said anew.
    let is_list = method::is_list(call.method()).is_some();
    let is_whole = is_list || call.method() == method::SERVER_DISCOVER;
    let is_stream = is_event_stream(&parts.headers);
    if is_stream && !is_whole {
        let patience = if call.method() == method::SUBSCRIPTIONS_LISTEN {
            Patience::Endless
        } else {
            Patience::Call(Deadline::new(time(call)))
        };
        let asked = call.message.id.as_ref().map(envelope::Id::key);
        let reading = (patience, !call.is_modern());
        let body = EventBody::of_server(incoming, reading, asked, screened, recording);
        let body = body.sealed_by(Sealer::of(call)).gated_by(gate);
        let mut response = event_stream(body.asked_by(asker).into());
        super::begin_session(&mut response, forwarded.session.as_deref());
        return response;
    }
    let is_of_task = call.tasks.one.is_some();
    let must_see = is_whole || is_stream || is_of_task || screened.screen.is_some();
    let read = read(incoming, must_see, &mut recording);
    let read = tokio::time::timeout(time(call), read).await;
    recording.answered();
    let fail = |why: String, recording| {
        let fault = Fault::unavailable(format!("the server's answer cannot be used: {why}"));
        Halt::fault(&fault, id).end(Some(recording))
    };
    let body = match read {
        Ok(Ok(Read::Whole(body))) => body,
        Ok(Ok(Read::Begun(begun, rest))) => {
            recording.outcome(parts.status.as_u16(), 0, false);
            let mut response = passed_on(ForwardedBody::new(begun, rest, recording));
            *response.status_mut() = parts.status;
            super::begin_session(&mut response, forwarded.session.as_deref());
            return response;
        }
        Ok(Err(why)) => return fail(why, recording),
        Err(_) => {
            let fault = Fault::timeout("the server did not finish its answer in time");
            return Halt::fault(&fault, id).end(Some(recording));
        }
    };
    let body = if is_stream {
        last_response(&body).ok_or_else(|| "its stream ended before the response".to_owned())
    } else {
        Ok(body)
    };
    let message = body.and_then(|body| message(call, body, parts.status, forwarded.session));
    match message {
        Ok(message) => {
            let looks = (pinned.as_ref(), &screened);
            whole(call, id, message, looks, recording).await
        }
        Err(why) => fail(why, recording),
    }
}

pub(super) fn time(call: &Call<'_>) -> Duration {
    let server = call.config.engine.server(call.server.as_str());
    server.map_or(Duration::from_secs(60), |server| server.limits.call)
}

/// Reads an answer: all of it, unless it is large and nobody has to see it whole.
pub(super) async fn read(
    mut incoming: Incoming,
    must_see: bool,
    recording: &mut Recording,
) -> Result<Read, String> {
    if must_see {
        let whole = collect(incoming, ANSWER_BYTES_MAX, |bytes| {
            recording.hold_reply(bytes)
        })
        .await?;
        return Ok(Read::Whole(whole));
    }
    let mut begun = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| error.to_string())?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if begun.is_empty() && incoming.is_end_stream() {
            // The usual case: one frame, not copied.
            return Ok(Read::Whole(data));
        }
        begun.extend_from_slice(&data);
        if begun.len() > GLANCE_BYTES {
            return Ok(Read::Begun(begun.freeze(), incoming));
        }
    }
    Ok(Read::Whole(begun.freeze()))
}

/// The answer as a message for the client: a response, to this very request.
fn message(
    call: &Call<'_>,
    body: Bytes,
    status: StatusCode,
    session: Option<String>,
) -> Result<Message, String> {
    let read = envelope::scan(&body, &Limits::RESPONSE).map_err(|error| error.to_string())?;
    if read.kind != Kind::Response {
        return Err("it is no response".to_owned());
    }
    let asked = call.message.id.as_ref().map(envelope::Id::key);
    if read.id.as_ref().map(envelope::Id::key) != asked {
        return Err("it answers another request".to_owned());
    }
    let sealed = match Sealer::of(call) {
        Some(mut sealer) => sealer
            .seal(&body)
            .ok_or("it names a task that cannot be shown")?,
        None => body.clone(),
    };
    let body = match read.result {
        Some(result) if call.method() == method::SERVER_DISCOVER => {
            ours(&body, result).map_err(|error| error.to_string())?
        }
        _ => sealed,
    };
    Ok(Message {
        kind: Kind::Response,
        error_code: read.error_code.unwrap_or_default(),
        tool_error: read.is_error,
        status: status.as_u16(),
        session,
        event: None,
        is_seen: false,
        body,
    })
}

/// A `DiscoverResult` that names the revisions which clients may speak here, whatever the server speaks: the same as an
/// error names that refuses another one (PROTOCOL 4.1).
fn ours(body: &Bytes, result: Span) -> Result<Bytes, edit::Error> {
    let Some(versions) = walk::find(body, result, "supportedVersions") else {
        return Ok(body.clone());
    };
    let names: Vec<_> = Revision::ALL
        .iter()
        .map(|revision| format!("\"{revision}\""))
        .collect();
    let mut edits = Edits::new(body);
    edits.replace(versions, format!("[{}]", names.join(",")).into_bytes());
    edits.apply().map(Bytes::from)
}
