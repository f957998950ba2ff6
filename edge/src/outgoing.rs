//! Requests as sidecars get them: our statement of who calls, and nothing of the client's headers but what mirrors its
//! message. It knows no connections.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use dataplane::approval::statement as approval;
use dataplane::auth::statement::{self, Caller, Signer};
use dataplane::auth::task;
use dataplane::call::{self, CALL_HEADER, Call, TRACEPARENT};
use dataplane::deliver::federation::{CLIENT_HEADER, PUT_HEADER, REPLY_HEADER, member_session};
use dataplane::deliver::standing::{LAST_EVENT_ID, Standing};
use dataplane::deliver::tasks;
use dataplane::pipeline::old::is_old;
use dataplane::refusal::Fault;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::Full;
use mcp::headers::{MCP_NAME, MCP_PROTOCOL_VERSION, MCP_SESSION_ID, encode_value, is_mirror};
use mcp::method;
use model::name::ServerName;
use model::principal::Principal;
use model::record::CallId;
use runtime::clock::now_unix_s;

/// The call as the sidecar gets it: the client's own message and revision, our statement of who calls (and of which tools
/// the tasks are that it is about), and no header that the client could have made up.
pub(crate) fn of_call(call: &Call<'_>, signer: &Signer) -> Result<Request<Full<Bytes>>, Fault> {
    let mut request = of_hop(
        signer,
        (call.principal, call.client_address),
        call.server,
        call.id,
    )?;
    *request.method_mut() = Method::POST;
    *request.body_mut() = Full::new(tasks::going_on(call)?);
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(
        ACCEPT,
        HeaderValue::from_static(if call.sse {
            "application/json, text/event-stream"
        } else {
            "application/json"
        }),
    );
    headers.insert(TRACEPARENT, text(&call::traceparent(&call.trace))?);
    if let Some(approved) = call.approval {
        let lost = |_| Fault::unavailable("that a person has agreed could not be stated");
        let called = (call.server, call.id);
        let statement = signer.approved(approved, called, now_unix_s());
        headers.insert(approval::HEADER, statement.map_err(lost)?);
    }
    if let Some(stated) = call.tasks.stated() {
        let lost = |_| Fault::unavailable("of which tool the task is could not be stated");
        let called = (call.server, call.id);
        let statement = signer.of_tasks(&stated, called, now_unix_s());
        headers.insert(task::HEADER, statement.map_err(lost)?);
    }
    if let Some(handle) = call.session {
        session(headers, handle)?;
    }
    if call.method() != method::INITIALIZE {
        let revision = HeaderValue::from_static(call.revision.as_str());
        headers.insert(MCP_PROTOCOL_VERSION, revision);
    }
    if call.is_modern() {
        mirror(call.headers, headers);
        if let Some(task) = &call.tasks.one {
            headers.insert(MCP_NAME, text(&encode_value(&task.id))?);
        }
    }
    Ok(request)
}

/// … and a request of a session without a message. `put`: one of ours for its stream.
pub(crate) fn of_standing(
    standing: &Standing<'_>,
    signer: &Signer,
    put: Option<&[u8]>,
) -> Result<Request<Full<Bytes>>, Fault> {
    let mut request = of_hop(
        signer,
        (standing.principal, standing.client_address),
        standing.server,
        standing.id,
    )?;
    request.method_mut().clone_from(standing.method);
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    session(headers, standing.session)?;
    if let Some(message) = put {
        headers.insert(PUT_HEADER, text(&URL_SAFE_NO_PAD.encode(message))?);
    }
    for name in [MCP_PROTOCOL_VERSION, LAST_EVENT_ID] {
        if let Some(value) = standing.headers.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    Ok(request)
}

/// The session as its sidecar knows it: of a virtual server's, with what it is begun from where it does not.
fn session(headers: &mut HeaderMap, handle: &str) -> Result<(), Fault> {
    let Some(member) = member_session(handle) else {
        headers.insert(MCP_SESSION_ID, text(handle)?);
        return Ok(());
    };
    headers.insert(MCP_SESSION_ID, text(member.id)?);
    headers.insert(CLIENT_HEADER, text(member.client)?);
    if is_old(handle) {
        headers.insert(REPLY_HEADER, HeaderValue::from_static("stream"));
    }
    Ok(())
}

/// What every request to a sidecar has.
fn of_hop(
    signer: &Signer,
    (principal, address): (&Arc<Principal>, Option<IpAddr>),
    server: &ServerName,
    id: CallId,
) -> Result<Request<Full<Bytes>>, Fault> {
    let lost = |_| Fault::unavailable("who calls could not be stated");
    let caller = Caller {
        principal: principal.clone(),
        address,
    };
    let statement = signer.state(&caller, server, now_unix_s()).map_err(lost)?;
    let host = format!("{server}.sidecar.gatehouse.internal");
    let uri = format!("https://{host}/mcp/{server}");
    let mut request = Request::new(Full::default());
    *request.uri_mut() = uri
        .parse()
        .map_err(|_| Fault::unavailable("the server's name is no host name"))?;
    let headers = request.headers_mut();
    headers.insert(HOST, text(&host)?);
    headers.insert(statement::HEADER, statement);
    headers.insert(CALL_HEADER, text(&id.to_string())?);
    Ok(request)
}

fn text(text: &str) -> Result<HeaderValue, Fault> {
    HeaderValue::from_str(text).map_err(|_| Fault::unavailable("a header is not text"))
}

/// Copies the headers that mirror the body; they were compared with it at the door.
fn mirror(from: &HeaderMap, to: &mut HeaderMap) {
    for (name, value) in from.iter().filter(|(name, _)| is_mirror(name)) {
        to.insert(name.clone(), value.clone());
    }
}
