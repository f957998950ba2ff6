//! The HTTP hop: one pool of mTLS connections for each sidecar.
//!
//! Calls go over HTTP/1.1 with keep-alive: a call holds a connection while it runs, which costs the least processor time
//! a call; the pool keeps a bounded number of idle ones. Streams that stand for hours with little on them share one
//! connection of HTTP/2, as a connection of its own would cost each of them tens of KiB at either end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use runtime::net::{ClientTls, Dialer};
use rustls::ClientConfig;
use rustls_pki_types::ServerName as TlsName;

/// Idle connections that are kept to one sidecar; further ones are closed after their call.
const IDLE_MAX: usize = 256;
/// How long an idle connection is kept: well under the time after which the other end closes it (`listen`), so
/// that no request is sent into a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(5);
/// Bytes that a standing stream may be ahead of its reader.
const STREAM_WINDOW: u32 = 64 << 10;
/// … and all streams of a connection together: more than all that there may be, so that none waits for the readers of
/// others.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
/// How long a connection of standing streams may be silent before it is asked whether it lives, and its time to answer.
const PING: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(15));

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
    calls: Client<Dialer, Full<Bytes>>,
    streams: Client<Dialer, Full<Bytes>>,
}

/// How a hop shows itself, for each kind of connection.
#[derive(Debug, Clone)]
pub struct Tls {
    /// Agrees on HTTP/1.1.
    pub http1: Arc<ClientConfig>,
    /// Agrees on HTTP/2.
    pub http2: Arc<ClientConfig>,
}

impl Upstream {
    /// A pool to `address` (`host:port`), whose certificate must be good for `name`.
    pub fn new(address: &str, name: &TlsName<'static>, tls: &Tls) -> Self {
        let dialer = |config: &Arc<ClientConfig>| {
            let tls = ClientTls {
                config: config.clone(),
                server_name: name.clone(),
            };
            Dialer::new(address, Some(tls))
        };
        let calls = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_MAX)
            .set_host(false)
            .build(dialer(&tls.http1));
        // The one connection stays as long as it is good: a second one would only come beside it.
        let streams = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(None)
            .http2_only(true)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(PING.0)
            .http2_keep_alive_timeout(PING.1)
            .set_host(false)
            .build(dialer(&tls.http2));
        Self {
            address: address.into(),
            calls,
            streams,
        }
    }

    /// Where it leads.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sends one request; the answer's body is still to come.
    ///
    /// # Errors
    /// No answer came.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Error> {
        let sent = self.calls.request(request).await;
        sent.map_err(|source| self.failed(source))
    }

    /// Sends a request whose answer is a stream that stands.
    ///
    /// # Errors
    /// No answer came.
    pub async fn stand(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Error> {
        *request.version_mut() = Version::HTTP_2;
        let sent = self.streams.request(request).await;
        sent.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: ClientError) -> Error {
        let address = self.address.to_string();
        if source.is_connect() {
            Error::Connect { address, source }
        } else {
            Error::Broken { address, source }
        }
    }
}
