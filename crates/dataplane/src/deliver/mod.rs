//! What a hop adds to the pipeline: who may knock, what a session is, and where a call goes next.
//!
//! Two real implementations: the edge (API keys, sealed sessions, on to a sidecar) and the sidecar
//! (statements, on to the server).

pub mod deadline;
pub mod direct;
pub mod federation;
mod finish;
pub mod http;
pub mod messages;
mod mirror;
pub mod patience;
pub mod probe;
pub mod standing;
pub mod tasks;

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use ::http::request::Parts;
use bytes::Bytes;
use hyper::body::Incoming;
use mcp::envelope::Kind;
use mcp::revision::Revision;
use model::name::ServerName;
use model::principal::Principal;
use model::record;
use model::record::CallId;
use runtime::tls::Peer;
use tokio::sync::mpsc;

use self::federation::Federating;
use self::standing::{Standing, Stood};
use crate::approval::Approved;
use crate::approval::desk::Desk;
use crate::auth::task::Stated;
use crate::body::ReplyBody;
use crate::call::Call;
use crate::config::live::Config;
use crate::refusal::{Fault, Refused};

/// What the state of a parked call begins with, for all edges to read: behind it, `{node}.{key}` names the sidecar where
/// the call waits for its client.
pub const PARKED_PREFIX: &str = "gh1.";

/// One of the two hops.
pub trait Hop: Send + Sync + 'static {
    /// Which one it is.
    const HOP: record::Hop;

    /// Who calls, from the connection and the headers alone, before the message is read.
    fn admit(
        &self,
        config: &Config,
        peer: &Connection,
        parts: &Parts,
        server: &ServerName,
    ) -> Result<Admitted, Refused>;

    /// Opens the session id that a legacy client carries.
    fn session(
        &self,
        config: &Config,
        admitted: &Admitted,
        server: &ServerName,
        header: &str,
    ) -> Result<Session, Refused>;

    /// Where a call goes from here, as this hop chose it.
    type Way: Send + Sync;

    /// Chooses the way of a call. The pipeline has decided that it may go.
    fn way(&self, call: &Call<'_>) -> impl Future<Output = Result<Self::Way, Fault>> + Send;

    /// Whether the way leads to the server itself: then its messages are shown to the filters here.
    fn is_last(way: &Self::Way) -> bool;

    /// Takes the call where it has to go.
    ///
    /// Dropping the future, or the reply, is how the pipeline says that the client is gone.
    fn deliver(
        &self,
        call: &Call<'_>,
        way: &Self::Way,
    ) -> impl Future<Output = Result<Reply, Fault>> + Send;

    /// Where the answer to a request goes, if not back on its own connection.
    fn redirect(
        &self,
        _: &Parts,
        _: &Admitted,
        response: ::http::Response<ReplyBody>,
    ) -> ::http::Response<ReplyBody> {
        response
    }

    /// Does what a legacy client asks of its session without a message.
    fn stand(&self, standing: &Standing<'_>)
    -> impl Future<Output = Result<Stood, Refused>> + Send;

    /// Puts a message of this hop's own on the stream of the session. False: nobody hears it.
    fn put(&self, _: &Standing<'_>, _: &[u8]) -> impl Future<Output = bool> + Send {
        async { false }
    }

    /// The way to people who agree to calls. `None`: the hop before has asked them.
    fn desk(&self) -> Option<&Desk> {
        None
    }

    /// How virtual servers are served here.
    fn federating(&self) -> Federating {
        Federating::default()
    }

    /// The id for the client of a session that is nowhere but in it. `None`: none can be begun here.
    fn sealed(&self, _: &Config, _: &Principal, _: &ServerName, _: &Session) -> Option<String> {
        None
    }
}

/// Where a request came from.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The other end.
    pub remote: SocketAddr,
    /// Whether our own end is a loopback address.
    pub on_loopback: bool,
    /// Who the other end is, where it showed a certificate. Read once a connection.
    pub identity: Option<Arc<PeerIdentity>>,
}

/// A peer's certificate, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerIdentity {
    /// Its name.
    pub peer: Peer,
    /// Its public key, as `runtime::tls::verify` takes it.
    pub public_key: Vec<u8>,
    /// When its certificate ends, Unix seconds. A connection may be older than that.
    pub ends_unix_s: i64,
}

impl PeerIdentity {
    /// The node's id, where the peer is an edge.
    pub fn edge_node(&self) -> Option<&str> {
        match &self.peer {
            Peer::Edge { node } => Some(node),
            _ => None,
        }
    }
}

