//! Deliver to the server: what is answered here, what is sent on, and in which form the answer goes back.
//!
//! ```text
//! request -- the session of its client (sessions) -- the server's own era, over HTTP: as it came (direct)
//!                                                 \- else: talk, and what only sessions have (methods)
//! notification, response: told       GET, DELETE: stand
//! ```

mod methods;
mod sessions;
mod stand;
mod streamed;
mod told;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dataplane::answer;
use dataplane::auth::statement::Verifier;
use dataplane::body::ReplyBody;
use dataplane::call::Call;
use dataplane::config::live::Config;
use dataplane::deliver::standing::{Standing, Stood};
use dataplane::deliver::{Admitted, Connection, Forwarded, Hop, Message, Reply, Session, direct};
use dataplane::refusal::{Fault, Refused};
use http::Response;
use http::request::Parts;
use mcp::bridge::inputs;
use mcp::envelope::Kind;
use mcp::error::RpcError;
use mcp::method;
use mcp::revision::Era;
use model::decision::Reason;
use model::name::ServerName;
use model::record;
use model::server::Limits;
use runtime::drain::Drain;
use tokio::time::timeout;

use self::sessions::{DIRECT, direct_session};
use crate::bridge::{self, Side, Way};
use crate::client::{Client, Clients};
use crate::peer;
use crate::talk::parked::{self, Shelf};
use crate::talk::{self, Setting, listen};
use crate::upstream::Error;
use crate::upstream::http::{Held, HttpServer};
use crate::upstream::running::Target;
use crate::upstream::session::{Ready, Route, Upstream};
use crate::upstream::status::State;

/// Longest session handle that is taken, bytes: this node, and a server's own session id.
const HANDLE_BYTES_MAX: usize = 128 + direct::SESSION_BYTES_MAX;
/// How long a call waits for a server that is just being started.
const START_WAIT_MAX: Duration = Duration::from_secs(15);
/// How often what nobody comes back for is looked through.
const SWEEP: Duration = Duration::from_secs(5);

/// What this hop adds to the pipeline.
#[derive(Debug)]
pub struct Sidecar {
    /// The server that it stands before.
    pub server: ServerName,
    /// Its own id; the first part of every session handle.
    pub node: Arc<str>,
    /// Believes edges.
    pub verifier: Verifier,
    /// The sessions with the server.
    pub upstream: Upstream,
    /// The sessions of legacy clients.
    pub clients: Arc<Clients>,
    /// Calls that wait for their client.
    pub shelf: Arc<Shelf>,
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

    /// The edge has sealed the handle for its owner, and says the revision by header. Whether it still leads anywhere is
    /// looked up when it is used.
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
            && self.is_direct(call, server).await?
        {
            return self.direct(call, server).await;
        }
        let client = self.client(call, &ready)?;
        if let (Target::Http(server), Some(client)) = (&ready.target, &client)
            && server.speaks(call).await?
        {
            return self.direct_of(call, server, client).await;
        }
        self.bridge(call, &ready, client.as_ref()).await
    }

    async fn stand(&self, standing: &Standing<'_>) -> Result<Stood, Refused> {
        self.stand_at(standing).await
    }

    fn redirect(
        &self,
        parts: &Parts,
        admitted: &Admitted,
        response: Response<ReplyBody>,
    ) -> Response<ReplyBody> {
        self.streamed(parts, admitted, response)
    }
}

impl Sidecar {
    /// A sidecar before `server`, whose sessions with it are `upstream`.
    pub fn new(server: ServerName, node: Arc<str>, upstream: Upstream, drain: Drain) -> Self {
        Self {
            server,
            shelf: Arc::new(Shelf::new(node.clone())),
            node,
            verifier: Verifier::default(),
            upstream,
            clients: Arc::default(),
            drain,
        }
    }

    /// Looks through what nobody comes back for, until the drain starts; then gives up what waits for clients.
    pub async fn sweep(&self) {
        loop {
            tokio::select! {
                () = self.drain.signaled() => break,
                () = tokio::time::sleep(SWEEP) => {}
            }
            self.shelf.sweep();
            self.clients.sweep();
        }
        self.shelf.clear();
    }

    /// Whether the call goes on as it came.
    async fn is_direct(&self, call: &Call<'_>, server: &HttpServer) -> Result<bool, Fault> {
        match call.session {
            Some(_) if direct_session(call.session).is_some() => Ok(true),
            Some(_) => Ok(false),
            None => server.speaks(call).await,
        }
    }

    /// As it came, to a server of the client's own era.
    async fn direct(&self, call: &Call<'_>, server: &HttpServer) -> Result<Reply, Fault> {
        let reply = send(server, call, direct_session(call.session)).await?;
        let Reply::Direct(forwarded) = reply else {
            return Ok(reply);
        };
        let session = forwarded.session.as_deref();
        let session = session.map(|id| format!("{}.{DIRECT}{id}", self.node));
        Ok(Reply::Direct(Forwarded {
            session,
            ..forwarded
        }))
    }

