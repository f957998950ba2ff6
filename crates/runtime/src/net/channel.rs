//! gRPC channels that connect when first used and again when lost, over TLS with our own roots.
//!
//! tonic's TLS settings take PEM and choose protocol versions themselves; here the connection is made by
//! us, so that all parts have one TLS configuration. It does not know which services are called.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};
use tower_service::Service;

use super::{Error, connect};

/// Longest that a connection, TLS included, may take to come about.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// A connection that is silent so long is asked whether it lives.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(20);
/// One that does not answer within this is given up.
const KEEP_ALIVE_MAX: Duration = Duration::from_secs(10);

/// How a server proves itself, and what it is to be called.
#[derive(Clone)]
pub struct ClientTls {
    /// Roots and our own certificate; its ALPN must name [`crate::tls::H2`].
    pub config: Arc<ClientConfig>,
    /// The DNS name that the server's certificate must hold.
    pub server_name: rustls_pki_types::ServerName<'static>,
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientTls({})", self.server_name.to_str())
    }
}

/// A channel to `address` (`host:port`); plain HTTP/2 without `tls`. It connects with the first call, inside
/// a tokio runtime, and again whenever the connection is lost.
///
/// # Errors
/// [`Error::Address`] if `address` is no `host:port`.
pub fn channel(address: &str, tls: Option<ClientTls>) -> Result<Channel, Error> {
    let fault = || Error::Address {
        address: address.to_owned(),
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let origin: Uri = format!("{scheme}://{address}")
        .parse()
        .map_err(|_| fault())?;
    if origin.port_u16().is_none() || origin.host().is_none_or(str::is_empty) {
        return Err(fault());
    }
    // The URI says http, as tonic would else insist on doing TLS itself; requests carry the true origin.
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|_| fault())?;
    Ok(endpoint
        .origin(origin)
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_MAX)
        .http2_keep_alive_interval(KEEP_ALIVE_EVERY)
        .keep_alive_timeout(KEEP_ALIVE_MAX)
        .keep_alive_while_idle(true)
        .connect_with_connector_lazy(Connector {
            address: address.into(),
            tls,
        }))
}

#[derive(Clone)]
struct Connector {
    address: Arc<str>,
    tls: Option<ClientTls>,
}

/// Plain or TLS. The one dispatch a read costs is nothing against the system call.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

impl Connector {
    async fn connect(self) -> io::Result<TokioIo<Box<dyn Io>>> {
        let stream = connect(&self.address, CONNECT_MAX)
            .await
            .map_err(io::Error::other)?;
        let stream: Box<dyn Io> = match self.tls {
            None => Box::new(stream),
            Some(tls) => Box::new(
                TlsConnector::from(tls.config)
                    .connect(tls.server_name, stream)
                    .await?,
            ),
        };
        Ok(TokioIo::new(stream))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Box<dyn Io>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_has_a_host_and_a_port() {
        for bad in ["", "localhost", ":1", "http://localhost:1", "a b:1"] {
            assert!(
                matches!(channel(bad, None), Err(Error::Address { .. })),
                "{bad}"
            );
        }
        for good in ["localhost:1", "127.0.0.1:7700", "[::1]:7700"] {
            assert!(channel(good, None).is_ok(), "{good}");
        }
    }
}
