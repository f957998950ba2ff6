//! The control plane's own certificate: made at start, and anew at half of its life, without a restart.

use std::sync::Arc;

use runtime::drain::Drain;
use runtime::net::ClientTls;
use runtime::tls::{self, ClientAuth, H2, LiveIdentity, Peer};
use rustls::ServerConfig;
use rustls_pki_types::ServerName as TlsName;

use crate::ca::{self, Ca};

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
}

/// The certificate in use.
#[derive(Debug)]
pub(crate) struct Serving {
    ca: Arc<Ca>,
    peer: Peer,
    hosts: Vec<String>,
    identity: LiveIdentity,
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
        let identity = LiveIdentity::new(ca.identity(&peer, &hosts)?)?;
        Ok(Arc::new(Self {
            ca,
            peer,
            hosts,
            identity,
        }))
    }

    /// How a listener accepts, now and after every renewal.
    ///
    /// # Errors
    /// [`Error::Tls`].
    pub(crate) fn config(&self, auth: ClientAuth) -> Result<Arc<ServerConfig>, Error> {
        Ok(self.identity.server_config(auth, &[H2])?)
    }

    /// How another replica is reached, now and after every renewal: with a certificate of our own.
    ///
    /// # Errors
    /// [`Error::Tls`].
    pub(crate) fn client_tls(&self) -> Result<ClientTls, Error> {
        let name = TlsName::try_from(self.peer.dns_name());
        Ok(ClientTls {
            config: self.identity.client_config(&[H2])?,
            server_name: name.map_err(|_| tls::Error::Name(self.peer.dns_name()))?,
        })
    }

    /// Renews at half of the certificate's life, until `drain` starts.
    pub(crate) async fn renew(self: Arc<Self>, drain: Drain) {
        loop {
            tokio::select! {
                () = drain.signaled() => return,
                () = tokio::time::sleep(self.ca.lasts() / 2) => {}
            }
            match self.renew_now() {
                Ok(()) => tracing::info!("renewed the control plane's own certificate"),
                Err(error) => {
                    tracing::error!(%error, "cannot renew the control plane's own certificate");
                }
            }
        }
    }

    fn renew_now(&self) -> Result<(), Error> {
        let next = self.ca.identity(&self.peer, &self.hosts)?;
        Ok(self.identity.replace(next)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::ca::Terms;
    use crate::store::fixture;
    use crate::store::seal::Sealer;

    #[tokio::test]
    async fn renewal_replaces_the_certificate_and_keeps_the_name() {
        let (store, _dir) = fixture::embedded();
        let sealer = Sealer::new(&[1; 32]).unwrap();
        let ca = Ca::open(&*store, &sealer, Terms::default()).await.unwrap();
        let serving = Serving::new(ca, "cp-1", &["cp.example.com".to_owned()]).unwrap();
        serving.config(ClientAuth::Optional).unwrap();
        let before = serving.identity.current();
        serving.renew_now().unwrap();
        let after = serving.identity.current();
        assert_ne!(before.chain, after.chain);
        assert_eq!(after.peer().unwrap(), serving.peer);
    }
}
