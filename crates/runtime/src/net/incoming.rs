//! Accepted connections with TLS done, as a stream that a tonic or hyper server takes.
//!
//! One task accepts and shakes hands, many at a time; a slow or silent stranger holds up nobody. It
//! does not look at who the peer is.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::ACCEPT_PAUSE;
use crate::drain::Drain;

/// Handshakes under way at one time. When full, further connections wait in the kernel's queue.
const HANDSHAKES_MAX: usize = 256;
/// Connections that are ready and not yet taken by the server. When full, handshakes wait.
const READY_MAX: usize = 64;
/// Longest that a handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// Connections with TLS done. Ends when the drain starts.
#[derive(Debug)]
pub struct TlsIncoming(mpsc::Receiver<TlsStream<TcpStream>>);

impl Stream for TlsIncoming {
    type Item = io::Result<TlsStream<TcpStream>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|stream| stream.map(Ok))
    }
}

/// Accepts from `listener` until `drain` starts. Handshakes that fail are logged at debug level: strangers
/// must not be able to fill the log.
pub fn tls_incoming(
    listener: TcpListener,
    config: Arc<rustls::ServerConfig>,
    drain: &Drain,
) -> TlsIncoming {
    // From the handshakes to the server; the accepting task ends when the server drops its end.
    let (ready, receiver) = mpsc::channel(READY_MAX);
    let stop = drain.clone();
    drain.spawn("tls accept", async move {
        tokio::select! {
            () = accept(listener, TlsAcceptor::from(config), ready) => {}
            () = stop.signaled() => {}
        }
    });
    TlsIncoming(receiver)
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    ready: mpsc::Sender<TlsStream<TcpStream>>,
) {
    let mut handshakes = JoinSet::new();
    loop {
        while handshakes.len() >= HANDSHAKES_MAX {
            handshakes.join_next().await;
        }
        tokio::select! {
            Some(_) = handshakes.join_next() => {}
            () = ready.closed() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    handshakes.spawn(handshake(stream, acceptor.clone(), ready.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

async fn handshake(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    ready: mpsc::Sender<TlsStream<TcpStream>>,
) {
    let peer = stream.peer_addr().ok();
    let done = async {
        stream.set_nodelay(true)?;
        acceptor.accept(stream).await
    };
    match tokio::time::timeout(HANDSHAKE_MAX, done).await {
        // An error says that the server has gone: nothing is left to do.
        Ok(Ok(stream)) => drop(ready.send(stream).await),
        Ok(Err(error)) => tracing::debug!(?peer, %error, "TLS handshake failed"),
        Err(_) => tracing::debug!(?peer, "TLS handshake took too long"),
    }
}
