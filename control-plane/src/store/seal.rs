//! Secrets at rest: AES-256-GCM under the master key, which all replicas share and the store never sees.
//!
//! A sealed value is bound to what it is for and to the key it lies under, so that it opens nowhere else.
//! Layout: nonce (12 bytes), ciphertext, tag (16 bytes).

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::prelude::*;
use zeroize::Zeroizing;

/// Bytes of a master key.
const KEY_BYTES: usize = 32;
/// A master key file is some 65 bytes; whatever is far larger is another file.
const FILE_BYTES_MAX: u64 = 4096;

/// Why something was not sealed, opened or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file cannot be read or made.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others than its owner may read the file.
    #[error("{path} may be read by others (mode {mode:03o}): chmod 600 {path}")]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file holds something else.
    #[error("{path} holds no master key: it must be 32 bytes as hex or base64")]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// Sealed under another master key, for another purpose, or changed.
    #[error(
        "{0} in the store does not open: it was sealed under another master key, or was changed"
    )]
    DoesNotOpen(String),
    /// The crypto library refused.
    #[error("sealing failed")]
    Crypto,
}

/// Seals and opens under one master key.
pub(crate) struct Sealer {
    key: RandomizedNonceKey,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    /// A sealer under `key`.
    ///
    /// # Errors
    /// [`Error::Crypto`] where the library does not take the key.
    pub(crate) fn new(key: &[u8; KEY_BYTES]) -> Result<Self, Error> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| Error::Crypto)?;
        Ok(Self { key })
    }

    /// Reads the master key: 32 bytes as hex or base64, readable by its owner only.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let text = read_private(path)?;
        let text = text.trim();
        let bytes = hex::decode(text).or_else(|_| BASE64_STANDARD.decode(text));
        let bytes = Zeroizing::new(bytes.unwrap_or_default());
        let key: &[u8; KEY_BYTES] = bytes.as_slice().try_into().map_err(|_| Error::NoKey {
            path: path.to_owned(),
        })?;
        Self::new(key)
    }

    /// Seals `plain` for `purpose`, to lie under `name`.
    ///
    /// # Errors
    /// [`Error::Crypto`], which good input never gives.
    pub(crate) fn seal(&self, purpose: &str, name: &str, plain: &[u8]) -> Result<Vec<u8>, Error> {
        // With room for the tag: growing would leave a copy of the plain text behind.
        let mut sealed = Vec::with_capacity(plain.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(plain);
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(bound(purpose, name)), &mut sealed)
            .map_err(|_| Error::Crypto)?;
        sealed.splice(0..0, *nonce.as_ref());
        Ok(sealed)
    }

    /// Opens what [`Self::seal`] sealed for the same purpose and name.
    ///
    /// # Errors
    /// [`Error::DoesNotOpen`].
    pub(crate) fn open(
        &self,
        purpose: &str,
        name: &str,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let fault = || Error::DoesNotOpen(name.to_owned());
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or_else(fault)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| fault())?;
        let mut plain = Zeroizing::new(body.to_vec());
        let bytes = self
            .key
            .open_in_place(nonce, Aad::from(bound(purpose, name)), &mut plain)
            .map_err(|_| fault())?
            .len();
        plain.truncate(bytes);
        Ok(plain)
    }
}

/// What a sealed value is bound to.
fn bound(purpose: &str, name: &str) -> Vec<u8> {
    [purpose.as_bytes(), &[0], name.as_bytes()].concat()
}

/// Reads a small file that only its owner may read.
///
/// # Errors
/// [`Error::File`] and [`Error::Mode`].
pub(crate) fn read_private(path: &Path) -> Result<Zeroizing<String>, Error> {
    let file = |source| Error::File {
        path: path.to_owned(),
        source,
    };
    let metadata = fs::metadata(path).map_err(file)?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::Mode {
            path: path.to_owned(),
            mode,
        });
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err(Error::NoKey {
            path: path.to_owned(),
        });
    }
    fs::read_to_string(path).map(Zeroizing::new).map_err(file)
}

/// Makes a file with 32 random bytes as hex, readable by its owner only, where there is none. Written beside
/// and then linked into place: no reader ever sees half of it, and of two makers one wins.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn make_private(path: &Path) -> Result<(), Error> {
    let file = |source| Error::File {
        path: path.to_owned(),
        source,
    };
    if path.exists() {
        return Ok(());
    }
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    aws_lc_rs::rand::fill(bytes.as_mut()).map_err(|_| Error::Crypto)?;
    let text = Zeroizing::new(format!("{}\n", hex::encode(bytes.as_ref())));
    let beside = path.with_extension(format!("{}.new", uuid::Uuid::new_v4().simple()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut f| f.write_all(text.as_bytes()).and_then(|()| f.sync_all()));
    let linked = written.and_then(|()| match fs::hard_link(&beside, path) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    });
    let removed = fs::remove_file(&beside);
    linked.and(removed).map_err(file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_purpose_and_name_only() {
        let sealer = Sealer::new(&[7; 32]).unwrap();
        let sealed = sealer.seal("ca", "root", b"secret").unwrap();
        assert!(!sealed.windows(6).any(|w| w == b"secret"));
        assert_eq!(&**sealer.open("ca", "root", &sealed).unwrap(), b"secret");
        assert!(sealer.open("ca", "other", &sealed).is_err());
        assert!(sealer.open("ring", "root", &sealed).is_err());
        assert!(
            Sealer::new(&[8; 32])
                .unwrap()
                .open("ca", "root", &sealed)
                .is_err()
        );
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_noticed() {
        let sealer = Sealer::new(&[7; 32]).unwrap();
        let sealed = sealer.seal("p", "n", b"x").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(sealer.open("p", "n", &changed).is_err());
            assert!(sealer.open("p", "n", &sealed[..at]).is_err());
        }
    }

    #[test]
    fn the_same_value_is_never_sealed_the_same_twice() {
        let sealer = Sealer::new(&[7; 32]).unwrap();
        assert_ne!(
            sealer.seal("p", "n", b"x").unwrap(),
            sealer.seal("p", "n", b"x").unwrap()
        );
    }

    #[test]
    fn a_master_key_is_made_once_and_read_by_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        make_private(&path).unwrap();
        let first = fs::read(&path).unwrap();
        make_private(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), first);
        Sealer::read(&path).unwrap();
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing is left beside it"
        );

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            Sealer::read(&path),
            Err(Error::Mode { mode: 0o640, .. })
        ));
    }

    #[test]
    fn both_encodings_are_read_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        let write = |text: &str| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        };
        write(&hex::encode([1; 32]));
        Sealer::read(&path).unwrap();
        write(&format!("{}\n", BASE64_STANDARD.encode([1; 32])));
        Sealer::read(&path).unwrap();
        write("too short");
        assert!(matches!(Sealer::read(&path), Err(Error::NoKey { .. })));
    }
}
