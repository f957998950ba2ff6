//! The last good configuration on disk, so that a node can start while the control plane is away.
//!
//! A file holds `magic ‖ nonce (12 bytes) ‖ AES-256-GCM(message)` under a key derived from the node's own
//! private key, with the file's purpose as associated data: a file that was changed, cut short, or made
//! for another node or purpose is refused. It is written beside its place, synced, and moved there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use prost::Message;
use runtime::tls::NodeKey;

/// Names the format and its version.
const MAGIC: &[u8; 8] = b"GHSNAP\x00\x01";
/// No file is larger, in bytes.
const FILE_BYTES_MAX: u64 = 512 << 20;

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not of this format, or of a version that this program does not know.
    #[error("{0}: not a snapshot of a version that this program knows")]
    Format(PathBuf),
    /// It was changed, cut short, or written by another node.
    #[error("{0}: damaged, or written by another node")]
    Damaged(PathBuf),
    /// No key, or no randomness.
    #[error("cannot seal a snapshot")]
    Seal,
}

/// A folder of sealed files.
pub struct Disk {
    dir: PathBuf,
    key: LessSafeKey,
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Disk({})", self.dir.display())
    }
}

impl Disk {
    /// Files in `dir`, sealed for the holder of `key`.
    ///
    /// # Errors
    /// [`Error::Seal`].
    pub fn new(dir: &Path, key: &NodeKey) -> Result<Self, Error> {
        let secret = key.derive("snapshot").map_err(|_| Error::Seal)?;
        let key = UnboundKey::new(&AES_256_GCM, secret.as_ref()).map_err(|_| Error::Seal)?;
        Ok(Self {
            dir: dir.to_owned(),
            key: LessSafeKey::new(key),
        })
    }

    /// Writes one message under `name`.
    ///
    /// # Errors
    /// [`Error::Io`] with the path; the file is then as it was.
    pub fn save(&self, name: &str, message: &impl Message) -> Result<(), Error> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| Error::Seal)?;
        let mut secret = message.encode_to_vec();
        let (once, aad) = (
            Nonce::assume_unique_for_key(nonce),
            Aad::from(name.as_bytes()),
        );
        self.key
            .seal_in_place_append_tag(once, aad, &mut secret)
            .map_err(|_| Error::Seal)?;
        let mut bytes = Vec::with_capacity(MAGIC.len() + NONCE_LEN + secret.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&secret);
        let path = self.path(name);
        runtime::disk::replace(&path, &bytes, runtime::disk::PRIVATE)
            .map_err(|source| Error::Io { path, source })
    }

    /// Reads the message under `name`; `None` where there is none.
    ///
    /// # Errors
    /// Why the file that is there is not taken.
    pub fn load<M: Message + Default>(&self, name: &str) -> Result<Option<M>, Error> {
        let path = self.path(name);
        let fault = |source| Error::Io {
            path: path.clone(),
            source,
        };
        match fs::metadata(&path) {
            Ok(meta) if meta.len() > FILE_BYTES_MAX => return Err(Error::Format(path)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fault(error)),
        }
        let bytes = fs::read(&path).map_err(fault)?;
        let Some(rest) = bytes.strip_prefix(MAGIC) else {
            return Err(Error::Format(path));
        };
        let Some((nonce, secret)) = rest.split_at_checked(NONCE_LEN) else {
            return Err(Error::Damaged(path));
        };
        let damaged = || Error::Damaged(path.clone());
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
        let mut secret = secret.to_vec();
        let plain = self
            .key
            .open_in_place(nonce, Aad::from(name.as_bytes()), &mut secret)
            .map_err(|_| damaged())?;
        M::decode(&*plain).map(Some).map_err(|_| damaged())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.snap"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proto::v1 as pb;

    use super::*;

    fn key() -> NodeKey {
        let (pkcs8, _) = runtime::tls::new_key_and_csr().unwrap();
        NodeKey::from_pkcs8(&pkcs8).unwrap()
    }

    #[test]
    fn only_the_node_that_wrote_it_reads_it_and_only_unchanged() {
        let dir = tempfile::tempdir().unwrap();
        let (own, foreign) = (key(), key());
        let disk = Disk::new(dir.path(), &own).unwrap();
        assert!(disk.load::<pb::ConfigPush>("config").unwrap().is_none());
        let push = pb::ConfigPush {
            revision: 7,
            full: true,
            ..Default::default()
        };
        disk.save("config", &push).unwrap();
        assert_eq!(
            disk.load::<pb::ConfigPush>("config").unwrap().unwrap(),
            push
        );

        let other = Disk::new(dir.path(), &foreign).unwrap();
        assert!(matches!(
            other.load::<pb::ConfigPush>("config"),
            Err(Error::Damaged(_))
        ));

        let path = dir.path().join("config.snap");
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            fs::write(&path, &bad).unwrap();
            assert!(
                disk.load::<pb::ConfigPush>("config").is_err(),
                "byte {at} flipped"
            );
            fs::write(&path, &good[..at]).unwrap();
            assert!(
                disk.load::<pb::ConfigPush>("config").is_err(),
                "cut at {at}"
            );
        }
        fs::write(dir.path().join("endpoints.snap"), &good).unwrap();
        assert!(
            disk.load::<pb::EndpointPush>("endpoints").is_err(),
            "moved to another purpose"
        );
    }
}
