//! The gRPC service `gatehouse.v1.Audit`: answers from the built-in audit store.
//!
//! Who may ask is decided before a request comes here. It knows no SQL.

use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use proto::v1::audit_server::Audit;
use proto::v1::{Call, ListCallsRequest, ListCallsResponse, TailCallsRequest};
use runtime::drain::Drain;
use tonic::{Request, Response, Status};

use crate::records::{Error, Records};

/// The service.
#[derive(Debug, Clone)]
pub(crate) struct AuditService {
    records: Records,
    /// Ends the tails, which would else hold up the end of the process.
    drain: Drain,
}

impl AuditService {
    /// Answers from `records`, until `drain` starts.
    pub(crate) fn new(records: Records, drain: Drain) -> Self {
        Self { records, drain }
    }
}

#[tonic::async_trait]
impl Audit for AuditService {
    type TailCallsStream = Pin<Box<dyn Stream<Item = Result<Call, Status>> + Send>>;

    async fn list_calls(
        &self,
        request: Request<ListCallsRequest>,
    ) -> Result<Response<ListCallsResponse>, Status> {
        self.records
            .query(request.into_inner())
            .await
            .map(Response::new)
            .map_err(|e| status(&e))
    }

    async fn tail_calls(
        &self,
        request: Request<TailCallsRequest>,
    ) -> Result<Response<Self::TailCallsStream>, Status> {
        let filter = request.into_inner().filter.unwrap_or_default();
        let drain = self.drain.clone();
        let calls = self
            .records
            .tail(filter)
            .map(|call| {
                call.map(|call| Call::clone(&call))
                    .map_err(|error| status(&error))
            })
            .take_until(async move { drain.signaled().await });
        Ok(Response::new(Box::pin(calls)))
    }
}

fn status(error: &Error) -> Status {
    let text = error.to_string();
    match error {
        Error::Cursor(_) => Status::invalid_argument(text),
        Error::Behind(_) => Status::data_loss(text),
        Error::Busy | Error::Ended => Status::unavailable(text),
        Error::Database(_) | Error::Open { .. } | Error::Newer { .. } => {
            tracing::error!(%error, "audit store cannot be asked");
            Status::internal("the audit store cannot be asked: see the control plane's log")
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::time::Duration;

    use tonic::Code;

    use super::*;

    #[tokio::test]
    async fn it_answers_and_its_tails_end_with_the_drain() {
        let dir = tempfile::tempdir().unwrap();
        let drain = Drain::new();
        let service = AuditService::new(Records::open(dir.path()).unwrap(), drain.clone());
        let list = |after: &str| {
            let request = ListCallsRequest {
                after: after.to_owned(),
                ..Default::default()
            };
            service.list_calls(Request::new(request))
        };
        assert!(list("").await.unwrap().into_inner().calls.is_empty());
        assert_eq!(
            list("rubbish").await.unwrap_err().code(),
            Code::InvalidArgument
        );
        let tail = service
            .tail_calls(Request::new(TailCallsRequest::default()))
            .await
            .unwrap();
        drain.start();
        let rest = tail.into_inner().collect::<Vec<_>>();
        assert!(
            tokio::time::timeout(Duration::from_secs(5), rest)
                .await
                .unwrap()
                .is_empty()
        );
    }
}
