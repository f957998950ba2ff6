//! The last good configuration on disk, so that a node can start while the control plane is away.
//!
//! ```text
//! NAME-1.snap, NAME-2.snap   the same content twice: one that the disk has spoilt leaves the other
//! NAME.mark                  the highest revision that was ever kept: what is older was put back by somebody
//! snapshot.key               this node's own key, made here; what another node sealed does not open
//! ```
//!
//! A file holds `magic ‖ version ‖ SHA-256 of the rest ‖ revision ‖ nonce ‖ AES-256-GCM(message)`, with its purpose
//! and revision as associated data. It is written beside its place, synced, and moved there. Changed, cut short,
//! foreign, of an unknown version or older than the mark: it is refused, and the log says which of these it was.
//! Where nothing can be taken, the node waits for the control plane: it never falls back to an older state, in which
//! something may be allowed that is not any more.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use model::snapshot::Sha256;
use prost::Message;
use zeroize::Zeroizing;

/// Names the format.
const MAGIC: &[u8; 7] = b"GHSNAP\x00";
/// The version of the format and of what is kept in it.
const VERSION: u8 = 2;
/// No file is larger, in bytes.
const FILE_BYTES_MAX: u64 = 512 << 20;
/// Bytes of the node's key.
const KEY_BYTES: usize = 32;
/// The file that holds it.
const KEY_FILE: &str = "snapshot.key";
/// The copies of a snapshot.
const COPIES: [u8; 2] = [1, 2];

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
    /// It was changed or cut short.
    #[error("{0}: damaged")]
    Damaged(PathBuf),
    /// It was sealed by another node, for another purpose, or changed by somebody who could repair its checksum.
    #[error("{0}: not sealed by this node for this purpose")]
    Foreign(PathBuf),
    /// A newer one was kept here before.
    #[error(
        "{path}: of revision {revision}, but revision {mark} was kept here: it was put back from a copy"
    )]
    RolledBack {
        /// Which.
        path: PathBuf,
        /// Its revision.
        revision: u64,
        /// The highest that was ever kept.
        mark: u64,
    },
    /// The mark is missing or cannot be read, so that nobody can say whether a snapshot is the newest.
    #[error("{0}: the mark of the highest revision is missing or damaged")]
    NoMark(PathBuf),
    /// No key, or no randomness.
    #[error("cannot seal a snapshot")]
    Seal,
}

