//! API keys, and the ring of keys that all edges share.
//!
//! A key is 32 random bytes that are shown once. What is stored and pushed is `HMAC-SHA-256(pepper, key)` over
//! the whole text, `gh_` included; the pepper is in the key ring, which only edges get and which lies sealed
//! in the store. It does not know how a caller presents a key.

use aws_lc_rs::{hmac, rand};
use base64::prelude::*;
use model::fault::{BAD_VALUE, DANGLING, MISSING};
use model::snapshot::ResourceKey;
use model::wire::{API_KEY, KEY_RING};
use proto::v1 as pb;
use proto::v1::resource::Spec;
use zeroize::Zeroizing;

use crate::catalog::{Catalog, Edit, Error, Fault, Options, Outcome, State};
use crate::clock;

/// What every API key begins with.
pub(crate) const PREFIX: &str = "gh_";
/// The one ring that there is, and its purpose.
const RING: &str = "edge";
/// Characters of a key's id: some 50 bits, which is plenty to tell keys apart and fits on a line.
const ID_CHARS: usize = 10;
/// A key is forgotten so long after its end, with the next key that is made.
const FORGET_AFTER_MS: i64 = 24 * 3600 * 1000;
/// Most keys that are forgotten at one time.
const FORGET_MAX: usize = 500;
/// Longest user, group or client, in bytes.
const SUBJECT_BYTES_MAX: usize = 256;
/// Most groups, and most servers, of one key.
const LIST_MAX: usize = 200;

/// A new key. Its text is nowhere else.
pub(crate) struct Created {
    /// Its id.
    pub id: String,
    /// Its text.
    pub key: Zeroizing<String>,
    /// The revision from which nodes know it.
    pub revision: u64,
}

impl std::fmt::Debug for Created {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Created")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Makes the key ring where there is none.
///
/// # Errors
/// What the catalog may say.
pub(crate) async fn ensure_ring(catalog: &Catalog) -> Result<(), Error> {
    let key = ResourceKey::new(KEY_RING, RING);
    if catalog.state().get(&key).is_some() {
        return Ok(());
    }
    // Another replica may make one at the same moment: its ring is as good.
    let plan = |state: &State| match state.get(&key) {
        Some(_) => Ok(Vec::new()),
        None => Ok(vec![Edit::put(new_ring())]),
    };
    catalog
        .change("control-plane", Options::default(), plan)
        .await
        .map(drop)
}

fn new_ring() -> pb::Resource {
    let ring = pb::KeyRingSpec {
        purpose: RING.to_owned(),
        session_keys: vec![pb::SealingKey {
            id: 1,
            key: random_bytes().to_vec(),
            created_unix_ms: clock::now_ms(),
        }],
        api_key_pepper: random_bytes().to_vec(),
        sealed: Vec::new(),
    };
    resource(RING, Spec::KeyRing(ring))
}

/// Makes an API key.
///
/// # Errors
/// [`Error::Refused`] where the request is wrong, also for servers that do not exist; else what the catalog
/// may say.
pub(crate) async fn create(
    catalog: &Catalog,
    author: &str,
    request: &pb::CreateKeyRequest,
) -> Result<Created, Error> {
    check(request)?;
    let bytes = random_bytes();
    let key = Zeroizing::new(format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(*bytes)));
    let now = clock::now_ms();
    let ends = i64::try_from(request.expires_ms).unwrap_or(i64::MAX);
    let expires_unix_ms = if ends == 0 {
        0
    } else {
        now.saturating_add(ends)
    };
    let id = random_id();
    let plan = |state: &State| {
        check_servers(state, request)?;
        if state.get(&ResourceKey::new(API_KEY, &id)).is_some() {
            // Once in 2^50, and then it must not be put over the other.
            return Err(Error::Busy);
        }
        let spec = pb::ApiKeySpec {
            hash: hash(state, &key)?,
            user: request.user.clone(),
            groups: sorted(&request.groups),
            client: request.client.clone(),
            servers: sorted(&request.servers),
            expires_unix_ms,
            internal: false,
        };
        let mut edits = vec![Edit::put(resource(&id, Spec::ApiKey(spec)))];
        edits.extend(long_ended(state, now).into_iter().map(Edit::Delete));
        Ok(edits)
    };
    let Outcome { revision, .. } = catalog.change(author, Options::default(), plan).await?;
    Ok(Created { id, key, revision })
}

/// All keys, oldest first, without their text.
pub(crate) fn list(state: &State) -> Vec<pb::KeyInfo> {
    let mut keys: Vec<pb::KeyInfo> = state
        .resources()
        .iter()
        .filter_map(|(key, stored)| match &stored.resource.spec {
            Some(Spec::ApiKey(spec)) if !spec.internal => Some(pb::KeyInfo {
                id: key.name.clone(),
                user: spec.user.clone(),
                groups: spec.groups.clone(),
                servers: spec.servers.clone(),
                created: stored
                    .resource
                    .metadata
                    .as_ref()
                    .map_or_else(String::new, |m| m.created.clone()),
                expires_unix_ms: spec.expires_unix_ms,
                client: spec.client.clone(),
            }),
            _ => None,
        })
        .collect();
    keys.sort_by(|a, b| (&a.created, &a.id).cmp(&(&b.created, &b.id)));
    keys
}

