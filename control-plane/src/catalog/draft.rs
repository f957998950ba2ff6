//! A change before it is made: from a state and what somebody wants of it to the next state, or to every
//! fault at once. Pure: the store is not asked, and nothing happens if the draft is thrown away.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::Engine;
use engine::compile::{self, check_references};
use model::fault::{DANGLING, DUPLICATE, MISSING, TOO_MUCH, UNKNOWN_KIND};
use model::snapshot::ResourceKey;
use model::wire;
use proto::v1 as pb;

use super::log::Op;
use super::state::is_internal;
use super::{EDITS_MAX, Error, Fault, RESOURCE_BYTES_MAX, RESOURCES_MAX, State, Stored, diff};
use crate::store::seal::Sealer;

/// One thing that a change does.
#[derive(Debug, Clone)]
pub(crate) enum Edit {
    /// Stores a resource, over one of the same key.
    Put(Box<pb::Resource>),
    /// Removes a resource that is there.
    Delete(ResourceKey),
}

impl Edit {
    /// Stores a resource.
    pub(crate) fn put(resource: pb::Resource) -> Self {
        Self::Put(Box::new(resource))
    }

    /// Whether it is about how a change is staged.
    pub(super) fn is_of_rollout(&self) -> bool {
        self.key()
            .is_some_and(|key| key.kind == wire::STAGED_ROLLOUT)
    }

    /// What it is about; `None` where that is not said well.
    pub(super) fn key(&self) -> Option<ResourceKey> {
        match self {
            Self::Put(resource) => wire::key_of(resource),
            Self::Delete(key) => Some(key.clone()),
        }
    }
}

/// What a change would do.
pub(super) struct Draft {
    /// The state after it.
    pub(super) next: State,
    /// What leads there. Empty: nothing differs.
    pub(super) ops: Vec<Op>,
    /// One for each edit, in their order.
    pub(super) changes: Vec<pb::Change>,
    /// What works but may not be meant.
    pub(super) warnings: Vec<pb::Warning>,
}

/// Refuses more than one change may be about. A rollback may be about more: what several changes put, it takes back at
/// once.
///
/// # Errors
/// [`Error::Refused`].
pub(super) fn refuse_many(count: usize) -> Result<(), Error> {
    if count <= EDITS_MAX {
        return Ok(());
    }
    let message = format!("{count} resources are over the {EDITS_MAX} of one change");
    Err(Error::Refused(vec![whole(TOO_MUCH, message)]))
}

/// Refuses the kinds that only the control plane makes.
///
/// # Errors
/// [`Error::Refused`].
pub(super) fn refuse_internal(resources: &[pb::Resource]) -> Result<(), Error> {
    let internal = |(index, resource): (usize, &pb::Resource)| {
        let kind = wire::kind_of(resource).filter(|kind| is_internal(kind))?;
        Some(Fault {
            index: Some(index),
            resource: wire::key_of(resource),
            path: "kind".to_owned(),
            code: UNKNOWN_KIND,
            message: format!("{kind} is made by the control plane and cannot be applied"),
            fix: (kind == wire::API_KEY).then(|| "gatehouse key create --user NAME".to_owned()),
        })
    };
    let faults: Vec<Fault> = resources.iter().enumerate().filter_map(internal).collect();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Error::Refused(faults))
    }
}

/// Drafts `edits` on `state`. `now` is RFC 3339.
///
/// # Errors
/// [`Error::Refused`] with all faults; [`Error::NotFound`] where something to delete is not there;
/// [`Error::TooOld`] where the state holds what this version cannot judge.
pub(super) fn draft(
    state: &State,
    edits: Vec<Edit>,
    now: &str,
    sealer: &Sealer,
) -> Result<Draft, Error> {
    if let Some(key) = state.unreadable() {
        return Err(Error::TooOld(key.clone()));
    }
    let mut drafting = Drafting {
        state,
        now,
        sealer,
        next: state.clone(),
        ops: Vec::new(),
        changes: Vec::new(),
        indexes: BTreeMap::new(),
        faults: Vec::new(),
    };
    for (index, edit) in edits.into_iter().enumerate() {
        match edit {
            Edit::Put(resource) => drafting.put(index, *resource)?,
            Edit::Delete(key) => drafting.delete(index, key)?,
        }
    }
    drafting.finish()
}

