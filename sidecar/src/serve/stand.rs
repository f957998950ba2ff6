//! GET and DELETE of a legacy session: its own stream, and its end.

use std::sync::Arc;

use dataplane::deliver::standing::{self, LAST_EVENT_ID, Standing, Stood};
use dataplane::refusal::{Fault, Refused};
use http::{Method, StatusCode};
use mcp::headers::MCP_PROTOCOL_VERSION;
use mcp::revision::{Era, Revision};
use tokio_util::sync::CancellationToken;

use super::sessions::direct_session;
use super::streamed::is_streamed;
use super::{Sidecar, methods};
use crate::client::Client;
use crate::talk::{attend, line};
use crate::upstream::feed::{Ear, Listener};
use crate::upstream::link::Link;
use crate::upstream::running::Target;
use crate::upstream::session::{Ready, Route};

impl Sidecar {
    pub(super) async fn stand_at(&self, standing: &Standing<'_>) -> Result<Stood, Refused> {
        let Route::Ready(ready) = self.upstream.route() else {
            return Err(away(format!("{} is not running", self.server)));
        };
        if let Some(session) = direct_session(Some(standing.session)) {
            let Target::Http(server) = &ready.target else {
                return Err(Refused::session_ended());
            };
            let sent = standing::send(server.egress(), server.upstream(), standing, session);
            return Ok(Stood::of(standing.method, sent.await?, true));
        }
        let version = standing.headers.get(MCP_PROTOCOL_VERSION);
        let version = version.and_then(|version| version.to_str().ok());
        let revision = version.and_then(Revision::parse);
        let revision = revision.unwrap_or(Revision::V2025_03_26);
        let user = &standing.principal.user;
        let around = (standing.headers, &*ready);
        let client = self.held(standing.session, user, revision, around);
        let client = client.map_err(|_| Refused::session_ended())?;
        if standing.method == Method::DELETE {
            self.clients.end(&client);
            if let Some(seats) = &ready.seats {
                seats.release(&client.who);
            }
            return Ok(Stood::Ended(StatusCode::NO_CONTENT));
        }
        if let Some(put) = Self::put(standing.headers, &client) {
            return Ok(put);
        }
        if is_streamed(standing.headers) {
            return Ok(self.one_stream(&client));
        }
        if let Some(last) = standing.headers.get(LAST_EVENT_ID) {
            let last = last.to_str().ok();
            // What is not kept any more begins anew with what is said from now on.
            if let Some(messages) = last.and_then(|last| client.tapes.after(last)) {
                return Ok(Stood::Messages {
                    messages,
                    guard: Box::new(()),
                    is_seen: true,
                    asker: None,
                });
            }
        }
        self.listen(standing, &client, &ready).await
    }

    /// The stream of a session that is held here.
    async fn listen(
        &self,
        standing: &Standing<'_>,
        client: &Arc<Client>,
        ready: &Arc<Ready>,
    ) -> Result<Stood, Refused> {
        let unavailable = |fault: Fault| away(fault.message);
        // One that speaks both eras is spoken to in the client's own.
        if let Target::Http(server) = &ready.target
            && server.speaks_era(Era::Legacy).await.map_err(unavailable)?
        {
            let held = server.hold(&client.who).await;
            let held = held.map_err(|error| away(error.to_string()))?;
            let headers = held.headers(standing.headers);
            let asked = Standing {
                headers: &headers,
                ..*standing
            };
            let sent = standing::send(server.egress(), server.upstream(), &asked, &held.id);
            let response = sent.await?;
            return Ok(Stood::Stream {
                response,
                is_servers: true,
                guard: Box::new(held),
            });
        }
        let line = methods::line_of(client, ready).await.map_err(unavailable)?;
        let is_modern = ready.greeting.revision.era() == Era::Modern;
        let Some(link) = line.process().filter(|_| !is_modern) else {
            // Where the server tells of nothing, the stream is there all the same: calls may need it.
            if let Err(fault) = attend::attend(client, line, (ready, None), &self.drain).await {
                tracing::debug!(why = fault.message, "the server cannot be listened to");
            }
            return Ok(Stood::Messages {
                messages: client.outbox.attend(),
                guard: Box::new(()),
                is_seen: false,
                asker: Some(client.clone()),
            });
        };
        let listener: Arc<dyn Listener> = client.clone();
        link.feed().add(Arc::downgrade(&listener));
        if ready.seats.is_none() {
            let link = &link;
            let hear_of = |uri: String| async move {
                if let Err(error) = methods::hear_of(client, link, &uri).await {
                    tracing::debug!(%error, uri, "the server does not tell of it any more");
                }
            };
            line::at_once(client.subscriptions(), hear_of).await;
        }
        let messages = client.outbox.attend();
        let left = CancellationToken::new();
        self.end_with(client, Ear::Link(link), left.clone());
        // As long as somebody listens, the process is not ended.
        Ok(Stood::Messages {
            messages,
            guard: Box::new((line, left.drop_guard())),
            is_seen: false,
            asker: Some(client.clone()),
        })
    }
}

impl Sidecar {
    /// Ends a client's stream when nothing will be heard at `ear` any more, unless the stream has `left` before: the
    /// client comes back for another stream, and by that to the server as it is then.
    pub(super) fn end_with(&self, client: &Client, ear: Ear, left: CancellationToken) {
        let (outbox, drain) = (client.outbox.clone(), self.drain.clone());
        self.drain.spawn("end of a stream", async move {
            tokio::select! {
                () = ear.over() => outbox.detach(),
                () = left.cancelled() => {}
                () = drain.signaled() => {}
            }
        });
    }
}

fn away(message: String) -> Refused {
    Refused::new(StatusCode::SERVICE_UNAVAILABLE, message)
}

impl crate::talk::line::Line {
    /// The process that it leads to.
    fn process(&self) -> Option<Link> {
        match self {
            Self::Process(link, _) => Some(link.clone()),
            Self::Http(..) => None,
        }
    }
}
