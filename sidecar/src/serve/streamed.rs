//! Clients of 2024-11-05 hear everything on one stream: answers, too, whichever edge a message came by. The edge asks for
//! that by a header, and what would be the answer to it goes to the session's outbox instead.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use dataplane::answer;
use dataplane::body::ReplyBody;
use dataplane::deliver::federation::{PUT_HEADER, REPLY_HEADER};
use dataplane::deliver::messages::is_event_stream;
use dataplane::deliver::standing::Stood;
use dataplane::deliver::{Admitted, Message};
use dataplane::refusal::{Fault, Refused};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use mcp::envelope::Kind;
use mcp::headers::MCP_SESSION_ID;
use mcp::revision::Era;
use mcp::sse::Decoder;

use super::{Sidecar, methods};
use crate::client::{Client, Clients};
use crate::talk::attend;
use crate::upstream::Error;
use crate::upstream::feed::{Ear, Listener};
use crate::upstream::running::Target;
use crate::upstream::session::Ready;

/// Whether answers go to the session's stream.
pub(super) fn is_streamed(headers: &HeaderMap) -> bool {
    headers.get(REPLY_HEADER).is_some_and(|to| to == "stream")
}

impl Sidecar {
    /// Sends an answer where the edge wants it.
    pub(super) fn streamed(
        &self,
        parts: &Parts,
        admitted: &Admitted,
        response: Response<ReplyBody>,
    ) -> Response<ReplyBody> {
        if !is_streamed(&parts.headers) || response.status() == StatusCode::ACCEPTED {
            return response;
        }
        let handle = parts.headers.get(MCP_SESSION_ID);
        let handle = handle.and_then(|handle| handle.to_str().ok());
        let user = &admitted.principal.user;
        let client = handle.and_then(|handle| self.clients.find(handle, user).ok().flatten());
        let is_heard = |client: &Arc<Client>| client.outbox.is_attended();
        // Nobody would hear it here: perhaps its stream is at a sidecar that is gone.
        let Some(client) = client.filter(is_heard) else {
            return answer::refused(&Refused::session_ended());
        };
        if response.status() == StatusCode::NOT_FOUND {
            return response;
        }
        self.drain
            .spawn("answer on a stream", deliver(client, response));
        let mut accepted = Response::new(ReplyBody::full(Bytes::new()));
        *accepted.status_mut() = StatusCode::ACCEPTED;
        accepted
    }

    /// The one stream of such a session: nothing but what is put into its outbox. With it the session ends.
    pub(super) fn one_stream(&self, client: &Arc<Client>) -> Stood {
        Stood::Messages {
            messages: client.outbox.attend(),
            guard: Box::new(Ending(
                self.clients.clone(),
                client.handle.clone(),
                client.who.user.clone(),
            )),
            is_seen: false,
            asker: Some(client.clone()),
        }
    }

    /// A message of the edge's own for such a session.
    pub(super) fn put(headers: &HeaderMap, client: &Client) -> Option<Stood> {
        let message = URL_SAFE_NO_PAD.decode(headers.get(PUT_HEADER)?).ok()?;
        if !client.outbox.is_attended() {
            return Some(Stood::Ended(StatusCode::NOT_FOUND));
        }
        let message = Message::said(Kind::Response, message.into());
        client.outbox.push(message.seen());
        Some(Stood::Ended(StatusCode::ACCEPTED))
    }

    /// The session has begun: what the server says about no call goes to its stream from now on.
    pub(super) async fn attend_all(
        &self,
        client: &Arc<Client>,
        ready: &Arc<Ready>,
    ) -> Result<(), Fault> {
        // One that speaks both eras is spoken to in the client's own.
        let is_modern = match &ready.target {
            Target::Http(server) => !server.speaks_era(Era::Legacy).await?,
            Target::Process(_) => ready.greeting.revision.era() == Era::Modern,
        };
        if is_modern {
            let line = methods::line_of(client, ready).await?;
            return attend::attend(client, line, (ready, None), &self.drain).await;
        }
        let ear = match &ready.target {
            Target::Process(link) if ready.seats.is_none() => Some(Ear::Link(link.clone())),
            Target::Process(_) => client.process().map(Ear::Link),
            Target::Http(server) => match server.attend(&client.who).await {
                Ok(attended) => {
                    *client.attended.lock() = Some(attended.clone());
                    Some(Ear::Attended(attended))
                }
                // Without a stream of its own, a session tells of nothing.
                Err(Error::Invalid(_)) => None,
                Err(error) => return Err(super::fault(error)),
            },
        };
        if let Some(ear) = ear {
            let listener: Arc<dyn Listener> = client.clone();
            ear.feed().add(Arc::downgrade(&listener));
            self.end_with(client, ear, client.ended().clone());
        }
        Ok(())
    }
}

/// Ends a session, by handle and user, with its one stream.
struct Ending(Arc<Clients>, Arc<str>, Arc<str>);

impl Drop for Ending {
    fn drop(&mut self) {
        let Self(clients, handle, user) = self;
        if let Ok(Some(client)) = clients.find(handle, user) {
            clients.end(&client);
        }
    }
}

/// Puts what an answer says into the outbox, message by message. Where it breaks off, the stream ends with it: who waits
/// for the rest has to hear that it will not come.
async fn deliver(client: Arc<Client>, response: Response<ReplyBody>) {
    let is_stream = is_event_stream(response.headers());
    let body = response.into_body();
    let delivered = if is_stream {
        deliver_events(&client, body).await
    } else {
        deliver_whole(&client, body).await
    };
    if let Err(why) = delivered {
        tracing::debug!(why, "an answer for a stream broke off");
        client.outbox.detach();
    }
}

async fn deliver_whole(client: &Client, body: ReplyBody) -> Result<(), String> {
    let whole = body.collect().await.map_err(|error| error.to_string())?;
    let whole = Message::said(Kind::Response, whole.to_bytes());
    client.outbox.deliver(whole.seen()).await;
    Ok(())
}

async fn deliver_events(client: &Client, mut body: ReplyBody) -> Result<(), String> {
    let mut decoder = Decoder::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| error.to_string())?;
        decoder.push(&frame.into_data().unwrap_or_default());
        while let Some(event) = decoder.next_event() {
            let event = event.map_err(|error| error.to_string())?;
            if !event.data.is_empty() {
                let said = Message::said(Kind::Request, event.data);
                client.outbox.deliver(said.seen()).await;
            }
        }
    }
    Ok(())
}
