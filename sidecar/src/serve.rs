//! Deliver to the server: what is answered here, what is sent on, and in which form the answer goes back.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use dataplane::answer;
use dataplane::auth::statement::Verifier;
use dataplane::call::Call;
use dataplane::config::live::Config;
use dataplane::deliver::standing::{self, Standing, Stood};
use dataplane::deliver::{
    Admitted, Connection, Events, Forwarded, Hop, Message, Reply, Session, direct,
};
use dataplane::refusal::{Fault, Refused};
use http::StatusCode;
use http::request::Parts;
use mcp::envelope::Kind;
use mcp::error::RpcError;
use mcp::method;
use model::decision::Reason;
use model::name::ServerName;
use model::record;
use model::server::Limits;
use runtime::drain::Drain;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::upstream::Error;
use crate::upstream::http::HttpServer;
use crate::upstream::link::Link;
use crate::upstream::running::Target;
use crate::upstream::session::{Ready, Route, Upstream};
use crate::upstream::status::State;
use crate::upstream::ticket::{Abandoned, Ask, Event};
use crate::upstream::underway::Underway;
use crate::{bridge, peer};

/// Messages of one reply that may wait for its client; progress beyond that waits in the ticket, where it
/// may be lost.
const EVENTS_MAX: usize = 16;
/// Longest session handle that is taken, bytes: this node, and a server's own session id.
const HANDLE_BYTES_MAX: usize = 128 + direct::SESSION_BYTES_MAX;
/// How long a call waits for a server that is just being started.
const START_WAIT_MAX: Duration = Duration::from_secs(15);
/// What stands in a handle before a server's own session id.
const DIRECT: char = '~';

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

    type Way = ();

    async fn way(&self, _: &Call<'_>) -> Result<(), Fault> {
        Ok(())
    }

    fn is_last((): &()) -> bool {
        true
    }

    async fn deliver(&self, call: &Call<'_>, (): &()) -> Result<Reply, Fault> {
        if call.message.kind != Kind::Request {
            return self.told(call).await;
        }
        let ready = self.ready(call).await?;
        if let Target::Http(server) = &ready.target
            && (direct_session(call.session).is_some() || server.speaks(call).await?)
        {
            return self.direct(call, server).await;
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

    /// A session with a server over HTTP is the client's own; the shared one of a process has no stream to give, and no
    /// end.
    async fn stand(&self, standing: &Standing<'_>) -> Result<Stood, Refused> {
        let Route::Ready(ready) = self.upstream.route() else {
            let message = format!("{} is not running", self.server);
            return Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, message));
        };
        let (server, session) = match (&ready.target, direct_session(Some(standing.session))) {
            (Target::Http(server), Some(session)) => (server, session),
            (Target::Process(_), Some(_)) => return Err(Refused::session_ended()),
            (_, None) => return Err(standing::not_offered(standing.method)),
        };
        let sent = standing::send(server.egress(), server.upstream(), standing, session);
        Ok(Stood {
            response: sent.await?,
            is_servers: true,
        })
    }
}

impl Sidecar {
    /// A message that has no answer. Behind HTTP, the session is the client's own and takes all of them; on the shared
    /// session of a process, the only one that means something is that a call is taken back.
    async fn told(&self, call: &Call<'_>) -> Result<Reply, Fault> {
        let Route::Ready(ready) = self.upstream.route() else {
            return Ok(Reply::Accepted);
        };
        let link = match &ready.target {
            Target::Http(server) if direct_session(call.session).is_some() => {
                return self.direct(call, server).await;
            }
            Target::Http(_) => return Ok(Reply::Accepted),
            Target::Process(link) => link,
        };
        let taken_back = call
            .message
            .request_id
            .filter(|_| call.method() == method::CANCELLED);
        if let (Some(session), Some(id)) = (call.session, taken_back) {
            link.cancel(link.origin(session, &id.key()));
        }
        if call.message.kind == Kind::Response {
            let error = RpcError::invalid_request("no request of ours awaits this response");
            return Err(Fault::invalid(error));
        }
        Ok(Reply::Accepted)
    }

    /// As it came, to a server of the client's own era.
    async fn direct(&self, call: &Call<'_>, server: &HttpServer) -> Result<Reply, Fault> {
        let session = direct_session(call.session);
        if session.is_none() && call.session.is_some() {
            // It was begun with another upstream, which has been replaced.
            return Err(Fault::session_ended());
        }
        let sent = direct::send(server.egress(), server.upstream(), call, session).await;
        let reply = sent.inspect_err(|fault| {
            if fault.reason == Reason::Unavailable {
                server.doubt();
            }
        })?;
        let Reply::Direct(Forwarded { response, session }) = reply else {
            return Ok(reply);
        };
        if matches!(response.status().as_u16(), 400 | 404 | 405) {
            server.doubt();
        }
        let session = session.map(|id| format!("{}.{DIRECT}{id}", self.node));
        Ok(Reply::Direct(Forwarded { response, session }))
    }

    /// The server, where it takes calls. One that is just being started is waited for, within the call's time.
    async fn ready(&self, call: &Call<'_>) -> Result<Arc<Ready>, Fault> {
        let mut route = self.upstream.route();
        if matches!(&route, Route::Away(away) if away.state == State::Starting) {
            let limit = limits(call).call.min(START_WAIT_MAX);
            let mut upstream = self.upstream.clone();
            // Where it takes longer, its state says why.
            let _ = timeout(limit, upstream.has_started()).await;
            route = upstream.route();
        }
        match route {
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
        let abandoned = if call.is_modern() {
            Abandoned::Cancel
        } else {
            Abandoned::Finish
        };
        // A list is answered whole, as it has to be cut; who takes no stream hears of no progress, and gets no
        // more time for it.
        let streams = call.sse && method::is_list(call.method()).is_none();
        let ask = Ask {
            origin: None,
            progress: translator.wants_progress() && streams,
            limit: limits(call).call,
            abandoned,
        };
        let mut ticket = match &ready.target {
            Target::Process(link) => ask_process(call, &translator, link, ask).await?,
            Target::Http(server) => {
                let id = server.next_id();
                let message = translator.request(call, id)?;
                let sent = server.send(&call.principal.user, id, message, ask).await;
                Underway::Http(Box::new(sent.map_err(fault)?))
            }
        };
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

/// The server's own session id, where the handle carries one.
fn direct_session(handle: Option<&str>) -> Option<&str> {
    let (_, rest) = handle?.split_once('.')?;
    rest.strip_prefix(DIRECT)
}

async fn ask_process(
    call: &Call<'_>,
    translator: &bridge::Translator<'_>,
    link: &Link,
    ask: Ask,
) -> Result<Underway, Fault> {
    let id = link.next_id();
    let line = translator.request(call, id)?;
    let origin = call
        .session
        .zip(call.message.id)
        .map(|(session, id)| link.origin(session, &id.key()));
    let sent = link.send(id, line, Ask { origin, ..ask }).await;
    sent.map(Underway::Process).map_err(fault)
}

/// Hands on what comes of a call after its first message. A modern client that goes takes the call with
/// it; a legacy one does not.
async fn pump(
    mut ticket: Underway,
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
