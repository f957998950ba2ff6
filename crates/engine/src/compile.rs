//! What only the whole shows: references between resources, and bounds over all of them.

use std::fmt;

use model::access::{AccessRule, ServerSelector};
use model::annotations::Hints;
use model::fault::{DANGLING, DUPLICATE, MATCHES_NOTHING, TOO_MUCH};
use model::name::Glob;
use model::snapshot::{ResourceKey, Snapshot};
use model::wire::{ACCESS_RULE, FILTER, LIMIT, SERVER, VIRTUAL_SERVER};

use crate::access::labels::Labelled;
use crate::overlap;

/// Most rules that an engine takes.
pub const RULES_MAX: usize = 1_000_000;

/// How near a name must be to be offered, from 0 to 1 (Jaro-Winkler).
const SIMILAR_MIN: f64 = 0.8;

/// What is wrong with one resource, seen together with the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Whose.
    pub resource: ResourceKey,
    /// Where in it, as users write it: `spec.servers[1]`.
    pub path: String,
    /// A code of [`model::fault::CODES`].
    pub code: &'static str,
    /// What is wrong, with the value that is.
    pub message: String,
    /// What mends it, where that is known.
    pub fix: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.resource, self.path, self.message)
    }
}

impl std::error::Error for Fault {}

/// Servers and secrets that resources name and that are not in the snapshot. Only who holds the whole may ask:
/// control plane and command line. So what is named cannot be deleted before what names it. Likewise a virtual server
/// of a server's name.
pub fn check_references(snapshot: &Snapshot) -> Vec<Fault> {
    // A rule may be about a virtual server, to refuse it. A filter or limit sees the calls of its members.
    let is_virtual =
        |kind: &str, name: &str| kind == ACCESS_RULE && snapshot.virtual_servers.contains_key(name);
    let dangling = |key: &ResourceKey, glob: &Glob| {
        let name = glob.as_str();
        glob.is_literal() && !snapshot.servers.contains_key(name) && !is_virtual(&key.kind, name)
    };
    let fault = |(resource, path, glob): Place<'_>| Fault {
        resource,
        path,
        code: DANGLING,
        message: format!("no server is named {:?}", glob.as_str()),
        fix: nearest(snapshot, glob.as_str()).map(|name| format!("did you mean `{name}`?")),
    };
    let servers = places(snapshot)
        .filter(|(key, _, glob)| dangling(key, glob))
        .map(fault);
    servers
        .chain(missing_secrets(snapshot))
        .chain(bad_members(snapshot))
        .collect()
}

/// Members of virtual servers that are not there, and names that are a server's already.
fn bad_members(snapshot: &Snapshot) -> impl Iterator<Item = Fault> {
    snapshot.virtual_servers.values().flat_map(move |server| {
        let key = ResourceKey::new(VIRTUAL_SERVER, server.name.as_str());
        let clash = snapshot.servers.contains_key(&server.name).then(|| Fault {
            resource: key.clone(),
            path: "metadata.name".to_owned(),
            code: DUPLICATE,
            message: format!(
                "Server {0} and VirtualServer {0} cannot share a name: /mcp/{0} leads to one of them",
                server.name
            ),
            fix: None,
        });
        let members = server.members.iter().enumerate();
        let missing = members
            .filter(|(_, member)| !snapshot.servers.contains_key(&member.server))
            .map(move |(i, member)| Fault {
                resource: key.clone(),
                path: format!("spec.members[{i}].server"),
                code: DANGLING,
                message: format!("no server is named {:?}", member.server.as_str()),
                fix: nearest(snapshot, member.server.as_str())
                    .map(|name| format!("did you mean `{name}`?")),
            });
        clash.into_iter().chain(missing)
    })
}

/// Secrets that servers and filters name and that are not in the snapshot.
fn missing_secrets(snapshot: &Snapshot) -> impl Iterator<Item = Fault> {
    let servers = snapshot.servers.values().flat_map(|server| {
        let key = ResourceKey::new(SERVER, server.name.as_str());
        let named = move |secret| (key.clone(), "spec.config", secret);
        server.secrets().map(named)
    });
    let filters = snapshot.filters.values().filter_map(|filter| {
        let (path, secret) = filter.kind.secret()?;
        let key = ResourceKey::new(FILTER, filter.name.as_str());
        Some((key, path, secret))
    });
    let missing = servers
        .chain(filters)
        .filter(|(_, _, secret)| !snapshot.secrets.contains_key(secret.as_str()));
    missing.map(|(resource, path, secret)| Fault {
        resource,
        path: path.to_owned(),
        code: DANGLING,
        message: format!("no secret is named {:?}", secret.as_str()),
        fix: Some(format!("gatehouse secret set {secret}")),
    })
}

