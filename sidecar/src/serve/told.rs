//! Messages that have no answer: notifications of clients, and what they answer to servers.

use std::sync::Arc;

use dataplane::call::Call;
use dataplane::deliver::Reply;
use dataplane::refusal::Fault;
use mcp::envelope::Kind;
use mcp::error::RpcError;
use mcp::method;
use mcp::revision::Era;

use super::sessions::direct_session;
use super::streamed::is_streamed;
use super::{Sidecar, send_in};
use crate::client::Client;
use crate::upstream::http::HttpServer;
use crate::upstream::running::Target;
use crate::upstream::session::{Ready, Route};

impl Sidecar {
    pub(super) async fn told(&self, call: &Call<'_>) -> Result<Reply, Fault> {
        let Route::Ready(ready) = self.upstream.route() else {
            return Ok(Reply::Accepted);
        };
        if let (Target::Http(server), Some(_)) = (&ready.target, direct_session(call.session)) {
            return self.direct(call, server).await;
        }
        if call.is_modern() {
            return Ok(Reply::Accepted);
        }
        let client = match call.session {
            Some(_) => self.client(call, &ready)?,
            None => None,
        };
        let Some(client) = client else {
            return Err(unexpected(call));
        };
        if call.method() == method::INITIALIZED
            && is_streamed(call.headers)
            && let Err(fault) = self.attend_all(&client, &ready).await
        {
            tracing::debug!(why = fault.message, "the server cannot be listened to");
        }
        if let Target::Http(server) = &ready.target
            && server.speaks(call).await?
        {
            return told_over_http(call, server, &client).await;
        }
        told_to(call, &ready, &client)
    }
}

/// In the session with the server that is held for the client. That its own has begun is not the server's to know.
async fn told_over_http(
    call: &Call<'_>,
    server: &HttpServer,
    client: &Arc<Client>,
) -> Result<Reply, Fault> {
    if call.method() == method::INITIALIZED {
        return Ok(Reply::Accepted);
    }
    let held = server.hold(&client.who).await.map_err(super::fault)?;
    send_in(server, call, &held).await
}

fn told_to(call: &Call<'_>, ready: &Ready, client: &Arc<Client>) -> Result<Reply, Fault> {
    if call.message.kind == Kind::Response {
        return if client.questions.answer(call.body, call.message) {
            Ok(Reply::Accepted)
        } else {
            Err(unexpected(call))
        };
    }
    let is_legacy = ready.greeting.revision.era() == Era::Legacy;
    match (call.method(), call.message.request_id) {
        (method::CANCELLED, Some(id)) => {
            client.take_back(&id.key());
            let link = match (&ready.target, &ready.seats) {
                (_, Some(_)) => client.process(),
                (Target::Process(link), None) => Some(link.clone()),
                (Target::Http(_), None) => None,
            };
            if let (Some(link), Some(session)) = (link, call.session) {
                link.cancel(link.origin(session, &id.key()));
            }
        }
        (method::ROOTS_LIST_CHANGED | method::PROGRESS, _) if is_legacy => {
            if let Some(link) = client.process() {
                link.answer(call.body.to_vec());
            }
        }
        _ => {}
    }
    Ok(Reply::Accepted)
}

fn unexpected(call: &Call<'_>) -> Fault {
    if call.message.kind != Kind::Response {
        return Fault::session_ended();
    }
    Fault::invalid(RpcError::invalid_request(
        "no request of ours awaits this response",
    ))
}
