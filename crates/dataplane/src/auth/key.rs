//! API keys: `gh_…` to the principal that it was made for.
//!
//! A node never sees a key at rest: it has HMAC-SHA-256 of it under a pepper that only edges get. The
//! look-up is by that hash, so its time says nothing about the keys that there are.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::hmac;
use engine::Engine;
use model::key::ApiKey;

/// Every key begins so.
pub const PREFIX: &str = "gh_";
/// No key is longer, in bytes; a longer one is not hashed at all.
pub const KEY_BYTES_MAX: usize = 128;

/// All API keys of one snapshot, by hash.
#[derive(Debug, Default)]
pub struct Index {
    pepper: Option<hmac::Key>,
    by_hash: HashMap<[u8; 32], Arc<ApiKey>>,
}

impl Index {
    /// Indexes the keys of a snapshot, each with all groups of its user. One without a key ring (a sidecar's) knows no key.
    pub fn of(engine: &Engine) -> Self {
        let snapshot = engine.snapshot();
        let with_groups = |key: &Arc<ApiKey>| {
            let principal = engine.with_groups(&key.principal);
            if Arc::ptr_eq(&principal, &key.principal) {
                return Arc::clone(key);
            }
            Arc::new(ApiKey {
                principal,
                ..ApiKey::clone(key)
            })
        };
        Self {
            pepper: snapshot
                .key_ring
                .as_ref()
                .map(|ring| hmac::Key::new(hmac::HMAC_SHA256, &ring.api_key_pepper)),
            by_hash: snapshot
                .api_keys
                .values()
                .map(|key| (key.hash, with_groups(key)))
                .collect(),
        }
    }

    /// The key's record, where it is known. Expiry and servers are the caller's to check.
    pub fn find(&self, key: &str) -> Option<&Arc<ApiKey>> {
        if !key.starts_with(PREFIX) || key.len() > KEY_BYTES_MAX {
            return None;
        }
        let tag = hmac::sign(self.pepper.as_ref()?, key.as_bytes());
        self.by_hash.get(tag.as_ref())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use model::key::KeyRing;
    use model::principal::Principal;
    use model::snapshot::Snapshot;

    use super::*;

    #[test]
    fn only_the_very_key_is_found() {
        let pepper = [7; 32];
        let mut hash = [0; 32];
        let key = hmac::Key::new(hmac::HMAC_SHA256, &pepper);
        hash.copy_from_slice(hmac::sign(&key, b"gh_right").as_ref());
        let ring = KeyRing {
            session_keys: Vec::new(),
            api_key_pepper: pepper,
        };
        let mut snapshot = Snapshot {
            key_ring: Some(Arc::new(ring)),
            ..Snapshot::default()
        };
        snapshot.api_keys.insert(
            "k1".into(),
            Arc::new(ApiKey {
                hash,
                principal: Arc::new(Principal::new("ana", &[], None, "k1")),
                servers: Vec::new(),
                expires_unix_ms: None,
            }),
        );
        let index = Index::of(&Engine::compile(Arc::new(snapshot)).unwrap());
        assert_eq!(&*index.find("gh_right").unwrap().principal.user, "ana");
        for wrong in [
            "gh_righ",
            "gh_right ",
            "right",
            "",
            &format!("gh_{}", "x".repeat(200)),
        ] {
            assert!(index.find(wrong).is_none(), "{wrong}");
        }
        assert!(Index::default().find("gh_right").is_none());
    }
}
