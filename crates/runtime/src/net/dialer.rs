//! Connections for a pool of HTTP clients: to one address, plain or over TLS, whatever the URI says.
//!
//! It does not know what is asked over them, nor how many there are: that is the pool's.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use super::{ClientTls, connect};

/// How long a connection may take to be made, and its handshake once more.
const CONNECT: Duration = Duration::from_secs(3);

/// Makes connections to one address.
#[derive(Clone)]
pub struct Dialer {
    address: Arc<str>,
    tls: Option<ClientTls>,
}

impl Dialer {
    /// To `address` (`host:port`); plain without `tls`.
    pub fn new(address: &str, tls: Option<ClientTls>) -> Self {
        Self {
            address: address.into(),
            tls,
        }
    }

    async fn connect(self) -> io::Result<Stream> {
        let tcp = connect(&self.address, CONNECT).await;
        Stream::over(tcp.map_err(io::Error::other)?, self.tls, CONNECT).await
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dialer({})", self.address)
    }
}

impl Service<Uri> for Dialer {
    type Response = Stream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}

/// One connection, as a pool of hyper's wants it.
pub struct Stream(Kind);

enum Kind {
    Plain(TokioIo<TcpStream>),
    /// Boxed: a TLS session is large.
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

impl Stream {
    /// A connection that was made, with TLS over it where `tls` says so.
    ///
    /// # Errors
    /// The other end is not who it should be, or takes longer than `within`.
    pub async fn over(
        tcp: TcpStream,
        tls: Option<ClientTls>,
        within: Duration,
    ) -> io::Result<Self> {
        let Some(tls) = tls else {
            return Ok(Self(Kind::Plain(TokioIo::new(tcp))));
        };
        let shaking = TlsConnector::from(tls.config).connect(tls.server_name, tcp);
        match tokio::time::timeout(within, shaking).await {
            Ok(stream) => Ok(Self(Kind::Tls(Box::new(TokioIo::new(stream?))))),
            Err(_) => {
                let why = format!("no TLS handshake within {} ms", within.as_millis());
                Err(io::Error::new(io::ErrorKind::TimedOut, why))
            }
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Plain(_) => "Stream(plain)",
            Kind::Tls(_) => "Stream(TLS)",
        })
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Kind::Tls(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Plain(io) => Pin::new(io).poll_write(cx, buf),
            Kind::Tls(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Plain(io) => Pin::new(io).poll_flush(cx),
            Kind::Tls(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Kind::Tls(io) => Pin::new(io).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Kind::Plain(io) => io.is_write_vectored(),
            Kind::Tls(io) => io.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Plain(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            Kind::Tls(io) => Pin::new(io).poll_write_vectored(cx, bufs),
        }
    }
}
