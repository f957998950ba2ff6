//! The statement by which an edge tells a sidecar who calls.
//!
//! `base64url(JSON) "." base64url(signature)`, signed with the edge's own node key and good for 90 s, of
//! which the edge uses the first 60. The sidecar checks the signature against the certificate of the very
//! connection that it came on, so a statement is worth nothing to anybody else. Both ends cache: one
//! signature and one verification a minute for each principal and server, none for each call.

use std::net::IpAddr;
use std::sync::Arc;

use dashmap::DashMap;
use model::name::ServerName;
use model::principal::Principal;
use model::record::CallId;
use runtime::tls::NodeKey;
use serde::{Deserialize, Serialize};

use super::signed::{self, SKEW_S};
use super::task::{self, Stated};
use crate::approval::{self, Approved};
use crate::deliver::PeerIdentity;

/// The header that carries it. Stripped at the edge from what clients send.
pub const HEADER: &str = "gatehouse-statement";
/// How long a statement is good, in seconds.
const LIFETIME_S: i64 = 90;
/// How long the edge uses one, in seconds: the rest is for calls on their way and for clocks.
const REUSE_S: i64 = 60;
/// Entries in either cache. A full cache is emptied: all of it can be made again.
const CACHE_MAX: usize = 50_000;
/// No statement is longer, in bytes.
const STATEMENT_BYTES_MAX: usize = 16 * 1024;

/// Why a statement is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not of the form.
    #[error("the statement is not well-formed")]
    Malformed,
    /// Its signature is not the peer's.
    #[error("the statement is not signed by the edge that sent it")]
    Signature,
    /// It is for another server.
    #[error("the statement is for another server")]
    Server,
    /// It is over, or not yet begun.
    #[error("the statement is not of now")]
    Expired,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    v: u8,
    server: String,
    edge: String,
    iat: i64,
    exp: i64,
    user: String,
    groups: Vec<String>,
    client: Option<String>,
    credential: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
}

/// Who calls, and from where: what a statement says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller {
    /// Who.
    pub principal: Arc<Principal>,
    /// The client's address, as the edge sees it.
    pub address: Option<IpAddr>,
}

/// Makes statements, at the edge.
#[derive(Debug)]
pub struct Signer {
    node: String,
    key: NodeKey,
    /// By caller and server: the statement, and when it was made (Unix seconds).
    made: DashMap<(Caller, ServerName), (http::HeaderValue, i64)>,
}

impl Signer {
    /// Signs as `node` with its key.
    pub fn new(node: &str, key: NodeKey) -> Self {
        Self {
            node: node.to_owned(),
            key,
            made: DashMap::new(),
        }
    }

    /// The statement that `caller` calls `server`, fresh or of this minute.
    pub fn state(
        &self,
        caller: &Caller,
        server: &ServerName,
        now_unix_s: i64,
    ) -> Result<http::HeaderValue, Error> {
        let key = (caller.clone(), server.clone());
        if let Some(made) = self.made.get(&key)
            && (made.1..made.1 + REUSE_S).contains(&now_unix_s)
        {
            return Ok(made.0.clone());
        }
        let statement = self.sign(caller, server, now_unix_s)?;
        if self.made.len() >= CACHE_MAX {
            self.made.clear();
        }
        self.made.insert(key, (statement.clone(), now_unix_s));
        Ok(statement)
    }

    /// The statement that a person has agreed to the call `id` of `server`.
    pub fn approved(
        &self,
        approved: &Approved,
        called: (&ServerName, CallId),
        now_unix_s: i64,
    ) -> Result<http::HeaderValue, Error> {
        let signs = (self.node.as_str(), &self.key);
        approval::statement::state(signs, approved, called, now_unix_s)
    }

    /// The statement of which tools the tasks are that the call `id` of `server` is about.
    ///
    /// # Errors
    /// Where it cannot be signed, or is too long.
    pub fn of_tasks(
        &self,
        stated: &Stated,
        called: (&ServerName, CallId),
        now_unix_s: i64,
    ) -> Result<http::HeaderValue, Error> {
        task::state((self.node.as_str(), &self.key), stated, called, now_unix_s)
    }

