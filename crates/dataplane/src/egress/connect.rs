//! Makes the connections: resolves, looks at each address, connects to the one it looked at.

use std::error::Error as _;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy::Error as ClientError;
use model::url::{Host, HttpUrl};
use runtime::net::{ClientTls, Stream};
use runtime::tls;
use rustls::ClientConfig;
use rustls_pki_types::ServerName as TlsName;
use tower_service::Service;

use super::address::{Reach, reach};
use super::{EgressSettings, Error};

/// How long resolving and connecting may take, and the TLS handshake once more.
const CONNECT: Duration = Duration::from_secs(5);
/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

/// Makes connections to whatever the URI says, where that is allowed.
#[derive(Clone)]
pub(super) struct Connector(Arc<Inner>);

struct Inner {
    allow_private: bool,
    ca_file: Option<PathBuf>,
    /// Made with the first TLS connection, so that who never leaves needs no roots. Written once.
    tls: OnceLock<Arc<ClientConfig>>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connector(allow_private: {})", self.0.allow_private)
    }
}

/// A connection that is not made, by our own rule.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

/// What hyper says, as an egress error.
pub(super) fn fault(host: String, error: &ClientError) -> Error {
    let mut source = error.source();
    let mut why = error.to_string();
    while let Some(cause) = source {
        let io = cause.downcast_ref::<io::Error>();
        let inner = io.and_then(io::Error::get_ref);
        if let Some(refused) = inner.and_then(|e| e.downcast_ref::<Refused>()) {
            return Error::Forbidden(refused.0.clone());
        }
        why = cause.to_string();
        source = cause.source();
    }
    if error.is_connect() {
        Error::Connect { host, why }
    } else {
        Error::Broken { host, why }
    }
}

impl Connector {
    pub(super) fn new(settings: &EgressSettings) -> Self {
        Self(Arc::new(Inner {
            allow_private: settings.allow_private,
            ca_file: settings.ca_file.clone(),
            tls: OnceLock::new(),
        }))
    }

    async fn connect(self, url: String) -> io::Result<Stream> {
        let url = HttpUrl::parse(&url).map_err(io::Error::other)?;
        let within = tokio::time::timeout(CONNECT, async {
            let addresses = self.permitted(&url).await?;
            connect_to_one(&addresses).await
        });
        let tcp = within.await.unwrap_or_else(|_| {
            let why = format!("no connection within {} s", CONNECT.as_secs());
            Err(io::Error::new(io::ErrorKind::TimedOut, why))
        })?;
        let tls = self.tls(&url)?;
        Stream::over(tcp, tls, CONNECT).await
    }

    /// The addresses of a URL's host that may be reached.
    async fn permitted(&self, url: &HttpUrl) -> io::Result<Vec<SocketAddr>> {
        let found: Vec<SocketAddr> = match &url.host {
            Host::Address(address) => vec![SocketAddr::new(*address, url.port)],
            Host::Name(name) => tokio::net::lookup_host((name.as_str(), url.port))
                .await?
                .take(ADDRESSES_MAX)
                .collect(),
        };
        let may_be = |address: &SocketAddr| match reach(address.ip()) {
            Reach::Public => true,
            Reach::Private => self.0.allow_private,
            Reach::Never => false,
        };
        let permitted: Vec<SocketAddr> = found.iter().copied().filter(may_be).collect();
        if permitted.is_empty() {
            let refused = match found.first() {
                Some(_) => format!(
                    "{} leads to a private or special address, which may not be reached (egress.allow_private)",
                    url.host
                ),
                None => format!("{} has no address", url.host),
            };
            return Err(io::Error::other(Refused(refused)));
        }
        Ok(permitted)
    }

    fn tls(&self, url: &HttpUrl) -> io::Result<Option<ClientTls>> {
        if !url.is_https {
            return Ok(None);
        }
        let config = match self.0.tls.get() {
            Some(config) => config.clone(),
            None => {
                let made = tls::web_client_config(self.0.ca_file.as_deref(), &[tls::HTTP1]);
                let made = made.map_err(io::Error::other)?;
                self.0.tls.get_or_init(|| made).clone()
            }
        };
        let server_name = match &url.host {
            Host::Address(address) => TlsName::IpAddress((*address).into()),
            Host::Name(name) => TlsName::try_from(name.clone()).map_err(io::Error::other)?,
        };
        Ok(Some(ClientTls {
            config,
            server_name,
        }))
    }
}

/// One after the other, until one answers.
async fn connect_to_one(addresses: &[SocketAddr]) -> io::Result<tokio::net::TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no address");
    for address in addresses {
        match tokio::net::TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Service<http::Uri> for Connector {
    type Response = Stream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: http::Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri.to_string()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use bytes::Bytes;
    use http::Request;
    use http_body_util::Full;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::super::Egress;
    use super::*;

    fn egress(allow_private: bool) -> Egress {
        Egress::new(&EgressSettings {
            allow_private,
            ca_file: None,
        })
    }

    fn request() -> Request<Full<Bytes>> {
        Request::new(Full::new(Bytes::new()))
    }

    /// A listener that counts who comes, and answers each.
    async fn listener() -> (u16, tokio::sync::watch::Receiver<u32>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (count, counted) = tokio::sync::watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.send_modify(|n| *n += 1);
                let mut head = [0; 1024];
                let _ = stream.read(&mut head).await;
                let answer =
                    b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n";
                let _ = stream.write_all(answer).await;
            }
        });
        (port, counted)
    }

    #[tokio::test]
    async fn private_addresses_are_not_reached_unless_allowed_and_redirects_are_not_followed() {
        let (port, counted) = listener().await;
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
            let url = HttpUrl::parse(&format!("https://{host}:{port}/")).unwrap();
            let error = egress(false).send(&url, request()).await.unwrap_err();
            assert!(matches!(error, Error::Forbidden(_)), "{host}: {error}");
            assert!(error.is_before_sending());
        }
        let plain = HttpUrl::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
        let error = egress(false).send(&plain, request()).await.unwrap_err();
        assert!(error.to_string().contains("plain HTTP"), "{error}");
        assert_eq!(*counted.borrow(), 0, "nobody was there");

        let answer = egress(true).send(&plain, request()).await.unwrap();
        assert_eq!(answer.status(), 302);
        assert_eq!(*counted.borrow(), 1);
    }

    #[tokio::test]
    async fn metadata_addresses_are_never_reached() {
        let url = HttpUrl::parse("http://169.254.169.254/latest/meta-data/").unwrap();
        let error = egress(true).send(&url, request()).await.unwrap_err();
        assert!(matches!(error, Error::Forbidden(_)), "{error}");
    }

    #[tokio::test]
    async fn nobody_there_is_told_from_forbidden() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let url = HttpUrl::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
        let error = egress(true).send(&url, request()).await.unwrap_err();
        assert!(matches!(error, Error::Connect { .. }), "{error}");
        assert!(error.is_before_sending());
    }
}