/// A message that came from disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded<M> {
    /// Of this revision.
    pub revision: u64,
    /// The message.
    pub message: M,
    /// Why a copy of it was not taken, where one was not.
    pub refused: Vec<String>,
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
    /// Files in `dir`, sealed under this node's own key, which is made where there is none. It is not the key of the
    /// node's certificate, which changes with every renewal.
    ///
    /// # Errors
    /// [`Error::Io`] with the path, [`Error::Format`] where the key is none, [`Error::Seal`].
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let secret = key(&dir.join(KEY_FILE))?;
        let key = UnboundKey::new(&AES_256_GCM, secret.as_ref()).map_err(|_| Error::Seal)?;
        Ok(Self {
            dir: dir.to_owned(),
            key: LessSafeKey::new(key),
        })
    }

    /// Keeps a message of `revision` under `name`: when this returns, a crash leaves this one or a later one.
    /// [`Self::save_again`] then writes the second copy.
    ///
    /// # Errors
    /// [`Error::Io`] with the path; what was kept before is then as it was.
    pub fn save(&self, name: &str, revision: u64, message: &impl Message) -> Result<(), Error> {
        self.write(
            &copy(name, COPIES[0]),
            name,
            revision,
            &message.encode_to_vec(),
        )?;
        self.write(&mark(name), &mark(name), revision, &[])
    }

    /// Writes the second copy of what [`Self::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Io`] with the path.
    pub fn save_again(
        &self,
        name: &str,
        revision: u64,
        message: &impl Message,
    ) -> Result<(), Error> {
        self.write(
            &copy(name, COPIES[1]),
            name,
            revision,
            &message.encode_to_vec(),
        )
    }

    /// Reads the message under `name`; `None` where there is none.
    ///
    /// # Errors
    /// Why no copy that is there is taken.
    pub fn load<M: Message + Default>(&self, name: &str) -> Result<Option<Loaded<M>>, Error> {
        let mark = match self.read(&mark(name), &mark(name)) {
            Ok(read) => read.map(|(revision, _)| revision),
            Err(error @ Error::Io { .. }) => return Err(error),
            Err(_) => return Err(Error::NoMark(self.path(&mark(name)))),
        };
        let mut refused = Vec::new();
        let mut newest: Option<Loaded<M>> = None;
        for number in COPIES {
            let file = copy(name, number);
            match self.take(&file, name, mark) {
                Ok(Some((revision, message))) => {
                    if newest.as_ref().is_none_or(|n| n.revision < revision) {
                        newest = Some(Loaded {
                            revision,
                            message,
                            refused: Vec::new(),
                        });
                    }
                }
                Ok(None) => {}
                Err(error) => refused.push(error),
            }
        }
        match (newest, refused.is_empty()) {
            (Some(newest), _) => {
                let refused = refused.iter().map(ToString::to_string).collect();
                Ok(Some(Loaded { refused, ..newest }))
            }
            (None, true) => Ok(None),
            (None, false) => Err(refused.swap_remove(0)),
        }
    }

    /// One copy, where it is whole, ours, and not older than the mark.
    fn take<M: Message + Default>(
        &self,
        file: &str,
        name: &str,
        mark: Option<u64>,
    ) -> Result<Option<(u64, M)>, Error> {
        let Some((revision, plain)) = self.read(file, name)? else {
            return Ok(None);
        };
        let path = self.path(file);
        match mark {
            None => return Err(Error::NoMark(path)),
            Some(mark) if revision < mark => {
                return Err(Error::RolledBack {
                    path,
                    revision,
                    mark,
                });
            }
            Some(_) => {}
        }
        let message = M::decode(&*plain).map_err(|_| Error::Format(path))?;
        Ok(Some((revision, message)))
    }

    fn write(&self, file: &str, purpose: &str, revision: u64, plain: &[u8]) -> Result<(), Error> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| Error::Seal)?;
        let mut secret = plain.to_vec();
        let once = Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_in_place_append_tag(once, Aad::from(context(purpose, revision)), &mut secret)
            .map_err(|_| Error::Seal)?;
        let rest = [&revision.to_be_bytes()[..], &nonce, &secret].concat();
        let bytes = [&MAGIC[..], &[VERSION], &Sha256::of(&rest).0, &rest].concat();
        let path = self.path(file);
        runtime::disk::replace(&path, &bytes, runtime::disk::PRIVATE)
            .map_err(|source| Error::Io { path, source })
    }

    /// The revision and the opened content of one file; `None` where there is none.
    fn read(&self, file: &str, purpose: &str) -> Result<Option<(u64, Vec<u8>)>, Error> {
        let path = self.path(file);
        let Some(bytes) = read_file(&path)? else {
            return Ok(None);
        };
        let format = || Error::Format(path.clone());
        let damaged = || Error::Damaged(path.clone());
        let foreign = || Error::Foreign(path.clone());
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(format)?;
        let rest = rest.strip_prefix(&[VERSION]).ok_or_else(format)?;
        let (sum, rest) = rest.split_first_chunk::<32>().ok_or_else(damaged)?;
        if Sha256::of(rest).0 != *sum {
            return Err(damaged());
        }
        let (revision, rest) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (nonce, secret) = rest.split_at_checked(NONCE_LEN).ok_or_else(damaged)?;
        let revision = u64::from_be_bytes(*revision);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
        let mut secret = secret.to_vec();
        let plain = self
            .key
            .open_in_place(nonce, Aad::from(context(purpose, revision)), &mut secret)
            .map_err(|_| foreign())?;
        Ok(Some((revision, plain.to_vec())))
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }
}

fn copy(name: &str, number: u8) -> String {
    format!("{name}-{number}.snap")
}

fn mark(name: &str) -> String {
    format!("{name}.mark")
}

/// What a sealed file is bound to.
fn context(purpose: &str, revision: u64) -> Vec<u8> {
    [&revision.to_be_bytes()[..], purpose.as_bytes()].concat()
}

/// The key in a file, which is made where there is none.
fn key(path: &Path) -> Result<Zeroizing<[u8; KEY_BYTES]>, Error> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    if let Some(bytes) = read_file(path)? {
        let bytes = Zeroizing::new(bytes);
        if bytes.len() != KEY_BYTES {
            return Err(Error::Format(path.to_owned()));
        }
        key.copy_from_slice(&bytes);
        return Ok(key);
    }
    rand::fill(key.as_mut()).map_err(|_| Error::Seal)?;
    runtime::disk::replace(path, key.as_ref(), runtime::disk::PRIVATE).map_err(|source| {
        Error::Io {
            path: path.to_owned(),
            source,
        }
    })?;
    Ok(key)
}

/// A file as a whole; `None` where there is none. Anything else in its place is not read: a pipe or a device might
/// never end, a link may lead anywhere. We write files, so whoever put it there wants something else than we.
fn read_file(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let fault = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() && meta.len() <= FILE_BYTES_MAX => {}
        Ok(_) => return Err(Error::Format(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fault(error)),
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(fault)?;
    // It may be growing.
    let whole = file.take(FILE_BYTES_MAX).read_to_end(&mut bytes);
    whole.map_err(fault)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests;
