//! How a node comes to its certificate: a token, good once and for ten minutes.
//!
//! ```text
//! operator --CreateJoinToken--> ghj_…   (its hash under side/join/, with kind, server and end)
//! node     --Join(token, csr)--> compare and delete the hash --> certificate
//! ```
//!
//! Only whoever takes the token out of the store is handed a certificate, so two nodes never join by one.

use std::sync::Arc;
use std::time::Duration;

use base64::prelude::*;
use model::name::ServerName;
use model::snapshot::Sha256;
use runtime::tls::Peer;
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::ca::{self, Ca};
use crate::clock;
use crate::keys::random_bytes;
use crate::store::{self, Entry, Store, key};

/// What every join token begins with.
pub(crate) const PREFIX: &str = "ghj_";
/// How long a token is good (CONTRACT section 2).
pub(crate) const TOKEN_LASTS: Duration = Duration::from_secs(600);
/// Most tokens that wait to be used. When full, a new one is refused until some are used or end.
const TOKENS_MAX: usize = 1000;
/// Longest text that is looked at as a token.
const TOKEN_BYTES_MAX: usize = 128;

/// Why a token was not made or not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Never made, used already, or over. Which of them is nobody's business who does not have it.
    #[error("the join token is not good (any more): each is good once and for ten minutes")]
    NotGood,
    /// Too many wait to be used.
    #[error("{TOKENS_MAX} join tokens wait to be used: use them, or wait ten minutes")]
    TooMany,
    /// The certificate.
    #[error(transparent)]
    Ca(#[from] ca::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What a token allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Grant {
    /// The server of a sidecar; `None` for an edge.
    server: Option<ServerName>,
    /// When it ends, Unix milliseconds.
    expires_unix_ms: i64,
}

/// A new token. Its text is nowhere else.
#[derive(Debug)]
pub(crate) struct Token {
    /// Its text.
    pub text: Zeroizing<String>,
    /// When it ends, Unix milliseconds.
    pub expires_unix_ms: i64,
}

/// A node that has joined.
#[derive(Debug)]
pub(crate) struct Joined {
    /// Its id.
    pub node: String,
    /// Its certificate.
    pub certificate: CertificateDer<'static>,
    /// The root that it must trust.
    pub root: CertificateDer<'static>,
}

/// Makes and takes join tokens.
#[derive(Debug)]
pub(crate) struct Desk {
    store: Arc<dyn Store>,
    ca: Arc<Ca>,
}

impl Desk {
    /// Over a store and the authority that signs.
    pub(crate) fn new(store: Arc<dyn Store>, ca: Arc<Ca>) -> Self {
        Self { store, ca }
    }

    /// A token for a sidecar of `server`, or for an edge.
    ///
    /// # Errors
    /// [`Error::TooMany`], [`Error::Store`].
    pub(crate) async fn create(&self, server: Option<ServerName>) -> Result<Token, Error> {
        let now = clock::now_ms();
        self.sweep(now).await?;
        let text = Zeroizing::new(format!(
            "{PREFIX}{}",
            BASE64_URL_SAFE_NO_PAD.encode(*random_bytes())
        ));
        let grant = Grant {
            server,
            expires_unix_ms: now + clock::ms(TOKEN_LASTS),
        };
        let value =
            serde_json::to_vec(&grant).expect("a struct of texts and numbers is always JSON");
        self.store.put(Entry::new(place(&text), value)).await?;
        Ok(Token {
            text,
            expires_unix_ms: grant.expires_unix_ms,
        })
    }

    /// Trades a token and a request for a certificate. `kind` and `server` come from the token alone.
    ///
    /// # Errors
    /// [`Error::NotGood`]; [`Error::Ca`] where the request is wrong, and the token is then not spent.
    pub(crate) async fn join(
        &self,
        token: &str,
        csr: &[u8],
        hosts: &[String],
    ) -> Result<Joined, Error> {
        if token.len() > TOKEN_BYTES_MAX || !token.starts_with(PREFIX) {
            return Err(Error::NotGood);
        }
        let place = place(token);
        let value = self.store.get(&place).await?.ok_or(Error::NotGood)?;
        let grant: Grant = serde_json::from_slice(&value).map_err(|e| store::Error::Corrupt {
            key: place.clone(),
            why: e.to_string(),
        })?;
        if grant.expires_unix_ms <= clock::now_ms() {
            return Err(Error::NotGood);
        }
        let peer = new_peer(grant.server)?;
        // Signed first, so that a slip in the request does not cost the token; handed out only to whoever
        // takes the token out.
        let certificate = self.ca.sign(csr, &peer, hosts)?;
        if !self
            .store
            .compare_and_set(&place, Some(&value), None)
            .await?
        {
            return Err(Error::NotGood);
        }
        tracing::info!(node = peer.node(), "joined");
        let root = self.ca.root().clone();
        Ok(Joined {
            node: peer.node().to_owned(),
            certificate,
            root,
        })
    }

