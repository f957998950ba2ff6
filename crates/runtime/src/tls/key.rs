//! A node's own key: made here, never leaves the node, signs statements.
//!
//! Pure computation on bytes; it does not know what is signed.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair,
    UnparsedPublicKey,
};
use zeroize::Zeroizing;

use super::Error;

/// A P-256 key.
pub struct NodeKey(EcdsaKeyPair);

impl NodeKey {
    /// Takes a key as PKCS #8 DER.
    ///
    /// # Errors
    /// [`Error::Key`] if it is not a P-256 key.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, Error> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der)
            .map(Self)
            .map_err(|_| Error::Key("not a P-256 key in PKCS #8"))
    }

    /// An ECDSA signature over SHA-256 of `message`, as ASN.1. Tens of microseconds: not for every call.
    ///
    /// # Errors
    /// [`Error::Key`] if the library fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.0
            .sign(&SystemRandom::new(), message)
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| Error::Key("cannot sign"))
    }

    /// The public half, as [`verify`] takes it.
    pub fn public_key(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeKey(…)")
    }
}

/// Whether `signature` is that of `message` under `public_key` (see [`super::public_key_of`]).
#[must_use]
pub fn verify(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public_key)
        .verify(message, signature)
        .is_ok()
}

/// A new P-256 key (PKCS #8 DER) and a signing request for it (DER). The request names nobody: who the
/// node is, the CA knows from the join token.
///
/// # Errors
/// [`Error::Key`] if the library fails.
pub fn new_key_and_csr() -> Result<(Zeroizing<Vec<u8>>, Vec<u8>), Error> {
    let key = rcgen::KeyPair::generate().map_err(|_| Error::Key("cannot make one"))?;
    let request = rcgen::CertificateParams::new(Vec::new())
        .and_then(|params| params.serialize_request(&key))
        .map_err(|_| Error::Key("cannot make a signing request"))?;
    Ok((Zeroizing::new(key.serialize_der()), request.der().to_vec()))
}
