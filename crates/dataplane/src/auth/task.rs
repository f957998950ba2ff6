//! The statement by which an edge tells a sidecar of which tools the tasks are that a call is about: only edges can open
//! what clients know tasks by.
//!
//! `base64url(JSON) "." base64url(signature)`, signed with the edge's own node key like the one of who calls
//! ([`super::statement`]), but of one call: it names the call's id. A sidecar that does not know it refuses the call, as it
//! does where none comes.

use std::collections::BTreeSet;

use model::name::ServerName;
use model::record::CallId;
use runtime::tls::NodeKey;
use serde::{Deserialize, Serialize};

use super::signed::{self, OfCall};
use super::statement::Error;
use crate::deliver::PeerIdentity;

/// The header that carries it. Only ever read on mTLS hops.
pub const HEADER: &str = "gatehouse-task";
/// No statement is longer, in bytes: it is one header among several.
const STATEMENT_BYTES_MAX: usize = 8 * 1024;

/// The tools that a call's tasks are of. Empty text: of which one is not known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stated(pub BTreeSet<String>);

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    /// Which kind of statement, so that no other one passes for it.
    tools_of_tasks: BTreeSet<String>,
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

/// States that the tasks of the call `id` of `server` are of these tools.
///
/// # Errors
/// Where it cannot be signed, or is too long.
pub fn state(
    (node, key): (&str, &NodeKey),
    stated: &Stated,
    (server, id): (&ServerName, CallId),
    now_unix_s: i64,
) -> Result<http::HeaderValue, Error> {
    let claims = Claims {
        tools_of_tasks: stated.0.clone(),
        call: id.to_string(),
        server: server.as_str().to_owned(),
        edge: node.to_owned(),
        iat: now_unix_s,
    };
    let text = signed::sign(key, &claims)?;
    if text.len() > STATEMENT_BYTES_MAX {
        return Err(Error::Malformed);
    }
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
) -> Result<Stated, Error> {
    let node = peer.edge_node().ok_or(Error::Signature)?;
    let claims: Claims = signed::open(peer, statement, STATEMENT_BYTES_MAX)?;
    claims.of_call().check(node, called, now_unix_s)?;
    Ok(Stated(claims.tools_of_tasks))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use runtime::tls::{self, Peer};

    use super::*;

    const NOW: i64 = 1_790_000_000;

    #[test]
    fn it_is_believed_for_this_call_of_this_server_by_this_edge_and_of_now() {
        let key = NodeKey::from_pkcs8(&tls::new_key_and_csr().unwrap().0).unwrap();
        let edge = |node: &str| PeerIdentity {
            peer: Peer::edge(node).unwrap(),
            public_key: key.public_key().to_vec(),
            ends_unix_s: i64::MAX,
        };
        let server = |name: &str| ServerName::new(name).unwrap();
        let (time, mail, id) = (server("time"), server("mail"), CallId::new());
        let stated = Stated(BTreeSet::from(["now".to_owned()]));
        let statement = state(("e1", &key), &stated, (&time, id), NOW).unwrap();
        let text = statement.to_str().unwrap();
        let verify = |edge: &PeerIdentity, text: &str, about, at| verify(edge, text, about, at);
        assert_eq!(verify(&edge("e1"), text, (&time, id), NOW + 1), Ok(stated));
        let of_another = verify(&edge("e1"), text, (&time, CallId::new()), NOW);
        assert_eq!(of_another, Err(Error::Signature));
        let elsewhere = verify(&edge("e1"), text, (&mail, id), NOW);
        assert_eq!(elsewhere, Err(Error::Server));
        let late = verify(
            &edge("e1"),
            text,
            (&time, id),
            NOW + signed::CALL_LIFETIME_S,
        );
        assert_eq!(late, Err(Error::Expired));
        assert!(verify(&edge("e2"), text, (&time, id), NOW).is_err());
        let changed = text.replacen('.', "A.", 1);
        assert!(verify(&edge("e1"), &changed, (&time, id), NOW).is_err());
        let many = (0..200).map(|at| format!("{at:0>128}")).collect();
        let long = state(("e1", &key), &Stated(many), (&time, id), NOW);
        assert_eq!(
            long.err(),
            Some(Error::Malformed),
            "nothing is cut in silence"
        );
    }
}
