//! Calls on record, of all replicas.

use std::sync::Arc;

use proto::v1 as pb;
use proto::v1::{ListCallsRequest, ListCallsResponse};
use tonic::{Response, Status};

use crate::records::{self, Error, Records};
use crate::replicas::Peers;

/// Where calls are asked for.
#[derive(Debug, Clone)]
pub(crate) struct Calls {
    /// What this replica has stored.
    pub(super) records: Records,
    /// The way to the other replicas.
    pub(super) peers: Arc<Peers>,
}

impl Calls {
    /// Asks `records` and those of `peers`.
    pub(crate) fn new(records: Records, peers: Arc<Peers>) -> Self {
        Self { records, peers }
    }

    /// A page, from all replicas unless only this one is meant.
    ///
    /// # Errors
    /// What the audit store says.
    pub(super) async fn page(
        &self,
        request: ListCallsRequest,
    ) -> Result<ListCallsResponse, Status> {
        if request.only_here || self.peers.is_alone() {
            self.here(request).await
        } else {
            self.everywhere(request).await
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

/// For an audit store that did not do its part.
pub(super) fn status(error: &Error) -> Status {
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
