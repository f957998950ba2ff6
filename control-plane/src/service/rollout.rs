//! The stream behind `Admin.Rollout`: how far a revision has come.

use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use proto::v1 as pb;
use runtime::drain::Drain;
use tokio::sync::watch;
use tonic::Status;

use crate::nodes::Nodes;

/// How often nodes are looked at though nothing was heard: that one fell silent only time tells. Only while
/// somebody waits for a rollout.
const LOOK_EVERY: Duration = Duration::from_secs(1);

struct Following {
    revision: u64,
    nodes: Arc<Nodes>,
    changed: watch::Receiver<u64>,
    /// What was sent last, as far as it is told apart.
    last: Option<Vec<Mark>>,
    finished: bool,
    drain: Drain,
}

/// What about a node makes a new message worth it; that it was heard of again does not.
type Mark = (String, String, u64, u64);

/// Progress until every live node runs `revision` or a later one, or one rejected it. Ends when `drain` starts.
pub(super) fn follow(
    revision: u64,
    nodes: Arc<Nodes>,
    drain: Drain,
) -> impl Stream<Item = Result<pb::RolloutProgress, Status>> + Send + 'static {
    let changed = nodes.watch();
    let following = Following {
        revision,
        nodes,
        changed,
        last: None,
        finished: false,
        drain,
    };
    unfold(following, |mut following| async {
        following
            .next()
            .await
            .map(|progress| (Ok(progress), following))
    })
}

impl Following {
    async fn next(&mut self) -> Option<pb::RolloutProgress> {
        while !self.finished {
            self.changed.mark_unchanged();
            let live: Vec<pb::NodeStatus> = self
                .nodes
                .list()
                .into_iter()
                .filter(|node| node.live)
                .collect();
            let marks = live.iter().map(mark).collect();
            if self.last.as_ref() != Some(&marks) {
                self.last = Some(marks);
                let progress = progress(self.revision, live);
                self.finished = progress.done || progress.rejected;
                return Some(progress);
            }
            tokio::select! {
                () = self.drain.signaled() => return None,
                changed = self.changed.changed() => changed.ok()?,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        None
    }
}

fn mark(node: &pb::NodeStatus) -> Mark {
    (
        node.name.clone(),
        node.state.clone(),
        node.revision,
        node.rejected_revision,
    )
}

fn progress(revision: u64, live: Vec<pb::NodeStatus>) -> pb::RolloutProgress {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let all = live.len();
    let waiting: Vec<pb::NodeStatus> = live
        .into_iter()
        .filter(|node| node.revision < revision)
        .collect();
    pb::RolloutProgress {
        revision,
        current: count(all - waiting.len()),
        live: count(all),
        done: waiting.is_empty(),
        rejected: waiting
            .iter()
            .any(|node| node.rejected_revision >= revision),
        waiting,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::nodes::Arrival;
    use futures_util::StreamExt;
    use runtime::tls::Peer;

    fn arrival(name: &str, revision: u64) -> Arrival {
        Arrival {
            peer: Peer::edge(name).unwrap(),
            certificate_ends_unix_ms: 0,
            version: String::new(),
            revision,
            addresses: Vec::new(),
        }
    }

    #[tokio::test]
    async fn progress_comes_with_each_node_and_ends_when_all_are_there() {
        let nodes = Arc::new(Nodes::default());
        nodes.head_moved(2);
        let a = nodes.connect(arrival("a", 1)).unwrap();
        let b = nodes.connect(arrival("b", 1)).unwrap();
        let mut stream = Box::pin(follow(2, nodes.clone(), Drain::new()));
        let first = stream.next().await.unwrap().unwrap();
        assert_eq!((first.current, first.live, first.waiting.len()), (0, 2, 2));
        nodes.acknowledged(&a, 2);
        let second = stream.next().await.unwrap().unwrap();
        assert_eq!((second.current, second.live, second.done), (1, 2, false));
        nodes.acknowledged(&b, 3);
        let last = stream.next().await.unwrap().unwrap();
        assert!(last.done && last.waiting.is_empty());
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn a_rejection_ends_it_at_once_with_the_faults() {
        let nodes = Arc::new(Nodes::default());
        let a = nodes.connect(arrival("a", 1)).unwrap();
        let _b = nodes.connect(arrival("b", 1)).unwrap();
        nodes.rejected(&a, 2, vec!["GH2001 no".to_owned()]);
        let mut stream = Box::pin(follow(2, nodes, Drain::new()));
        let only = stream.next().await.unwrap().unwrap();
        assert!(only.rejected && !only.done);
        assert!(only.waiting.iter().any(|n| n.faults == ["GH2001 no"]));
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn with_no_live_node_there_is_nothing_to_wait_for() {
        let mut stream = Box::pin(follow(2, Arc::new(Nodes::default()), Drain::new()));
        assert!(stream.next().await.unwrap().unwrap().done);
    }
}
