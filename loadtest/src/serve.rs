//! An HTTP/1.1 server on a thread of its own: what fixture and floor have in common. Must not know what is answered.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Connections at one listener; further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 16_384;
/// How long to wait after a failed accept: the usual cause is too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A server that runs. Dropping it ends it, and breaks off what it is answering.
#[derive(Debug)]
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens at once; answers each request with `handle`, on so many threads.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn start<F, R, B>(listen: SocketAddr, threads: usize, handle: F) -> io::Result<Self>
    where
        F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
    {
        let runtime = runtime(threads)?;
        let listener = runtime.block_on(TcpListener::bind(listen))?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let until = stop.clone();
        let named = std::thread::Builder::new().name("serve".to_owned());
        let thread = named.spawn(move || runtime.block_on(accept(listener, until, handle)))?;
        Ok(Self {
            address,
            stop,
            thread: Some(thread),
        })
    }

    /// Waits until it ends, which it does not by itself.
    pub(crate) fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            // It panics where accepting does, and has said so.
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One thread needs no wake-up of another one, and costs the least processor time a call.
fn runtime(threads: usize) -> io::Result<Runtime> {
    let mut builder = if threads <= 1 {
        Builder::new_current_thread()
    } else {
        Builder::new_multi_thread()
    };
    builder.worker_threads(threads.max(1)).enable_all().build()
}

async fn accept<F, R, B>(listener: TcpListener, stop: CancellationToken, handle: F)
where
    F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    // Owns the task of each connection: when it is dropped, all are.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS_MAX {
            tokio::select! {
                _ = connections.join_next() => {}
                () = stop.cancelled() => return,
            }
            continue;
        }
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((tcp, _)) => {
                connections.spawn(connection(tcp, handle.clone()));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn connection<F, R, B>(tcp: TcpStream, handle: F)
where
    F: Fn(Request<Incoming>) -> R + Send + Sync + 'static,
    R: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    // Answers are written whole; Nagle's wait would only delay them.
    let _ = tcp.set_nodelay(true);
    let service = service_fn(|request| {
        let answered = handle(request);
        async move { Ok::<_, Infallible>(answered.await) }
    });
    let served = http1::Builder::new().serve_connection(TokioIo::new(tcp), service);
    // A client that goes away is no fault of ours.
    let _ = served.await;
}
