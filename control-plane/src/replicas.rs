//! The replicas of this control plane: what each says of itself, under a lease, and how they ask each other.
//!
//! ```text
//! nodes (ours) --summary--> store, gone 10 s after its replica --> every replica's table of the others
//! admin, audit --ask--> the same API of each of the others, over mTLS, answered from there alone
//! ```
//!
//! Summaries are for what has to be known at once and of all (`apply --wait`); lists are asked for when somebody
//! wants them. It does not know what is asked. Start from [`Replicas`].

pub(crate) mod cut_off;
mod peers;
mod summary;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use proto::v1 as pb;
use runtime::drain::Drain;
use tokio::sync::watch;
use tokio::time::Instant;

pub(crate) use peers::{Answers, Peer, Peers};
#[cfg(test)]
pub(crate) use summary::Brief;
pub(crate) use summary::Summary;

use crate::clock;
use crate::nodes::{Counts, LIVE, Nodes, Presence};
use crate::store::{Entry, Error, Store, key};
use runtime::backoff::Backoff;

/// How long a replica counts as there after its last word.
pub(crate) const LEASE: Duration = Duration::from_secs(10);
/// How often it says that it is there, though nothing has changed.
const REFRESH: Duration = Duration::from_secs(3);
/// Shortest time between two writings, and what each node adds to it: a change is told at once, a storm is not.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_micros(100));
/// First and longest pause while the store is away.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));

/// Another replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Other {
    /// Its name.
    pub name: String,
    /// What it said last.
    pub summary: Summary,
    /// When its lease was seen to have ended, Unix milliseconds. `None`: it is there.
    pub gone_unix_ms: Option<i64>,
}

/// All other replicas, by name.
pub(crate) type Others = Arc<Vec<Other>>;

/// What replicas know of each other.
#[derive(Debug)]
pub(crate) struct Replicas {
    store: Arc<dyn Store>,
    nodes: Arc<Nodes>,
    /// Our own name.
    name: String,
    /// Where the others reach us, `host:port`.
    address: String,
    /// The others. Sent by [`Self::follow`] only; received by rollouts and whoever asks them.
    others: watch::Sender<Others>,
    /// When our word got into the store last. Locked for a look or a change.
    told: Mutex<Instant>,
    /// Whether we alone have lost the store. Set by [`cut_off`], cleared by [`Self::follow`]; received by the streams
    /// of nodes, which end while it is set.
    cut_off: watch::Sender<bool>,
}

