//! Who the parts are to each other, and how they talk: names, certificates, rustls configurations.
//!
//! Between parts it is TLS 1.3 with a certificate on both sides, and nothing else; towards clients of the
//! edge TLS 1.2, too. One crypto provider, aws-lc-rs, named explicitly everywhere. It does not know who
//! signs certificates (the control plane does) nor who may talk to whom: callers ask [`peer_of`] for the
//! name in a certificate and decide.
//!
//! Start from [`Identity`]: a node's certificate, its key, and whom it trusts.

mod identity;
mod key;
mod live;
mod peer;
mod system;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

pub use identity::Identity;
pub use key::{NodeKey, new_key_and_csr, verify};
pub use live::LiveIdentity;
pub use peer::{NODE_BYTES_MAX, Peer, TRUST_DOMAIN, not_after_of, peer_of, public_key_of};
pub use system::web_client_config;

/// ALPN name of HTTP/2.
pub const H2: &[u8] = b"h2";
/// ALPN name of HTTP/1.1.
pub const HTTP1: &[u8] = b"http/1.1";

/// Why an identity, a certificate or a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is not the PEM that was expected.
    #[error("{path}: {why}")]
    Pem {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A certificate that cannot be read.
    #[error("not a certificate: {0}")]
    Certificate(String),
    /// A certificate that does not name exactly one part of this installation.
    #[error("certificate does not name a part of this installation: {0}")]
    Name(String),
    /// A key that cannot be used or made.
    #[error("key: {0}")]
    Key(&'static str),
    /// rustls refuses the combination.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// No roots to check clients by.
    #[error("TLS: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// Whether whoever connects must show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// No handshake without one.
    Required,
    /// One that is shown is checked; who shows none is told apart later (a node that joins).
    Optional,
}

/// The crypto provider of this process.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Makes it the default for libraries that build their own configurations. Any number of calls.
pub fn install_default() {
    // An error says that one is installed already, which is what was wanted.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// How a part accepts other parts: TLS 1.3 only, with the given ALPN names.
///
/// # Errors
/// [`Error::Tls`] if key and certificate do not belong together, [`Error::Verifier`] without roots.
pub fn server_config(
    identity: &Identity,
    auth: ClientAuth,
    alpn: &[&[u8]],
) -> Result<Arc<ServerConfig>, Error> {
    let roots = Arc::new(identity.root_store()?);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
    let verifier = match auth {
        ClientAuth::Required => verifier.build()?,
        ClientAuth::Optional => verifier.allow_unauthenticated().build()?,
    };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())?;
    config.alpn_protocols = owned(alpn);
    // A resumed session would carry a client certificate past its end; connections live long enough.
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// How a part reaches other parts: TLS 1.3 only, showing its certificate, trusting only its own roots.
///
/// # Errors
/// [`Error::Tls`] if key and certificate do not belong together.
pub fn client_config(identity: &Identity, alpn: &[&[u8]]) -> Result<Arc<ClientConfig>, Error> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(identity.root_store()?)
        .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())?;
    config.alpn_protocols = owned(alpn);
    Ok(Arc::new(config))
}

/// How a part without a certificate reaches the control plane: to join, or as an administrator's client.
///
/// # Errors
/// [`Error::Tls`] if `roots` holds something that is no certificate.
pub fn anonymous_client_config(
    roots: &[CertificateDer<'static>],
    alpn: &[&[u8]],
) -> Result<Arc<ClientConfig>, Error> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(root_store(roots)?)
        .with_no_client_auth();
    config.alpn_protocols = owned(alpn);
    Ok(Arc::new(config))
}

/// How the edge accepts clients that know nothing of our certificates: TLS 1.2 and 1.3, HTTP/2 and 1.1.
///
/// # Errors
/// [`Error::File`], [`Error::Pem`] with the path, [`Error::Tls`] if the two do not belong together.
pub fn public_server_config(cert_file: &Path, key_file: &Path) -> Result<Arc<ServerConfig>, Error> {
    let chain = read_certificates(cert_file)?;
    let key = PrivateKeyDer::from_pem_slice(&read(key_file)?).map_err(|error| Error::Pem {
        path: key_file.to_owned(),
        why: format!("no private key in it: {error}"),
    })?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = owned(&[H2, HTTP1]);
    Ok(Arc::new(config))
}

/// All certificates of a PEM file, at least one.
///
/// # Errors
/// [`Error::File`], [`Error::Pem`] with the path.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let bytes = read(path)?;
    let fault = |why: String| Error::Pem {
        path: path.to_owned(),
        why,
    };
    let found = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| fault(error.to_string()))?;
    if found.is_empty() {
        return Err(fault("no certificate in it".to_owned()));
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })
}

fn root_store(roots: &[CertificateDer<'static>]) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone())?;
    }
    Ok(store)
}

fn owned(alpn: &[&[u8]]) -> Vec<Vec<u8>> {
    alpn.iter().map(|name| name.to_vec()).collect()
}

#[cfg(test)]
mod tests;
