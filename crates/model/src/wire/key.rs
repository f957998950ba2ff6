//! API keys and the key ring, as nodes get them. They are made by the control plane; a fault in one is a fault
//! of ours or a store that was tampered with.

use std::collections::BTreeSet;

use proto::v1 as pb;

use super::{Faults, LIST_MAX};
use crate::fault::{BAD_VALUE, MISSING};
use crate::key::{ApiKey, KeyRing, SealingKey};
use crate::name::ServerName;
use crate::principal::Principal;

/// The ring that this version knows.
const PURPOSE: &str = "edge";

pub(super) fn api_key(id: &str, spec: &pb::ApiKeySpec, faults: &mut Faults) -> Option<ApiKey> {
    let hash = bytes_32("spec.hash", &spec.hash, faults);
    if spec.user.is_empty() {
        faults.push("spec.user", MISSING, "is missing");
    }
    faults.check_text("spec.user", &spec.user);
    faults.check_text("spec.client", &spec.client);
    faults.check_length("spec.groups", spec.groups.len());
    for (i, group) in spec.groups.iter().take(LIST_MAX).enumerate() {
        faults.check_text(&format!("spec.groups[{i}]"), group);
        if group.is_empty() {
            faults.push(format!("spec.groups[{i}]"), BAD_VALUE, "a group has a name");
        }
    }
    faults.check_length("spec.servers", spec.servers.len());
    let mut servers = Vec::new();
    for (i, name) in spec.servers.iter().take(LIST_MAX).enumerate() {
        match ServerName::new(name) {
            Ok(name) => servers.push(name),
            Err(bad) => faults.push(format!("spec.servers[{i}]"), BAD_VALUE, bad.to_string()),
        }
    }
    let groups: Vec<&str> = spec.groups.iter().map(String::as_str).collect();
    let client = (!spec.client.is_empty()).then_some(spec.client.as_str());
    Some(ApiKey {
        hash: hash?,
        principal: Principal::new(&spec.user, &groups, client, id).into(),
        servers,
        expires_unix_ms: (spec.expires_unix_ms != 0).then_some(spec.expires_unix_ms),
    })
}

pub(super) fn ring(spec: &pb::KeyRingSpec, faults: &mut Faults) -> Option<KeyRing> {
    if spec.purpose != PURPOSE {
        faults.push(
            "spec.purpose",
            BAD_VALUE,
            format!("{:?} is not a ring that is known", spec.purpose),
        );
    }
    if !spec.sealed.is_empty() {
        faults.push("spec.sealed", BAD_VALUE, "is set: the ring was not opened");
        return None;
    }
    let pepper = bytes_32("spec.apiKeyPepper", &spec.api_key_pepper, faults);
    if spec.session_keys.is_empty() {
        faults.push("spec.sessionKeys", MISSING, "is missing");
    }
    faults.check_length("spec.sessionKeys", spec.session_keys.len());
    let mut ids = BTreeSet::new();
    let mut keys = Vec::new();
    for (i, key) in spec.session_keys.iter().take(LIST_MAX).enumerate() {
        if !ids.insert(key.id) {
            faults.push(
                format!("spec.sessionKeys[{i}].id"),
                BAD_VALUE,
                format!("{} is given twice", key.id),
            );
        }
        if let Some(bytes) = bytes_32(&format!("spec.sessionKeys[{i}].key"), &key.key, faults) {
            keys.push(SealingKey {
                id: key.id,
                key: bytes,
            });
        }
    }
    Some(KeyRing {
        session_keys: keys,
        api_key_pepper: pepper?,
    })
}

/// The message names the length alone: what lies there may be secret.
fn bytes_32(path: &str, bytes: &[u8], faults: &mut Faults) -> Option<[u8; 32]> {
    bytes
        .try_into()
        .map_err(|_| {
            faults.push(
                path,
                BAD_VALUE,
                format!("{} bytes where 32 are wanted", bytes.len()),
            )
        })
        .ok()
}
