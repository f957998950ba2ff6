//! One state of all configuration: what the catalog holds, what is published, what the hash is over.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use model::snapshot::{ResourceKey, Revision, Sha256, Snapshot, scope_hash};
use model::wire::{self, API_KEY, Item, KEY_RING, STAGED_ROLLOUT, TOOL_PINS};
use prost::Message;
use proto::v1 as pb;
use proto::v1::resource::Spec;

use super::Error;
use super::log::Op;
use super::staged::Staged;
use crate::clock;
use crate::store::seal::Sealer;
use crate::store::{self, Head};

/// What key rings and secrets are sealed for.
const KEY_RING_PURPOSE: &str = "key-ring";
const SECRET_PURPOSE: &str = "secret";

/// One resource, at one version.
#[derive(Debug)]
pub(crate) struct Stored {
    /// The revision of its last change.
    pub version: u64,
    /// The resource, secrets opened.
    pub resource: pb::Resource,
    /// The same, as nodes get it. Encoded once; every push shares the bytes.
    pub encoded: Bytes,
    /// Of `encoded`.
    pub sha256: Sha256,
    /// The same, as it lies in the store: secrets sealed.
    pub sealed: Bytes,
}

impl Stored {
    /// Encodes a resource, and seals it where it is a secret.
    ///
    /// # Errors
    /// [`Error::Seal`].
    pub(super) fn new(
        key: &ResourceKey,
        version: u64,
        resource: pb::Resource,
        sealer: &Sealer,
    ) -> Result<Self, Error> {
        let encoded = for_nodes(&resource);
        let sealed = match purpose(&resource) {
            Some(purpose) => {
                let sealed = sealer.seal(purpose, &key.to_string(), &encoded)?;
                closed(&resource, sealed).encode_to_vec().into()
            }
            None if is_cut_for_nodes(&resource) => resource.encode_to_vec().into(),
            None => encoded.clone(),
        };
        Ok(Self {
            version,
            sha256: Sha256::of(&encoded),
            resource,
            encoded,
            sealed,
        })
    }

    /// Reads what [`Self::new`] made of it for the store. The bytes are kept as they are, with fields that
    /// only a newer version knows, so that the hash holds.
    ///
    /// # Errors
    /// [`Error::Store`] where it is no resource; [`Error::Seal`] where it does not open.
    pub(super) fn read(
        key: &ResourceKey,
        version: u64,
        sealed: Bytes,
        sealer: &Sealer,
    ) -> Result<Self, Error> {
        let decode = |bytes: &[u8]| {
            pb::Resource::decode(bytes).map_err(|e| {
                Error::Store(store::Error::Corrupt {
                    key: key.to_string(),
                    why: e.to_string(),
                })
            })
        };
        let resource = decode(&sealed)?;
        let (resource, encoded) = match (purpose(&resource), sealed_part(&resource)) {
            (Some(purpose), Some(secret)) => {
                let opened = sealer.open(purpose, &key.to_string(), secret)?;
                (decode(&opened)?, Bytes::copy_from_slice(&opened))
            }
            _ if is_cut_for_nodes(&resource) => {
                let encoded = for_nodes(&resource);
                (resource, encoded)
            }
            _ => (resource, sealed.clone()),
        };
        Ok(Self {
            version,
            sha256: Sha256::of(&encoded),
            resource,
            encoded,
            sealed,
        })
    }

    /// The resource as it may be shown: without what is never shown.
    pub(crate) fn shown(&self) -> pb::Resource {
        match &self.resource.spec {
            Some(Spec::Secret(_) | Spec::KeyRing(_)) => closed(&self.resource, Vec::new()),
            _ => self.resource.clone(),
        }
    }

    /// Engine features that a node must know to run it.
    pub(crate) fn features(&self) -> &[String] {
        self.resource.metadata.as_ref().map_or(&[], |m| &m.features)
    }
}

/// All configuration at one revision. Never changed, only replaced.
#[derive(Debug, Clone)]
pub(crate) struct State {
    head: Option<Head>,
    revision: u64,
    /// When this replica came to it, Unix milliseconds.
    since_unix_ms: i64,
    sha256: Sha256,
    resources: BTreeMap<ResourceKey, Arc<Stored>>,
    snapshot: Arc<Snapshot>,
    /// What only a newer version can read. While there is any, nothing is changed.
    unreadable: BTreeMap<ResourceKey, String>,
    /// The change that not all nodes have, where there is one and what was before it is known.
    staged: Option<Arc<Staged>>,
}

impl State {
    /// The state before the first revision.
    pub(crate) fn empty() -> Self {
        Self {
            head: None,
            revision: 0,
            since_unix_ms: clock::now_ms(),
            sha256: scope_hash([]),
            resources: BTreeMap::new(),
            snapshot: Arc::default(),
            unreadable: BTreeMap::new(),
            staged: None,
        }
    }

    /// Which state.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The hash over all of it; see [`scope_hash`].
    pub(crate) fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// When this replica came to it, Unix milliseconds.
    pub(crate) fn since_unix_ms(&self) -> i64 {
        self.since_unix_ms
    }

    /// One resource.
    pub(crate) fn get(&self, key: &ResourceKey) -> Option<&Arc<Stored>> {
        self.resources.get(key)
    }

    /// All resources, sorted by key; also those that only the control plane and nodes may see.
    pub(crate) fn resources(&self) -> &BTreeMap<ResourceKey, Arc<Stored>> {
        &self.resources
    }

