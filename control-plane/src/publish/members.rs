//! Which nodes have a change that is staged. Pure, and the same at every replica.
//!
//! Each node has a place, by its name; those have the change whose place is below a bound, which only rises. So a
//! node that comes back has what it had, and of nodes that come later a share has it, too.
//!
//! Rules are decided on at the edge and again at the sidecar. Those that a change brings are tried at edges alone: a
//! server has few sidecars, often one, and what that refuses is refused to everybody.

use std::collections::BTreeSet;

use model::name::ServerName;
use model::snapshot::{ResourceKey, Sha256};
use model::wire::ACCESS_RULE;

use super::view::{Scope, sees};
use crate::catalog::{Staged, State};

/// Who has a change that is staged.
#[derive(Debug, Clone)]
pub(crate) struct Members {
    /// The revision of the change.
    pub revision: u64,
    /// How many of its shares have begun.
    pub begun: u32,
    /// The revision of what all others get.
    pub held: u64,
    edges_below: u64,
    sidecars_below: u64,
    /// Servers whose sidecars try it: it changes what they alone do.
    tried: BTreeSet<ServerName>,
    /// Servers whose sidecars have it last, as it changes rules alone for them.
    last: BTreeSet<ServerName>,
}

impl Members {
    /// Of a change that is staged, in the state that is the head.
    pub(super) fn new(staged: &Staged, head: &State) -> Self {
        // What is new is known to nobody who lacks the change: its sidecars need it at once.
        let all = staged.before.snapshot().servers.keys();
        let differs = |server: &ServerName, are_rules: bool| {
            let scope = Scope::Sidecar(server.clone());
            let seen_in = |key: &ResourceKey, state: &State| {
                state.get(key).is_some() && sees(&scope, key, state.snapshot())
            };
            let mut keys = staged
                .keys
                .iter()
                .filter(|key| (key.kind == ACCESS_RULE) == are_rules);
            keys.any(|key| seen_in(key, head) || seen_in(key, &staged.before))
        };
        let differing = |are_rules| {
            let servers = all.clone().filter(|server| differs(server, are_rules));
            servers.cloned().collect::<BTreeSet<_>>()
        };
        let tried = differing(false);
        Self {
            revision: staged.spec.revision,
            begun: staged.spec.begun,
            held: staged.before.revision(),
            edges_below: staged.spec.edges_below,
            sidecars_below: staged.spec.sidecars_below,
            last: differing(true).difference(&tried).cloned().collect(),
            tried,
        }
    }

    /// Whether a node may try the change: an edge, or a sidecar of `server`.
    pub(crate) fn concerns(&self, server: Option<&ServerName>) -> bool {
        server.is_none_or(|server| self.tried.contains(server))
    }

    /// Whether a node has it, or as good as has it, as it makes no difference there.
    pub(crate) fn has(&self, node: &str, server: Option<&ServerName>) -> bool {
        match server {
            None => self.place(node) < self.edges_below,
            Some(server) if self.tried.contains(server) => self.place(node) < self.sidecars_below,
            Some(server) => !self.last.contains(server),
        }
    }

    /// A node's place.
    pub(crate) fn place(&self, node: &str) -> u64 {
        place(self.revision, node)
    }
}

fn place(revision: u64, node: &str) -> u64 {
    let hash = Sha256::of(format!("{revision}/{node}").as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash.0[..8]);
    u64::from_be_bytes(first)
}

/// The bound below which a share of these places lies, in percent: at least one of them, where there are any.
pub(crate) fn bound(mut places: Vec<u64>, percent: u32) -> u64 {
    if places.is_empty() {
        return u64::MAX / 100 * u64::from(percent);
    }
    places.sort_unstable();
    let wanted = (places.len() * percent as usize).div_ceil(100);
    let last = wanted.clamp(1, places.len()) - 1;
    places[last].saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_at_least_one_node_and_never_more_than_it_says_rounded_up() {
        let places = || {
            (0..40_u64)
                .map(|n| place(7, &format!("edge-{n}")))
                .collect::<Vec<_>>()
        };
        let having = |bound: u64| places().into_iter().filter(|place| *place < bound).count();
        assert_eq!(having(bound(places(), 1)), 1);
        assert_eq!(having(bound(places(), 10)), 4);
        assert_eq!(having(bound(places(), 51)), 21);
        assert_eq!(having(bound(places(), 99)), 40);
        assert_eq!(bound(vec![5], 1), 6);
    }

    #[test]
    fn where_there_are_no_nodes_yet_a_share_of_those_that_come_has_it() {
        let below = bound(Vec::new(), 25);
        let having = (0..1000)
            .filter(|n| place(3, &format!("edge-{n}")) < below)
            .count();
        assert!((200..300).contains(&having), "{having}");
    }

    #[test]
    fn other_nodes_are_first_with_each_change() {
        let first = |revision| (0..10).min_by_key(|n| place(revision, &format!("edge-{n}")));
        let firsts: BTreeSet<_> = (1..30).map(first).collect();
        assert!(firsts.len() > 5, "{firsts:?}");
    }
}