/// A caller that was let in.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// Who calls.
    pub principal: Arc<Principal>,
    /// The id that the hop before gave the call. `None`: this is the first hop.
    pub call_id: Option<CallId>,
    /// Where the client calls from, as the first hop sees it.
    pub client_address: Option<IpAddr>,
    /// What a person has agreed to, as the hop before states it.
    pub approval: Option<Approved>,
    /// Of which tools the tasks are that it is about, as the hop before states it.
    pub tasks: Option<Stated>,
}

/// A legacy session, as its id says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The revision that was agreed on; `None` where the id does not say, and the header must.
    pub revision: Option<Revision>,
    /// The sidecar's handle.
    pub handle: String,
    /// The client application, for display only.
    pub client: Arc<str>,
}

/// What came back.
pub enum Reply {
    /// One whole response.
    Whole(Message),
    /// Notifications, then the response.
    Events(Events),
    /// A notification was taken.
    Accepted,
    /// The next hop's answer, still unread, and looked at there.
    Forwarded(Forwarded),
    /// The server's own answer over HTTP, still unread, and to be looked at here.
    Direct(Forwarded),
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "Whole",
            Self::Events(_) => "Events",
            Self::Accepted => "Accepted",
            Self::Forwarded(_) => "Forwarded",
            Self::Direct(_) => "Direct",
        })
    }
}

/// One complete JSON-RPC message for the client: its own id, its own era.
#[derive(Debug, Clone)]
pub struct Message {
    /// The message, on one line.
    pub body: Bytes,
    /// What it is.
    pub kind: Kind,
    /// The JSON-RPC error code. 0: none.
    pub error_code: i64,
    /// Whether the result says `isError`.
    pub tool_error: bool,
    /// The HTTP status where this is the whole answer.
    pub status: u16,
    /// The handle of the session that it begins.
    pub session: Option<String>,
    /// The id of the event that it goes in, by which a client can say how far it has read; `None`: its stream cannot be
    /// resumed. A message without a body says nothing but this.
    pub event: Option<Box<str>>,
    /// Whether it was shown to filters already.
    pub is_seen: bool,
}

impl Message {
    /// The same, which was shown to filters already.
    #[must_use]
    pub fn seen(self) -> Self {
        Self {
            is_seen: true,
            ..self
        }
    }

    /// A message of a stream, of which nothing more is known.
    pub fn said(kind: Kind, body: Bytes) -> Self {
        Self {
            body,
            kind,
            error_code: 0,
            tool_error: false,
            status: 200,
            session: None,
            event: None,
            is_seen: false,
        }
    }
}

/// Keeps the messages of a stream, so that a client which lost it can go on with it (2025-11-25, basic/transports,
/// "Resumability and Redelivery").
pub trait Tape: Send + Sync {
    /// Keeps a message; the id of the event that it goes in.
    fn keep(&self, message: &Message) -> Box<str>;

    /// The stream has come to its end.
    fn end(&self);

    /// The id of an event before the first message, for clients that know what to make of one.
    fn prime(&self) -> Option<Box<str>>;

    /// Owns the task that goes on when the client is gone.
    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>);
}

/// Whoever put a question to a client: it is told where the question does not reach the client.
pub trait Asker: Send + Sync {
    /// Takes an error in the place of the client's answer: a whole response, under the id that the client would have used.
    fn refused(&self, answer: Bytes);
}

/// An answer in several messages.
pub struct Events {
    /// What has come already.
    pub first: Message,
    /// What will come; the response is the last.
    pub rest: mpsc::Receiver<Message>,
    /// Dropped when the client is gone, or the answer is complete.
    pub guard: Box<dyn Send>,
    /// Where it is kept, if the client may go on with it elsewhere: then it goes on when the client is gone.
    pub tape: Option<Arc<dyn Tape>>,
    /// Who asks, where its questions may be refused.
    pub asker: Option<Arc<dyn Asker>>,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("first", &self.first)
            .finish_non_exhaustive()
    }
}

/// The next hop's answer.
#[derive(Debug)]
pub struct Forwarded {
    /// Status and headers as they came, the body still to come.
    pub response: ::http::Response<Incoming>,
    /// The session id for the client, where the call began a session.
    pub session: Option<String>,
    /// The sidecar that it came from.
    pub node: Option<Arc<str>>,
}
