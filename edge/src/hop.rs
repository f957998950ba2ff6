//! The edge's part of the pipeline: who may knock, what a session is, and on to a sidecar.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use dataplane::approval::desk::Desk;
use dataplane::auth::statement::Signer;
use dataplane::call::Call;
use dataplane::config::live::{Config, Live};
use dataplane::deliver::federation::Federating;
use dataplane::deliver::http::{Error as HopError, Tls, Upstream as Pool};
use dataplane::deliver::probe::Eras;
use dataplane::deliver::standing::{self, Standing, Stood};
use dataplane::deliver::{Admitted, Connection, Forwarded, Hop, Reply, Session, direct};
use dataplane::egress::Egress;
use dataplane::refusal::{Fault, Refused};
use engine::upstream::Upstream;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use hyper::body::Incoming;
use mcp::envelope::Kind;
use mcp::error::RpcError;
use mcp::headers::MCP_SESSION_ID;
use mcp::method;
use model::name::ServerName;
use model::principal::Principal;
use model::record;
use runtime::backoff::Backoff;
use runtime::clock::now_unix_s;
use runtime::tls::{self, Identity};
use tokio::time::{Instant, timeout, timeout_at};

use crate::named::named;
use crate::route::Routes;
use crate::waiting::Waiting;
use crate::{authenticate, outgoing, session};

/// On top of a server's own time for a call: the way there and back, and the sidecar's say when it is over.
const GRACE: Duration = Duration::from_secs(5);
/// First and longest pause before a call that waits tries a sidecar again which was reachable and did not take it.
const TRIES: (Duration, Duration) = (Duration::from_millis(25), Duration::from_secs(1));
/// How long a sidecar may take to begin a stream, which it asks a server for in turn.
const STAND: Duration = Duration::from_secs(35);

/// What this hop adds to the pipeline.
#[derive(Debug)]
pub struct Edge {
    /// Where clients reach this edge; the first is the canonical one.
    pub public_urls: Vec<String>,
    /// Where the sidecars are.
    pub live: Live,
    /// How this edge shows itself to sidecars.
    pub outbound: ArcSwap<Outbound>,
    /// The way to remote servers.
    pub egress: Egress,
    /// What they speak.
    pub eras: Eras,
    /// Calls that wait for a sidecar to come back.
    pub waiting: Waiting,
    /// How long each of them may wait.
    pub wait_max: Duration,
    /// How virtual servers are served.
    pub federating: Federating,
    /// The way to people who agree to calls.
    pub desk: Desk,
}

/// Where a call goes from an edge.
#[derive(Debug)]
pub enum Way {
    /// To a sidecar.
    Sidecar,
    /// Straight to a remote server of the client's own era.
    Direct(Arc<Upstream>),
}

/// What the handles of sessions begin with that are a remote server's own: its id comes after it.
const DIRECT: char = '~';

/// What belongs to one certificate of this edge: a statement is believed only on a connection that shows the key by
/// which it is signed.
#[derive(Debug)]
pub struct Outbound {
    /// Says who calls.
    pub signer: Signer,
    /// Pools to the sidecars.
    pub routes: Routes,
}

impl Outbound {
    /// Over connections that show the certificate of `identity`.
    ///
    /// # Errors
    /// Where it cannot be used.
    pub fn new(identity: &Identity) -> Result<Self, tls::Error> {
        Ok(Self {
            signer: Signer::new(&identity.node()?, identity.node_key()?),
            routes: Routes::new(Tls {
                http1: tls::client_config(identity, &[tls::HTTP1])?,
                http2: tls::client_config(identity, &[tls::H2])?,
            }),
        })
    }
}

impl Hop for Edge {
    const HOP: record::Hop = record::Hop::Edge;

    fn admit(
        &self,
        config: &Config,
        peer: &Connection,
        parts: &Parts,
        server: &ServerName,
    ) -> Result<Admitted, Refused> {
        let url = self
            .public_urls
            .first()
            .map(String::as_str)
            .unwrap_or_default();
        let principal = authenticate::principal(config, &parts.headers, server, url)?;
        Ok(Admitted {
            principal,
            call_id: None,
            client_address: Some(peer.remote.ip().to_canonical()),
            approval: None,
            tasks: None,
        })
    }

