//! The gRPC service `gatehouse.v1.Audit`: answers from the built-in audit stores of all replicas.
//!
//! Who may ask is decided before a request comes here. It knows no SQL.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use proto::v1::audit_server::Audit;
use proto::v1::{Call, ListCallsRequest, ListCallsResponse, TailCallsRequest};
use runtime::drain::Drain;
use tonic::{Request, Response, Status};

use super::calls::{Calls, status};
use crate::records::{Error, Records};
use crate::replicas::Peers;

mod tails;

/// The service.
#[derive(Debug, Clone)]
pub(crate) struct AuditService {
    calls: Calls,
    /// Ends the tails, which would else hold up the end of the process.
    drain: Drain,
}

impl AuditService {
    /// Answers from `records` and from those of `peers`, until `drain` starts.
    pub(crate) fn new(records: Records, peers: Arc<Peers>, drain: Drain) -> Self {
        Self {
            calls: Calls::new(records, peers),
            drain,
        }
    }
}

#[tonic::async_trait]
impl Audit for AuditService {
    type TailCallsStream = Pin<Box<dyn Stream<Item = Result<Call, Status>> + Send>>;

    async fn list_calls(
        &self,
        request: Request<ListCallsRequest>,
    ) -> Result<Response<ListCallsResponse>, Status> {
        self.calls
            .page(request.into_inner())
            .await
            .map(Response::new)
    }

    async fn tail_calls(
        &self,
        request: Request<TailCallsRequest>,
    ) -> Result<Response<Self::TailCallsStream>, Status> {
        let TailCallsRequest { filter, only_here } = request.into_inner();
        let filter = filter.unwrap_or_default();
        let drain = self.drain.clone();
        let end = async move { drain.signaled().await };
        let told = |call: Result<Arc<Call>, Error>| {
            call.map(|call| Call::clone(&call))
                .map_err(|error| status(&error))
        };
        let Calls { records, peers } = &self.calls;
        if only_here || !peers.may_have_company() {
            let calls = records.tail(filter).map(told).take_until(end);
            return Ok(Response::new(Box::pin(calls)));
        }
        let calls = tails::everywhere(records, peers, filter, &self.drain);
        Ok(Response::new(Box::pin(calls.map(told).take_until(end))))
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
        let (peers, _store) = crate::replicas::alone().await;
        let service = AuditService::new(Records::open(dir.path()).unwrap(), peers, drain.clone());
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
