//! One node's pushes: what it has, what is under way, and what comes next. Pure: messages in, messages out.
//!
//! ```text
//!            next(view)                 ack, same hash
//!   idle ----------------> in flight ------------------> idle, has the view
//!     ^                      |   |  ack, other hash
//!     |   nack: waits for    |   +-----------------------> idle, has nothing known: full push
//!     +----another view------+
//! ```
//!
//! At most one push is unacknowledged. What changes meanwhile is in the next one, which leads from what the
//! node has straight to the newest view.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::snapshot::{ResourceKey, Sha256};
use proto::v1 as pb;

use super::View;
use crate::catalog::wire_key;

/// The pushes of one stream.
#[derive(Debug)]
pub(crate) struct Lane {
    features: BTreeSet<String>,
    /// What the node has: versions by key.
    has: BTreeMap<ResourceKey, u64>,
    /// The hash that it has, where we know it.
    sha256: Option<Sha256>,
    /// The revision that it runs.
    revision: u64,
    /// Whether `has` was proven by a hash, and not only said.
    is_proven: bool,
    in_flight: Option<InFlight>,
    /// A view that it refused, or that was withheld: not sent again.
    refused: Option<Arc<View>>,
    nonce: u64,
}

#[derive(Debug)]
struct InFlight {
    nonce: u64,
    view: Arc<View>,
    is_full: bool,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Next {
    /// Nothing: it is up to date, or has not answered yet, or refused what there is.
    Nothing,
    /// Send this.
    Push(pb::ConfigPush),
    /// It cannot run this revision, and is not given any of it.
    Withhold {
        /// Which.
        revision: u64,
        /// Why.
        faults: Vec<String>,
    },
}

/// What an ACK meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acked {
    /// It runs this revision.
    Runs(u64),
    /// It has something else than was sent: it is sent everything.
    Differs,
    /// It answers nothing that is under way.
    Stray,
}

impl Lane {
    /// For a node that says this of itself.
    pub(crate) fn new(hello: &pb::Hello) -> Self {
        let has = hello.known.iter().filter_map(|known| {
            let key = known.key.as_ref()?;
            Some((ResourceKey::new(&key.kind, &key.name), known.version))
        });
        Self {
            features: hello.features.iter().cloned().collect(),
            has: has.collect(),
            sha256: <[u8; 32]>::try_from(hello.sha256.as_slice())
                .ok()
                .map(Sha256),
            revision: hello.revision,
            is_proven: false,
            in_flight: None,
            refused: None,
            nonce: 0,
        }
    }

    /// What to send now that `view` is the newest.
    pub(crate) fn next(&mut self, view: &Arc<View>) -> Next {
        let is_there = self.revision == view.revision && self.sha256 == Some(view.sha256);
        let was_refused = self
            .refused
            .as_ref()
            .is_some_and(|refused| Arc::ptr_eq(refused, view));
        // What is lower than what it runs it would refuse: the store went back, and an operator has to agree first.
        let goes_back = self.revision > view.revision;
        if self.in_flight.is_some() || is_there || was_refused || goes_back {
            return Next::Nothing;
        }
        let faults = view.lacking(&self.features);
        if !faults.is_empty() {
            self.refused = Some(view.clone());
            return Next::Withhold {
                revision: view.revision,
                faults,
            };
        }
        self.nonce += 1;
        let is_full = self.has.is_empty();
        self.in_flight = Some(InFlight {
            nonce: self.nonce,
            view: view.clone(),
            is_full,
        });
        Next::Push(self.push(view, is_full))
    }

    fn push(&self, view: &View, full: bool) -> pb::ConfigPush {
        let is_new = |key: &ResourceKey, version: u64| self.has.get(key) != Some(&version);
        let changed = view
            .resources
            .iter()
            .filter(|(key, stored)| is_new(key, stored.version))
            .map(|(key, stored)| pb::PushedResource {
                key: Some(wire_key(key)),
                version: stored.version,
                encoded: stored.encoded.clone(),
            })
            .collect();
        let removed = self
            .has
            .keys()
            .filter(|key| !view.resources.contains_key(*key))
            .map(wire_key)
            .collect();
        pb::ConfigPush {
            nonce: self.nonce,
            revision: view.revision,
            sha256: view.sha256.0.to_vec(),
            full,
            changed,
            removed,
        }
    }

