//! A node's certificate, its key and whom it trusts; on disk as two PEM files.
//!
//! `identity.pem` holds key and chain together, so that one rename replaces both; `roots.pem` holds the
//! roots. It does not know how an identity is come by.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::{Error, NodeKey, Peer, not_after_of, peer, peer_of};
use crate::disk;

const IDENTITY_FILE: &str = "identity.pem";
const ROOTS_FILE: &str = "roots.pem";
/// Characters in a line of PEM (RFC 7468 section 2).
const PEM_LINE: usize = 64;

/// Who a part is: certificate chain (its own first), private key (PKCS #8), and the roots it trusts.
pub struct Identity {
    /// The certificate, then those that signed it, without the root.
    pub chain: Vec<CertificateDer<'static>>,
    /// The certificate's key.
    pub key: PrivateKeyDer<'static>,
    /// Whom to trust.
    pub roots: Vec<CertificateDer<'static>>,
}

impl Identity {
    /// Whether [`Self::save`] was ever called for `dir`.
    pub fn exists(dir: &Path) -> bool {
        dir.join(IDENTITY_FILE).exists()
    }

    /// Reads what [`Self::save`] wrote.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Pem`] with the path; [`Error::Name`] if the certificate names no part.
    pub fn load(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(IDENTITY_FILE);
        let bytes = Zeroizing::new(super::read(&path)?);
        let key = PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| Error::Pem {
            path: path.clone(),
            why: error.to_string(),
        })?;
        let identity = Self {
            chain: super::read_certificates(&path)?,
            key,
            roots: super::read_certificates(&dir.join(ROOTS_FILE))?,
        };
        identity.peer()?;
        Ok(identity)
    }

    /// Writes it into `dir`, readable by this user only.
    ///
    /// # Errors
    /// [`Error::File`] with the path.
    pub fn save(&self, dir: &Path) -> Result<(), Error> {
        let fault = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::File { path, source }
        };
        disk::create_private_dir(dir).map_err(fault(dir))?;
        let mut roots = String::new();
        for root in &self.roots {
            write_pem("CERTIFICATE", root, &mut roots);
        }
        let path = dir.join(ROOTS_FILE);
        disk::replace(&path, roots.as_bytes(), disk::PUBLIC).map_err(fault(&path))?;

        let mut own = Zeroizing::new(String::new());
        write_pem("PRIVATE KEY", self.key.secret_der(), &mut own);
        for certificate in &self.chain {
            write_pem("CERTIFICATE", certificate, &mut own);
        }
        let path = dir.join(IDENTITY_FILE);
        disk::replace(&path, own.as_bytes(), disk::PRIVATE).map_err(fault(&path))
    }

    /// The part that the certificate names.
    ///
    /// # Errors
    /// As [`peer_of`].
    pub fn peer(&self) -> Result<Peer, Error> {
        peer_of(self.certificate()?)
    }

    /// The name of the node that the certificate names.
    ///
    /// # Errors
    /// As [`peer_of`].
    pub fn node(&self) -> Result<Arc<str>, Error> {
        self.peer().map(|peer| peer.node().into())
    }

    /// When the certificate ends, Unix seconds.
    ///
    /// # Errors
    /// [`Error::Certificate`] if it cannot be read.
    pub fn not_after(&self) -> Result<i64, Error> {
        not_after_of(self.certificate()?)
    }

    /// From when to when the certificate is good, Unix seconds.
    ///
    /// # Errors
    /// [`Error::Certificate`] if it cannot be read.
    pub fn validity(&self) -> Result<std::ops::Range<i64>, Error> {
        let span = peer::parse(self.certificate()?)?.validity().clone();
        Ok(span.not_before.timestamp()..span.not_after.timestamp())
    }

    /// Whether the certificate is good at `now_unix_s`.
    pub fn is_valid_at(&self, now_unix_s: i64) -> bool {
        self.certificate()
            .and_then(peer::parse)
            .is_ok_and(|certificate| {
                let span = certificate.validity();
                (span.not_before.timestamp()..span.not_after.timestamp()).contains(&now_unix_s)
            })
    }

    /// The key, to sign and derive with.
    ///
    /// # Errors
    /// [`Error::Key`] if it is not a P-256 key.
    pub fn node_key(&self) -> Result<NodeKey, Error> {
        NodeKey::from_pkcs8(self.key.secret_der())
    }

    pub(super) fn root_store(&self) -> Result<RootCertStore, Error> {
        super::root_store(&self.roots)
    }

    fn certificate(&self) -> Result<&[u8], Error> {
        self.chain
            .first()
            .map(AsRef::as_ref)
            .ok_or_else(|| Error::Certificate("the chain is empty".to_owned()))
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self {
            chain: self.chain.clone(),
            key: self.key.clone_key(),
            roots: self.roots.clone(),
        }
    }
}

/// Without the key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.peer() {
            Ok(peer) => write!(f, "Identity({peer})"),
            Err(_) => f.write_str("Identity(unnamed)"),
        }
    }
}

fn write_pem(label: &str, der: &[u8], out: &mut String) {
    let text = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(der));
    out.push_str(&format!("-----BEGIN {label}-----\n"));
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(PEM_LINE));
        out.push_str(line);
        out.push('\n');
        rest = after;
    }
    out.push_str(&format!("-----END {label}-----\n"));
}
