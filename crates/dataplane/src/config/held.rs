//! What a node holds of the configuration, in the encoded form in which it came, so that it can prove by
//! hash that it holds what the control plane meant.

use std::collections::BTreeMap;

use bytes::Bytes;
use model::snapshot::{ResourceKey, Revision, Sha256, Snapshot, scope_hash};
use model::wire::{self, Item};
use prost::Message;
use proto::v1 as pb;

/// Most resources that a node holds.
pub const RESOURCES_MAX: usize = 200_000;

/// One resource as it came.
#[derive(Debug, Clone)]
struct Entry {
    version: u64,
    encoded: Bytes,
    hash: Sha256,
}

/// Everything that a node holds, at one revision.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// The revision.
    pub revision: Revision,
    /// Its hash, proven.
    pub hash: Option<Sha256>,
    entries: BTreeMap<ResourceKey, Entry>,
}

impl Held {
    /// What is held after `push`, with its snapshot; `self` stays as it is.
    ///
    /// # Errors
    /// Every fault of the push, in words for an operator.
    pub fn after(&self, push: &pb::ConfigPush) -> Result<(Self, Snapshot), Vec<String>> {
        let mut next = if push.full {
            Self::default()
        } else {
            self.clone()
        };
        next.revision = Revision(push.revision);
        let mut faults = Vec::new();
        if push.revision < self.revision.0 {
            faults.push(format!(
                "revision {} is older than revision {}, which this node runs: was the store restored from a \
                 backup? `gatehouse nodes` shows what nodes run; an operator must agree to what the store holds now",
                push.revision, self.revision
            ));
        }
        for key in push.removed.iter() {
            next.entries.remove(&ResourceKey::new(&key.kind, &key.name));
        }
        for pushed in &push.changed {
            match entry(pushed) {
                Ok((key, entry)) => drop(next.entries.insert(key, entry)),
                Err(fault) => faults.push(fault),
            }
        }
        if next.entries.len() > RESOURCES_MAX {
            faults.push(format!(
                "more than {RESOURCES_MAX} resources in one node's scope"
            ));
        }
        let hash = next.compute_hash();
        if hash.0 != *push.sha256 {
            let wanted = hex::encode(&push.sha256);
            faults.push(format!(
                "the hash of what this leads to is {}, not {wanted}",
                hash.hex()
            ));
        }
        next.hash = Some(hash);
        let snapshot = next.snapshot(&mut faults);
        if faults.is_empty() {
            Ok((next, snapshot))
        } else {
            Err(faults)
        }
    }

    /// What is held, as one full push: the form in which it lies on disk.
    pub fn to_push(&self) -> pb::ConfigPush {
        pb::ConfigPush {
            nonce: 0,
            revision: self.revision.0,
            sha256: self.compute_hash().0.to_vec(),
            full: true,
            changed: self
                .entries
                .iter()
                .map(|(key, entry)| pb::PushedResource {
                    key: Some(wire_key(key)),
                    version: entry.version,
                    encoded: entry.encoded.clone(),
                })
                .collect(),
            removed: Vec::new(),
        }
    }

    /// What is held, for Hello: so that only the difference is sent.
    pub fn known(&self) -> Vec<pb::KnownResource> {
        self.entries
            .iter()
            .map(|(key, e)| pb::KnownResource {
                key: Some(wire_key(key)),
                version: e.version,
            })
            .collect()
    }

    fn compute_hash(&self) -> Sha256 {
        scope_hash(
            self.entries
                .iter()
                .map(|(key, e)| (key, e.version, &e.hash)),
        )
    }

    /// The domain form of all that is held. Converted anew with every push: a push is rare, and what is
    /// derived from the whole cannot drift from it.
    fn snapshot(&self, faults: &mut Vec<String>) -> Snapshot {
        let mut snapshot = Snapshot {
            revision: self.revision,
            ..Snapshot::default()
        };
        for (key, entry) in &self.entries {
            let resource = match pb::Resource::decode(entry.encoded.clone()) {
                Ok(resource) => resource,
                Err(error) => {
                    faults.push(format!("{key} cannot be decoded: {error}"));
                    continue;
                }
            };
            if let Some(unknown) = missing_feature(&resource) {
                faults.push(format!(
                    "{key} needs the feature {unknown}, which this node lacks"
                ));
                continue;
            }
            match wire::convert(&resource) {
                Ok(item) => {
                    if matches!(item, Item::AccessRule(_) | Item::Server(_)) {
                        snapshot.versions.insert(key.clone(), entry.version);
                    }
                    wire::insert(&mut snapshot, item);
                }
                Err(list) => faults.extend(list.iter().map(|fault| format!("{key} {fault}"))),
            }
        }
        snapshot
    }
}

