//! Credentials and keys as nodes hold them: hashes of API keys, and the key ring of the edges.

use std::fmt;
use std::sync::Arc;

use crate::name::ServerName;
use crate::principal::Principal;

/// An API key, without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// HMAC-SHA-256 of the key under [`KeyRing::api_key_pepper`].
    pub hash: [u8; 32],
    /// Who calls with it.
    pub principal: Arc<Principal>,
    /// Servers for which it is good. Empty: all.
    pub servers: Vec<ServerName>,
    /// When it ends, Unix milliseconds. `None`: never.
    pub expires_unix_ms: Option<i64>,
}

impl ApiKey {
    /// Whether it is good for `server` at `now_unix_ms`.
    pub fn is_good(&self, server: &ServerName, now_unix_ms: i64) -> bool {
        self.expires_unix_ms.is_none_or(|end| now_unix_ms < end)
            && (self.servers.is_empty() || self.servers.contains(server))
    }
}

/// Keys that all edges share.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRing {
    /// AES-256-GCM keys for session ids, newest first: the first seals, all open.
    pub session_keys: Vec<SealingKey>,
    /// The key under which API keys are hashed.
    pub api_key_pepper: [u8; 32],
}

/// One AES-256-GCM key.
#[derive(Clone, PartialEq, Eq)]
pub struct SealingKey {
    /// Named in what it sealed.
    pub id: u32,
    /// The key.
    pub key: [u8; 32],
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({} session keys)", self.session_keys.len())
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({})", self.id)
    }
}
