//! Seals small values that clients carry for us: AES-256-GCM under keys that all edges share.
//!
//! Form: base64url, unpadded, of `key id (4 bytes) ‖ nonce (12 bytes) ‖ ciphertext and tag`. Nonces are
//! random; the control plane rotates the keys long before 2^32 uses.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::key::KeyRing;
use model::name::ServerName;
use model::principal::Principal;

const ID_BYTES: usize = 4;
/// No sealed value is longer, in bytes of its text; a longer one is not opened.
pub const SEALED_BYTES_MAX: usize = 2048;

/// The keys of a key ring: the first seals, all open.
#[derive(Debug)]
pub struct SessionKeys(Vec<(u32, LessSafeKey)>);

impl SessionKeys {
    /// Takes the ring's keys. `None` where it has none.
    pub fn of(ring: &KeyRing) -> Option<Self> {
        let keys: Vec<_> = ring
            .session_keys
            .iter()
            .filter_map(|k| {
                let key = UnboundKey::new(&AES_256_GCM, &k.key).ok()?;
                Some((k.id, LessSafeKey::new(key)))
            })
            .collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// Seals `plain`, bound to `context`: what must be the same again when it is opened.
    /// `None` where the machine has no randomness.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Option<String> {
        let (id, key) = self.0.first()?;
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut out = Vec::with_capacity(ID_BYTES + NONCE_LEN + plain.len() + 16);
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&nonce);
        let mut secret = plain.to_vec();
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(context),
            &mut secret,
        )
        .ok()?;
        out.extend_from_slice(&secret);
        Some(URL_SAFE_NO_PAD.encode(out))
    }

    /// Opens what one of the ring's keys sealed for the same context.
    pub fn open(&self, context: &[u8], sealed: &str) -> Option<Vec<u8>> {
        if sealed.len() > SEALED_BYTES_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (id, rest) = bytes.split_at_checked(ID_BYTES)?;
        let (nonce, secret) = rest.split_at_checked(NONCE_LEN)?;
        let id = u32::from_be_bytes(id.try_into().ok()?);
        let (_, key) = self.0.iter().find(|(known, _)| *known == id)?;
        let mut secret = secret.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let plain = key
            .open_in_place(nonce, Aad::from(context), &mut secret)
            .ok()?
            .len();
        secret.truncate(plain);
        Some(secret)
    }
}

/// A context that binds a value to what it is for, the server, the user and the client application.
pub fn context(purpose: &str, principal: &Principal, server: &ServerName) -> Vec<u8> {
    let mut context = [purpose.as_bytes(), b"\0"].concat();
    for part in [
        server.as_str(),
        &principal.user,
        principal.client.as_deref().unwrap_or_default(),
    ] {
        context.extend_from_slice(&(part.len() as u64).to_be_bytes());
        context.extend_from_slice(part.as_bytes());
    }
    context
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use model::key::SealingKey;

    use super::*;

    fn keys(ids: &[u32]) -> SessionKeys {
        let session_keys = ids.iter().map(|id| SealingKey {
            id: *id,
            key: [*id as u8; 32],
        });
        SessionKeys::of(&KeyRing {
            session_keys: session_keys.collect(),
            api_key_pepper: [0; 32],
        })
        .unwrap()
    }

    #[test]
    fn opens_what_an_older_key_sealed() {
        let sealed = keys(&[1]).seal(b"ana", b"hello").unwrap();
        assert_eq!(keys(&[2, 1]).open(b"ana", &sealed).unwrap(), b"hello");
        assert!(keys(&[2]).open(b"ana", &sealed).is_none());
    }

    #[test]
    fn another_context_or_any_flipped_bit_opens_nothing() {
        let keys = keys(&[1]);
        let sealed = keys.seal(b"ana", b"hello").unwrap();
        assert!(keys.open(b"bob", &sealed).is_none());
        let bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        for at in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[at / 8] ^= 1 << (at % 8);
            assert!(
                keys.open(b"ana", &URL_SAFE_NO_PAD.encode(bad)).is_none(),
                "bit {at}"
            );
        }
        assert!(keys.open(b"ana", "").is_none());
        assert!(keys.open(b"ana", "not base64 !").is_none());
        assert!(
            keys.open(b"ana", &"A".repeat(SEALED_BYTES_MAX + 1))
                .is_none()
        );
    }
}
