//! The stream behind `Admin.Watch`: what differs from one state to the next.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::unfold;
use model::snapshot::ResourceKey;
use proto::v1 as pb;
use runtime::drain::Drain;
use tokio::sync::watch;
use tonic::Status;

use crate::catalog::{State, wire_key};

/// What a watcher has seen, and what it is yet to be sent. Bounded by the catalog: states that come while
/// it is slow are merged.
struct Watching {
    states: watch::Receiver<Arc<State>>,
    /// The kind that is watched. Empty: all.
    kind: String,
    seen: BTreeMap<ResourceKey, u64>,
    queue: VecDeque<pb::WatchEvent>,
    drain: Drain,
}

/// Changes of `kind` from now on; with `initial`, first all that is there. Ends when `drain` starts.
pub(super) fn watch(
    mut states: watch::Receiver<Arc<State>>,
    kind: String,
    initial: bool,
    drain: Drain,
) -> impl Stream<Item = Result<pb::WatchEvent, Status>> + Send + 'static {
    let now = states.borrow_and_update().clone();
    let (seen, queue) = (BTreeMap::new(), VecDeque::new());
    let mut watching = Watching {
        states,
        kind,
        seen,
        queue,
        drain,
    };
    watching.compare(&now);
    if initial {
        let revision = now.revision();
        let synced = pb::WatchEvent {
            action: "synced".to_owned(),
            revision,
            ..Default::default()
        };
        watching.queue.push_back(synced);
    } else {
        watching.queue.clear();
    }
    unfold(watching, |mut watching| async {
        watching.next().await.map(|event| (Ok(event), watching))
    })
}

impl Watching {
    async fn next(&mut self) -> Option<pb::WatchEvent> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            tokio::select! {
                () = self.drain.signaled() => return None,
                changed = self.states.changed() => changed.ok()?,
            }
            let now = self.states.borrow_and_update().clone();
            self.compare(&now);
        }
    }

    /// Queues what differs between what was seen and `now`.
    fn compare(&mut self, now: &State) {
        let revision = now.revision();
        let is_meant = |key: &ResourceKey| self.kind.is_empty() || self.kind == key.kind;
        let mut gone = std::mem::take(&mut self.seen);
        for (key, stored) in now.visible().filter(|(key, _)| is_meant(key)) {
            let action = match gone.remove(key) {
                None => "added",
                Some(version) if version != stored.version => "changed",
                Some(_) => "",
            };
            self.seen.insert(key.clone(), stored.version);
            if !action.is_empty() {
                let resource = Some(stored.shown());
                self.queue.push_back(event(action, key, resource, revision));
            }
        }
        for key in gone.keys() {
            self.queue.push_back(event("deleted", key, None, revision));
        }
    }
}

fn event(
    action: &str,
    key: &ResourceKey,
    resource: Option<pb::Resource>,
    revision: u64,
) -> pb::WatchEvent {
    pb::WatchEvent {
        action: action.to_owned(),
        resource,
        key: Some(wire_key(key)),
        revision,
    }
}