struct Drafting<'a> {
    state: &'a State,
    now: &'a str,
    sealer: &'a Sealer,
    next: State,
    ops: Vec<Op>,
    changes: Vec<pb::Change>,
    /// Which edit is about which resource.
    indexes: BTreeMap<ResourceKey, usize>,
    faults: Vec<Fault>,
}

impl Drafting<'_> {
    fn put(&mut self, index: usize, mut resource: pb::Resource) -> Result<(), Error> {
        let item = match wire::convert(&resource) {
            Ok(item) => item,
            Err(faults) => {
                let key = wire::key_of(&resource);
                self.faults.extend(
                    faults
                        .into_iter()
                        .map(|fault| at(index, key.clone(), fault)),
                );
                return Ok(());
            }
        };
        let Some(key) = wire::key_of(&resource) else {
            let fault = wire::Fault::new("metadata", MISSING, "is missing");
            self.faults.push(at(index, None, fault));
            return Ok(());
        };
        if !self.is_first(index, &key) {
            return Ok(());
        }
        let before = self.state.get(&key);
        if before.is_some_and(|b| content(&b.resource) == content(&resource)) {
            self.changes.push(change(&key, "unchanged", Vec::new()));
            return Ok(());
        }
        let version = self.state.revision() + 1;
        self.stamp(&mut resource, version, before);
        let stored = Stored::new(&key, version, resource, self.sealer)?;
        if stored.encoded.len() > RESOURCE_BYTES_MAX {
            let bytes = stored.encoded.len();
            let message = format!("{bytes} bytes are over the {RESOURCE_BYTES_MAX} of a resource");
            self.faults.push(at(
                index,
                Some(key),
                wire::Fault::new("", TOO_MUCH, message),
            ));
            return Ok(());
        }
        self.changes.push(match before {
            // What is the control plane's own is not shown, not even what differs in it.
            Some(_) if is_internal(&key.kind) => change(&key, "changed", Vec::new()),
            Some(b) => change(&key, "changed", diff::fields(&b.shown(), &stored.shown())),
            None => change(&key, "created", Vec::new()),
        });
        let sealed = Some(stored.sealed.clone());
        self.ops.push(op(&key, version, before, sealed));
        self.next.put(key, stored, item);
        Ok(())
    }

    fn delete(&mut self, index: usize, key: ResourceKey) -> Result<(), Error> {
        if self.state.get(&key).is_none() {
            return Err(Error::NotFound(key));
        }
        if self.is_first(index, &key) {
            self.changes.push(change(&key, "deleted", Vec::new()));
            self.remove(&key);
            if key.kind == wire::SERVER {
                // What was approved of its tools goes with it: another server of its name is another server.
                self.remove(&ResourceKey::new(wire::TOOL_PINS, &key.name));
            }
        }
        Ok(())
    }

    fn remove(&mut self, key: &ResourceKey) {
        if let Some(before) = self.state.get(key) {
            let version = self.state.revision() + 1;
            self.ops.push(op(key, version, Some(before), None));
            self.next.remove(key);
        }
    }

    /// Whether no edit before this one is about `key`.
    fn is_first(&mut self, index: usize, key: &ResourceKey) -> bool {
        if let Some(first) = self.indexes.get(key) {
            let message = format!(
                "{} {} is given twice, first as number {}",
                key.kind,
                key.name,
                first + 1
            );
            let fault = wire::Fault::new("metadata.name", DUPLICATE, message);
            self.faults.push(at(index, Some(key.clone()), fault));
            return false;
        }
        self.indexes.insert(key.clone(), index);
        true
    }

    /// Sets what the control plane sets.
    fn stamp(&self, resource: &mut pb::Resource, version: u64, before: Option<&Arc<Stored>>) {
        let features = wire::features_of(resource);
        let created = before
            .and_then(|b| b.resource.metadata.as_ref())
            .map(|m| m.created.clone());
        if let Some(metadata) = &mut resource.metadata {
            metadata.revision = version;
            metadata.created = created.unwrap_or_else(|| self.now.to_owned());
            metadata.changed = self.now.to_owned();
            metadata.features = features;
        }
    }

    /// Looks at the whole.
    fn finish(mut self) -> Result<Draft, Error> {
        if self.next.resources().len() > RESOURCES_MAX {
            let message = format!("an installation holds at most {RESOURCES_MAX} resources");
            self.faults.push(whole(TOO_MUCH, message));
        }
        // A resource that is at fault is missing from the draft: what refers to it would seem to dangle.
        if self.faults.is_empty() {
            if !self.ops.is_empty() {
                self.next.seal(self.state.revision() + 1);
            }
            let snapshot = self.next.snapshot();
            let dangling = check_references(snapshot);
            let compiled = Engine::compile(snapshot.clone()).err().unwrap_or_default();
            // What dangles is found by both.
            let compiled = compiled.into_iter().filter(|fault| fault.code != DANGLING);
            let found: Vec<Fault> = dangling
                .into_iter()
                .chain(compiled)
                .map(|fault| self.place(fault))
                .collect();
            self.faults.extend(found);
        }
        if !self.faults.is_empty() {
            return Err(Error::Refused(self.faults));
        }
        let warnings = compile::warnings(self.next.snapshot())
            .into_iter()
            .filter(|w| self.indexes.contains_key(&w.resource))
            .map(warning)
            .collect();
        Ok(Draft {
            next: self.next,
            ops: self.ops,
            changes: self.changes,
            warnings,
        })
    }

    /// Says where a fault of the whole is, from the view of whoever made the change.
    fn place(&self, fault: compile::Fault) -> Fault {
        let index = self.indexes.get(&fault.resource).copied();
        let message = match index {
            Some(_) => fault.message,
            None => {
                let ResourceKey { kind, name } = &fault.resource;
                format!(
                    "{kind} {name} still needs it: {}: {}",
                    fault.path, fault.message
                )
            }
        };
        Fault {
            index,
            resource: Some(fault.resource),
            path: fault.path,
            code: fault.code,
            message,
            fix: fault.fix,
        }
    }
}