    /// The node took a push.
    pub(crate) fn ack(&mut self, ack: &pb::Ack) -> Acked {
        let Some(InFlight { view, .. }) = self.in_flight.take_if(|f| f.nonce == ack.nonce) else {
            return Acked::Stray;
        };
        if ack.sha256 == view.sha256.0 {
            self.has = view
                .resources
                .iter()
                .map(|(key, s)| (key.clone(), s.version))
                .collect();
            self.sha256 = Some(view.sha256);
            self.revision = view.revision;
            self.is_proven = true;
            Acked::Runs(view.revision)
        } else {
            self.forget();
            Acked::Differs
        }
    }

    /// The node refused a push. Where it built on what the node only said that it has, it may be that which was
    /// wrong: it is then sent everything, once. Else it is not sent the same again. The revision that it
    /// refused for good; `None`: it is not settled, or a stray answer.
    pub(crate) fn nack(&mut self, nack: &pb::Nack) -> Option<u64> {
        let refused = self.in_flight.take_if(|f| f.nonce == nack.nonce)?;
        if !self.is_proven && !refused.is_full {
            self.forget();
            return None;
        }
        let revision = refused.view.revision;
        self.refused = Some(refused.view);
        Some(revision)
    }

    fn forget(&mut self) {
        self.has.clear();
        self.sha256 = None;
        self.is_proven = false;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::catalog::Stored;
    use bytes::Bytes;
    use model::snapshot::scope_hash;

    const FEATURE: &str = "server.stdio/1";

    /// A view of servers by name and version.
    fn view(revision: u64, servers: &[(&str, u64)]) -> Arc<View> {
        let stored = |version: u64| {
            let encoded = Bytes::from(format!("v{version}"));
            let sha256 = Sha256::of(&encoded);
            let resource = pb::Resource::default();
            Arc::new(Stored {
                version,
                resource,
                sealed: encoded.clone(),
                encoded,
                sha256,
            })
        };
        let resources: BTreeMap<_, _> = servers
            .iter()
            .map(|(name, version)| (ResourceKey::new("Server", name), stored(*version)))
            .collect();
        let sha256 = scope_hash(resources.iter().map(|(k, s)| (k, s.version, &s.sha256)));
        let features = resources
            .keys()
            .map(|key| (FEATURE.to_owned(), key.clone()))
            .collect();
        Arc::new(View {
            revision,
            sha256,
            resources,
            features,
        })
    }

    fn hello(known: &[(&str, u64)]) -> pb::Hello {
        let known = known.iter().map(|(name, version)| pb::KnownResource {
            key: Some(pb::ResourceKey {
                kind: "Server".to_owned(),
                name: (*name).to_owned(),
            }),
            version: *version,
        });
        pb::Hello {
            features: vec![FEATURE.to_owned()],
            known: known.collect(),
            ..Default::default()
        }
    }

    fn pushed(next: Next) -> pb::ConfigPush {
        match next {
            Next::Push(push) => push,
            other => panic!("{other:?} where a push was expected"),
        }
    }

    fn names(push: &pb::ConfigPush) -> (Vec<String>, Vec<String>) {
        let name = |key: &pb::ResourceKey| key.name.clone();
        let changed = push
            .changed
            .iter()
            .map(|c| name(c.key.as_ref().unwrap()))
            .collect();
        (changed, push.removed.iter().map(name).collect())
    }

    fn taken(push: &pb::ConfigPush) -> pb::Ack {
        pb::Ack {
            nonce: push.nonce,
            revision: push.revision,
            sha256: push.sha256.clone(),
        }
    }

    #[test]
    fn one_push_is_under_way_and_the_rest_is_one_delta() {
        let mut lane = Lane::new(&hello(&[]));
        let first = pushed(lane.next(&view(1, &[("a", 1)])));
        assert!(first.full);
        let second = view(2, &[("a", 1), ("b", 2)]);
        let third = view(3, &[("a", 3), ("b", 2)]);
        assert_eq!(lane.next(&second), Next::Nothing);
        assert_eq!(lane.next(&third), Next::Nothing);
        assert_eq!(lane.ack(&taken(&first)), Acked::Runs(1));
        let delta = pushed(lane.next(&third));
        assert!(!delta.full);
        assert_eq!(delta.revision, 3);
        assert_eq!(
            names(&delta),
            (vec!["a".to_owned(), "b".to_owned()], vec![])
        );
        assert_eq!(lane.ack(&taken(&delta)), Acked::Runs(3));
        assert_eq!(lane.next(&third), Next::Nothing);
    }

    #[test]
    fn a_node_that_comes_back_gets_the_difference_only() {
        let mut lane = Lane::new(&hello(&[("a", 1), ("gone", 1)]));
        let delta = pushed(lane.next(&view(5, &[("a", 1), ("b", 5)])));
        assert_eq!(
            names(&delta),
            (vec!["b".to_owned()], vec!["gone".to_owned()])
        );
        assert!(!delta.full);
    }

    #[test]
    fn a_node_that_has_it_all_is_sent_nothing() {
        let view = view(5, &[("a", 1)]);
        let said = pb::Hello {
            revision: 5,
            sha256: view.sha256.0.to_vec(),
            ..hello(&[("a", 1)])
        };
        assert_eq!(Lane::new(&said).next(&view), Next::Nothing);
        let other = pb::Hello {
            sha256: vec![0; 32],
            ..said
        };
        assert!(matches!(Lane::new(&other).next(&view), Next::Push(_)));
    }

    #[test]
    fn a_revision_that_changes_nothing_for_a_node_is_told_all_the_same() {
        let mut lane = Lane::new(&hello(&[]));
        let first = pushed(lane.next(&view(1, &[("a", 1)])));
        lane.ack(&taken(&first));
        let same = pushed(lane.next(&view(2, &[("a", 1)])));
        assert!(same.changed.is_empty() && same.removed.is_empty());
        assert_eq!((same.revision, &same.sha256), (2, &first.sha256));
    }

    #[test]
    fn an_ack_of_something_else_is_answered_with_everything() {
        let mut lane = Lane::new(&hello(&[("a", 1)]));
        let newest = view(2, &[("a", 1), ("b", 2)]);
        let delta = pushed(lane.next(&newest));
        let wrong = pb::Ack {
            sha256: vec![9; 32],
            ..taken(&delta)
        };
        assert_eq!(lane.ack(&wrong), Acked::Differs);
        let full = pushed(lane.next(&newest));
        assert!(full.full);
        assert_eq!(names(&full).0, ["a", "b"]);
    }

    #[test]
    fn what_was_refused_is_not_sent_again_but_what_comes_after_is() {
        let mut lane = Lane::new(&hello(&[]));
        let good = pushed(lane.next(&view(1, &[("a", 1)])));
        lane.ack(&taken(&good));
        let bad = view(2, &[("a", 2)]);
        let push = pushed(lane.next(&bad));
        let nack = pb::Nack {
            nonce: push.nonce,
            revision: 1,
            faults: vec!["no".to_owned()],
        };
        assert_eq!(lane.nack(&nack), Some(2));
        assert_eq!(lane.next(&bad), Next::Nothing);
        let mended = pushed(lane.next(&view(3, &[("a", 1), ("b", 3)])));
        assert_eq!(names(&mended).0, ["b"], "it still has what it had before");
    }

    #[test]
    fn a_refusal_of_what_was_built_on_hearsay_is_tried_once_with_everything() {
        let mut lane = Lane::new(&hello(&[("a", 1)]));
        let newest = view(2, &[("a", 1), ("b", 2)]);
        let nack = |nonce| pb::Nack {
            nonce,
            ..Default::default()
        };
        let delta = pushed(lane.next(&newest));
        assert_eq!(lane.nack(&nack(delta.nonce)), None);
        let full = pushed(lane.next(&newest));
        assert!(full.full);
        assert_eq!(lane.nack(&nack(full.nonce)), Some(2));
        assert_eq!(lane.next(&newest), Next::Nothing);
    }

    #[test]
    fn answers_to_nothing_change_nothing() {
        let mut lane = Lane::new(&hello(&[]));
        let stray = pb::Ack {
            nonce: 7,
            ..Default::default()
        };
        assert_eq!(lane.ack(&stray), Acked::Stray);
        assert_eq!(
            lane.nack(&pb::Nack {
                nonce: 7,
                ..Default::default()
            }),
            None
        );
        let push = pushed(lane.next(&view(1, &[("a", 1)])));
        assert_eq!(
            lane.ack(&pb::Ack {
                nonce: push.nonce + 1,
                ..taken(&push)
            }),
            Acked::Stray
        );
        assert_eq!(lane.ack(&taken(&push)), Acked::Runs(1));
    }

    #[test]
    fn a_node_that_lacks_a_feature_gets_nothing_of_the_revision() {
        let old = pb::Hello {
            features: vec![],
            ..hello(&[])
        };
        let mut lane = Lane::new(&old);
        let newest = view(1, &[("a", 1)]);
        let Next::Withhold {
            revision: 1,
            faults,
        } = lane.next(&newest)
        else {
            panic!("an old node was given what it cannot run");
        };
        assert!(
            faults[0].contains(FEATURE) && faults[0].contains("Server a"),
            "{faults:?}"
        );
        assert_eq!(lane.next(&newest), Next::Nothing, "it is told once");
        assert!(
            matches!(lane.next(&view(2, &[])), Next::Push(_)),
            "what it can run it gets"
        );
    }
}
