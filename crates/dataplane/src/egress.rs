//! The one way out of the installation: to remote servers and to receivers of webhooks.
//!
//! ```text
//! HttpUrl -> resolved once -> every address asked: may it be reached? -> connected to that very address -> TLS
//! ```
//!
//! Names are resolved where a connection is made and the address that was looked at is the one that is connected to,
//! so that a name cannot answer differently between the two. Private, loopback and otherwise special addresses are
//! refused, unless the operator allows them; redirects are never followed: whoever asked sees them. It does not know
//! what is sent.

mod address;
mod connect;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use model::url::HttpUrl;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::connect::Connector;

/// Idle connections that are kept to one host; further ones are closed after their use.
const IDLE_MAX: usize = 128;
/// How long a connection rests before it is closed. Many servers close theirs after 5 s, and a request that meets that is
/// lost, so ours goes first.
const IDLE: Duration = Duration::from_secs(4);

/// Calls that go on without anybody who waits for them.
const FINISHING_MAX: usize = 256;

/// What may be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EgressSettings {
    /// Whether private and loopback addresses, and plain HTTP, may be reached: remote servers and receivers of webhooks
    /// that stand in the operator's own network. Link-local addresses, such as those of clouds' metadata, never are.
    pub allow_private: bool,
    /// PEM file of the roots that certificates must come from. Not set: the system's.
    pub ca_file: Option<PathBuf>,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It may not be reached. Nothing was sent.
    #[error("{0}")]
    Forbidden(String),
    /// No connection could be made. Nothing was sent.
    #[error("cannot connect to {host}: {why}")]
    Connect {
        /// Where to.
        host: String,
        /// Why not.
        why: String,
    },
    /// The connection broke; the request may have been received.
    #[error("the connection to {host} broke: {why}")]
    Broken {
        /// Where to.
        host: String,
        /// How.
        why: String,
    },
}

impl Error {
    /// Whether the request surely never left.
    pub fn is_before_sending(&self) -> bool {
        !matches!(self, Self::Broken { .. })
    }
}

/// The way out. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Egress {
    client: Client<Connector, Full<Bytes>>,
    allow_private: bool,
    /// One permit for each call that goes on without its client.
    finishing: Arc<Semaphore>,
}

impl Egress {
    /// Room for a call that goes on without anybody who waits for it, as long as the answer is held. `None`: too many do.
    pub(crate) fn room_to_finish(&self) -> Option<OwnedSemaphorePermit> {
        self.finishing.clone().try_acquire_owned().ok()
    }

    /// As `settings` allow. The roots are read with the first TLS connection.
    pub fn new(settings: &EgressSettings) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_MAX)
            .set_host(false)
            .build(Connector::new(settings));
        Self {
            client,
            allow_private: settings.allow_private,
            finishing: Arc::new(Semaphore::new(FINISHING_MAX)),
        }
    }

    /// Sends one request to `url`; the answer's body is still to come. URI and `Host` are set here. Nothing here
    /// bounds the time: who asks knows how long it may take.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn send(
        &self,
        url: &HttpUrl,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Error> {
        let host = url.authority();
        if !url.is_https && !self.allow_private {
            let why = format!(
                "{host} is only to be reached over plain HTTP, which the operator has not allowed \
                 (egress.allow_private)"
            );
            return Err(Error::Forbidden(why));
        }
        let unusable = |_| Error::Forbidden(format!("{host} is no host"));
        *request.uri_mut() = url
            .to_string()
            .parse::<Uri>()
            .map_err(|_| Error::Forbidden(format!("{host} is no host")))?;
        let name = HeaderValue::from_str(&host).map_err(unusable)?;
        request.headers_mut().insert(HOST, name);
        self.client
            .request(request)
            .await
            .map_err(|error| connect::fault(host, &error))
    }
}
