//! A node's own key: made here, never leaves the node, signs statements and derives other keys.
//!
//! Pure computation on bytes; it does not know what is signed or sealed.

use std::fmt;

use aws_lc_rs::encoding::{AsBigEndian, EcPrivateKeyBin};
use aws_lc_rs::hkdf::{self, HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair,
    UnparsedPublicKey,
};
use zeroize::Zeroizing;

use super::Error;

/// Bytes of a derived key.
const DERIVED_BYTES: usize = 32;
/// Keeps keys that are derived here apart from those that anyone else derives from the same key.
const SALT: &[u8] = b"gatehouse node key v1";

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

    /// A symmetric key for one purpose, the same whenever asked (HKDF-SHA-256 over the private key).
    ///
    /// # Errors
    /// [`Error::Key`] if the library fails.
    pub fn derive(&self, purpose: &str) -> Result<Zeroizing<[u8; DERIVED_BYTES]>, Error> {
        let fault = |_| Error::Key("cannot derive");
        let secret: EcPrivateKeyBin<'_> = self.0.private_key().as_be_bytes().map_err(fault)?;
        let mut key = Zeroizing::new([0; DERIVED_BYTES]);
        Salt::new(HKDF_SHA256, SALT)
            .extract(secret.as_ref())
            .expand(&[purpose.as_bytes()], Derived)
            .and_then(|okm: hkdf::Okm<'_, Derived>| okm.fill(key.as_mut()))
            .map_err(fault)?;
        Ok(key)
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeKey(…)")
    }
}

struct Derived;

impl KeyType for Derived {
    fn len(&self) -> usize {
        DERIVED_BYTES
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