    fn session(
        &self,
        config: &Config,
        admitted: &Admitted,
        server: &ServerName,
        header: &str,
    ) -> Result<Session, Refused> {
        let keys = config
            .sessions
            .as_ref()
            .ok_or_else(Refused::session_ended)?;
        session::open(keys, &admitted.principal, server, header, now_unix_s())
    }

    type Way = Way;

    async fn way(&self, call: &Call<'_>) -> Result<Way, Fault> {
        let Some(upstream) = call.config.engine.upstream(call.server) else {
            return Ok(Way::Sidecar);
        };
        if let Some(handle) = call.session {
            // A session stays what it was begun as.
            return Ok(if handle.starts_with(DIRECT) {
                Way::Direct(upstream.clone())
            } else {
                Way::Sidecar
            });
        }
        let server = call.config.engine.server(call.server.as_str());
        let within = server.map_or(GRACE, |server| server.limits.call);
        let asked = async {
            let probed = self.eras.of(&self.egress, call.server, upstream).await?;
            let era = call.revision.era();
            probed.speaks(era, &self.egress, upstream).await
        };
        let Ok(speaks) = timeout(within, asked).await else {
            return Err(Fault::timeout(
                "the server does not say in time what it speaks",
            ));
        };
        Ok(if speaks? {
            Way::Direct(upstream.clone())
        } else {
            Way::Sidecar
        })
    }

    fn is_last(way: &Way) -> bool {
        matches!(way, Way::Direct(_))
    }

    async fn deliver(&self, call: &Call<'_>, way: &Way) -> Result<Reply, Fault> {
        match way {
            Way::Direct(upstream) => self.direct(call, upstream).await,
            Way::Sidecar => self.to_sidecar(call).await,
        }
    }

    async fn stand(&self, standing: &Standing<'_>) -> Result<Stood, Refused> {
        let Some(session) = standing.session.strip_prefix(DIRECT) else {
            return self.stand_at_sidecar(standing).await;
        };
        // A session is over with the server that it was begun with.
        let upstream = standing.config.engine.upstream(standing.server);
        let upstream = upstream.ok_or_else(Refused::session_ended)?;
        let response = standing::send(&self.egress, upstream, standing, session).await?;
        Ok(Stood::of(standing.method, response, true))
    }

    async fn put(&self, standing: &Standing<'_>, message: &[u8]) -> bool {
        let put = self.put_at_sidecar(standing, message).await;
        if let Err(refused) = &put {
            tracing::warn!(
                why = refused.message,
                "an answer could not be put on a stream"
            );
        }
        put.is_ok()
    }

    fn desk(&self) -> Option<&Desk> {
        Some(&self.desk)
    }

    fn federating(&self) -> Federating {
        self.federating.clone()
    }

    fn sealed(
        &self,
        config: &Config,
        principal: &Principal,
        server: &ServerName,
        session: &Session,
    ) -> Option<String> {
        let keys = config.sessions.as_ref()?;
        session::seal(keys, principal, server, session, now_unix_s())
    }
}

/// What came of trying all sidecars.
enum Tried {
    /// One took the call.
    Answered(Box<Reply>),
    /// None could be reached.
    Unreachable(HopError),
}

/// How far a request that failed had come.
enum Sent {
    /// It never left.
    Nothing(HopError),
    /// It may have been received; only the caller may repeat it.
    Maybe(Fault),
}

impl Edge {
    /// Straight to the server; a session that it begins is sealed with its own id as the handle.
    async fn direct(&self, call: &Call<'_>, upstream: &Upstream) -> Result<Reply, Fault> {
        let session = call.session.and_then(|handle| handle.strip_prefix(DIRECT));
        let reply = direct::send(&self.egress, upstream, call, session).await?;
        let Reply::Direct(mut forwarded) = reply else {
            return Ok(reply);
        };
        if matches!(forwarded.response.status().as_u16(), 400 | 404 | 405) {
            self.eras.doubt(call.server);
        }
        if let Some(id) = forwarded.session.take() {
            // The revision that was agreed on is in the answer, which is still to come; the client's later requests
            // say it, and the server checks it.
            let session = Session {
                revision: None,
                handle: format!("{DIRECT}{id}"),
                client: call.client.into(),
            };
            forwarded.session = Some(seal(call, &session)?);
        }
        Ok(Reply::Direct(forwarded))
    }

