//! The stream behind `Admin.ServerLogs`: lines of sidecars whose streams end here, and of those at other replicas.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream::{self, SelectAll};
use futures_util::{Stream, StreamExt};
use proto::v1 as pb;
use runtime::drain::Drain;
use tonic::{Code, Status};

use super::status;
use crate::logs::{Logs, Reading};
use crate::nodes::Nodes;
use crate::replicas::Peers;

/// Most of the last lines that are given.
const LINES_MAX: u32 = 2000;

type Event = Result<pb::ServerLogsEvent, Status>;
type Lines = Pin<Box<dyn Stream<Item = Event> + Send>>;

/// Asks the sidecars whose streams end here.
pub(super) fn here(nodes: &Nodes, logs: &Logs, request: &pb::ServerLogsRequest) -> Vec<Reading> {
    let sidecars = nodes.sidecars(&request.server).into_iter();
    let lines = request.lines.min(LINES_MAX);
    sidecars
        .filter_map(|(node, orders)| logs.read(&node, orders, lines, request.follow))
        .collect()
}

/// Asks the other replicas. One that does not answer is named in the place of its lines.
pub(super) async fn elsewhere(peers: &Arc<Peers>, request: &pb::ServerLogsRequest) -> Vec<Lines> {
    if peers.is_alone() {
        return Vec::new();
    }
    let question = pb::ServerLogsRequest {
        only_here: true,
        ..request.clone()
    };
    let answers = peers.ask(|mut peer| {
        let question = question.clone();
        async move { peer.admin.server_logs(question).await }
    });
    let answers = answers.await;
    let mut all: Vec<Lines> = Vec::new();
    for (_, answer) in answers.answers {
        all.push(Box::pin(answer.into_inner()));
    }
    for absent in answers.absent {
        let event = pb::ServerLogsEvent {
            absent: Some(absent),
            ..Default::default()
        };
        all.push(Box::pin(stream::once(async { Ok(event) })));
    }
    all
}

/// All lines as they come; ends when all have ended, or `drain` starts.
pub(super) fn merge(
    readings: Vec<Reading>,
    theirs: Vec<Lines>,
    drain: Drain,
) -> impl Stream<Item = Event> + Send + 'static {
    let mut all = SelectAll::new();
    for reading in readings {
        let lines = stream::unfold(reading, |mut reading| async {
            reading.next().await.map(|event| (Ok(event), reading))
        });
        all.push(Box::pin(lines) as Lines);
    }
    all.extend(theirs);
    all.take_until(async move { drain.signaled().await })
}

/// Nobody can be asked.
pub(super) fn no_sidecar(server: &str) -> Status {
    let message =
        format!("no sidecar of {server} is connected: there is nobody to ask for its log");
    status::with_code(Code::FailedPrecondition, "GH5105", &message)
}
