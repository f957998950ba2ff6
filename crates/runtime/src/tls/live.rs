//! An identity that is renewed while its process runs: what is made from it shows the newest certificate in every new
//! handshake, and connections that are open stay open.

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ServerConfig, SignatureScheme};
use tokio::sync::watch;

use super::{ClientAuth, Error, Identity, client_config, provider, server_config};

/// This process's identity. Clones are the same.
#[derive(Clone)]
pub struct LiveIdentity(Arc<Inner>);

struct Inner {
    /// Sent by [`LiveIdentity::replace`]; received by whoever has to do something about it.
    current: watch::Sender<Arc<Identity>>,
    key: Arc<Key>,
}

/// What new handshakes are answered with. Locked for a clone of the `Arc`, or its replacement.
#[derive(Debug)]
struct Key(RwLock<Arc<CertifiedKey>>);

impl LiveIdentity {
    /// Begins with `identity`.
    ///
    /// # Errors
    /// [`Error::Tls`] if key and certificate do not belong together.
    pub fn new(identity: Identity) -> Result<Self, Error> {
        let key = Arc::new(Key(RwLock::new(certified(&identity)?)));
        let current = watch::Sender::new(Arc::new(identity));
        Ok(Self(Arc::new(Inner { current, key })))
    }

    /// The newest.
    pub fn current(&self) -> Arc<Identity> {
        self.0.current.borrow().clone()
    }

    /// The newest, and every one after it.
    pub fn changed(&self) -> watch::Receiver<Arc<Identity>> {
        self.0.current.subscribe()
    }

    /// Goes on with another certificate for the same part.
    ///
    /// # Errors
    /// [`Error::Tls`] if key and certificate do not belong together; then nothing has changed.
    pub fn replace(&self, identity: Identity) -> Result<(), Error> {
        *self.0.key.0.write() = certified(&identity)?;
        self.0.current.send_replace(Arc::new(identity));
        Ok(())
    }

    /// As [`server_config`], with the newest certificate in every handshake.
    ///
    /// # Errors
    /// As [`server_config`].
    pub fn server_config(
        &self,
        auth: ClientAuth,
        alpn: &[&[u8]],
    ) -> Result<Arc<ServerConfig>, Error> {
        let mut config = ServerConfig::clone(&*server_config(&self.current(), auth, alpn)?);
        config.cert_resolver = self.0.key.clone();
        Ok(Arc::new(config))
    }

    /// As [`client_config`], with the newest certificate in every handshake.
    ///
    /// # Errors
    /// As [`client_config`].
    pub fn client_config(&self, alpn: &[&[u8]]) -> Result<Arc<ClientConfig>, Error> {
        let mut config = ClientConfig::clone(&*client_config(&self.current(), alpn)?);
        config.client_auth_cert_resolver = self.0.key.clone();
        Ok(Arc::new(config))
    }
}

impl fmt::Debug for LiveIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Live{:?}", self.current())
    }
}

impl ResolvesServerCert for Key {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().clone())
    }
}

impl ResolvesClientCert for Key {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn certified(identity: &Identity) -> Result<Arc<CertifiedKey>, Error> {
    let (chain, key) = (identity.chain.clone(), identity.key.clone_key());
    Ok(Arc::new(CertifiedKey::from_der(chain, key, &provider())?))
}
