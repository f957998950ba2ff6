//! The HTTP hop: one pool of mTLS connections for each sidecar.
//!
//! HTTP/1.1 with keep-alive: a call holds a connection while it runs, which costs the least processor time
//! a call; the pool keeps a bounded number of idle ones.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use rustls_pki_types::ServerName as TlsName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Idle connections that are kept to one sidecar; further ones are closed after their call.
const IDLE_MAX: usize = 256;
/// How long an idle connection is kept: well under the time after which the other end closes it (`listen`), so
/// that no request is sent into a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(5);
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(3);

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
    client: Client<Connector, Full<Bytes>>,
}

impl Upstream {
    /// A pool to `address` (`host:port`), whose certificate must be good for `name`.
    pub fn new(address: &str, name: TlsName<'static>, tls: Arc<ClientConfig>) -> Self {
        let connector = Connector {
            address: address.into(),
            name,
            tls: TlsConnector::from(tls),
        };
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

/// Makes mTLS connections to one address, whatever the URI says.
#[derive(Clone)]
struct Connector {
    address: Arc<str>,
    name: TlsName<'static>,
    tls: TlsConnector,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connector({})", self.address)
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = Stream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let connect = async {
                let tcp = runtime::net::connect(&this.address, CONNECT)
                    .await
                    .map_err(io::Error::other)?;
                this.tls.connect(this.name, tcp).await
            };
            match tokio::time::timeout(CONNECT, connect).await {
                Ok(stream) => Ok(Stream(TokioIo::new(stream?))),
                Err(_) => Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "no connection in 3 s",
                )),
            }
        })
    }
}

/// One connection, as the pool wants it.
struct Stream(TokioIo<TlsStream<TcpStream>>);

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl hyper::rt::Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }
}
