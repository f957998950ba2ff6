//! Deliver to the server: what is answered here, what is sent on, and in which form the answer goes back.

use std::sync::Arc;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use dataplane::answer;
use dataplane::auth::statement::Verifier;
use dataplane::call::Call;
use dataplane::config::live::Config;
use dataplane::deliver::{Admitted, Connection, Events, Hop, Message, Reply, Session};
use dataplane::refusal::{Fault, Refused};
use http::request::Parts;
use mcp::envelope::Kind;
use mcp::error::RpcError;
use mcp::method;
use model::name::ServerName;
use model::record;
use model::server::Limits;
use runtime::drain::Drain;
use tokio::sync::mpsc;

use crate::upstream::Error;
use crate::upstream::session::{Ready, Route, Upstream};
use crate::upstream::ticket::{Abandoned, Ask, Event, Ticket};
use crate::{bridge, peer};

/// Messages of one reply that may wait for its client; progress beyond that waits in the ticket, where it
/// may be lost.
const EVENTS_MAX: usize = 16;
/// Longest session handle that is taken, bytes.
const HANDLE_BYTES_MAX: usize = 128;

/// What this hop adds to the pipeline.
#[derive(Debug)]
pub struct Sidecar {
    /// The server that it stands before.
    pub server: ServerName,
    /// Its own id; the first part of every session handle.
    pub node: Arc<str>,
    /// Believes edges.
    pub verifier: Verifier,
    /// The session with the server.
    pub upstream: Upstream,
    /// Owns the tasks that stream replies.
    pub drain: Drain,
}

impl Hop for Sidecar {
    const HOP: record::Hop = record::Hop::Sidecar;

    fn admit(
        &self,
        _: &Config,
        peer: &Connection,
        parts: &Parts,
        server: &ServerName,
    ) -> Result<Admitted, Refused> {
        let admitted = peer::admit(&self.verifier, peer, &parts.headers, server)?;
        if *server == self.server {
            Ok(admitted)
        } else {
            Err(Refused::not_found())
        }
    }

    /// A shared session keeps nothing for a client: a handle only names, for routing and cancellation. The
    /// edge has sealed it for its owner, and says the revision by header.
    fn session(
        &self,
        _: &Config,
        _: &Admitted,
        _: &ServerName,
        header: &str,
    ) -> Result<Session, Refused> {
        if header.len() > HANDLE_BYTES_MAX || !header.contains('.') {
            return Err(Refused::session_ended());
        }
        Ok(Session {
            revision: None,
            handle: header.to_owned(),
            client: Arc::default(),
        })
    }

    async fn deliver(&self, call: &Call<'_>) -> Result<Reply, Fault> {
        if call.message.kind != Kind::Request {
            self.notified(call);
            return Ok(Reply::Accepted);
        }
        if call.method() == method::PING {
            return if call.is_modern() {
                Err(Fault::invalid(RpcError::method_not_found(
                    method::PING,
                    call.revision.era(),
                )))
            } else {
                Ok(whole(call, b"{}", None))
            };
        }
        let ready = self.ready()?;
        match bridge::answer(call, &ready.greeting)? {
            Some(result) => {
                let begins = call.method() == method::INITIALIZE;
                let session = if begins {
                    Some(self.new_handle()?)
                } else {
                    None
                };
                Ok(whole(call, &result, session))
            }
            None => self.forward(call, &ready).await,
        }
    }
}

impl Sidecar {
    /// The only notification that means something to a shared session is that a call is taken back.
    fn notified(&self, call: &Call<'_>) {
        let taken_back = call
            .message
            .request_id
            .filter(|_| call.method() == method::CANCELLED);
        if let (Some(session), Some(id), Route::Ready(ready)) =
            (call.session, taken_back, self.upstream.route())
        {
            ready.link.cancel(ready.link.origin(session, &id.key()));
        }
    }

    fn ready(&self) -> Result<Arc<Ready>, Fault> {
        match self.upstream.route() {
            Route::Ready(ready) => Ok(ready),
            Route::Away(away) => {
                let message = match away.message.as_str() {
                    "" => format!("{} is {}", self.server, away.state),
                    why => format!("{} is {}: {why}", self.server, away.state),
                };
                Err(Fault::unavailable(message).retry_after(away.retry_after_s))
            }
        }
    }