/// The key of this text, where it is good at `now`, Unix milliseconds.
pub(crate) fn find(state: &State, text: &str, now: i64) -> Option<pb::ApiKeySpec> {
    let hash = hash(state, text).ok()?;
    let mut specs = state
        .resources()
        .values()
        .filter_map(|stored| match &stored.resource.spec {
            Some(Spec::ApiKey(spec)) if !spec.internal => Some(spec),
            _ => None,
        });
    // What is compared is an HMAC: the time that it takes tells nothing of a key.
    let found = specs.find(|spec| spec.hash == hash)?;
    let is_good = found.expires_unix_ms == 0 || now < found.expires_unix_ms;
    is_good.then(|| found.clone())
}

/// Ends a key.
///
/// # Errors
/// [`Error::NotFound`]; else what the catalog may say.
pub(crate) async fn revoke(catalog: &Catalog, author: &str, id: &str) -> Result<Outcome, Error> {
    let key = ResourceKey::new(API_KEY, id);
    catalog.delete(author, vec![key], Options::default()).await
}

/// What can be said of a request without the catalog.
fn check(request: &pb::CreateKeyRequest) -> Result<(), Error> {
    let mut faults = Vec::new();
    if request.user.is_empty() {
        faults.push(fault("user", MISSING, "a key needs a user"));
    }
    for (path, text) in [("user", &request.user), ("client", &request.client)] {
        check_text(path, text, &mut faults);
    }
    for (list, texts) in [("groups", &request.groups), ("servers", &request.servers)] {
        if texts.len() > LIST_MAX {
            faults.push(fault(
                list,
                BAD_VALUE,
                &format!("{} entries are over {LIST_MAX}", texts.len()),
            ));
        }
        for (n, text) in texts.iter().enumerate().take(LIST_MAX) {
            let path = format!("{list}[{n}]");
            check_text(&path, text, &mut faults);
            if text.is_empty() {
                faults.push(fault(&path, BAD_VALUE, "is empty"));
            }
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Error::Refused(faults))
    }
}

fn check_text(path: &str, text: &str, faults: &mut Vec<Fault>) {
    if text.len() > SUBJECT_BYTES_MAX {
        let message = format!("{} bytes are over {SUBJECT_BYTES_MAX}", text.len());
        faults.push(fault(path, BAD_VALUE, &message));
    }
    if text.chars().any(char::is_control) {
        faults.push(fault(
            path,
            BAD_VALUE,
            &format!("{text:?} holds control characters"),
        ));
    }
}

/// A key for a server that is not there is a slip of the pen.
fn check_servers(state: &State, request: &pb::CreateKeyRequest) -> Result<(), Error> {
    let snapshot = state.snapshot();
    let faults: Vec<Fault> = request
        .servers
        .iter()
        .enumerate()
        .filter_map(|(n, name)| {
            let known = snapshot.servers.contains_key(name.as_str())
                || snapshot.virtual_servers.contains_key(name.as_str());
            let path = format!("servers[{n}]");
            (!known).then(|| fault(&path, DANGLING, &format!("there is no server {name:?}")))
        })
        .collect();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Error::Refused(faults))
    }
}

fn fault(path: &str, code: &'static str, message: &str) -> Fault {
    Fault {
        index: None,
        resource: None,
        path: path.to_owned(),
        code,
        message: message.to_owned(),
        fix: None,
    }
}

/// The key as nodes know it.
fn hash(state: &State, key: &str) -> Result<Vec<u8>, Error> {
    let ring = ResourceKey::new(KEY_RING, RING);
    let Some(Spec::KeyRing(ring)) = state.get(&ring).and_then(|s| s.resource.spec.as_ref()) else {
        return Err(Error::NotFound(ring));
    };
    let pepper = hmac::Key::new(hmac::HMAC_SHA256, &ring.api_key_pepper);
    Ok(hmac::sign(&pepper, key.as_bytes()).as_ref().to_vec())
}

/// Keys that ended long ago, the first [`FORGET_MAX`] of them.
fn long_ended(state: &State, now: i64) -> Vec<ResourceKey> {
    let ended = |spec: &pb::ApiKeySpec| {
        spec.expires_unix_ms != 0 && spec.expires_unix_ms.saturating_add(FORGET_AFTER_MS) < now
    };
    state
        .resources()
        .iter()
        .filter(|(_, s)| matches!(&s.resource.spec, Some(Spec::ApiKey(spec)) if ended(spec)))
        .map(|(key, _)| key.clone())
        .take(FORGET_MAX)
        .collect()
}

