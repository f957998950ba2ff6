//! The gRPC side of a receiver.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tokio::net::TcpListener;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{Answer, Inbox};

/// Serves until the task is dropped.
pub(super) async fn serve(listener: TcpListener, inbox: Arc<Inbox>) {
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let served = tonic::transport::Server::builder()
        .add_service(TraceServiceServer::new(Taker(inbox)))
        .serve_with_incoming(incoming);
    served
        .await
        .expect("the receiver goes on until it is dropped");
}

struct Taker(Arc<Inbox>);

#[tonic::async_trait]
impl TraceService for Taker {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        match self.0.take(request.into_inner()) {
            Answer::Taken(response) => Ok(Response::new(response)),
            Answer::Unavailable => Err(Status::unavailable("not now")),
            Answer::TooMany(after) => {
                let details = ErrorDetails::with_retry_info(Some(after));
                let code = Code::ResourceExhausted;
                Err(Status::with_error_details(code, "too many", details))
            }
        }
    }
}