/// What its writer said, without what the control plane set.
pub(super) fn content(
    resource: &pb::Resource,
) -> (Option<pb::Metadata>, Option<&pb::resource::Spec>) {
    let metadata = resource.metadata.as_ref().map(|m| pb::Metadata {
        name: m.name.clone(),
        labels: m.labels.clone(),
        ..Default::default()
    });
    (metadata, resource.spec.as_ref())
}

fn at(index: usize, resource: Option<ResourceKey>, fault: wire::Fault) -> Fault {
    let wire::Fault {
        path,
        code,
        message,
        fix,
    } = fault;
    Fault {
        index: Some(index),
        resource,
        path,
        code,
        message,
        fix,
    }
}

fn whole(code: &'static str, message: String) -> Fault {
    Fault {
        index: None,
        resource: None,
        path: String::new(),
        code,
        message,
        fix: None,
    }
}

fn op(
    key: &ResourceKey,
    version: u64,
    before: Option<&Arc<Stored>>,
    resource: Option<bytes::Bytes>,
) -> Op {
    Op {
        kind: key.kind.clone(),
        name: key.name.clone(),
        version,
        resource,
        replaces: before.map_or(0, |b| b.version),
    }
}

pub(super) fn change(key: &ResourceKey, action: &str, fields: Vec<pb::FieldChange>) -> pb::Change {
    pb::Change {
        key: Some(wire_key(key)),
        action: action.to_owned(),
        fields,
    }
}

fn warning(fault: compile::Fault) -> pb::Warning {
    pb::Warning {
        key: Some(wire_key(&fault.resource)),
        path: fault.path,
        message: fault.message,
        code: fault.code.to_owned(),
    }
}

/// A key as messages carry it.
pub(crate) fn wire_key(key: &ResourceKey) -> pb::ResourceKey {
    pb::ResourceKey {
        kind: key.kind.clone(),
        name: key.name.clone(),
    }
}
