//! All configuration at one revision, and the hash by which two holders know that they hold the same.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use crate::access::AccessRule;
use crate::filter::Filter;
use crate::group::Group;
use crate::key::{ApiKey, KeyRing};
use crate::limit::Limit;
use crate::name::{FilterName, GroupName, LimitName, RuleName, SecretName, ServerName};
use crate::pins::ToolPins;
use crate::secret::Secret;
use crate::server::Server;
use crate::virtual_server::VirtualServer;

/// The number of one state of all configuration: our own counter, kept in the store's head key.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// All configuration that a holder needs, at one revision. Never changed, only replaced.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Which state.
    pub revision: Revision,
    /// The catalog.
    pub servers: BTreeMap<ServerName, Arc<Server>>,
    /// Servers that are made from several. Empty on sidecars.
    pub virtual_servers: BTreeMap<ServerName, Arc<VirtualServer>>,
    /// Who may do what.
    pub rules: BTreeMap<RuleName, Arc<AccessRule>>,
    /// What inspects messages.
    pub filters: BTreeMap<FilterName, Arc<Filter>>,
    /// How much may be called. Empty on sidecars.
    pub limits: BTreeMap<LimitName, Arc<Limit>>,
    /// Values that are never shown: on a node, those that it needs.
    pub secrets: BTreeMap<SecretName, Arc<Secret>>,
    /// Groups beside those that credentials name. Empty on sidecars: who calls is stated with all groups.
    pub groups: BTreeMap<GroupName, Arc<Group>>,
    /// API keys by id. Empty on sidecars.
    pub api_keys: BTreeMap<String, Arc<ApiKey>>,
    /// The edges' key ring. `None` on sidecars.
    pub key_ring: Option<Arc<KeyRing>>,
    /// Approved tool definitions by server: on a node, those of servers that it calls itself.
    pub tool_pins: BTreeMap<ServerName, Arc<ToolPins>>,
    /// At which revision each rule and each server last changed, where its holder was told.
    pub versions: BTreeMap<ResourceKey, u64>,
}

/// SHA-256 of encoded content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// Hashes bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
        Self(hash)
    }

    /// Lower-case hex.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

/// Names one resource: its kind as users write it, then its name. Sorted as the hash wants it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResourceKey {
    /// `Server`, `AccessRule`, …
    pub kind: String,
    /// Unique within the kind.
    pub name: String,
}

impl ResourceKey {
    /// A key from its parts.
    pub fn new(kind: &str, name: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            name: name.to_owned(),
        }
    }
}

impl fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// The hash of a whole scope: SHA-256 over, for each resource sorted by key, kind, NUL, name, NUL, its
/// version (8 bytes, big-endian) and the SHA-256 of its encoded form. Control plane and node compute it
/// over what each has, so that equality is proven and not assumed.
pub fn scope_hash<'a>(
    sorted: impl IntoIterator<Item = (&'a ResourceKey, u64, &'a Sha256)>,
) -> Sha256 {
    let mut context = digest::Context::new(&digest::SHA256);
    for (key, version, hash) in sorted {
        context.update(key.kind.as_bytes());
        context.update(&[0]);
        context.update(key.name.as_bytes());
        context.update(&[0]);
        context.update(&version.to_be_bytes());
        context.update(&hash.0);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    Sha256(out)
}