    /// To the sidecar that the session names: no other knows it.
    async fn stand_at_sidecar(&self, standing: &Standing<'_>) -> Result<Stood, Refused> {
        let response = self.ask_sidecar(standing, None).await?;
        let response = standing::judged(standing, response, "the server's sidecar")?;
        Ok(Stood::of(standing.method, response, false))
    }

    /// Has the sidecar put a message on the session's stream.
    async fn put_at_sidecar(&self, standing: &Standing<'_>, message: &[u8]) -> Result<(), Refused> {
        let response = self.ask_sidecar(standing, Some(message)).await?;
        match response.status() {
            StatusCode::ACCEPTED => Ok(()),
            status => Err(Refused::new(status, "the sidecar does not take it")),
        }
    }

    async fn ask_sidecar(
        &self,
        standing: &Standing<'_>,
        put: Option<&[u8]>,
    ) -> Result<Response<Incoming>, Refused> {
        let away = || {
            let message = format!("no sidecar of {} can be reached", standing.server);
            Refused::new(StatusCode::SERVICE_UNAVAILABLE, message)
        };
        let endpoints = self.live.endpoints();
        let outbound = self.outbound.load_full();
        let routes = &outbound.routes;
        let stands = *standing.method == Method::GET && put.is_none();
        for endpoint in routes.candidates(&endpoints, standing.server, Some(standing.session)) {
            let Some(pool) = routes.pool(standing.server, endpoint) else {
                continue;
            };
            let request = outgoing::of_standing(standing, &outbound.signer, put);
            let request = request.map_err(|_| away())?;
            let asked = async {
                if stands {
                    pool.stand(request).await
                } else {
                    pool.send(request).await
                }
            };
            match timeout(STAND, asked).await.map_err(|_| away())? {
                Ok(response) => return Ok(response),
                Err(error) => {
                    tracing::warn!(%error, server = %standing.server, "a sidecar cannot be reached");
                    // Only where nothing was sent the next one may take it.
                    if !matches!(error, HopError::Connect { .. }) {
                        return Err(away());
                    }
                    routes.avoid(endpoint);
                }
            }
        }
        Err(away())
    }

    async fn to_sidecar(&self, call: &Call<'_>) -> Result<Reply, Fault> {
        let Some(last) = self.try_all(call).await? else {
            return Err(Fault::unavailable(format!(
                "{} is not running: no sidecar has joined for it",
                call.server
            ))
            .retry_after(2));
        };
        let last = match last {
            Tried::Answered(reply) => return Ok(*reply),
            Tried::Unreachable(error) => error,
        };
        self.wait_and_try(call, last).await
    }

    /// One sidecar after the other. `None`: there is none.
    async fn try_all(&self, call: &Call<'_>) -> Result<Option<Tried>, Fault> {
        let endpoints = self.live.endpoints();
        let outbound = self.outbound.load_full();
        let routes = &outbound.routes;
        let mut last = None;
        // A session stays with its sidecar, and so does a call that waits there for its client, and a task.
        let named = named(call);
        for endpoint in routes.candidates(&endpoints, call.server, named.as_deref()) {
            let Some(pool) = routes.pool(call.server, endpoint) else {
                continue;
            };
            match self.send(call, &outbound.signer, &pool).await {
                Ok(response) => {
                    let reply = self.reply(call, response, endpoint.node.clone());
                    return Ok(Some(Tried::Answered(Box::new(reply?))));
                }
                // Nothing was sent: the next sidecar may take it.
                Err(Sent::Nothing(error)) => {
                    routes.avoid(endpoint);
                    last = Some(Tried::Unreachable(error));
                }
                Err(Sent::Maybe(fault)) => return Err(fault),
            }
        }
        Ok(last)
    }