/// Lower-case letters and the digits 2 to 7: a resource name.
fn random_id() -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let bytes = random_bytes();
    bytes[..ID_CHARS]
        .iter()
        .map(|b| char::from(ALPHABET[usize::from(b % 32)]))
        .collect()
}

/// 32 random bytes, wiped when dropped.
pub(crate) fn random_bytes() -> Zeroizing<[u8; 32]> {
    let mut bytes = Zeroizing::new([0; 32]);
    rand::fill(bytes.as_mut()).expect("the system's random numbers never run out once it is up");
    bytes
}

fn sorted(texts: &[String]) -> Vec<String> {
    let mut texts = texts.to_vec();
    texts.sort();
    texts.dedup();
    texts
}

fn resource(name: &str, spec: Spec) -> pb::Resource {
    let metadata = pb::Metadata {
        name: name.to_owned(),
        ..Default::default()
    };
    pb::Resource {
        metadata: Some(metadata),
        spec: Some(spec),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::catalog::fixture;

    fn request() -> pb::CreateKeyRequest {
        pb::CreateKeyRequest {
            user: "ana@example.com".to_owned(),
            groups: vec!["b".to_owned(), "a".to_owned(), "b".to_owned()],
            ..Default::default()
        }
    }

    #[tokio::test]
    async fn the_ring_is_made_once_and_lies_sealed() {
        let (catalog, _dir) = fixture::catalog().await;
        ensure_ring(&catalog).await.unwrap();
        let first = catalog.state();
        ensure_ring(&catalog).await.unwrap();
        assert_eq!(catalog.state().revision(), first.revision());
        let ring = first.snapshot().key_ring.clone().unwrap();
        let stored = first.get(&ResourceKey::new(KEY_RING, RING)).unwrap();
        let holds = |bytes: &[u8]| bytes.windows(32).any(|w| w == ring.api_key_pepper);
        assert!(holds(&stored.encoded), "nodes get it open");
        assert!(!holds(&stored.sealed), "the store does not");
    }

    #[tokio::test]
    async fn a_key_is_known_by_its_keyed_hash_until_it_is_revoked() {
        let (catalog, _dir) = fixture::catalog().await;
        ensure_ring(&catalog).await.unwrap();
        let made = create(&catalog, "admin", &request()).await.unwrap();
        assert!(made.key.starts_with(PREFIX) && made.key.len() == PREFIX.len() + 43);
        let state = catalog.state();
        let pepper = state.snapshot().key_ring.as_ref().unwrap().api_key_pepper;
        let expected = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, &pepper),
            made.key.as_bytes(),
        );
        let known = &state.snapshot().api_keys[&made.id];
        assert_eq!(known.hash, expected.as_ref());
        assert_eq!(known.principal.groups.len(), 2);
        assert_eq!(list(&state)[0].id, made.id);

        let revoked = revoke(&catalog, "admin", &made.id).await.unwrap();
        assert_eq!(revoked.revision, made.revision + 1);
        assert!(catalog.state().snapshot().api_keys.is_empty());
        let again = revoke(&catalog, "admin", &made.id).await;
        assert!(matches!(again, Err(Error::NotFound(_))), "{again:?}");
    }

    #[tokio::test]
    async fn wrong_requests_are_refused_with_all_faults() {
        let (catalog, _dir) = fixture::catalog().await;
        ensure_ring(&catalog).await.unwrap();
        let wrong = pb::CreateKeyRequest {
            user: String::new(),
            groups: vec!["a\nb".to_owned(), String::new()],
            ..Default::default()
        };
        let Err(Error::Refused(faults)) = create(&catalog, "admin", &wrong).await else {
            panic!("a key without a user was made");
        };
        let paths: Vec<&str> = faults.iter().map(|f| f.path.as_str()).collect();
        assert_eq!(paths, ["user", "groups[0]", "groups[1]"]);

        let dangling = pb::CreateKeyRequest {
            servers: vec!["nope".to_owned()],
            ..request()
        };
        let refused = create(&catalog, "admin", &dangling).await;
        assert!(matches!(refused, Err(Error::Refused(f)) if f[0].code == DANGLING));
    }

    #[tokio::test]
    async fn keys_that_ended_long_ago_are_forgotten_with_the_next() {
        let (catalog, _dir) = fixture::catalog().await;
        ensure_ring(&catalog).await.unwrap();
        let old = pb::CreateKeyRequest {
            expires_ms: 1,
            ..request()
        };
        let old = create(&catalog, "admin", &old).await.unwrap();
        let state = catalog.state();
        let later = clock::now_ms() + FORGET_AFTER_MS + 1000;
        assert_eq!(
            long_ended(&state, later),
            [ResourceKey::new(API_KEY, &old.id)]
        );
        assert!(long_ended(&state, clock::now_ms()).is_empty());
    }
}
