//! Proto messages to domain types: the only place that turns `gatehouse.v1` resources into [`crate`]'s nouns.
//!
//! ```text
//! Resource --convert--> Item --insert--> Snapshot
//!                 \--> every Fault at once, each with the path that its writer knows
//! ```
//!
//! What a version does not act on is refused here, so that files, the admin API and pushes are held to one
//! measure. Knows nothing of files and lines, of other resources (a name of something that is not there is found by
//! the engine's `check_references`), or of the store. Start from [`convert`].

mod access;
mod config;
mod features;
mod filter;
mod group;
mod key;
mod limit;
mod metadata;
mod package;
mod pins;
mod secret;
mod server;
mod virtual_server;

use std::sync::Arc;

use proto::v1 as pb;

use crate::access::AccessRule;
pub use crate::fault::Fault;
use crate::fault::{MISSING, UNSUPPORTED};
use crate::filter::Filter;
use crate::group::Group;
use crate::key::{ApiKey, KeyRing};
use crate::limit::Limit;
use crate::pins::ToolPins;
use crate::secret::Secret;
use crate::server::Server;
use crate::snapshot::{ResourceKey, Snapshot};
use crate::virtual_server::VirtualServer;

pub use features::features_of;
pub use pins::{TOOL_PINS_MAX, annotations, annotations_part, hashes, plain_part};

/// Most entries of any list in a resource.
pub const LIST_MAX: usize = 1_000;

/// Longest text of a field, in bytes.
pub const TEXT_BYTES_MAX: usize = 32 * 1024;

/// A kind of resource as users write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// `Server`, `AccessRule`, …
    pub name: &'static str,
    /// Whether this version acts on it.
    pub supported: bool,
}

const fn kind(name: &'static str, supported: bool) -> Kind {
    Kind { name, supported }
}

/// Kinds that users write (CONTRACT section 5), those of later versions included.
pub const KINDS: &[Kind] = &[
    kind(SERVER, true),
    kind(VIRTUAL_SERVER, true),
    kind(ACCESS_RULE, true),
    kind(FILTER, true),
    kind(SECRET, true),
    kind(GROUP, true),
    kind(LIMIT, true),
    kind("IdentityProvider", false),
    kind("CatalogSource", false),
    kind("ModelProvider", false),
    kind("NodePool", false),
];

/// A server of the catalog.
pub const SERVER: &str = "Server";
/// Several servers behind one name.
pub const VIRTUAL_SERVER: &str = "VirtualServer";
/// Who may do what.
pub const ACCESS_RULE: &str = "AccessRule";
/// What inspects messages.
pub const FILTER: &str = "Filter";
/// How much may be called.
pub const LIMIT: &str = "Limit";
/// A value that is never shown.
pub const SECRET: &str = "Secret";
/// Users and groups under one name.
pub const GROUP: &str = "Group";
/// An API key; made by the control plane, never applied.
pub const API_KEY: &str = "ApiKey";
/// The edges' keys; made by the control plane, never applied.
pub const KEY_RING: &str = "KeyRing";
/// Approved tool definitions of a server; made by the control plane, never applied.
pub const TOOL_PINS: &str = "ToolPins";

/// A change that not all nodes have yet; made by the control plane, never applied.
pub const STAGED_ROLLOUT: &str = "StagedRollout";

/// A converted resource.
#[derive(Debug, Clone)]
pub enum Item {
    /// A server.
    Server(Arc<Server>),
    /// A virtual server.
    VirtualServer(Arc<VirtualServer>),
    /// A rule.
    AccessRule(Arc<AccessRule>),
    /// A filter.
    Filter(Arc<Filter>),
    /// A limit.
    Limit(Arc<Limit>),
    /// A secret.
    Secret(Arc<Secret>),
    /// A group.
    Group(Arc<Group>),
    /// An API key, by its id.
    ApiKey(String, Arc<ApiKey>),
    /// The key ring.
    KeyRing(Arc<KeyRing>),
    /// Approved tool definitions.
    ToolPins(Arc<ToolPins>),
    /// A staged rollout: nothing that a node would know.
    StagedRollout,
}

/// Turns one resource into what the rest of Gatehouse works with.
///
/// # Errors
/// All faults of the resource, not the first alone. Features of later versions are [`UNSUPPORTED`].
pub fn convert(resource: &pb::Resource) -> Result<Item, Vec<Fault>> {
    use pb::resource::Spec;
    let mut faults = Faults::default();
    let name = metadata::name(resource, &mut faults);
    let item = match &resource.spec {
        None => {
            faults.push("spec", MISSING, "is missing");
            None
        }
        Some(Spec::Server(spec)) => {
            server::convert(name, metadata::labels(resource), spec, &mut faults)
                .map(|s| Item::Server(Arc::new(s)))
        }
        Some(Spec::AccessRule(spec)) => {
            access::convert(name, spec, &mut faults).map(|r| Item::AccessRule(Arc::new(r)))
        }
        Some(Spec::Filter(spec)) => {
            filter::convert(name, spec, &mut faults).map(|f| Item::Filter(Arc::new(f)))
        }
        Some(Spec::Limit(spec)) => {
            limit::convert(name, spec, &mut faults).map(|l| Item::Limit(Arc::new(l)))
        }
        Some(Spec::Secret(spec)) => {
            secret::convert(name, spec, &mut faults).map(|s| Item::Secret(Arc::new(s)))
        }
        Some(Spec::Group(spec)) => {
            group::convert(name, spec, &mut faults).map(|g| Item::Group(Arc::new(g)))
        }
        Some(Spec::ApiKey(spec)) => key::api_key(name, spec, &mut faults)
            .map(|k| Item::ApiKey(name.to_owned(), Arc::new(k))),
        Some(Spec::KeyRing(spec)) => {
            key::ring(spec, &mut faults).map(|r| Item::KeyRing(Arc::new(r)))
        }
        Some(Spec::ToolPins(spec)) => {
            let version = resource.metadata.as_ref().map_or(0, |m| m.revision);
            pins::convert(name, version, spec, &mut faults).map(|p| Item::ToolPins(Arc::new(p)))
        }
        Some(Spec::StagedRollout(_)) => Some(Item::StagedRollout),
        Some(Spec::VirtualServer(spec)) => {
            virtual_server::convert(name, metadata::labels(resource), spec, &mut faults)
                .map(|s| Item::VirtualServer(Arc::new(s)))
        }
    };
    match item {
        Some(item) if faults.0.is_empty() => Ok(item),
        _ => Err(faults.0),
    }
}