    /// A sidecar that was there is most often back at once: the call waits for it, within its time.
    async fn wait_and_try(&self, call: &Call<'_>, error: HopError) -> Result<Reply, Fault> {
        let unreachable = |error: HopError| {
            tracing::warn!(%error, server = %call.server, "no sidecar can be reached");
            Fault::unavailable(format!("no sidecar of {} can be reached", call.server))
                .retry_after(1)
        };
        let Some(_place) = self.waiting.enter() else {
            return Err(unreachable(error));
        };
        tracing::debug!(%error, server = %call.server, "a call waits for a sidecar");
        let server = call.config.engine.server(call.server.as_str());
        let limit = server.map_or(self.wait_max, |server| {
            server.limits.call.min(self.wait_max)
        });
        let deadline = Instant::now() + limit;
        let mut last = error;
        // A sidecar that is reachable and takes no calls all the same is not knocked at by all who wait, again and again.
        let mut backoff = Backoff::new(TRIES.0, TRIES.1);
        let mut pause = Duration::ZERO;
        loop {
            let reachable = async {
                tokio::time::sleep(pause).await;
                self.waiting.until_reachable(&self.live, call.server).await;
            };
            if timeout_at(deadline, reachable).await.is_err() {
                return Err(unreachable(last));
            }
            pause = backoff.pause();
            match self.try_all(call).await? {
                Some(Tried::Answered(reply)) => return Ok(*reply),
                Some(Tried::Unreachable(error)) => last = error,
                None => return Err(unreachable(last)),
            }
        }
    }

    async fn send(
        &self,
        call: &Call<'_>,
        signer: &Signer,
        pool: &Pool,
    ) -> Result<Response<Incoming>, Sent> {
        let request = outgoing::of_call(call, signer).map_err(Sent::Maybe)?;
        let within = call
            .config
            .engine
            .server(call.server.as_str())
            .map_or(GRACE, |server| server.limits.call + GRACE);
        let sent = async {
            if call.method() == method::SUBSCRIPTIONS_LISTEN {
                pool.stand(request).await
            } else {
                pool.send(request).await
            }
        };
        match timeout(within, sent).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error @ HopError::Connect { .. })) => Err(Sent::Nothing(error)),
            Ok(Err(error @ HopError::Broken { .. })) => {
                tracing::warn!(%error, server = %call.server, "a call broke off");
                Err(Sent::Maybe(Fault::unavailable(
                    "the server's sidecar went away in mid-call",
                )))
            }
            Err(_) => Err(Sent::Maybe(Fault::timeout(
                "the server did not answer in time",
            ))),
        }
    }

    /// The session's handle goes back sealed, so that any edge can open it.
    fn reply(
        &self,
        call: &Call<'_>,
        response: Response<Incoming>,
        node: Arc<str>,
    ) -> Result<Reply, Fault> {
        let node = Some(node);
        match call.message.kind {
            Kind::Request => {}
            Kind::Notification => return Ok(Reply::Accepted),
            // Not taken but answered: a filter refuses it, and the client is to hear so.
            Kind::Response if response.status() == StatusCode::OK => {
                let session = None;
                return Ok(Reply::Forwarded(Forwarded {
                    response,
                    session,
                    node,
                }));
            }
            Kind::Response if response.status().is_success() => return Ok(Reply::Accepted),
            Kind::Response => {
                let error = RpcError::invalid_request("no request of ours awaits this response");
                return Err(Fault::invalid(error));
            }
        }
        if matches!(
            response.status(),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
        ) {
            // The sidecar distrusts this edge: nothing that the client's own credential could mend.
            tracing::error!(server = %call.server, status = %response.status(), "sidecar refuses us");
            return Err(Fault::unavailable(
                "the server's sidecar does not take calls from this edge",
            ));
        }
        let handle = response
            .headers()
            .get(MCP_SESSION_ID)
            .and_then(|v| v.to_str().ok());
        let session = match handle {
            Some(handle) if call.method() == method::INITIALIZE && !call.is_modern() => {
                let session = Session {
                    revision: Some(call.revision),
                    handle: handle.to_owned(),
                    client: call.client.into(),
                };
                Some(seal(call, &session)?)
            }
            _ => None,
        };
        Ok(Reply::Forwarded(Forwarded {
            response,
            session,
            node,
        }))
    }
}

/// The id of a session that the call begins, as its client gets it.
fn seal(call: &Call<'_>, session: &Session) -> Result<String, Fault> {
    let keys = call.config.sessions.as_ref();
    let sealed = keys
        .and_then(|keys| session::seal(keys, call.principal, call.server, session, now_unix_s()));
    sealed.ok_or_else(|| Fault::unavailable("no session could be begun"))
}