    async fn forward(&self, call: &Call<'_>, ready: &Ready) -> Result<Reply, Fault> {
        let translator = bridge::cross(call, &ready.greeting)?;
        let link = &ready.link;
        let id = link.next_id();
        let line = translator.request(call, id)?;
        let abandoned = if call.is_modern() {
            Abandoned::Cancel
        } else {
            Abandoned::Finish
        };
        let origin = call
            .session
            .zip(call.message.id)
            .map(|(s, id)| link.origin(s, &id.key()));
        // A list is answered whole, as it has to be cut; who takes no stream hears of no progress, and gets no
        // more time for it.
        let streams = call.sse && method::is_list(call.method()).is_none();
        let progress = translator.wants_progress() && streams;
        let limit = limits(call).call;
        let ask = Ask {
            origin,
            progress,
            limit,
            abandoned,
        };
        let mut ticket = link.send(id, line, ask).await.map_err(fault)?;
        loop {
            // What comes first decides the form of the reply.
            match ticket.next().await.map_err(fault)? {
                Event::Response(response) => {
                    return translator.response(&response).map(Reply::Whole);
                }
                Event::Progress(progress) if streams => {
                    let Some(first) = translator.progress(&progress) else {
                        continue;
                    };
                    let (client, rest) = mpsc::channel(EVENTS_MAX);
                    // Ends with the call: by its answer, its deadline, or its client.
                    self.drain
                        .spawn("reply", pump(ticket, translator.into_owned(), client));
                    return Ok(Reply::Events(Events {
                        first,
                        rest,
                        guard: Box::new(()),
                    }));
                }
                Event::Progress(_) => {}
            }
        }
    }

    /// A name for a new session: this node, and 128 random bits.
    fn new_handle(&self) -> Result<String, Fault> {
        let mut random = [0; 16];
        rand::fill(&mut random).map_err(|_| Fault::unavailable("there is no randomness"))?;
        Ok(format!("{}.{}", self.node, URL_SAFE_NO_PAD.encode(random)))
    }
}

/// Hands on what comes of a call after its first message. A modern client that goes takes the call with
/// it; a legacy one does not.
async fn pump(
    mut ticket: Ticket,
    translator: bridge::Translator<'static>,
    client: mpsc::Sender<Message>,
) {
    loop {
        let event = tokio::select! {
            biased;
            () = client.closed(), if ticket.ends_with_its_caller() => return,
            event = ticket.next() => event,
        };
        let last = match event {
            Ok(Event::Progress(progress)) => {
                if let Some(message) = translator.progress(&progress) {
                    // Where the client is gone, the call still comes to its end.
                    let _ = client.send(message).await;
                }
                continue;
            }
            Ok(Event::Response(response)) => translator.response(&response),
            Err(error) => Err(fault(error)),
        };
        let message = last.unwrap_or_else(|fault| failed(&fault, translator.id()));
        let _ = client.send(message).await;
        return;
    }
}

fn limits(call: &Call<'_>) -> Limits {
    let server = call.config.engine.server(call.server.as_str());
    server
        .map(|server| server.limits.clone())
        .unwrap_or_default()
}

/// A result of ours as the whole answer.
fn whole(call: &Call<'_>, result: &[u8], session: Option<String>) -> Reply {
    let id = call.message.raw_id().unwrap_or(b"null");
    let body = [
        br#"{"jsonrpc":"2.0","id":"#,
        id,
        br#","result":"#,
        result,
        b"}",
    ]
    .concat();
    let (kind, body) = (Kind::Response, Bytes::from(body));
    Reply::Whole(Message {
        body,
        kind,
        error_code: 0,
        tool_error: false,
        status: 200,
        session,
    })
}

/// A fault as the last message of a stream.
fn failed(fault: &Fault, id: &[u8]) -> Message {
    let error = answer::rpc_of(fault);
    Message {
        body: Bytes::from(error.body(Some(id))),
        kind: Kind::Response,
        error_code: error.code,
        tool_error: false,
        status: error.http_status,
        session: None,
    }
}

/// Why a call has no answer, for its caller.
fn fault(error: Error) -> Fault {
    let message = error.to_string();
    match error {
        Error::Gone(_) => Fault::unavailable(message).retry_after(1),
        Error::Overloaded(_) => Fault::overloaded(message),
        Error::Timeout(_) => Fault::timeout(message),
        Error::Cancelled => Fault::cancelled(message),
        Error::Invalid(_) => Fault::unavailable(message),
    }
}