impl Replicas {
    /// This replica is `name`, and the others reach it at `address`.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        nodes: Arc<Nodes>,
        name: &str,
        address: &str,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            nodes,
            name: name.to_owned(),
            address: address.to_owned(),
            others: watch::Sender::new(Arc::default()),
            told: Mutex::new(Instant::now()),
            cut_off: watch::Sender::new(false),
        })
    }

    /// Whether we alone have lost the store, now and after every change.
    pub(crate) fn watch_cut_off(&self) -> watch::Receiver<bool> {
        self.cut_off.subscribe()
    }

    /// Whether our word got into the store within this time.
    fn told_within(&self, time: Duration) -> bool {
        self.told.lock().elapsed() <= time
    }

    fn is_cut_off(&self, is: bool) {
        let changed = self
            .cut_off
            .send_if_modified(|was| std::mem::replace(was, is) != is);
        match (changed, is) {
            (true, true) => {
                tracing::warn!("cut off from the store: nodes are sent to the other replicas");
            }
            (true, false) => tracing::info!("the store is there again: nodes are taken again"),
            (false, _) => {}
        }
    }

    /// The others, now and after every change.
    pub(crate) fn watch(&self) -> watch::Receiver<Others> {
        self.others.subscribe()
    }

    /// The others.
    pub(crate) fn others(&self) -> Others {
        self.others.borrow().clone()
    }

    /// Whether there may be others.
    pub(crate) fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    /// Our own name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// All replicas, this one first.
    pub(crate) fn list(&self) -> Vec<pb::ReplicaStatus> {
        let ours = self.summary();
        let here = ours.status(&self.name, "here");
        let others = self.others();
        let others = others.iter().map(|other| {
            let state = if other.gone_unix_ms.is_some() {
                "gone"
            } else {
                "live"
            };
            other.summary.status(&other.name, state)
        });
        std::iter::once(here).chain(others).collect()
    }

    /// Says that this replica is there, and learns of the others, until `drain` starts. Then it says that it goes.
    pub(crate) async fn follow(self: Arc<Self>, drain: Drain) {
        if !self.store.is_shared() {
            return;
        }
        tokio::select! {
            () = drain.signaled() => {}
            () = self.follow_for_ever() => {}
        }
        // Where this fails, the lease ends by itself.
        let _ = self.store.delete(vec![self.key()]).await;
    }

    async fn follow_for_ever(&self) {
        let mut bell = self.store.changes(key::REPLICAS);
        let mut changed = self.nodes.watch();
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        let mut told = None;
        let mut told_at = Instant::now();
        loop {
            bell.mark_unchanged();
            changed.mark_unchanged();
            let ours = self.summary();
            let is_told = told
                .as_ref()
                .is_some_and(|told: &Summary| told.is_like(&ours));
            let due = !is_told || told_at.elapsed() >= REFRESH;
            let done = async {
                if due {
                    self.tell(&ours).await?;
                }
                self.learn(clock::now_ms()).await
            };
            if let Err(error) = done.await {
                tracing::debug!(%error, "replicas wait for the store");
                tokio::time::sleep(backoff.pause()).await;
                continue;
            }
            backoff.reset();
            if due {
                *self.told.lock() = Instant::now();
                self.is_cut_off(false);
                let nodes = u32::try_from(ours.nodes.len()).unwrap_or(u32::MAX);
                told = Some(ours);
                told_at = Instant::now();
                tokio::time::sleep(PAUSE.0 + PAUSE.1 * nodes).await;
            }
            tokio::select! {
                _ = bell.changed() => {}
                _ = changed.changed() => {}
                () = tokio::time::sleep_until(told_at + REFRESH) => {}
            }
        }
    }

    async fn tell(&self, ours: &Summary) -> Result<(), Error> {
        let entry = Entry::new(self.key(), ours.encode());
        self.store.put_for(entry, LEASE).await
    }

    /// Reads who is there. Who is no more is kept for as long as its nodes may be live, unless they are seen elsewhere.
    async fn learn(&self, now: i64) -> Result<(), Error> {
        let mut there = BTreeMap::new();
        for entry in self.store.list(key::REPLICAS).await? {
            let name = entry.key[key::REPLICAS.len()..].to_owned();
            if name == self.name {
                continue;
            }
            match Summary::decode(&entry.value) {
                Ok(summary) => drop(there.insert(name, summary)),
                Err(error) => tracing::warn!(name, %error, "a replica's summary cannot be read"),
            }
        }
        let gone: Vec<Other> = self
            .others()
            .iter()
            .filter(|other| !there.contains_key(&other.name))
            .filter_map(|other| {
                let gone_unix_ms = other.gone_unix_ms.unwrap_or(now);
                let replaced = there.values().any(|s| s.address == other.summary.address);
                let kept = now - gone_unix_ms <= clock::ms(LIVE)
                    && !replaced
                    && !self.all_elsewhere(&other.summary, &there);
                kept.then(|| Other {
                    gone_unix_ms: Some(gone_unix_ms),
                    ..other.clone()
                })
            })
            .collect();
        let live = there.into_iter().map(|(name, summary)| Other {
            name,
            summary,
            gone_unix_ms: None,
        });
        let others: Vec<Other> = live.chain(gone).collect();
        self.others.send_if_modified(|known| {
            let differs = **known != others;
            if differs {
                *known = Arc::new(others);
            }
            differs
        });
        Ok(())
    }

    /// Whether every node of a replica that is gone has come to another one.
    fn all_elsewhere(&self, gone: &Summary, there: &BTreeMap<String, Summary>) -> bool {
        if !gone.is_whole() {
            return false;
        }
        let ours = self.nodes.live_names();
        let known = |name: &String| {
            ours.contains(name)
                || there
                    .values()
                    .any(|s| s.nodes.iter().any(|node| node.name == *name))
        };
        gone.nodes.iter().all(|node| known(&node.name))
    }

    fn summary(&self) -> Summary {
        let (head, live) = (self.nodes.head(), self.nodes.live());
        Summary::of(&self.address, head, live, self.nodes.counts())
    }

    /// What nodes have counted in the share of a staged rollout that is under way, at all replicas. `None`: none is.
    pub(crate) fn counts(&self) -> Option<Counts> {
        let mut counts = self.nodes.counts()?;
        let others = self.others();
        let there = others.iter().filter(|other| other.gone_unix_ms.is_none());
        for theirs in there.filter_map(|other| other.summary.counts.as_ref()) {
            counts.add(theirs);
        }
        Some(counts)
    }

    fn key(&self) -> String {
        format!("{}{}", key::REPLICAS, self.name)
    }
}

/// All live nodes: ours, and those of the others; and how many more run the revision that no summary names. Of a
/// node that several know, the word of the replica counts at which its stream ends.
pub(crate) fn everywhere(
    revision: u64,
    ours: Vec<(Presence, pb::NodeStatus)>,
    others: &Others,
) -> (Vec<pb::NodeStatus>, usize) {
    let mut seen = ours;
    let mut unnamed = 0;
    for other in others.iter() {
        let summary = &other.summary;
        let is_gone = other.gone_unix_ms.is_some();
        seen.extend(summary.nodes.iter().map(|node| {
            let presence = if is_gone {
                Presence::Gone
            } else {
                node.presence
            };
            (presence, node.status(&other.name, revision))
        }));
        // A summary that does not name all names those that are furthest behind.
        unnamed += (summary.live as usize).saturating_sub(summary.nodes.len());
    }
    seen.sort_by_key(|(presence, _)| *presence);
    let mut known = BTreeSet::new();
    let live = seen
        .into_iter()
        .filter(|(_, node)| known.insert(node.name.clone()))
        .map(|(_, node)| node)
        .collect();
    (live, unnamed)
}

/// A replica that has no other, for tests; with the folder of its store.
#[cfg(test)]
pub(crate) async fn alone() -> (Arc<Peers>, tempfile::TempDir) {
    let (store, dir) = crate::store::fixture::embedded();
    let sealer = crate::catalog::fixture::sealer();
    let ca = crate::ca::Ca::open(&*store, &sealer, crate::ca::Terms::default())
        .await
        .expect("a new store has room");
    let serving = crate::serving::Serving::new(ca, "cp-1", &[]).expect("a name that is one");
    let replicas = Replicas::new(store, Arc::default(), "cp-1", "127.0.0.1:1");
    (Peers::new(replicas, serving), dir)
}
