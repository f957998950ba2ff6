//! The statement by which an edge tells a sidecar that a person has agreed to this very call.
//!
//! `base64url(JSON) "." base64url(signature)`, signed with the edge's own node key like the one of who calls
//! ([`crate::auth::statement`]), but of one call: it names the call's id and what was agreed to, and is good for as long
//! as a call may be on its way. The sidecar makes the binding anew from what it has received.

use model::name::ServerName;
use model::record::CallId;
use runtime::tls::NodeKey;
use serde::{Deserialize, Serialize};

use super::Approved;
use super::binding::Binding;
use crate::auth::signed::{self, OfCall};
use crate::auth::statement::Error;
use crate::deliver::PeerIdentity;

/// The header that carries it. Only ever read on mTLS hops.
pub const HEADER: &str = "gatehouse-approval";
/// No statement is longer, in bytes.
const STATEMENT_BYTES_MAX: usize = 2 * 1024;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    /// Which kind of statement, so that no other one passes for it.
    approval: String,
    binding: String,
    call: String,
    server: String,
    edge: String,
    iat: i64,
}

impl Claims {
    fn of_call(&self) -> OfCall<'_> {
        OfCall {
            call: &self.call,
            server: &self.server,
            edge: &self.edge,
            iat: self.iat,
        }
    }
}

/// States that `approved` is for the call `id` of `server`.
///
/// # Errors
/// Where it cannot be signed.
pub fn state(
    (node, key): (&str, &NodeKey),
    approved: &Approved,
    (server, id): (&ServerName, CallId),
    now_unix_s: i64,
) -> Result<http::HeaderValue, Error> {
    let claims = Claims {
        approval: approved.id.to_string(),
        binding: approved.binding.hex(),
        call: id.to_string(),
        server: server.as_str().to_owned(),
        edge: node.to_owned(),
        iat: now_unix_s,
    };
    let text = signed::sign(key, &claims)?;
    http::HeaderValue::from_str(&text).map_err(|_| Error::Malformed)
}

/// What `peer` states of the call `id` of `server`.
///
/// # Errors
/// Where that is not to be believed.
pub fn verify(
    peer: &PeerIdentity,
    statement: &str,
    called: (&ServerName, CallId),
    now_unix_s: i64,
) -> Result<Approved, Error> {
    let node = peer.edge_node().ok_or(Error::Signature)?;
    let claims: Claims = signed::open(peer, statement, STATEMENT_BYTES_MAX)?;
    claims.of_call().check(node, called, now_unix_s)?;
    Ok(Approved {
        id: claims.approval.into(),
        by: "".into(),
        binding: Binding::parse(&claims.binding).ok_or(Error::Malformed)?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use runtime::tls::Peer;

    use super::*;

    const NOW: i64 = 1_790_000_000;

    fn edge(node: &str) -> (NodeKey, PeerIdentity) {
        let (pkcs8, _) = runtime::tls::new_key_and_csr().unwrap();
        let key = NodeKey::from_pkcs8(&pkcs8).unwrap();
        let peer = PeerIdentity {
            peer: Peer::edge(node).unwrap(),
            public_key: key.public_key().to_vec(),
            ends_unix_s: i64::MAX,
        };
        (key, peer)
    }

    #[test]
    fn it_is_worth_something_for_one_call_from_one_edge_and_not_for_long() {
        let (key, peer) = edge("edge-1");
        let (time, mail) = (
            ServerName::new("time").unwrap(),
            ServerName::new("mail").unwrap(),
        );
        let (id, other) = (CallId([1; 16]), CallId([2; 16]));
        let approved = Approved {
            id: "a-1".into(),
            by: "".into(),
            binding: Binding([3; 32]),
        };
        let text = state(("edge-1", &key), &approved, (&time, id), NOW).unwrap();
        let text = text.to_str().unwrap();
        assert_eq!(verify(&peer, text, (&time, id), NOW).unwrap(), approved);
        assert_eq!(
            verify(&peer, text, (&time, other), NOW),
            Err(Error::Signature)
        );
        assert_eq!(verify(&peer, text, (&mail, id), NOW), Err(Error::Server));
        let late = NOW + signed::CALL_LIFETIME_S;
        assert_eq!(verify(&peer, text, (&time, id), late), Err(Error::Expired));
        let (_, stranger) = edge("edge-1");
        assert_eq!(
            verify(&stranger, text, (&time, id), NOW),
            Err(Error::Signature)
        );
        for at in 0..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(
                verify(&peer, &changed, (&time, id), NOW).is_err(),
                "byte {at}"
            );
        }
    }
}