    /// A new certificate for a node that still has a good one: the same name, another key.
    ///
    /// # Errors
    /// [`Error::Ca`] where the request is wrong.
    pub(crate) fn renew(&self, peer: &Peer, csr: &[u8], hosts: &[String]) -> Result<Joined, Error> {
        let certificate = self.ca.sign(csr, peer, hosts)?;
        tracing::info!(node = peer.node(), "renewed a node's certificate");
        Ok(Joined {
            node: peer.node().to_owned(),
            certificate,
            root: self.ca.root().clone(),
        })
    }

    /// Removes tokens that are over.
    async fn sweep(&self, now: i64) -> Result<(), Error> {
        let tokens = self.store.list(key::JOIN_TOKENS).await?;
        let is_over = |entry: &Entry| {
            serde_json::from_slice(&entry.value)
                .map_or(true, |grant: Grant| grant.expires_unix_ms <= now)
        };
        let all = tokens.len();
        let over: Vec<String> = tokens.into_iter().filter(is_over).map(|e| e.key).collect();
        if all - over.len() >= TOKENS_MAX {
            return Err(Error::TooMany);
        }
        if !over.is_empty() {
            self.store.delete(over).await?;
        }
        Ok(())
    }
}

/// Under its hash, so that whoever reads the store cannot join by it.
fn place(token: &str) -> String {
    format!("{}{}", key::JOIN_TOKENS, Sha256::of(token.as_bytes()).hex())
}

/// A name that no node had before: `edge-` or the server's name, and eight random hex digits.
fn new_peer(server: Option<ServerName>) -> Result<Peer, ca::Error> {
    let suffix = hex::encode(&random_bytes()[..4]);
    Ok(match server {
        None => Peer::edge(&format!("edge-{suffix}"))?,
        Some(server) => {
            let node = format!("{server}-{suffix}");
            Peer::sidecar(server, &node)?
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::ca::Terms;
    use crate::store::fixture;
    use crate::store::seal::Sealer;
    use futures_util::future::join_all;
    use runtime::tls::{new_key_and_csr, peer_of};

    async fn desk() -> (Desk, tempfile::TempDir) {
        let (store, dir) = fixture::embedded();
        let ca = Ca::open(&*store, &Sealer::new(&[1; 32]).unwrap(), Terms::default())
            .await
            .unwrap();
        (Desk::new(store, ca), dir)
    }

    #[tokio::test]
    async fn a_token_is_good_for_one_of_many_that_try() {
        let (desk, _dir) = desk().await;
        let token = desk.create(None).await.unwrap();
        assert!(token.text.starts_with(PREFIX));
        let csrs: Vec<Vec<u8>> = (0..8).map(|_| new_key_and_csr().unwrap().1).collect();
        let tries = join_all(csrs.iter().map(|csr| desk.join(&token.text, csr, &[]))).await;
        let joined: Vec<&Joined> = tries.iter().filter_map(|t| t.as_ref().ok()).collect();
        assert_eq!(joined.len(), 1);
        assert!(joined[0].node.starts_with("edge-") && joined[0].node.len() == 13);
        let after = desk.join(&token.text, &csrs[0], &[]).await;
        assert!(matches!(after, Err(Error::NotGood)));
    }

    #[tokio::test]
    async fn the_token_says_what_the_node_is() {
        let (desk, _dir) = desk().await;
        let server = ServerName::new("everything").unwrap();
        let token = desk.create(Some(server.clone())).await.unwrap();
        let csr = new_key_and_csr().unwrap().1;
        let joined = desk.join(&token.text, &csr, &[]).await.unwrap();
        let peer = peer_of(&joined.certificate).unwrap();
        assert!(matches!(peer, Peer::Sidecar { server: s, .. } if s == server));
    }

    #[tokio::test]
    async fn a_slip_in_the_request_does_not_cost_the_token() {
        let (desk, _dir) = desk().await;
        let token = desk.create(None).await.unwrap();
        let csr = new_key_and_csr().unwrap().1;
        let slip = ["*.example.com".to_owned()];
        assert!(matches!(
            desk.join(&token.text, &csr, &slip).await,
            Err(Error::Ca(_))
        ));
        desk.join(&token.text, &csr, &[]).await.unwrap();
    }

    #[tokio::test]
    async fn tokens_that_are_over_or_were_never_made_are_refused_alike() {
        let (desk, _dir) = desk().await;
        let csr = new_key_and_csr().unwrap().1;
        let over = Grant {
            server: None,
            expires_unix_ms: clock::now_ms() - 1,
        };
        let entry = Entry::new(place("ghj_over"), serde_json::to_vec(&over).unwrap());
        desk.store.put(entry).await.unwrap();
        for token in ["ghj_over", "ghj_never", "", "gh_other", &"ghj_".repeat(100)] {
            let refused = desk.join(token, &csr, &[]).await;
            assert!(matches!(refused, Err(Error::NotGood)), "{token}");
        }
        desk.create(None).await.unwrap();
        assert_eq!(
            desk.store.keys(key::JOIN_TOKENS).await.unwrap().len(),
            1,
            "the old one is swept"
        );
    }
}
