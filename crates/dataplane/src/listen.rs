//! Takes connections and hands their requests to the pipeline: TLS, HTTP/1.1 and 2, and the limits that
//! stand at the door.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use runtime::drain::Drain;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::deliver::{Connection, Hop, PeerIdentity};
use crate::pipeline::{self, Shared};

/// Connections at one listener; further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 16_384;
/// Headers of one request.
const HEADERS_MAX: usize = 100;
/// Bytes of one request's head.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// How long a client may take to send a request's head.
const HEAD: Duration = Duration::from_secs(15);
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Streams of one HTTP/2 connection.
const H2_STREAMS_MAX: u32 = 100;
/// How long to wait after a failed accept: the usual cause is too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves one listener until `drain` starts; calls under way are then finished.
pub async fn serve<H: Hop>(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    shared: Arc<Shared<H>>,
    drain: Drain,
) {
    let acceptor = tls.map(TlsAcceptor::from);
    // One permit for each open connection: taken before accept, given back when the connection ends.
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = drain.signaled() => break,
        };
        let tcp = match accepted {
            Ok((tcp, _)) => tcp,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (acceptor, shared) = (acceptor.clone(), shared.clone());
        let draining = drain.clone();
        drain.spawn("connection", async move {
            connection(tcp, acceptor, shared, draining).await;
            drop(permit);
        });
    }
    drop(listener);
}

async fn connection<H: Hop>(
    tcp: TcpStream,
    acceptor: Option<TlsAcceptor>,
    shared: Arc<Shared<H>>,
    drain: Drain,
) {
    let (Ok(remote), Ok(local)) = (tcp.peer_addr(), tcp.local_addr()) else {
        return;
    };
    // Replies are written whole; Nagle's wait would only delay them.
    let _ = tcp.set_nodelay(true);
    let on_loopback = local.ip().to_canonical().is_loopback();
    let plain = Connection {
        remote,
        on_loopback,
        identity: None,
    };
    let Some(acceptor) = acceptor else {
        return http(TokioIo::new(tcp), plain, shared, drain).await;
    };
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(tcp)).await {
        Ok(Ok(stream)) => {
            let peer = Connection {
                identity: identity(&stream),
                ..plain
            };
            http(TokioIo::new(stream), peer, shared, drain).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, %remote, "TLS handshake failed"),
        Err(_) => tracing::debug!(%remote, "TLS handshake took too long"),
    }
}

/// Who showed a certificate; `None` where it is none of ours.
fn identity(stream: &tokio_rustls::server::TlsStream<TcpStream>) -> Option<Arc<PeerIdentity>> {
    let leaf = stream.get_ref().1.peer_certificates()?.first()?;
    let peer = runtime::tls::peer_of(leaf).ok()?;
    let public_key = runtime::tls::public_key_of(leaf).ok()?;
    Some(Arc::new(PeerIdentity { peer, public_key }))
}

async fn http<H, IO>(io: IO, peer: Connection, shared: Arc<Shared<H>>, drain: Drain)
where
    H: Hop,
    IO: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let (shared, peer) = (shared.clone(), peer.clone());
        async move { Ok::<_, Infallible>(pipeline::handle(&shared, &peer, request).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(H2_STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32);
    let connection = builder.serve_connection(io, service);
    tokio::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = drain.signaled() => {
            // Finishes the request under way, then closes.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection ended early");
    }
}