/// The control plane withholds what a node cannot run; a node that is sent it all the same refuses it.
fn missing_feature(resource: &pb::Resource) -> Option<&str> {
    let features = &resource.metadata.as_ref()?.features;
    features
        .iter()
        .map(String::as_str)
        .find(|f| !engine::FEATURES.contains(f))
}

fn entry(pushed: &pb::PushedResource) -> Result<(ResourceKey, Entry), String> {
    let Some(key) = &pushed.key else {
        return Err("a resource without a key".to_owned());
    };
    let key = ResourceKey::new(&key.kind, &key.name);
    let hash = Sha256::of(&pushed.encoded);
    Ok((
        key,
        Entry {
            version: pushed.version,
            encoded: pushed.encoded.clone(),
            hash,
        },
    ))
}

fn wire_key(key: &ResourceKey) -> pb::ResourceKey {
    pb::ResourceKey {
        kind: key.kind.clone(),
        name: key.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn rule(name: &str, features: &[&str]) -> pb::PushedResource {
        let spec = pb::AccessRuleSpec {
            effect: pb::Effect::Allow.into(),
            everyone: true,
            servers: vec![pb::ServerSelector {
                kind: Some(pb::server_selector::Kind::Glob("*".into())),
            }],
            ..Default::default()
        };
        let resource = pb::Resource {
            metadata: Some(pb::Metadata {
                name: name.into(),
                features: features.iter().map(ToString::to_string).collect(),
                ..Default::default()
            }),
            spec: Some(pb::resource::Spec::AccessRule(spec)),
        };
        pb::PushedResource {
            key: Some(pb::ResourceKey {
                kind: "AccessRule".into(),
                name: name.into(),
            }),
            version: 1,
            encoded: resource.encode_to_vec().into(),
        }
    }

    /// A push whose hash is right for a node that then holds `all`.
    fn push(changed: Vec<pb::PushedResource>, all: &[pb::PushedResource]) -> pb::ConfigPush {
        let mut held = Held::default();
        for pushed in all {
            let (key, entry) = entry(pushed).unwrap();
            held.entries.insert(key, entry);
        }
        let sha256 = held.compute_hash().0.to_vec();
        pb::ConfigPush {
            nonce: 1,
            revision: 5,
            sha256,
            changed,
            ..Default::default()
        }
    }

    #[test]
    fn a_delta_leads_to_what_the_control_plane_meant() {
        let (a, b) = (rule("a", &["access/1"]), rule("b", &["access/1"]));
        let first = push(vec![a.clone()], std::slice::from_ref(&a));
        let (held, snapshot) = Held::default().after(&first).unwrap();
        assert_eq!((held.revision, snapshot.rules.len()), (Revision(5), 1));
        let (held, snapshot) = held
            .after(&push(vec![b.clone()], &[a.clone(), b.clone()]))
            .unwrap();
        assert_eq!((held.known().len(), snapshot.rules.len()), (2, 2));
        let mut removal = push(Vec::new(), std::slice::from_ref(&b));
        removal.removed = vec![a.key.clone().unwrap()];
        let (held, _) = held.after(&removal).unwrap();
        let (again, _) = Held::default().after(&held.to_push()).unwrap();
        assert_eq!(again.hash, held.hash);
    }

    #[test]
    fn a_push_that_leads_elsewhere_is_refused_and_changes_nothing() {
        let (a, b) = (rule("a", &[]), rule("b", &[]));
        let held = Held::default()
            .after(&push(vec![a.clone()], std::slice::from_ref(&a)))
            .unwrap()
            .0;
        let before = held.hash;
        let faults = held
            .after(&push(vec![b.clone()], std::slice::from_ref(&b)))
            .unwrap_err();
        assert!(faults[0].contains("hash"), "{faults:?}");
        assert_eq!(held.hash, before);
    }

    #[test]
    fn a_revision_that_goes_back_is_refused_even_as_a_whole() {
        let a = rule("a", &["access/1"]);
        let first = push(vec![a.clone()], std::slice::from_ref(&a));
        let (held, _) = Held::default().after(&first).unwrap();
        let older = pb::ConfigPush {
            revision: 4,
            full: true,
            ..first
        };
        let faults = held.after(&older).unwrap_err();
        assert!(faults[0].contains("older than revision 5"), "{faults:?}");
    }

    #[test]
    fn an_unknown_feature_refuses_the_whole_push() {
        let new = rule("new", &["access/1", "access.when/9"]);
        let faults = Held::default()
            .after(&push(vec![new.clone()], std::slice::from_ref(&new)))
            .unwrap_err();
        assert!(faults[0].contains("access.when/9"), "{faults:?}");
    }
}
