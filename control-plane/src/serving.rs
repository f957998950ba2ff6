//! The control plane's own certificate: made at start, and anew at half of its life, without a restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use runtime::drain::Drain;
use runtime::net::ClientTls;
use runtime::tls::{self, ClientAuth, H2, Identity, Peer};
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::ServerName as TlsName;

use crate::ca::{self, CERTIFICATE_LASTS, Ca};

/// Hosts that always lead to a control plane.
const LOOPBACK_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The authority refused.
    #[error(transparent)]
    Ca(#[from] ca::Error),
    /// It cannot be used.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// rustls refused it.
    #[error("TLS: {0}")]
    Rustls(#[from] rustls::Error),
}

/// The certificate in use.
#[derive(Debug)]
pub(crate) struct Serving {
    ca: Arc<Ca>,
    peer: Peer,
    hosts: Vec<String>,
    current: Arc<Current>,
    /// How often the certificate was renewed.
    generation: AtomicU64,
}

/// What new handshakes are answered with.
#[derive(Debug)]
struct Current {
    /// Locked for a clone of the `Arc`, or its replacement.
    key: RwLock<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key.read().clone())
    }
}

impl Serving {
    /// Makes a certificate for the replica `name`, for loopback and for `hosts`.
    ///
    /// # Errors
    /// [`Error::Ca`] for hosts that cannot stand in one, [`Error::Tls`] for a name that cannot.
    pub(crate) fn new(ca: Arc<Ca>, name: &str, hosts: &[String]) -> Result<Arc<Self>, Error> {
        let peer = Peer::control_plane(name)?;
        let loopback = LOOPBACK_HOSTS.iter().map(ToString::to_string);
        let hosts = loopback.chain(hosts.iter().cloned()).collect::<Vec<_>>();
        let first = certified(&ca.identity(&peer, &hosts)?)?;
        let current = Arc::new(Current {
            key: RwLock::new(first),
        });
        Ok(Arc::new(Self {
            ca,
            peer,
            hosts,
            current,
            generation: AtomicU64::new(0),
        }))
    }

    /// How a listener accepts, now and after every renewal.
    ///
    /// # Errors
    /// [`Error::Tls`].
    pub(crate) fn config(&self, auth: ClientAuth) -> Result<Arc<ServerConfig>, Error> {
        let identity = self.ca.identity(&self.peer, &self.hosts)?;
        let mut config = ServerConfig::clone(&*tls::server_config(&identity, auth, &[H2])?);
        config.cert_resolver = self.current.clone();
        Ok(Arc::new(config))
    }

    /// How another replica is reached: with a certificate of our own.
    ///
    /// # Errors
    /// [`Error::Ca`], [`Error::Tls`].
    pub(crate) fn client_tls(&self) -> Result<ClientTls, Error> {
        let identity = self.ca.identity(&self.peer, &self.hosts)?;
        let name = TlsName::try_from(self.peer.dns_name());
        Ok(ClientTls {
            config: tls::client_config(&identity, &[H2])?,
            server_name: name.map_err(|_| tls::Error::Name(self.peer.dns_name()))?,
        })
    }

    /// Rises with every renewal: what was made with an older one shows a certificate that ends.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Renews at half of the certificate's life, until `drain` starts.
    pub(crate) async fn renew(self: Arc<Self>, drain: Drain) {
        loop {
            tokio::select! {
                () = drain.signaled() => return,
                () = tokio::time::sleep(CERTIFICATE_LASTS / 2) => {}
            }
            if let Err(error) = self.renew_now() {
                tracing::error!(%error, "cannot renew the control plane's own certificate");
            }
        }
    }

    fn renew_now(&self) -> Result<(), Error> {
        let next = certified(&self.ca.identity(&self.peer, &self.hosts)?)?;
        *self.current.key.write() = next;
        self.generation.fetch_add(1, Ordering::Relaxed);
        tracing::info!("renewed the control plane's own certificate");
        Ok(())
    }
}

fn certified(identity: &Identity) -> Result<Arc<CertifiedKey>, Error> {
    let (chain, key) = (identity.chain.clone(), identity.key.clone_key());
    Ok(Arc::new(CertifiedKey::from_der(
        chain,
        key,
        &tls::provider(),
    )?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::store::fixture;
    use crate::store::seal::Sealer;

    #[tokio::test]
    async fn renewal_replaces_what_handshakes_are_answered_with() {
        let (store, _dir) = fixture::embedded();
        let ca = Ca::open(&*store, &Sealer::new(&[1; 32]).unwrap(), &[])
            .await
            .unwrap();
        let serving = Serving::new(ca, "cp-1", &["cp.example.com".to_owned()]).unwrap();
        serving.config(ClientAuth::Optional).unwrap();
        let before = serving.current.key.read().clone();
        serving.renew_now().unwrap();
        let after = serving.current.key.read().clone();
        assert_ne!(before.cert, after.cert);
        let peer = tls::peer_of(&after.cert[0]).unwrap();
        assert_eq!(peer, serving.peer);
    }
}
