//! What an approval is called, in the store and to people, and whether a request for one is well-formed.
//!
//! ```text
//! place   side/approval/WHO-BINDING      WHO: of the user's hash; one entry for what is agreed to
//! id      WHO-BIND-NONCE                 so that an id leads to its place without a table, and each asking has its own
//! ```

use base64::prelude::*;
use model::snapshot::Sha256;
use proto::v1 as pb;
use zeroize::Zeroizing;

use super::Error;
use crate::keys::random_bytes;
use crate::store::key;

/// Longest text of a request, bytes; arguments have room of their own.
const TEXT_BYTES_MAX: usize = 4096;
/// Longest arguments that are shown, bytes.
const ARGUMENTS_BYTES_MAX: usize = 8 << 10;
/// Hex digits by which an id names the user, what is agreed to, and which asking of it this is.
const PART: usize = 8;

pub(super) fn check(asked: &pb::AskApprovalRequest) -> Result<(), Error> {
    if asked.binding.len() != 32 {
        return Err(Error::Request("binding", "is not 32 bytes"));
    }
    if asked.arguments.len() > ARGUMENTS_BYTES_MAX {
        return Err(Error::Request("arguments", "are longer than 8 KiB"));
    }
    let texts = [
        ("user", &asked.user),
        ("client", &asked.client),
        ("server", &asked.server),
        ("method", &asked.method),
        ("name", &asked.name),
        ("rule", &asked.rule),
    ];
    let groups: usize = asked.groups.iter().map(|group| group.len() + 1).sum();
    if groups > ARGUMENTS_BYTES_MAX {
        return Err(Error::Request("groups", "are longer than 8 KiB"));
    }
    match texts.iter().find(|(_, text)| text.len() > TEXT_BYTES_MAX) {
        Some((field, _)) => Err(Error::Request(field, "is longer than 4 KiB")),
        None => Ok(()),
    }
}

/// Names a user, for counting: two users of one name share their room, and nothing else.
pub(super) fn who(user: &str) -> String {
    Sha256::of(user.as_bytes()).hex()[..PART].to_owned()
}

pub(super) fn place(user: &str, binding: &[u8]) -> String {
    format!("{}{}-{}", key::APPROVALS, who(user), hex::encode(binding))
}

/// A new id for what lies there.
pub(super) fn new_id(place: &str) -> String {
    let name = place.strip_prefix(key::APPROVALS).unwrap_or(place);
    format!("{}-{}", &name[..2 * PART + 1], nonce())
}

/// What the place of this id begins with. `None`: it is no id.
pub(super) fn prefix(id: &str) -> Option<String> {
    let is_id = id.len() == 3 * PART + 2
        && id.bytes().enumerate().all(|(at, b)| match at % (PART + 1) {
            PART => b == b'-',
            _ => b.is_ascii_hexdigit(),
        });
    is_id.then(|| format!("{}{}", key::APPROVALS, &id[..2 * PART + 1]))
}

/// The secret of a link. It is nowhere but in the link.
pub(super) fn token() -> Zeroizing<String> {
    Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(*random_bytes()))
}

fn nonce() -> String {
    hex::encode(&random_bytes()[..PART / 2])
}
