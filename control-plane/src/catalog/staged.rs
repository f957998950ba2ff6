//! A change that a share of the nodes has first: what the others get meanwhile, and how it ends.
//!
//! ```text
//! head    base + the change + what else was changed since      for nodes that have the change
//! before  base              + what else was changed since      for all others
//! ```
//! How it stands is a resource of the control plane's own, so that every replica knows it, and history tells it.
//! Knows nothing of nodes: which of them have it is `publish::members`' to say, and when it goes on or back
//! `stager`'s.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::fault::BAD_VALUE;
use model::snapshot::ResourceKey;
use model::wire::{self, SERVER, STAGED_ROLLOUT, TOOL_PINS};
use proto::v1 as pb;
use proto::v1::resource::Spec;

use super::draft::content;
use super::{Edit, Error, Fault, State, Stored};
use crate::clock;

/// Its resource's name.
const NAME: &str = "current";
/// Its states.
const RUNNING: &str = "running";
const DONE: &str = "done";
const HALTED: &str = "halted";
/// Most shares.
const SHARES_MAX: usize = 10;
/// For how long a share is watched unless asked otherwise, and how long at least and at most, in seconds.
const WATCH_SECONDS: (u32, u32, u32) = (300, 10, 24 * 3600);
/// By how many percentage points failures may rise unless asked otherwise.
const ERRORS_PERCENT: u32 = 5;
/// What a change is refused with while another one is staged.
pub(crate) const STAGED: &str = "GH5005";

/// A change that not all nodes have.
#[derive(Debug, Clone)]
pub(crate) struct Staged {
    /// How it stands.
    pub spec: pb::StagedRolloutSpec,
    /// What the change put.
    pub keys: BTreeSet<ResourceKey>,
    /// All configuration before it.
    pub base: Arc<State>,
    /// What nodes get that do not have it: of `base`'s revision until something else is changed, then of the head's.
    pub before: Arc<State>,
}

/// How a staged rollout ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// All nodes get it.
    Promote,
    /// It is taken back.
    Halt,
}

impl Staged {
    /// From the state before the change, and the head. `None`: what was before cannot be read by this version.
    pub(super) fn new(
        spec: &pb::StagedRolloutSpec,
        base: Arc<State>,
        head: &State,
    ) -> Option<Self> {
        let keys: BTreeSet<ResourceKey> = head
            .visible()
            .filter(|(_, stored)| stored.version == spec.revision)
            .map(|(key, _)| key.clone())
            .collect();
        let mut before = head.clone();
        before.set_staged(None);
        for key in &keys {
            match base.get(key) {
                None => before.remove(key),
                Some(stored) => {
                    let item = wire::convert(&stored.resource).ok()?;
                    before.put(key.clone(), stored.clone(), item);
                }
            }
        }
        before.remove(&key());
        let is_orphan = |key: &&ResourceKey| {
            key.kind == TOOL_PINS && before.get(&ResourceKey::new(SERVER, &key.name)).is_none()
        };
        let orphans: Vec<ResourceKey> = before
            .resources()
            .keys()
            .filter(is_orphan)
            .cloned()
            .collect();
        for orphan in &orphans {
            before.remove(orphan);
        }
        let revision = if versions(&before).eq(versions(&base)) {
            base.revision()
        } else {
            head.revision()
        };
        before.seal(revision);
        Some(Self {
            spec: spec.clone(),
            keys,
            base,
            before: Arc::new(before),
        })
    }

    /// The edits that end it.
    pub(super) fn end(&self, head: &State, how: &End, why: &str) -> Vec<Edit> {
        let back = self.keys.iter().filter_map(|key| match self.base.get(key) {
            Some(stored) => Some(Edit::put(stored.resource.clone())),
            None => head.get(key).map(|_| Edit::Delete(key.clone())),
        });
        let back = back.filter(|_| *how == End::Halt);
        back.chain([ended(&self.spec, how, why)]).collect()
    }

    /// Of what somebody else wants, what also the nodes get that do not have the change.
    pub(super) fn beside(&self, edits: &[Edit]) -> Vec<Edit> {
        let is_own = |edit: &Edit| edit.key().is_some_and(|key| self.keys.contains(&key));
        edits.iter().filter(|edit| !is_own(edit)).cloned().collect()
    }

    /// Says of a fault that only nodes would meet which do not have the change.
    pub(super) fn elsewhere(&self, error: Error) -> Error {
        let revision = self.spec.revision;
        match error {
            Error::Refused(faults) => {
                let told = |fault: Fault| Fault {
                    message: format!("{} on nodes without revision {revision}", fault.message),
                    ..fault
                };
                Error::Refused(faults.into_iter().map(told).collect())
            }
            other => other,
        }
    }
}

/// Keys and versions, but for the rollout's own.
fn versions(state: &State) -> impl Iterator<Item = (&ResourceKey, u64)> {
    let all = state.resources().iter();
    let others = all.filter(|(key, _)| key.kind != STAGED_ROLLOUT);
    others.map(|(key, stored)| (key, stored.version))
}

/// The key of its resource.
pub(crate) fn key() -> ResourceKey {
    ResourceKey::new(STAGED_ROLLOUT, NAME)
}