    fn sign(
        &self,
        caller: &Caller,
        server: &ServerName,
        now: i64,
    ) -> Result<http::HeaderValue, Error> {
        let principal = &caller.principal;
        let claims = Claims {
            v: 1,
            server: server.as_str().to_owned(),
            edge: self.node.clone(),
            iat: now,
            exp: now + LIFETIME_S,
            user: principal.user.to_string(),
            groups: principal.groups.iter().map(ToString::to_string).collect(),
            client: principal.client.as_deref().map(str::to_owned),
            credential: principal.credential.to_string(),
            address: caller.address,
        };
        let text = signed::sign(&self.key, &claims)?;
        http::HeaderValue::from_str(&text).map_err(|_| Error::Malformed)
    }
}

/// A statement that was verified.
#[derive(Debug)]
struct Believed {
    /// Who sent it: only from this very certificate's key is it believed again.
    peer: PeerIdentity,
    server: ServerName,
    caller: Caller,
    /// Unix seconds.
    ends: i64,
}

/// Believes statements, at the sidecar.
#[derive(Debug, Default)]
pub struct Verifier {
    /// By statement text.
    believed: DashMap<Box<str>, Believed>,
}

impl Verifier {
    /// Who `peer` says is calling `server`.
    pub fn verify(
        &self,
        peer: &PeerIdentity,
        statement: &str,
        server: &ServerName,
        now_unix_s: i64,
    ) -> Result<Caller, Error> {
        let node = peer.edge_node().ok_or(Error::Signature)?;
        if let Some(known) = self.believed.get(statement)
            && known.peer == *peer
            && known.server == *server
        {
            return if now_unix_s < known.ends {
                Ok(known.caller.clone())
            } else {
                Err(Error::Expired)
            };
        }
        let claims = Self::check(peer, node, statement, server, now_unix_s)?;
        let groups: Vec<&str> = claims.groups.iter().map(String::as_str).collect();
        let principal = Principal::new(
            &claims.user,
            &groups,
            claims.client.as_deref(),
            &claims.credential,
        );
        let caller = Caller {
            principal: Arc::new(principal),
            address: claims.address,
        };
        if self.believed.len() >= CACHE_MAX {
            self.believed.clear();
        }
        let believed = Believed {
            peer: peer.clone(),
            server: server.clone(),
            caller: caller.clone(),
            ends: claims.exp,
        };
        self.believed.insert(statement.into(), believed);
        Ok(caller)
    }

