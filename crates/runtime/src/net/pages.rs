//! A small HTTP/1.1 server for pages: few connections, short requests, an answer that is whole.
//!
//! For ports that people and probes look at; what MCP goes over has a server of its own, with other bounds. It does not
//! know what the pages are.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::ACCEPT_PAUSE;
use crate::drain::Drain;

/// Connections at one time. Further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 64;
/// Longest wait for a request's head.
const HEAD: Duration = Duration::from_secs(10);

/// Answers requests that come to `listener`, until `drain` starts. `what` names the port in logs.
pub fn serve_pages<A, F>(listener: TcpListener, what: &'static str, drain: &Drain, answer: A)
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    drain.spawn(what, accept(listener, what, drain.clone(), answer));
}

async fn accept<A, F>(listener: TcpListener, what: &'static str, drain: Drain, answer: A)
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = connections.clone().acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = drain.signaled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let (answer, stop) = (answer.clone(), drain.clone());
                drain.spawn("page", async move {
                    tokio::select! {
                        () = connection(stream, what, answer) => {}
                        () = stop.signaled() => {}
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "{what}: cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection<A, F>(stream: TcpStream, what: &'static str, answer: A)
where
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<Full<Bytes>>>,
{
    let service = service_fn(|request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        tracing::debug!(%error, "{what}: a connection ended early");
    }
}
