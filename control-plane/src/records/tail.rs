//! Calls as they come: each is told once, when its hops have been heard.
//!
//! The edge's record and the sidecar's come by different ways, in any order. A call is told when it is
//! complete, or [`SETTLE`] after the first of them, for calls that no edge stood before. It knows no SQL.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt};
use proto::v1::{Call, CallFilter};
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;

use super::Error;
use super::join::{self, Joined};

/// How long a call waits for its other hop.
const SETTLE: Duration = Duration::from_secs(2);
/// Calls that wait. When there are more, the one that waited longest is told as it is.
const SETTLING_MAX: usize = 10_000;
/// Calls that are remembered as told, so that a late hop does not tell them again.
const TOLD_MAX: usize = 16_384;
/// Calls that a reader may be behind. One that is further behind is told so, and its tail ends.
const BEHIND_MAX: usize = 4096;

/// Where tails listen. Clones are the same.
#[derive(Clone)]
pub(super) struct Tail(broadcast::Sender<Arc<Call>>);

impl Default for Tail {
    fn default() -> Self {
        Self(broadcast::Sender::new(BEHIND_MAX))
    }
}

impl Tail {
    /// Calls from now on that `filter` lets through.
    pub(super) fn follow(
        &self,
        filter: CallFilter,
    ) -> impl Stream<Item = Result<Arc<Call>, Error>> + Send + use<> {
        let mut behind = false;
        BroadcastStream::new(self.0.subscribe())
            .take_while(move |item| {
                // The error is the last item.
                let go_on = !behind;
                behind = item.is_err();
                std::future::ready(go_on)
            })
            .filter_map(move |item| {
                std::future::ready(match item {
                    Ok(call) => matches(&filter, &call).then_some(Ok(call)),
                    Err(BroadcastStreamRecvError::Lagged(missed)) => {
                        Some(Err(Error::Behind(missed)))
                    }
                })
            })
    }
}

/// Calls that wait for their other hop. Owned by the store's thread.
pub(super) struct Settling {
    tail: Tail,
    waiting: HashMap<String, Call>,
    /// Calls in the order in which they were first heard, and when they are told at the latest. Holds
    /// every call of `waiting`, and some that were told meanwhile.
    due: VecDeque<(Instant, String)>,
    told: HashSet<String>,
    told_in_order: VecDeque<String>,
}

impl Settling {
    pub(super) fn new(tail: Tail) -> Self {
        Self {
            tail,
            waiting: HashMap::new(),
            due: VecDeque::new(),
            told: HashSet::new(),
            told_in_order: VecDeque::new(),
        }
    }

    /// A call is new, or more is known of it.
    pub(super) fn note(&mut self, joined: Joined) {
        if self.tail.0.receiver_count() == 0 {
            self.waiting.clear();
            self.due.clear();
            return;
        }
        let Joined { call, complete } = joined;
        if self.told.contains(&call.call_id) {
            return;
        }
        if complete {
            self.waiting.remove(&call.call_id);
            return self.tell(call);
        }
        let id = call.call_id.clone();
        if self.waiting.insert(id.clone(), call).is_none() {
            self.due.push_back((Instant::now() + SETTLE, id));
        }
        if self.due.len() > SETTLING_MAX {
            self.tell_oldest();
        }
    }

    /// Time until a call is due. `None`: none waits.
    pub(super) fn next_wake(&self) -> Option<Duration> {
        self.due
            .front()
            .map(|(at, _)| at.saturating_duration_since(Instant::now()))
    }

    /// Tells all calls that are due.
    pub(super) fn publish_due(&mut self) {
        self.publish_until(Instant::now());
    }

    fn publish_until(&mut self, now: Instant) {
        while self.due.front().is_some_and(|(at, _)| *at <= now) {
            self.tell_oldest();
        }
    }

    fn tell_oldest(&mut self) {
        if let Some((_, id)) = self.due.pop_front()
            && let Some(call) = self.waiting.remove(&id)
        {
            self.tell(call);
        }
    }

    fn tell(&mut self, call: Call) {
        if self.told_in_order.len() >= TOLD_MAX
            && let Some(oldest) = self.told_in_order.pop_front()
        {
            self.told.remove(&oldest);
        }
        self.told.insert(call.call_id.clone());
        self.told_in_order.push_back(call.call_id.clone());
        // An error says that nobody listens any more.
        let _ = self.tail.0.send(Arc::new(call));
    }
}

/// A tail over several replicas: halves of a call that come from different ones are joined before they are told.
pub(crate) struct Halves {
    tail: Tail,
    settling: Settling,
}

impl Halves {
    /// A tail of its own, and its one reader's stream, as of [`Tail::follow`].
    pub(crate) fn new(
        filter: CallFilter,
    ) -> (
        Self,
        impl Stream<Item = Result<Arc<Call>, Error>> + Send + use<>,
    ) {
        let tail = Tail::default();
        let stream = tail.follow(filter);
        let settling = Settling::new(tail.clone());
        (Self { tail, settling }, stream)
    }

