//! How an edge counts.

use std::path::PathBuf;

use runtime::settings::Secret;
use serde::{Deserialize, Serialize};

/// How limits are counted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// The Redis or Valkey by which all edges count limits of scope `shared` together: `redis://[:PASSWORD@]HOST:PORT`, or
    /// `rediss://` over TLS. The same on all edges. Not set: each edge counts for itself.
    pub redis: Option<Secret>,
    /// PEM file of the roots that its certificate must come from. Not set: the system's.
    pub redis_ca_file: Option<PathBuf>,
    /// How long a call waits for it where the edge has none of the limit left in hand, in milliseconds. Then the limit's
    /// `onStoreError` decides.
    pub wait_ms: u64,
    /// Keys (users, tools, …) that an edge counts apart for each limit; those beyond are counted together. About 150 bytes
    /// each.
    pub keys_max: usize,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            redis: None,
            redis_ca_file: None,
            wait_ms: 50,
            keys_max: super::KEYS_MAX,
        }
    }
}
