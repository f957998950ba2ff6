//! The HTTP side of a receiver: protobuf bodies at `/v1/traces`.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{Answer, Inbox};

/// Largest request that is read.
const REQUEST_BYTES_MAX: usize = 64 << 20;

/// Serves until the task is dropped, and all connections with it.
pub(super) async fn serve(listener: TcpListener, inbox: Arc<Inbox>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let inbox = inbox.clone();
        connections.spawn(async move {
            let service = service_fn(|request| answer(request, &inbox));
            let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // Whoever broke it off knows.
            let _ = serving.await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    inbox: &Inbox,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_right = request.uri().path() == "/v1/traces"
        && request.method() == http::Method::POST
        && request
            .headers()
            .get("content-type")
            .is_some_and(|kind| kind == "application/x-protobuf");
    if !is_right {
        return Ok(status(StatusCode::NOT_FOUND));
    }
    let body = Limited::new(request.into_body(), REQUEST_BYTES_MAX);
    let body = body.collect().await.map(|body| body.to_bytes());
    let read = body
        .ok()
        .and_then(|b| ExportTraceServiceRequest::decode(b).ok());
    let Some(request) = read else {
        return Ok(status(StatusCode::BAD_REQUEST));
    };
    Ok(match inbox.take(request) {
        Answer::Taken(response) => Response::new(Full::new(response.encode_to_vec().into())),
        Answer::Unavailable => status(StatusCode::SERVICE_UNAVAILABLE),
        Answer::TooMany(after) => {
            let mut response = status(StatusCode::TOO_MANY_REQUESTS);
            let seconds = after.as_secs().into();
            response.headers_mut().insert(RETRY_AFTER, seconds);
            response
        }
    })
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