/// What works but may not be meant: globs and labels that match no server yet, rules that take each other's effect. Only
/// who holds the whole may ask.
pub fn warnings(snapshot: &Snapshot) -> Vec<Fault> {
    let idle = |glob: &Glob| {
        !glob.is_literal()
            && !glob.is_any()
            && !snapshot
                .servers
                .keys()
                .any(|name| glob.matches(name.as_str()))
    };
    let warning = |(resource, path, glob): Place<'_>| Fault {
        resource,
        path,
        code: MATCHES_NOTHING,
        message: format!("{:?} matches no server yet", glob.as_str()),
        fix: None,
    };
    let globs = places(snapshot)
        .filter(|(_, _, glob)| idle(glob))
        .map(warning);
    globs
        .chain(idle_labels(snapshot))
        .chain(idle_annotations(snapshot))
        .chain(overlap::warnings(snapshot))
        .collect()
}

/// Labels that no server has yet.
fn idle_labels(snapshot: &Snapshot) -> impl Iterator<Item = Fault> {
    let labelled = Labelled::of(snapshot);
    snapshot.rules.values().flat_map(move |rule| {
        let selectors = rule.servers.iter().enumerate();
        let idle = selectors.filter(|(_, selector)| match selector {
            ServerSelector::Labels(labels) => labelled.with(labels).next().is_none(),
            ServerSelector::Glob(_) => false,
        });
        let fault = |(i, selector): (usize, &ServerSelector)| Fault {
            resource: ResourceKey::new(ACCESS_RULE, rule.name.as_str()),
            path: format!("spec.servers[{i}]"),
            code: MATCHES_NOTHING,
            message: format!("no server is labelled {selector} yet"),
            fix: None,
        };
        idle.map(fault).collect::<Vec<_>>()
    })
}

/// Rules that want of tools what is taken for true only of those of trusted servers, where no server that they select is
/// trusted.
fn idle_annotations(snapshot: &Snapshot) -> impl Iterator<Item = Fault> {
    let trusted = snapshot.servers.values();
    let trusted: Vec<_> = trusted.filter(|server| server.tools.is_trusted()).collect();
    let is_idle = move |rule: &&AccessRule| {
        let mut trusted = trusted.iter();
        !rule.annotations.hold(&Hints::default())
            && !trusted.any(|server| rule.selects(server.name.as_str(), &server.labels))
    };
    let rules = snapshot.rules.values().map(|rule| &**rule);
    rules.filter(is_idle).map(|rule| Fault {
        resource: ResourceKey::new(ACCESS_RULE, rule.name.as_str()),
        path: "spec.annotations".to_owned(),
        code: MATCHES_NOTHING,
        message: format!(
            "{} is true of no tool yet: no server that the rule selects is trusted",
            rule.annotations
        ),
        fix: Some("tools: {pin: review, trustAnnotations: true} of a server".to_owned()),
    })
}

/// Bounds that no single resource can break.
pub(crate) fn check_bounds(snapshot: &Snapshot) -> Vec<Fault> {
    let over = snapshot.rules.len() > RULES_MAX;
    let last = snapshot.rules.keys().next_back().filter(|_| over);
    let fault = |name: &model::name::RuleName| Fault {
        resource: ResourceKey::new(ACCESS_RULE, name.as_str()),
        path: String::new(),
        code: TOO_MUCH,
        message: format!(
            "{} rules are over the {RULES_MAX} that an engine takes",
            snapshot.rules.len()
        ),
        fix: None,
    };
    last.map(fault).into_iter().collect()
}

/// A server's name or glob in some resource: whose, where, which. Not servers by label, which may come any time.
type Place<'s> = (ResourceKey, String, &'s Glob);

fn places(snapshot: &Snapshot) -> impl Iterator<Item = Place<'_>> {
    let rules = snapshot.rules.values().flat_map(|rule| {
        let place = move |(i, selector)| match selector {
            &ServerSelector::Labels(_) => None,
            ServerSelector::Glob(glob) => Some((
                ResourceKey::new(ACCESS_RULE, rule.name.as_str()),
                format!("spec.servers[{i}]"),
                glob,
            )),
        };
        rule.servers.iter().enumerate().filter_map(place)
    });
    let filters = snapshot.filters.values().flat_map(|filter| {
        let place = move |(i, glob)| {
            (
                ResourceKey::new(FILTER, filter.name.as_str()),
                format!("spec.match.servers[{i}]"),
                glob,
            )
        };
        filter.matches.servers.iter().enumerate().map(place)
    });
    let limits = snapshot.limits.values().flat_map(|limit| {
        let place = move |(i, glob)| {
            (
                ResourceKey::new(LIMIT, limit.name.as_str()),
                format!("spec.match.servers[{i}]"),
                glob,
            )
        };
        limit.matches.servers.iter().enumerate().map(place)
    });
    rules.chain(filters).chain(limits)
}

fn nearest<'s>(snapshot: &'s Snapshot, wanted: &str) -> Option<&'s str> {
    let names = snapshot
        .servers
        .keys()
        .map(|name| (strsim::jaro_winkler(wanted, name.as_str()), name.as_str()));
    names
        .filter(|(score, _)| *score >= SIMILAR_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests;
