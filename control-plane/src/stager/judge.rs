//! Goes a change on to more nodes, or back? Pure: what is known of the nodes in, what to do out.

use std::collections::{BTreeMap, BTreeSet};

use model::name::ServerName;
use proto::v1 as pb;

use crate::nodes::{Counts, Sides, Tally};
use crate::publish::Members;

/// Longest that a node may take to take what it is sent, milliseconds.
const TAKE_MAX_MS: i64 = 60_000;
/// Fewer calls than these say nothing, and fewer failures may be chance.
const CALLS_MIN: u64 = 20;
const FAILED_MIN: u64 = 5;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing yet.
    Wait,
    /// The next share may have it; after the last, all.
    Next,
    /// It goes back, and why.
    Halt(String),
}

/// What one replica remembers of a change while it is staged.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The revision of the change.
    revision: u64,
    /// Nodes that have taken it.
    taken: BTreeSet<String>,
    /// Nodes that are to take it, and since when they were seen not to have, Unix milliseconds.
    waiting: BTreeMap<String, i64>,
}

/// All that is looked at.
#[derive(Debug)]
pub(super) struct Look<'a> {
    pub(super) spec: &'a pb::StagedRolloutSpec,
    pub(super) members: &'a Members,
    /// All live nodes, whichever replica they are at.
    pub(super) live: &'a [pb::NodeStatus],
    pub(super) counts: Option<Counts>,
    pub(super) now: i64,
}

impl Look<'_> {
    /// Those of the live nodes that have the change, or are to take it, and to which it makes a difference.
    fn having(&self) -> impl Iterator<Item = &pb::NodeStatus> {
        self.live.iter().filter(|node| {
            let server = ServerName::new(&node.server).ok();
            self.members.concerns(server.as_ref()) && self.members.has(&node.name, server.as_ref())
        })
    }

    /// What to do; remembers what was seen.
    pub(super) fn judge(&self, memory: &mut Memory) -> Verdict {
        if self.spec.begun == 0 {
            return Verdict::Next;
        }
        self.remember(memory);
        let why = self
            .rejected()
            .or_else(|| self.lost(memory))
            .or_else(|| self.rising())
            .or_else(|| self.stuck(memory));
        if let Some(why) = why {
            return Verdict::Halt(why);
        }
        let over = self.spec.since_unix_ms + i64::from(self.spec.watch_seconds) * 1000;
        if memory.waiting.is_empty() && self.now >= over {
            Verdict::Next
        } else {
            Verdict::Wait
        }
    }

    fn remember(&self, memory: &mut Memory) {
        if memory.revision != self.spec.revision {
            *memory = Memory {
                revision: self.spec.revision,
                ..Memory::default()
            };
        }
        let mut waiting = BTreeMap::new();
        for node in self.having() {
            if node.revision >= self.spec.revision {
                memory.taken.insert(node.name.clone());
            } else {
                let since = memory.waiting.get(&node.name).copied();
                waiting.insert(node.name.clone(), since.unwrap_or(self.now));
            }
        }
        memory.waiting = waiting;
    }

    fn rejected(&self) -> Option<String> {
        let mut having = self.having();
        let node = having.find(|node| node.rejected_revision >= self.spec.revision)?;
        let fault = node
            .faults
            .first()
            .map_or("no reason given", String::as_str);
        Some(format!("{} rejects it: {fault}", called(node)))
    }

    /// Most of those that took it are gone: a deployment takes some at a time.
    fn lost(&self, memory: &Memory) -> Option<String> {
        let live: BTreeSet<&str> = self.live.iter().map(|node| node.name.as_str()).collect();
        let lost: Vec<&str> = memory
            .taken
            .iter()
            .map(String::as_str)
            .filter(|name| !live.contains(name))
            .collect();
        let most = lost.len() * 2 > memory.taken.len();
        most.then(|| format!("{} took it and fell silent", lost.join(", ")))
    }

    fn rising(&self) -> Option<String> {
        let counts = self
            .counts
            .filter(|counts| counts.begun == self.spec.begun)?;
        let kinds = [("edges", counts.edges), ("sidecars", counts.sidecars)];
        kinds
            .into_iter()
            .find_map(|(kind, sides)| rise(kind, &sides, self.spec.errors_percent))
    }

    fn stuck(&self, memory: &Memory) -> Option<String> {
        let mut waiting = memory.waiting.iter();
        let (node, _) = waiting.find(|(_, since)| self.now - **since > TAKE_MAX_MS)?;
        Some(format!(
            "{node} has not taken it in {} s",
            TAKE_MAX_MS / 1000
        ))
    }
}

fn called(node: &pb::NodeStatus) -> String {
    match node.server.as_str() {
        "" => format!("edge/{}", node.name),
        server => format!("sidecar/{server} ({})", node.name),
    }
}

/// Failures of the calls at nodes that have the change, beyond what is usual by `allowed` percentage points.
fn rise(kind: &str, sides: &Sides, allowed: u32) -> Option<String> {
    if sides.having.failed < FAILED_MIN {
        return None;
    }
    let now = permille(sides.having)?;
    let others = permille(sides.others);
    let usual = others.into_iter().chain(permille(sides.before)).max();
    let usual = usual.unwrap_or(0);
    (now > usual + u64::from(allowed) * 10).then(|| {
        let Tally { calls, failed } = sides.having;
        format!(
            "{failed} of {calls} calls failed or were refused at {kind} that have it ({}), where {} is usual",
            percent(now),
            percent(usual)
        )
    })
}

/// Failures in a thousand calls; `None`: too few calls.
fn permille(tally: Tally) -> Option<u64> {
    (tally.calls >= CALLS_MIN).then(|| tally.failed.saturating_mul(1000) / tally.calls)
}

fn percent(permille: u64) -> String {
    format!("{}.{}%", permille / 10, permille % 10)
}

#[cfg(test)]
mod tests;