    /// The resources that users may see.
    pub(crate) fn visible(&self) -> impl Iterator<Item = (&ResourceKey, &Arc<Stored>)> {
        self.resources
            .iter()
            .filter(|(key, _)| !is_internal(&key.kind))
    }

    /// The same as domain types.
    pub(crate) fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The first resource that only a newer version can read.
    pub(super) fn unreadable(&self) -> Option<&ResourceKey> {
        self.unreadable.keys().next()
    }

    /// What lies in the store's head key. `None`: nothing yet.
    pub(super) fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// Says that this state is in force.
    pub(super) fn set_head(&mut self, head: Head) {
        self.head = Some(head);
    }

    /// The change that not all nodes have.
    pub(crate) fn staged(&self) -> Option<&Arc<Staged>> {
        self.staged.as_ref()
    }

    /// Says which change not all nodes have.
    pub(super) fn set_staged(&mut self, staged: Option<Arc<Staged>>) {
        self.staged = staged;
    }

    /// Puts a resource whose item is known.
    pub(super) fn put(&mut self, key: ResourceKey, stored: impl Into<Arc<Stored>>, item: Item) {
        wire::insert(Arc::make_mut(&mut self.snapshot), item);
        self.unreadable.remove(&key);
        self.resources.insert(key, stored.into());
    }

    /// Takes a resource out.
    pub(super) fn remove(&mut self, key: &ResourceKey) {
        wire::remove(Arc::make_mut(&mut self.snapshot), key);
        self.unreadable.remove(key);
        self.resources.remove(key);
    }

    /// Does what a log says.
    ///
    /// # Errors
    /// As [`Stored::read`].
    pub(super) fn replay(&mut self, op: Op, sealer: &Sealer) -> Result<(), Error> {
        let key = ResourceKey::new(&op.kind, &op.name);
        let Some(bytes) = op.resource else {
            self.remove(&key);
            return Ok(());
        };
        let stored = Stored::read(&key, op.version, bytes, sealer)?;
        match wire::convert(&stored.resource) {
            Ok(item) => self.put(key, stored, item),
            Err(faults) => {
                let why = faults.first().map(ToString::to_string).unwrap_or_default();
                tracing::warn!(resource = %key, %why, "written by a newer version: served, not understood");
                self.remove(&key);
                self.unreadable.insert(key.clone(), why);
                self.resources.insert(key, Arc::new(stored));
            }
        }
        Ok(())
    }

    /// Ends a run of [`Self::put`], [`Self::remove`] and [`Self::replay`]: this is `revision`.
    pub(super) fn seal(&mut self, revision: u64) {
        self.revision = revision;
        self.since_unix_ms = clock::now_ms();
        self.sha256 = scope_hash(
            self.resources
                .iter()
                .map(|(key, s)| (key, s.version, &s.sha256)),
        );
        Arc::make_mut(&mut self.snapshot).revision = Revision(revision);
    }
}

/// Whether nodes get less of a resource than the store.
fn is_cut_for_nodes(resource: &pb::Resource) -> bool {
    matches!(resource.spec, Some(Spec::ToolPins(_)))
}

/// A resource as nodes get it: of approved tool definitions the hashes and what rules may ask of them, without the texts, without who approved them,
/// and without what waits.
fn for_nodes(resource: &pb::Resource) -> Bytes {
    let Some(Spec::ToolPins(pins)) = &resource.spec else {
        return resource.encode_to_vec().into();
    };
    let bare = |pin: &pb::ToolPin| pb::ToolPin {
        tool: pin.tool.clone(),
        era: pin.era.clone(),
        sha256: pin.sha256.clone(),
        plain_sha256: pin.plain_sha256.clone(),
        annotations: pin.annotations,
        ..Default::default()
    };
    let cut = pb::Resource {
        metadata: resource.metadata.clone(),
        spec: Some(Spec::ToolPins(pb::ToolPinsSpec {
            tools: pins.tools.iter().map(bare).collect(),
            pending: Vec::new(),
        })),
    };
    cut.encode_to_vec().into()
}

/// What a resource is sealed for; `None` for those that lie open in the store.
fn purpose(resource: &pb::Resource) -> Option<&'static str> {
    match &resource.spec {
        Some(Spec::KeyRing(_)) => Some(KEY_RING_PURPOSE),
        Some(Spec::Secret(_)) => Some(SECRET_PURPOSE),
        _ => None,
    }
}

/// What was sealed of it, where it was.
fn sealed_part(resource: &pb::Resource) -> Option<&[u8]> {
    let sealed = match resource.spec.as_ref()? {
        Spec::KeyRing(ring) => &ring.sealed,
        Spec::Secret(secret) => &secret.sealed,
        _ => return None,
    };
    (!sealed.is_empty()).then_some(sealed)
}

/// The resource with `sealed` in the place of what is secret.
fn closed(resource: &pb::Resource, sealed: Vec<u8>) -> pb::Resource {
    let spec = match &resource.spec {
        Some(Spec::KeyRing(ring)) => Some(Spec::KeyRing(pb::KeyRingSpec {
            purpose: ring.purpose.clone(),
            sealed,
            ..Default::default()
        })),
        Some(Spec::Secret(_)) => Some(Spec::Secret(pb::SecretSpec {
            value: String::new(),
            sealed,
        })),
        other => other.clone(),
    };
    pb::Resource {
        metadata: resource.metadata.clone(),
        spec,
    }
}

/// Whether a kind is the control plane's own: never shown, never applied.
pub(crate) fn is_internal(kind: &str) -> bool {
    matches!(kind, API_KEY | KEY_RING | TOOL_PINS | STAGED_ROLLOUT)
}