    /// One replica's word of a call.
    pub(crate) fn hear(&mut self, call: Call) {
        let known = self.settling.waiting.get(&call.call_id).cloned();
        let calls = known.into_iter().chain([call]).collect();
        if let Some(call) = join::merge(calls) {
            let complete = call.complete;
            self.settling.note(Joined { call, complete });
        }
    }

    /// Tells, as they become due, calls whose other half does not come. Ends when the reader is gone.
    pub(crate) async fn settle(&mut self) {
        loop {
            let due = async {
                match self.settling.next_wake() {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.tail.0.closed() => return,
                () = due => self.settling.publish_due(),
            }
        }
    }
}

/// Whether `filter` lets `call` through: the same as the conditions of the list.
pub(crate) fn matches(filter: &CallFilter, call: &Call) -> bool {
    let same = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
    same(&filter.user, &call.user)
        && same(&filter.server, &call.server)
        && same(&filter.tool, &call.name)
        && same(&filter.outcome, &call.decision)
        && same(&filter.method, &call.method)
        && (filter.group.is_empty() || call.groups.contains(&filter.group))
        && filter.since_unix_ns <= call.time_unix_ns
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use futures_util::FutureExt;

    use super::*;
    use crate::records::join::join;
    use crate::records::samples::{edge, hop, sidecar};

    fn forwarded(n: u64) -> Joined {
        let mut record = edge(n);
        record.upstream_ns = 5;
        join(vec![hop(record)]).unwrap()
    }

    fn whole(n: u64) -> Joined {
        let mut record = edge(n);
        record.upstream_ns = 5;
        join(vec![hop(record), hop(sidecar(n))]).unwrap()
    }

    #[tokio::test]
    async fn a_call_is_told_once_when_it_is_complete() {
        let tail = Tail::default();
        let mut stream = std::pin::pin!(tail.follow(CallFilter::default()));
        let mut settling = Settling::new(tail);
        settling.note(forwarded(1));
        settling.publish_due();
        assert!(stream.next().now_or_never().is_none());
        settling.note(whole(1));
        settling.note(whole(1));
        let told = stream.next().await.unwrap().unwrap();
        assert_eq!(told.seq, 2);
        settling.publish_until(Instant::now() + SETTLE);
        assert!(stream.next().now_or_never().is_none());
    }

    #[tokio::test]
    async fn a_call_whose_other_hop_does_not_come_is_told_later() {
        let tail = Tail::default();
        let mut stream = std::pin::pin!(tail.follow(CallFilter::default()));
        let mut settling = Settling::new(tail);
        assert!(settling.next_wake().is_none());
        settling.note(join(vec![hop(sidecar(1))]).unwrap());
        assert!(settling.next_wake().unwrap() <= SETTLE);
        settling.publish_until(Instant::now() + SETTLE);
        assert_eq!(stream.next().await.unwrap().unwrap().node, "sidecar-1");
        settling.note(whole(1));
        assert!(stream.next().now_or_never().is_none(), "told already");
    }

    #[tokio::test]
    async fn halves_of_two_replicas_are_told_as_one() {
        let (mut halves, stream) = Halves::new(CallFilter::default());
        let mut stream = std::pin::pin!(stream);
        let alone = |record| join(vec![hop(record)]).unwrap().call;
        halves.hear(alone(sidecar(1)));
        assert!(stream.next().now_or_never().is_none());
        halves.hear(forwarded(1).call);
        let told = stream.next().await.unwrap().unwrap();
        assert!(told.complete && told.node == "edge-1", "{told:?}");
    }

    #[tokio::test]
    async fn a_reader_that_is_too_far_behind_is_told_so_and_ends() {
        let tail = Tail::default();
        let mut stream = std::pin::pin!(tail.follow(CallFilter::default()));
        let mut settling = Settling::new(tail);
        for n in 0..=BEHIND_MAX as u64 {
            settling.note(whole(n));
        }
        assert!(matches!(stream.next().await, Some(Err(Error::Behind(1)))));
        assert!(stream.next().await.is_none());
    }

    #[test]
    fn filters_are_exact_and_all_must_hold() {
        let call = whole(1).call;
        let filter = CallFilter {
            user: "ana@example.com".to_owned(),
            server: "everything".to_owned(),
            tool: "echo".to_owned(),
            outcome: "allow".to_owned(),
            group: "ops".to_owned(),
            method: "tools/call".to_owned(),
            since_unix_ns: call.time_unix_ns,
        };
        assert!(matches(&filter, &call) && matches(&CallFilter::default(), &call));
        let not = |change: &dyn Fn(&mut CallFilter)| {
            let mut filter = filter.clone();
            change(&mut filter);
            assert!(!matches(&filter, &call), "{filter:?}");
        };
        not(&|filter| filter.user = "ana".to_owned());
        not(&|filter| filter.group = "op".to_owned());
        not(&|filter| filter.outcome = "deny".to_owned());
        not(&|filter| filter.since_unix_ns += 1);
    }
}