    /// As it came, in the session with the server that is held for the client.
    async fn direct_of(
        &self,
        call: &Call<'_>,
        server: &HttpServer,
        client: &Arc<Client>,
    ) -> Result<Reply, Fault> {
        if call.method() == method::INITIALIZE {
            let greeting = server.greeting(&client.who).await.map_err(fault)?;
            return self.begun(
                call,
                &Side {
                    greeting: &greeting,
                    own: true,
                },
                Some(client),
            );
        }
        let held = server.hold(&client.who).await.map_err(fault)?;
        match send_in(server, call, &held).await {
            // The server does not know it any more, and has not looked at the call.
            Err(ended) if ended.is_session_ended() => {
                server.forget(&client.who, &held.id);
                let anew = server.hold(&client.who).await.map_err(fault)?;
                send_in(server, call, &anew).await
            }
            sent => sent,
        }
    }

    /// To a server of whatever era, in whatever session it needs.
    async fn bridge(
        &self,
        call: &Call<'_>,
        ready: &Arc<Ready>,
        client: Option<&Arc<Client>>,
    ) -> Result<Reply, Fault> {
        let setting = Setting {
            ready,
            client,
            shelf: &self.shelf,
            drain: &self.drain,
            limit: limits(call).call,
        };
        let way = setting.side().way(call.revision.era());
        match call.method() {
            method::PING if !call.is_modern() => Ok(whole(call, b"{}", None)),
            method::PING => Err(Fault::invalid(RpcError::method_not_found(
                method::PING,
                call.revision.era(),
            ))),
            method::INITIALIZE => self.initialize(call, ready, client).await,
            method::SERVER_DISCOVER => self.begun(call, &setting.side(), None),
            method::SUBSCRIPTIONS_LISTEN => listen::listen(call, &setting).await,
            method::LOGGING_SET_LEVEL
            | method::RESOURCES_SUBSCRIBE
            | method::RESOURCES_UNSUBSCRIBE => methods::of_session(call, &setting, way).await,
            _ => match inputs::of_request(call.message).filter(|_| way == Way::ModernOnLegacy) {
                // Answers without a state go on with nothing: every question of ours has one.
                Some(brought)
                    if brought.state.is_some() && method::may_ask_for_input(call.method()) =>
                {
                    parked::resume(call, brought, &setting).await
                }
                _ => talk::talk(call, &setting).await,
            },
        }
    }

    /// A session of a legacy client begins: the server says what it is, to this client where it is served alone.
    async fn initialize(
        &self,
        call: &Call<'_>,
        ready: &Arc<Ready>,
        client: Option<&Arc<Client>>,
    ) -> Result<Reply, Fault> {
        let own = ready.is_own();
        let is_legacy = ready.greeting.revision.era() == Era::Legacy;
        if let (Some(seats), Some(client), true) = (&ready.seats, client, is_legacy) {
            let lease = seats.lease(&client.who, false).await.map_err(fault)?;
            let greeting = lease.up().map_err(fault)?.greeting.clone();
            talk::line::Line::of_client(client, lease)
                .await
                .map_err(fault)?;
            return self.begun(
                call,
                &Side {
                    greeting: &greeting,
                    own,
                },
                Some(client),
            );
        }
        let greeting = &ready.greeting;
        self.begun(call, &Side { greeting, own }, client)
    }

    /// The answer to either handshake.
    fn begun(
        &self,
        call: &Call<'_>,
        side: &Side<'_>,
        client: Option<&Arc<Client>>,
    ) -> Result<Reply, Fault> {
        let result = bridge::answer(call, side)?;
        let result = result.ok_or_else(|| Fault::invalid(RpcError::internal()))?;
        let handle = client.map(|client| client.handle.to_string());
        Ok(whole(call, &result, handle))
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
}

/// In a session that is held for the client, which speaks its own revision.
async fn send_in(server: &HttpServer, call: &Call<'_>, held: &Held) -> Result<Reply, Fault> {
    let headers = held.headers(call.headers);
    let call = Call {
        headers: &headers,
        ..*call
    };
    send(server, &call, Some(&held.id)).await
}

async fn send(server: &HttpServer, call: &Call<'_>, session: Option<&str>) -> Result<Reply, Fault> {
    let sent = direct::send(server.egress(), server.upstream(), call, session).await;
    let reply = sent.inspect_err(|fault| {
        if fault.reason == Reason::Unavailable {
            server.doubt();
        }
    })?;
    if let Reply::Direct(forwarded) = &reply
        && matches!(forwarded.response.status().as_u16(), 400 | 404 | 405)
    {
        server.doubt();
    }
    Ok(reply)
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
    Reply::Whole(Message {
        session,
        ..Message::said(Kind::Response, Bytes::from(body))
    })
}

/// A fault as the last message of a stream.
pub(crate) fn failed(fault: &Fault, id: &[u8]) -> Message {
    let error = answer::rpc_of(fault);
    Message {
        error_code: error.code,
        status: error.http_status,
        ..Message::said(Kind::Response, Bytes::from(error.body(Some(id))))
    }
}

/// Why a call has no answer, for its caller.
pub(crate) fn fault(error: Error) -> Fault {
    let message = error.to_string();
    match error {
        Error::Gone(_) => Fault::unavailable(message).retry_after(1),
        Error::Overloaded(_) => Fault::overloaded(message),
        Error::Timeout(_) => Fault::timeout(message),
        Error::Cancelled => Fault::cancelled(message),
        Error::Invalid(_) => Fault::unavailable(message),
    }
}
