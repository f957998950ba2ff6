//! Limits: which of them count a call, and under which keys.
//!
//! Pure: what was counted, and when, is the data plane's. Limits come narrowest first (those that tell most apart), so
//! that a caller who is over a limit of its own takes nothing from one that it shares with others.

mod key;

use std::collections::HashMap;
use std::sync::Arc;

use model::fault::TOO_MUCH;
use model::limit::Limit;
use model::name::{Glob, ServerName};
use model::principal::Principal;
use model::snapshot::{ResourceKey, Snapshot};
use model::wire::LIMIT;

use crate::compile::Fault;
use crate::reference::{any, is_subject};
pub use key::{GROUPS_MAX, Key, keys};

/// Most limits that an engine takes: each has a memory of its own.
pub const LIMITS_MAX: usize = 1_000;

/// All limits of a snapshot.
#[derive(Debug, Default)]
pub struct Limits {
    /// All, narrowest first.
    sorted: Vec<Arc<Limit>>,
    /// Places of limits whose servers are all literal, by server.
    by_server: HashMap<Arc<str>, Vec<usize>>,
    /// Places of limits with a glob of servers, or for all servers.
    anywhere: Vec<usize>,
}

impl Limits {
    /// # Errors
    /// More limits than [`LIMITS_MAX`].
    pub(crate) fn compile(snapshot: &Snapshot) -> Result<Self, Vec<Fault>> {
        if snapshot.limits.len() > LIMITS_MAX {
            let last = snapshot.limits.keys().next_back();
            let fault = last.map(|name| Fault {
                resource: ResourceKey::new(LIMIT, name.as_str()),
                path: String::new(),
                code: TOO_MUCH,
                message: format!(
                    "{} limits are over the {LIMITS_MAX} that an engine takes",
                    snapshot.limits.len()
                ),
                fix: None,
            });
            return Err(fault.into_iter().collect());
        }
        let mut limits = Self {
            sorted: snapshot.limits.values().cloned().collect(),
            ..Self::default()
        };
        limits
            .sorted
            .sort_by(|a, b| (b.per.len(), &a.name).cmp(&(a.per.len(), &b.name)));
        for (place, limit) in limits.sorted.iter().enumerate() {
            let servers = &limit.matches.servers;
            if servers.is_empty() || !servers.iter().all(Glob::is_literal) {
                limits.anywhere.push(place);
                continue;
            }
            for server in servers {
                let list = limits.by_server.entry(server.as_str().into()).or_default();
                // A server that is named twice is one server.
                if list.last() != Some(&place) {
                    list.push(place);
                }
            }
        }
        Ok(limits)
    }

    /// Whether there are none at all.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// All of them, narrowest first.
    pub fn all(&self) -> &[Arc<Limit>] {
        &self.sorted
    }

    /// The limits that count a call, narrowest first. Allocates only where there are some.
    pub fn select(
        &self,
        principal: &Principal,
        server: &ServerName,
        method: &str,
        tool: Option<&str>,
    ) -> Vec<Arc<Limit>> {
        let literal = self.by_server.get(server.as_str());
        let literal = literal.map(Vec::as_slice).unwrap_or_default();
        let mut places = Vec::new();
        for &place in literal.iter().chain(&self.anywhere) {
            let Some(limit) = self.sorted.get(place) else {
                continue;
            };
            if counts(limit, principal, server, method, tool) {
                places.push(place);
            }
        }
        places.sort_unstable();
        let limits = places
            .into_iter()
            .filter_map(|place| self.sorted.get(place));
        limits.cloned().collect()
    }
}

/// Whether a limit counts a call.
pub fn counts(
    limit: &Limit,
    principal: &Principal,
    server: &ServerName,
    method: &str,
    tool: Option<&str>,
) -> bool {
    let matches = &limit.matches;
    let is_any = |globs: &[Glob], text: &str| globs.is_empty() || any(globs, text);
    let tools = || {
        matches.tools.is_empty()
            || (method == mcp::method::TOOLS_CALL && any(&matches.tools, tool.unwrap_or_default()))
    };
    any(&matches.methods, method)
        && is_any(&matches.servers, server.as_str())
        && tools()
        && is_subject(&limit.subjects, principal)
}

#[cfg(test)]
mod tests;