/// The kind of a resource as users write it. `None` where a newer program made one that this one does not know.
pub fn kind_of(resource: &pb::Resource) -> Option<&'static str> {
    use pb::resource::Spec;
    Some(match resource.spec.as_ref()? {
        Spec::Server(_) => SERVER,
        Spec::VirtualServer(_) => VIRTUAL_SERVER,
        Spec::AccessRule(_) => ACCESS_RULE,
        Spec::Filter(_) => FILTER,
        Spec::Limit(_) => LIMIT,
        Spec::Secret(_) => SECRET,
        Spec::Group(_) => GROUP,
        Spec::ApiKey(_) => API_KEY,
        Spec::KeyRing(_) => KEY_RING,
        Spec::ToolPins(_) => TOOL_PINS,
        Spec::StagedRollout(_) => STAGED_ROLLOUT,
    })
}

/// What names a resource. `None` where it has no spec that is known, or no metadata.
pub fn key_of(resource: &pb::Resource) -> Option<ResourceKey> {
    let kind = kind_of(resource)?;
    let name = &resource.metadata.as_ref()?.name;
    Some(ResourceKey::new(kind, name))
}

/// Puts an item into a snapshot, in the place of one with the same key.
pub fn insert(snapshot: &mut Snapshot, item: Item) {
    match item {
        Item::Server(server) => {
            snapshot.servers.insert(server.name.clone(), server);
        }
        Item::VirtualServer(server) => {
            let name = server.name.clone();
            snapshot.virtual_servers.insert(name, server);
        }
        Item::AccessRule(rule) => {
            snapshot.rules.insert(rule.name.clone(), rule);
        }
        Item::Filter(filter) => {
            snapshot.filters.insert(filter.name.clone(), filter);
        }
        Item::Limit(limit) => {
            snapshot.limits.insert(limit.name.clone(), limit);
        }
        Item::Secret(secret) => {
            snapshot.secrets.insert(secret.name.clone(), secret);
        }
        Item::Group(group) => {
            snapshot.groups.insert(group.name.clone(), group);
        }
        Item::ApiKey(id, key) => {
            snapshot.api_keys.insert(id, key);
        }
        Item::KeyRing(ring) => snapshot.key_ring = Some(ring),
        Item::ToolPins(pins) => {
            snapshot.tool_pins.insert(pins.server.clone(), pins);
        }
        Item::StagedRollout => {}
    }
}

/// Takes a resource out of a snapshot. One that is not there changes nothing.
pub fn remove(snapshot: &mut Snapshot, key: &ResourceKey) {
    let name = key.name.as_str();
    match key.kind.as_str() {
        SERVER => drop(snapshot.servers.remove(name)),
        VIRTUAL_SERVER => drop(snapshot.virtual_servers.remove(name)),
        ACCESS_RULE => drop(snapshot.rules.remove(name)),
        FILTER => drop(snapshot.filters.remove(name)),
        LIMIT => drop(snapshot.limits.remove(name)),
        SECRET => drop(snapshot.secrets.remove(name)),
        GROUP => drop(snapshot.groups.remove(name)),
        API_KEY => drop(snapshot.api_keys.remove(name)),
        KEY_RING => snapshot.key_ring = None,
        TOOL_PINS => drop(snapshot.tool_pins.remove(name)),
        _ => {}
    }
}

/// Collects faults, so that one does not hide the next.
#[derive(Debug, Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn push(&mut self, path: impl Into<String>, code: &'static str, message: impl Into<String>) {
        self.0.push(Fault::new(path, code, message));
    }

    /// `what` as its writer knows it: `tenancy per-user`, `when`.
    fn unsupported(&mut self, path: impl Into<String>, what: &str) {
        self.push(
            path,
            UNSUPPORTED,
            format!("{what} is not supported by this version"),
        );
    }

    /// Refuses control characters, and text over [`TEXT_BYTES_MAX`]. Line breaks and tabs are no harm in text for people.
    fn check_text(&mut self, path: &str, text: &str) {
        if text.len() > TEXT_BYTES_MAX {
            self.push(
                path,
                crate::fault::BAD_VALUE,
                format!(
                    "{} bytes are over the {TEXT_BYTES_MAX} that a text may have",
                    text.len()
                ),
            );
        } else if text
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\n' | '\t'))
        {
            self.push(
                path,
                crate::fault::BAD_VALUE,
                format!("{text:?} holds control characters"),
            );
        }
    }

    /// Refuses a list over [`LIST_MAX`]. What goes through its entries stops there, too.
    fn check_length(&mut self, path: &str, length: usize) {
        if length > LIST_MAX {
            self.push(
                path,
                crate::fault::BAD_VALUE,
                format!("{length} entries are over the {LIST_MAX} that a list may have"),
            );
        }
    }
}

#[cfg(test)]
mod tests;