fn resource(spec: pb::StagedRolloutSpec) -> pb::Resource {
    pb::Resource {
        metadata: Some(pb::Metadata {
            name: NAME.to_owned(),
            ..Default::default()
        }),
        spec: Some(Spec::StagedRollout(spec)),
    }
}

/// The one that is running, or was the last.
pub(crate) fn last(state: &State) -> Option<&pb::StagedRolloutSpec> {
    match &state.get(&key())?.resource.spec {
        Some(Spec::StagedRollout(spec)) => Some(spec),
        _ => None,
    }
}

/// The one that is running.
pub(crate) fn running(state: &State) -> Option<&pb::StagedRolloutSpec> {
    last(state).filter(|spec| spec.state == RUNNING)
}

/// Why `revision` was taken back, where it was.
pub(crate) fn halted(state: &State, revision: u64) -> Option<&str> {
    let spec = last(state).filter(|spec| spec.state == HALTED && spec.revision == revision)?;
    Some(&spec.why)
}

/// The edit by which the change that is made on `state` is staged.
///
/// # Errors
/// [`Error::Refused`] where it is not said well; [`Error::Staged`] where another one is running.
pub(super) fn begin(state: &State, author: &str, asked: &pb::Stages) -> Result<Edit, Error> {
    if let Some(spec) = running(state) {
        return Err(Error::Staged(spec.revision));
    }
    let mut faults = Vec::new();
    let mut fault = |path: &str, message: String| {
        faults.push(Fault {
            index: None,
            resource: None,
            path: format!("stages.{path}"),
            code: BAD_VALUE,
            message,
            fix: None,
        });
    };
    let shares = &asked.shares;
    let is_rising = shares.windows(2).all(|pair| pair[0] < pair[1]);
    let is_good = !shares.is_empty() && shares.iter().all(|share| (1..100).contains(share));
    if !is_rising || !is_good || shares.len() > SHARES_MAX {
        let message = format!(
            "{shares:?} are not shares of the nodes: 1 to {SHARES_MAX}, rising, each from 1 to 99 percent"
        );
        fault("shares", message);
    }
    let (usual, least, most) = WATCH_SECONDS;
    let watch_seconds = or(asked.watch_seconds, usual);
    if !(least..=most).contains(&watch_seconds) {
        let message = format!("{watch_seconds} s: a share is watched for {least} to {most} s");
        fault("watch_seconds", message);
    }
    let errors_percent = or(asked.errors_percent, ERRORS_PERCENT);
    if errors_percent > 100 {
        fault(
            "errors_percent",
            format!("{errors_percent} is more than 100 percent"),
        );
    }
    if !faults.is_empty() {
        return Err(Error::Refused(faults));
    }
    Ok(Edit::put(resource(pb::StagedRolloutSpec {
        revision: state.revision() + 1,
        base: state.revision(),
        author: author.to_owned(),
        shares: shares.clone(),
        since_unix_ms: clock::now_ms(),
        watch_seconds,
        errors_percent,
        state: RUNNING.to_owned(),
        ..Default::default()
    })))
}

fn or(asked: u32, usual: u32) -> u32 {
    if asked == 0 { usual } else { asked }
}

/// The edit by which the next share begins.
pub(super) fn next(spec: &pb::StagedRolloutSpec, edges_below: u64, sidecars_below: u64) -> Edit {
    Edit::put(resource(pb::StagedRolloutSpec {
        begun: spec.begun + 1,
        // Who has it keeps it.
        edges_below: edges_below.max(spec.edges_below),
        sidecars_below: sidecars_below.max(spec.sidecars_below),
        since_unix_ms: clock::now_ms(),
        ..spec.clone()
    }))
}

/// The edit by which it is over.
pub(super) fn ended(spec: &pb::StagedRolloutSpec, how: &End, why: &str) -> Edit {
    let state = match how {
        End::Promote => DONE,
        End::Halt => HALTED,
    };
    Edit::put(resource(pb::StagedRolloutSpec {
        state: state.to_owned(),
        why: why.to_owned(),
        ..spec.clone()
    }))
}

/// Nobody changes what is part of a change that not all nodes have.
///
/// # Errors
/// [`Error::Refused`].
pub(super) fn must_be_free(state: &State, edits: &[Edit]) -> Result<(), Error> {
    let Some(staged) = state.staged() else {
        return Ok(());
    };
    let revision = staged.spec.revision;
    let changes = |edit: &Edit, stored: Option<&Arc<Stored>>| match (edit, stored) {
        (Edit::Put(new), Some(old)) => content(new) != content(&old.resource),
        _ => true,
    };
    let taken = edits.iter().enumerate().filter_map(|(index, edit)| {
        let key = edit.key().filter(|key| staged.keys.contains(key))?;
        changes(edit, state.get(&key)).then(|| Fault {
            index: Some(index),
            message: format!(
                "{} {} is part of revision {revision}, which not all nodes have yet: let it come to all, or take \
                 it back first",
                key.kind, key.name
            ),
            resource: Some(key),
            path: String::new(),
            code: STAGED,
            fix: Some("gatehouse rollout promote, or gatehouse rollout halt".to_owned()),
        })
    });
    let faults: Vec<Fault> = taken.collect();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Error::Refused(faults))
    }
}

#[cfg(test)]
mod tests;
