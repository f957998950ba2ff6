//! One HTTP/1.1 connection, driven by whoever waits on it: no task of its own, so that a call costs no wake-up of
//! another one. An idle one is driven by nobody; whether it was closed meanwhile is seen when it is taken up again.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What requests carry.
pub(crate) type RequestBody = Full<Bytes>;

/// The far side's half, which must be polled for anything to move.
pub(crate) type Driver = Connection<TokioIo<TcpStream>, RequestBody>;

/// A connection.
#[derive(Debug)]
pub(crate) struct Link {
    /// Takes requests.
    pub(crate) sender: SendRequest<RequestBody>,
    /// `None`: it has ended.
    pub(crate) driver: Option<Driver>,
    /// When it was last put aside.
    pub(crate) idle_since: Instant,
}

impl Link {
    /// Connects.
    ///
    /// # Errors
    /// What the system says; nothing was sent then.
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let (sender, driver) = http1::handshake(TokioIo::new(tcp))
            .await
            .map_err(io::Error::other)?;
        Ok(Self {
            sender,
            driver: Some(driver),
            idle_since: Instant::now(),
        })
    }

    /// Whether it can carry a request: it is not, as far as can be seen, closed.
    pub(crate) async fn is_usable(&mut self) -> bool {
        let Self { sender, driver, .. } = self;
        drive(driver, sender.ready()).await.is_ok() && driver.is_some()
    }
}

/// Does `work`, and drives the connection meanwhile.
pub(crate) async fn drive<F: Future>(driver: &mut Option<Driver>, work: F) -> F::Output {
    let mut work = pin!(work);
    poll_fn(|cx| {
        poll_driver(driver, cx);
        work.as_mut().poll(cx)
    })
    .await
}

/// Moves what can be moved.
pub(crate) fn poll_driver(driver: &mut Option<Driver>, cx: &mut std::task::Context<'_>) {
    if let Some(connection) = driver
        && let Poll::Ready(_) = Pin::new(connection).poll(cx)
    {
        // How it ended is told to whoever waits for an answer on it.
        *driver = None;
    }
}
