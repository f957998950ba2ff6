//! What one kind of node gets to see of a state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::name::{Glob, ServerName};
use model::server::Runtime;
use model::snapshot::{ResourceKey, Sha256, Snapshot, scope_hash};
use model::wire::{ACCESS_RULE, FILTER, SECRET, SERVER, STAGED_ROLLOUT, TOOL_PINS};

use crate::catalog::{State, Stored};

/// Whose view.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// Edges see everything, but for secrets that only a hosted server needs.
    Edge,
    /// A server's sidecars see that server, the rules and filters that are about it, and the secrets that these need; no
    /// API key, no key ring, nothing of other servers.
    Sidecar(ServerName),
}

impl Scope {
    /// The server of a sidecar.
    pub(super) fn server(&self) -> Option<&ServerName> {
        match self {
            Self::Edge => None,
            Self::Sidecar(server) => Some(server),
        }
    }
}

/// One revision, as nodes of one scope see it.
#[derive(Debug)]
pub(crate) struct View {
    /// The revision.
    pub revision: u64,
    /// The hash that a node with all of it must come to.
    pub sha256: Sha256,
    /// What it holds.
    pub resources: BTreeMap<ResourceKey, Arc<Stored>>,
    /// Every engine feature that any of it needs, with one resource that needs it.
    pub features: BTreeMap<String, ResourceKey>,
}

impl View {
    /// What `scope` sees of `state`.
    pub(super) fn new(scope: &Scope, state: &State) -> Self {
        let secrets = secrets(scope, state.snapshot());
        let resources: BTreeMap<ResourceKey, Arc<Stored>> = state
            .resources()
            .iter()
            .filter(|(key, _)| match key.kind.as_str() {
                SECRET => secrets.contains(key.name.as_str()),
                _ => is_seen(scope, key, state.snapshot()),
            })
            .map(|(key, stored)| (key.clone(), stored.clone()))
            .collect();
        let mut features = BTreeMap::new();
        for (key, stored) in &resources {
            for feature in stored.features() {
                features
                    .entry(feature.clone())
                    .or_insert_with(|| key.clone());
            }
        }
        let sha256 = scope_hash(resources.iter().map(|(k, s)| (k, s.version, &s.sha256)));
        Self {
            revision: state.revision(),
            sha256,
            resources,
            features,
        }
    }

    /// What of it a node cannot run that knows `features`: one line for each feature that it lacks.
    pub(crate) fn lacking(&self, features: &BTreeSet<String>) -> Vec<String> {
        self.features
            .iter()
            .filter(|(feature, _)| !features.contains(*feature))
            .map(|(feature, key)| {
                format!(
                    "GH5001 {} {} needs {feature}, which this node does not know",
                    key.kind, key.name
                )
            })
            .collect()
    }
}

/// Whether `scope` sees a resource of a snapshot.
pub(super) fn sees(scope: &Scope, key: &ResourceKey, snapshot: &Snapshot) -> bool {
    match key.kind.as_str() {
        SECRET => secrets(scope, snapshot).contains(key.name.as_str()),
        _ => is_seen(scope, key, snapshot),
    }
}

/// The secrets that nodes of `scope` need: those of servers that they call or run, and of the filters that they run.
fn secrets<'s>(scope: &Scope, snapshot: &'s Snapshot) -> BTreeSet<&'s str> {
    let servers = snapshot.servers.values().filter(|server| match scope {
        Scope::Edge => matches!(server.runtime, Runtime::Remote { .. }),
        Scope::Sidecar(own) => server.name == *own,
    });
    let filters = snapshot.filters.values().filter_map(|filter| {
        let key = ResourceKey::new(FILTER, filter.name.as_str());
        let (_, secret) = filter.kind.secret()?;
        is_seen(scope, &key, snapshot).then_some(secret)
    });
    let of_servers = servers.flat_map(|server| server.secrets());
    of_servers
        .chain(filters)
        .map(|name| name.as_str())
        .collect()
}

fn is_remote(snapshot: &Snapshot, server: &str) -> bool {
    let server = snapshot.servers.get(server);
    server.is_some_and(|server| matches!(server.runtime, Runtime::Remote { .. }))
}

fn is_trusted(snapshot: &Snapshot, server: &str) -> bool {
    let server = snapshot.servers.get(server);
    server.is_some_and(|server| server.tools.is_trusted())
}

/// Whether `scope` sees a resource. What the control plane itself cannot read is seen by all that could be
/// meant: its features keep it from nodes that cannot read it either.
fn is_seen(scope: &Scope, key: &ResourceKey, snapshot: &Snapshot) -> bool {
    let Scope::Sidecar(server) = scope else {
        return match key.kind.as_str() {
            // Of tools, edges see what they call themselves, and what rules may ask: they decide on those, too.
            TOOL_PINS => is_remote(snapshot, &key.name) || is_trusted(snapshot, &key.name),
            STAGED_ROLLOUT => false,
            _ => true,
        };
    };
    let names = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(server.as_str()));
    match key.kind.as_str() {
        SERVER | TOOL_PINS => key.name == server.as_str(),
        ACCESS_RULE => snapshot.rules.get(key.name.as_str()).is_none_or(|rule| {
            let labels = snapshot.servers.get(server).map(|server| &server.labels);
            rule.selects(server.as_str(), labels.unwrap_or(&BTreeMap::new()))
        }),
        FILTER => snapshot
            .filters
            .get(key.name.as_str())
            .is_none_or(|filter| {
                filter.matches.servers.is_empty() || names(&filter.matches.servers)
            }),
        _ => false,
    }
}
