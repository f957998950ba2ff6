//! The HTTP hop: one pool of mTLS connections for each sidecar.
//!
//! HTTP/1.1 with keep-alive: a call holds a connection while it runs, which costs the least processor time
//! a call; the pool keeps a bounded number of idle ones.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use runtime::net::{ClientTls, Http1};
use rustls::ClientConfig;
use rustls_pki_types::ServerName as TlsName;

/// Idle connections that are kept to one sidecar; further ones are closed after their call.
const IDLE_MAX: usize = 256;
/// How long an idle connection is kept: well under the time after which the other end closes it (`listen`), so
/// that no request is sent into a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(5);

/// Why a hop failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection could be made; nothing was sent.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Where to.
        address: String,
        /// Why not.
        source: ClientError,
    },
    /// The connection broke; the call may have been received.
    #[error("the connection to {address} broke: {source}")]
    Broken {
        /// Where to.
        address: String,
        /// How.
        source: ClientError,
    },
}

/// A pool of connections to one sidecar.
#[derive(Debug, Clone)]
pub struct Upstream {
    address: Arc<str>,
    client: Client<Http1, Full<Bytes>>,
}

impl Upstream {
    /// A pool to `address` (`host:port`), whose certificate must be good for `name`.
    pub fn new(address: &str, name: TlsName<'static>, tls: Arc<ClientConfig>) -> Self {
        let tls = ClientTls {
            config: tls,
            server_name: name,
        };
        let connector = Http1::new(address, Some(tls));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_MAX)
            .set_host(false)
            .build(connector);
        Self {
            address: address.into(),
            client,
        }
    }

    /// Where it leads.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sends one request; the answer's body is still to come.
    pub async fn send(
        &self,
        request: http::Request<Full<Bytes>>,
    ) -> Result<http::Response<Incoming>, Error> {
        self.client.request(request).await.map_err(|source| {
            let address = self.address.to_string();
            if source.is_connect() {
                Error::Connect { address, source }
            } else {
                Error::Broken { address, source }
            }
        })
    }
}
