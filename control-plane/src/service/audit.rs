//! The gRPC service `gatehouse.v1.Audit`: answers from the built-in audit stores of all replicas.
//!
//! Who may ask is decided before a request comes here. It knows no SQL.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use proto::v1 as pb;
use proto::v1::audit_server::Audit;
use proto::v1::{Call, ListCallsRequest, ListCallsResponse, TailCallsRequest};
use runtime::drain::Drain;
use tonic::{Request, Response, Status};

use crate::records::{self, Error, Records};
use crate::replicas::Peers;

mod tails;

/// The service.
#[derive(Debug, Clone)]
pub(crate) struct AuditService {
    records: Records,
    /// The way to the other replicas.
    peers: Arc<Peers>,
    /// Ends the tails, which would else hold up the end of the process.
    drain: Drain,
}

impl AuditService {
    /// Answers from `records` and from those of `peers`, until `drain` starts.
    pub(crate) fn new(records: Records, peers: Arc<Peers>, drain: Drain) -> Self {
        Self {
            records,
            peers,
            drain,
        }
    }

    /// A page from all replicas.
    async fn everywhere(&self, request: ListCallsRequest) -> Result<ListCallsResponse, Status> {
        let (ours, mut answers) = tokio::join!(self.here(request.clone()), self.there(&request));
        let mut pages = vec![ours?];
        pages.append(&mut answers.answers);
        let mut others = Vec::new();
        let call_ids = records::halves(&pages);
        if !call_ids.is_empty() {
            let halves = ListCallsRequest {
                call_ids,
                ..Default::default()
            };
            let (ours, theirs) = tokio::join!(self.here(halves.clone()), self.there(&halves));
            others.extend(ours?.calls);
            others.extend(theirs.answers.into_iter().flat_map(|page| page.calls));
        }
        Ok(ListCallsResponse {
            absent: answers.absent,
            ..records::merged(&request, pages, others)
        })
    }

    async fn here(&self, request: ListCallsRequest) -> Result<ListCallsResponse, Status> {
        let answer = self.records.query(request).await;
        answer.map_err(|e| status(&e))
    }

    async fn there(&self, request: &ListCallsRequest) -> Pages {
        let question = ListCallsRequest {
            only_here: true,
            ..request.clone()
        };
        let asked = self.peers.ask(|mut peer| {
            let question = question.clone();
            async move { peer.audit.list_calls(question).await }
        });
        let answers = asked.await;
        let page = |(_, answer): (_, Response<ListCallsResponse>)| answer.into_inner();
        Pages {
            answers: answers.answers.into_iter().map(page).collect(),
            absent: answers.absent,
        }
    }
}

/// The pages of other replicas.
struct Pages {
    answers: Vec<ListCallsResponse>,
    absent: Vec<pb::AbsentReplica>,
}

#[tonic::async_trait]
impl Audit for AuditService {
    type TailCallsStream = Pin<Box<dyn Stream<Item = Result<Call, Status>> + Send>>;

    async fn list_calls(
        &self,
        request: Request<ListCallsRequest>,
    ) -> Result<Response<ListCallsResponse>, Status> {
        let request = request.into_inner();
        let answer = if request.only_here || self.peers.is_alone() {
            self.here(request).await
        } else {
            self.everywhere(request).await
        };
        answer.map(Response::new)
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
        if only_here || !self.peers.may_have_company() {
            let calls = self.records.tail(filter).map(told).take_until(end);
            return Ok(Response::new(Box::pin(calls)));
        }
        let calls = tails::everywhere(&self.records, &self.peers, filter, &self.drain);
        Ok(Response::new(Box::pin(calls.map(told).take_until(end))))
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
