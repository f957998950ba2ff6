//! The stream behind `Admin.Rollout`: how far a revision has come.

use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use proto::v1 as pb;
use runtime::drain::Drain;
use tokio::sync::watch;
use tonic::Status;

use crate::catalog::{State, halted_staged, running_staged};
use crate::nodes::Nodes;
use crate::replicas::{Others, everywhere};

/// How often nodes are looked at though nothing was heard: that one fell silent only time tells. Only while
/// somebody waits for a rollout.
const LOOK_EVERY: Duration = Duration::from_secs(1);

struct Following {
    revision: u64,
    nodes: Arc<Nodes>,
    /// Bumped when a node of ours has changed.
    changed: watch::Receiver<u64>,
    /// The other replicas, with their nodes.
    others: watch::Receiver<Others>,
    /// Whether it is staged, and how that ends.
    states: watch::Receiver<Arc<State>>,
    /// What was sent last, as far as it is told apart.
    last: Option<(Vec<Mark>, Option<pb::StagedRolloutSpec>)>,
    finished: bool,
    drain: Drain,
}

/// What about a node makes a new message worth it; that it was heard of again does not.
type Mark = (String, String, u64, u64);

/// What is known besides the nodes of this replica: those of the others, and what is configured.
type Beside = (watch::Receiver<Others>, watch::Receiver<Arc<State>>);

/// Progress until every live node runs `revision` or a later one, or one rejected it, or it was taken back. Ends when
/// `drain` starts.
///
/// Nodes of this replica are seen as they are, those of the others as these say of them.
pub(super) fn follow(
    revision: u64,
    nodes: Arc<Nodes>,
    (others, states): Beside,
    drain: Drain,
) -> impl Stream<Item = Result<pb::RolloutProgress, Status>> + Send + 'static {
    let changed = nodes.watch();
    let following = Following {
        revision,
        nodes,
        changed,
        others,
        states,
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
            let others = self.others.borrow_and_update().clone();
            let (live, unnamed) = everywhere(self.revision, self.nodes.live(), &others);
            let state = self.states.borrow_and_update().clone();
            let staged = running_staged(&state).filter(|spec| spec.revision == self.revision);
            let why = halted_staged(&state, self.revision).unwrap_or_default();
            let marks = live.iter().map(mark).collect();
            let now = (marks, staged.cloned());
            if self.last.as_ref() != Some(&now) || !why.is_empty() {
                let mut progress = progress(self.revision, live, unnamed, now.1.as_ref());
                self.last = Some(now);
                progress.halted = why.to_owned();
                self.finished = progress.done || progress.rejected || !why.is_empty();
                return Some(progress);
            }
            tokio::select! {
                () = self.drain.signaled() => return None,
                changed = self.changed.changed() => changed.ok()?,
                changed = self.others.changed() => changed.ok()?,
                changed = self.states.changed() => changed.ok()?,
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

fn progress(
    revision: u64,
    live: Vec<pb::NodeStatus>,
    unnamed: usize,
    staged: Option<&pb::StagedRolloutSpec>,
) -> pb::RolloutProgress {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let all = live.len() + unnamed;
    let waiting: Vec<pb::NodeStatus> = live
        .into_iter()
        .filter(|node| node.revision < revision || node.held == revision)
        .collect();
    pb::RolloutProgress {
        revision,
        current: count(all - waiting.len()),
        live: count(all),
        done: waiting.is_empty() && staged.is_none(),
        // A change that is staged is then taken back, and that is waited for.
        rejected: staged.is_none()
            && waiting
                .iter()
                .any(|node| node.rejected_revision >= revision),
        waiting,
        halted: String::new(),
        staged: staged.cloned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::nodes::{Arrival, Presence};
    use crate::replicas::{Brief, Other, Summary};
    use futures_util::StreamExt;
    use runtime::tls::Peer;

    /// No other replica.
    fn alone() -> Beside {
        // A receiver of a sender that is gone would end the stream.
        let others = Box::leak(Box::new(watch::Sender::new(Others::default())));
        (others.subscribe(), nothing())
    }

    /// Nothing is configured.
    fn nothing() -> watch::Receiver<Arc<State>> {
        Box::leak(Box::new(watch::Sender::new(Arc::new(State::empty())))).subscribe()
    }

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
        nodes.head_moved(2, None);
        let a = nodes.connect(arrival("a", 1)).unwrap();
        let b = nodes.connect(arrival("b", 1)).unwrap();
        let mut stream = Box::pin(follow(2, nodes.clone(), alone(), Drain::new()));
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
        let mut stream = Box::pin(follow(2, nodes, alone(), Drain::new()));
        let only = stream.next().await.unwrap().unwrap();
        assert!(only.rejected && !only.done);
        assert!(only.waiting.iter().any(|n| n.faults == ["GH2001 no"]));
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn nodes_of_other_replicas_are_waited_for_also_where_their_replica_is_gone() {
        let nodes = Arc::new(Nodes::default());
        nodes.head_moved(2, None);
        let _a = nodes.connect(arrival("a", 2)).unwrap();
        let lost = nodes.connect(arrival("moved", 1)).unwrap();
        nodes.disconnect(&lost);
        let brief = |name: &str, revision| Brief {
            name: name.to_owned(),
            server: String::new(),
            revision,
            rejected: 0,
            faults: Vec::new(),
            presence: Presence::Connected,
            held: 0,
        };
        let other = |name: &str, gone_unix_ms, nodes: Vec<Brief>| Other {
            name: name.to_owned(),
            summary: Summary {
                address: name.to_owned(),
                version: String::new(),
                head: 2,
                live: 5,
                lowest: 1,
                nodes,
                counts: None,
            },
            gone_unix_ms,
        };
        let others = watch::Sender::new(Others::default());
        others.send_replace(Arc::new(vec![
            other("cp-2", None, vec![brief("b", 1), brief("moved", 2)]),
            other("cp-3", Some(1), vec![brief("c", 1), brief("moved", 1)]),
        ]));
        let mut stream = Box::pin(follow(
            2,
            nodes,
            (others.subscribe(), nothing()),
            Drain::new(),
        ));
        let first = stream.next().await.unwrap().unwrap();
        let waiting: Vec<_> = first.waiting.iter().map(|n| n.name.as_str()).collect();
        assert_eq!(waiting, ["b", "c"]);
        assert_eq!((first.current, first.live), (8, 10), "six are not named");
        others.send_replace(Arc::new(vec![other("cp-2", None, vec![brief("b", 2)])]));
        let last = stream.next().await.unwrap().unwrap();
        assert!(!last.done, "the lost node is still live");
        assert_eq!(last.waiting[0].name, "moved");
    }

    #[tokio::test]
    async fn with_no_live_node_there_is_nothing_to_wait_for() {
        let mut stream = Box::pin(follow(2, Arc::new(Nodes::default()), alone(), Drain::new()));
        assert!(stream.next().await.unwrap().unwrap().done);
    }
}
