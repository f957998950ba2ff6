//! What revisions did, and the way back to one of them.
//!
//! History is what the store keeps anyway: each revision's log, with the whole of every resource that it put. Knows
//! nothing of who asks. Start from [`page`]; a whole state of the past is [`super::load::at`].

use model::snapshot::ResourceKey;
use model::wire::{SERVER, TOOL_PINS};
use proto::v1 as pb;

use super::draft::{self, content};
use super::log::{Manifest, Op, Parent};
use super::{Edit, Error, State, Stored, diff, is_internal, load};
use crate::store::seal::Sealer;
use crate::store::{Head, Store, key};

/// Entries of a page, unless asked otherwise, and at most.
const LIMIT: (usize, usize) = (20, 1000);
/// Most revisions that are looked through for one page: the next page goes on.
const LOOKED_MAX: usize = 2000;
/// Most resources that an entry names.
const CHANGES_MAX: usize = 50;

/// Which revisions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    /// Only those that changed this resource.
    pub key: Option<ResourceKey>,
    /// At most so many. 0: as many as is usual.
    pub limit: usize,
    /// Only those below. 0: all.
    pub before: u64,
}

/// A page of history.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// The head revision.
    pub revision: u64,
    /// Newest first.
    pub entries: Vec<pb::HistoryEntry>,
    /// Where the next page begins. 0: there is none.
    pub next: u64,
}

/// The edits that lead from `now` back to what `was`: all but what is the control plane's own.
pub(super) fn way_back(now: &State, was: &State) -> Vec<Edit> {
    let differs = |key: &ResourceKey, stored: &Stored| {
        now.get(key)
            .is_none_or(|n| content(&n.resource) != content(&stored.resource))
    };
    let puts = was
        .visible()
        .filter(|(key, stored)| differs(key, stored))
        .map(|(_, stored)| Edit::put(stored.resource.clone()));
    let deletes = now
        .visible()
        .filter(|(key, _)| was.get(key).is_none())
        .map(|(key, _)| Edit::Delete(key.clone()));
    // With a server comes back what was approved of its tools: else whatever it shows next would be taken as the first.
    let pins = was.resources().iter().filter(|(key, _)| {
        let server = ResourceKey::new(SERVER, &key.name);
        key.kind == TOOL_PINS && now.get(&server).is_none() && was.get(&server).is_some()
    });
    let pins = pins.map(|(_, stored)| Edit::put(stored.resource.clone()));
    puts.chain(pins).chain(deletes).collect()
}

/// A page of what led to `head`.
///
/// # Errors
/// What the store may say.
pub(super) async fn page(
    store: &dyn Store,
    sealer: &Sealer,
    head: Option<&Head>,
    asked: &Asked,
) -> Result<Page, Error> {
    let mut page = Page {
        revision: head.map_or(0, |head| head.revision),
        ..Page::default()
    };
    let limit = match asked.limit {
        0 => LIMIT.0,
        limit => limit.min(LIMIT.1),
    };
    let mut at = match asked.before {
        0 => head.map(Parent::from),
        before => manifest(store, before).await?.and_then(|log| log.parent),
    };
    // The newer version of the resource that is asked for, with the entry that is to name what differs in it.
    let mut newer: Option<(usize, pb::Resource)> = None;
    for _ in 0..LOOKED_MAX {
        let Some(parent) = at.take() else { break };
        let Some(log) = manifest(store, parent.revision).await? else {
            break;
        };
        if log.change != parent.change {
            break;
        }
        let ops = load::ops(store, &key::change(&log.change), log.chunks).await?;
        let mut entry = entry(&log);
        match &asked.key {
            None => add_all(&mut entry, &ops),
            Some(key) => {
                let Some(op) = ops.into_iter().find(|op| is_of(op, key)) else {
                    at = going_on(&mut page, &log);
                    continue;
                };
                let version = version(key, &op, sealer)?;
                if let (Some((newer, after)), Some(before)) = (newer.take(), &version) {
                    name_fields(&mut page.entries, newer, before, &after);
                }
                if page.entries.len() == limit {
                    break;
                }
                entry
                    .changes
                    .push(draft::change(key, action(&op), Vec::new()));
                entry.changed = 1;
                newer = version
                    .filter(|_| op.replaces != 0 && !is_internal(&key.kind))
                    .map(|resource| (page.entries.len(), resource));
            }
        }
        page.entries.push(entry);
        at = going_on(&mut page, &log);
        // One more version of a resource is looked for, to tell what differs.
        if page.entries.len() == limit && newer.is_none() {
            break;
        }
    }
    Ok(page)
}

/// Where to go on below `log`; says so on the page.
fn going_on(page: &mut Page, log: &Manifest) -> Option<Parent> {
    page.next = if log.parent.is_some() {
        log.revision
    } else {
        0
    };
    log.parent.clone()
}

async fn manifest(store: &dyn Store, revision: u64) -> Result<Option<Manifest>, Error> {
    let log = key::log(revision);
    match store.get(&log).await? {
        Some(value) => Ok(Some(Manifest::decode(&log, &value)?)),
        None => Ok(None),
    }
}

fn entry(log: &Manifest) -> pb::HistoryEntry {
    pb::HistoryEntry {
        revision: log.revision,
        time: log.time.clone(),
        author: log.author.clone(),
        rolled_back_to: log.rolled_back_to.unwrap_or_default(),
        restored: log.restored,
        ..Default::default()
    }
}

fn add_all(entry: &mut pb::HistoryEntry, ops: &[Op]) {
    entry.changed = u32::try_from(ops.len()).unwrap_or(u32::MAX);
    let change = |op: &Op| {
        let key = ResourceKey::new(&op.kind, &op.name);
        draft::change(&key, action(op), Vec::new())
    };
    entry.changes = ops.iter().take(CHANGES_MAX).map(change).collect();
}

fn action(op: &Op) -> &'static str {
    match (&op.resource, op.replaces) {
        (None, _) => "deleted",
        (Some(_), 0) => "created",
        (Some(_), _) => "changed",
    }
}

fn is_of(op: &Op, key: &ResourceKey) -> bool {
    op.kind == key.kind && op.name == key.name
}

/// What an operation put, as it may be shown.
fn version(key: &ResourceKey, op: &Op, sealer: &Sealer) -> Result<Option<pb::Resource>, Error> {
    let Some(sealed) = op.resource.clone() else {
        return Ok(None);
    };
    Ok(Some(Stored::read(key, op.version, sealed, sealer)?.shown()))
}

fn name_fields(
    entries: &mut [pb::HistoryEntry],
    at: usize,
    before: &pb::Resource,
    after: &pb::Resource,
) {
    if let Some(change) = entries.get_mut(at).and_then(|e| e.changes.first_mut()) {
        change.fields = diff::fields(before, after);
    }
}

#[cfg(test)]
mod tests;
