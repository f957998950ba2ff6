//! Request by request: each over a connection of its own to an edge, streams passed on as they come.
//!
//! What an edge may have seen anything of is never sent again. Only where an edge takes no connection, the request goes
//! to the next one.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::header::{CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{Either, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{client, server};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::Shared;
use crate::relay;

/// An edge's answer, or none.
type Body = Either<Incoming, Empty<Bytes>>;

/// Serves a connection of a client until either side ends or `open` is not true any more.
pub(super) async fn pass(
    shared: &Arc<Shared>,
    near: TcpStream,
    port: u16,
    mut open: watch::Receiver<bool>,
) {
    let service = service_fn(|request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(shared.answer(request, port).await) }
    });
    let connection =
        server::conn::http1::Builder::new().serve_connection(TokioIo::new(near), service);
    tokio::select! {
        // What broke it shows on the other side as an end, as with any balancer.
        _ = connection => {}
        _ = open.wait_for(|open| !*open) => {}
    }
}

impl Shared {
    async fn answer(&self, mut request: Request<Incoming>, port: u16) -> Response<Body> {
        end_to_end(request.headers_mut());
        for index in self.order() {
            let Ok(far) = relay::connect(&self.edges[index].address).await else {
                continue;
            };
            self.routes().insert(port, index);
            return match send(far, request).await {
                Ok(response) => response,
                Err(_) => none(StatusCode::BAD_GATEWAY),
            };
        }
        self.lost.fetch_add(1, Ordering::Relaxed);
        none(StatusCode::SERVICE_UNAVAILABLE)
    }
}

/// `Host` and `Origin` stay as the client sent them.
async fn send(far: TcpStream, request: Request<Incoming>) -> hyper::Result<Response<Body>> {
    let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(far)).await?;
    // Ends with the one exchange: when its answer is through, or whoever waits for that is gone.
    tokio::spawn(connection);
    let mut response = sender.send_request(request).await?;
    end_to_end(response.headers_mut());
    Ok(response.map(Either::Left))
}

fn none(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Either::Right(Empty::new()));
    *response.status_mut() = status;
    response
}

/// Leaves out what concerns one connection alone.
fn end_to_end(headers: &mut HeaderMap) {
    for name in [CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}