    fn check(
        peer: &PeerIdentity,
        node: &str,
        statement: &str,
        server: &ServerName,
        now: i64,
    ) -> Result<Claims, Error> {
        let claims: Claims = signed::open(peer, statement, STATEMENT_BYTES_MAX)?;
        if claims.v != 1 || claims.edge != node {
            return Err(Error::Signature);
        }
        if claims.server != server.as_str() {
            return Err(Error::Server);
        }
        let lasts = claims.exp - claims.iat;
        if now >= claims.exp || claims.iat > now + SKEW_S || !(0..=LIFETIME_S).contains(&lasts) {
            return Err(Error::Expired);
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use runtime::tls::Peer;

    use super::*;

    const NOW: i64 = 1_790_000_000;

    struct Pair {
        signer: Signer,
        peer: PeerIdentity,
    }

    fn edge(node: &str) -> Pair {
        let (pkcs8, _) = runtime::tls::new_key_and_csr().unwrap();
        let key = NodeKey::from_pkcs8(&pkcs8).unwrap();
        let public_key = key.public_key().to_vec();
        let peer = PeerIdentity {
            peer: Peer::edge(node).unwrap(),
            public_key,
            ends_unix_s: i64::MAX,
        };
        Pair {
            signer: Signer::new(node, key),
            peer,
        }
    }

    fn ana() -> Caller {
        let principal = Principal::new("ana@example.com", &["b", "a"], Some("cursor"), "k1");
        Caller {
            principal: Arc::new(principal),
            address: Some("192.0.2.7".parse().unwrap()),
        }
    }

    fn server(name: &str) -> ServerName {
        ServerName::new(name).unwrap()
    }

    #[test]
    fn a_sidecar_learns_who_calls() {
        let Pair { signer, peer } = edge("edge-1");
        let statement = signer.state(&ana(), &server("time"), NOW).unwrap();
        let verifier = Verifier::default();
        for _ in 0..2 {
            let told = verifier
                .verify(&peer, statement.to_str().unwrap(), &server("time"), NOW + 1)
                .unwrap();
            assert_eq!(told, ana());
        }
    }

    #[test]
    fn one_statement_serves_a_minute_and_no_longer() {
        let Pair { signer, peer } = edge("edge-1");
        let first = signer.state(&ana(), &server("time"), NOW).unwrap();
        assert_eq!(
            signer
                .state(&ana(), &server("time"), NOW + REUSE_S - 1)
                .unwrap(),
            first
        );
        assert_ne!(
            signer
                .state(&ana(), &server("time"), NOW + REUSE_S)
                .unwrap(),
            first
        );
        assert_ne!(signer.state(&ana(), &server("other"), NOW).unwrap(), first);
        let elsewhere = Caller {
            address: None,
            ..ana()
        };
        let of_elsewhere = signer.state(&elsewhere, &server("time"), NOW).unwrap();
        assert_ne!(of_elsewhere, first, "one address is not told for another");
        let verifier = Verifier::default();
        let text = first.to_str().unwrap();
        let verify = |at| verifier.verify(&peer, text, &server("time"), at);
        assert!(verify(NOW + LIFETIME_S - 1).is_ok());
        // Also once it is cached.
        assert_eq!(verify(NOW + LIFETIME_S), Err(Error::Expired));
        let fresh = Verifier::default();
        let early = fresh.verify(&peer, text, &server("time"), NOW - SKEW_S - 1);
        assert_eq!(early, Err(Error::Expired));
    }

    #[test]
    fn a_statement_is_worth_nothing_to_anybody_else() {
        let Pair { signer, peer } = edge("edge-1");
        let statement = signer.state(&ana(), &server("time"), NOW).unwrap();
        let text = statement.to_str().unwrap();
        let verifier = Verifier::default();
        verifier.verify(&peer, text, &server("time"), NOW).unwrap();
        let other = edge("edge-2").peer;
        assert_eq!(
            verifier.verify(&other, text, &server("time"), NOW),
            Err(Error::Signature)
        );
        let posing = PeerIdentity {
            peer: peer.peer.clone(),
            public_key: other.public_key,
            ends_unix_s: i64::MAX,
        };
        let fresh = Verifier::default();
        assert_eq!(
            fresh.verify(&posing, text, &server("time"), NOW),
            Err(Error::Signature)
        );
        assert_eq!(
            fresh.verify(&peer, text, &server("mail"), NOW),
            Err(Error::Server)
        );
        let sidecar = Peer::sidecar(server("time"), "time-1").unwrap();
        let sidecar = PeerIdentity {
            peer: sidecar,
            public_key: peer.public_key,
            ends_unix_s: i64::MAX,
        };
        assert_eq!(
            fresh.verify(&sidecar, text, &server("time"), NOW),
            Err(Error::Signature)
        );
    }

    #[test]
    fn a_changed_statement_is_refused() {
        let Pair { signer, peer } = edge("edge-1");
        let statement = signer.state(&ana(), &server("time"), NOW).unwrap();
        let text = statement.to_str().unwrap();
        let verifier = Verifier::default();
        for at in 0..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(
                verifier
                    .verify(&peer, &changed, &server("time"), NOW)
                    .is_err(),
                "byte {at}"
            );
        }
        assert_eq!(
            verifier.verify(&peer, "", &server("time"), NOW),
            Err(Error::Malformed)
        );
    }
}
