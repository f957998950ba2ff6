//! Takes connections and hands their requests to the pipeline: TLS, HTTP/1.1 and 2, and the limits that
//! stand at the door.

mod stall;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::header::CONNECTION;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use runtime::drain::Drain;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio_rustls::TlsAcceptor;

use self::stall::Stalling;
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
/// How long an HTTP/2 connection may be silent before it is asked whether it lives; it has [`HEAD`] to answer.
const H2_PING: Duration = Duration::from_secs(30);
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Streams of one HTTP/2 connection.
const H2_STREAMS_MAX: u32 = 100;
/// … of one of our own nodes, all of whose standing streams share it. As many of them may end at once.
const H2_STREAMS_OF_NODE_MAX: u32 = CONNECTIONS_MAX as u32;
/// How long a connection over which nothing has come yet waits for its first request when the drain starts: whoever
/// has just made it is about to send one.
const FIRST_REQUEST: Duration = Duration::from_secs(1);
/// Connections that the kernel has already taken for us and that are served when the drain starts, at most.
const LAST_CONNECTIONS_MAX: usize = 1024;
/// How long to wait after a failed accept: the usual cause is too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves one listener until `drain` starts; calls under way are then finished. From its leaving on, connections are
/// closed after their next answer.
pub async fn serve<H: Hop>(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    shared: Arc<Shared<H>>,
    drain: Drain,
) {
    let acceptor = tls.map(TlsAcceptor::from);
    // One permit for each open connection: taken before accept, given back when the connection ends.
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut last = LAST_CONNECTIONS_MAX;
    loop {
        if drain.is_draining() {
            let Some(left) = last.checked_sub(1) else {
                break;
            };
            last = left;
        }
        let Ok(permit) = permits.clone().acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            // Whoever is connected by now may have sent already.
            biased;
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
        let open = shared.meter.connection();
        drain.spawn("connection", async move {
            let _open = open;
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
        return http(tcp, false, plain, shared, drain).await;
    };
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(tcp)).await {
        Ok(Ok(stream)) => {
            let peer = Connection {
                identity: identity(&stream),
                ..plain
            };
            let h2 = stream.get_ref().1.alpn_protocol() == Some(runtime::tls::H2);
            http(stream, h2, peer, shared, drain).await;
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
    let ends_unix_s = runtime::tls::not_after_of(leaf).ok()?;
    Some(Arc::new(PeerIdentity {
        peer,
        public_key,
        ends_unix_s,
    }))
}

/// Speaks HTTP/2 where TLS agreed on it, else HTTP/1.1. On a plain listener nothing is guessed from the first
/// bytes: who sends none would hold the connection for ever.
async fn http<H, IO>(io: IO, h2: bool, peer: Connection, shared: Arc<Shared<H>>, drain: Drain)
where
    H: Hop,
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(Stalling::new(io));
    let (leaving, is_node) = (drain.clone(), peer.identity.is_some());
    // Told of each request; remembers one until it is asked.
    let begun = Arc::new(Notify::new());
    let first = begun.clone();
    let service = service_fn(move |request| {
        first.notify_one();
        let (shared, peer, leaving) = (shared.clone(), peer.clone(), leaving.clone());
        async move {
            // A connection keeps room for this future as long as it lives, also while a stream is open that needs nothing
            // of it any more: so it is a small one, and what a request needs goes with its answer.
            let mut response = Box::pin(pipeline::handle(&shared, &peer, request)).await;
            if leaving.is_leaving() && !h2 {
                // The next request goes elsewhere: then nobody uses this connection when it is closed.
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
            Ok::<_, Infallible>(response)
        }
    });
    let outcome = if h2 {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        let mut streams_max = H2_STREAMS_MAX;
        if is_node {
            streams_max = H2_STREAMS_OF_NODE_MAX;
            builder.max_pending_accept_reset_streams(streams_max as usize);
        }
        let connection = builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(streams_max)
            .max_header_list_size(HEAD_BYTES_MAX as u32)
            .keep_alive_interval(H2_PING)
            .keep_alive_timeout(HEAD)
            .serve_connection(io, service);
        tokio::pin!(connection);
        tokio::select! {
            outcome = connection.as_mut() => outcome,
            () = drain.leaving() => {
                // Finishes the requests under way, then closes; new ones go over another connection.
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    } else {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_headers(HEADERS_MAX)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(io, service);
        tokio::pin!(connection);
        tokio::select! {
            outcome = connection.as_mut() => outcome,
            () = begun_or_late(&begun, &drain) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Ends once the drain has started, and a first request has come or is not to be awaited any longer.
async fn begun_or_late(begun: &Notify, drain: &Drain) {
    drain.signaled().await;
    // Late or not: it is closed then.
    let _ = tokio::time::timeout(FIRST_REQUEST, begun.notified()).await;
}
