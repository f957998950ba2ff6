//! The log of one node: appended to by every call, read by exporters, cut when all have taken it.
//!
//! It does not know what a record means, nor where records go.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use model::record::{Phase, Record};
use parking_lot::Mutex;
use tokio::sync::futures::Notified;

use super::recover::{self, Recovered};
use super::segment;
use super::sync::Syncer;
use super::write::{Writer, WriterSettings};

/// Default for [`LogSettings::segment_bytes_max`].
pub const SEGMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Default for [`LogSettings::total_bytes_max`].
pub const TOTAL_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Default for [`LogSettings::fsync_interval`].
pub const FSYNC_INTERVAL: Duration = Duration::from_millis(100);
/// Kept back for close records, so that a call whose open record was taken can be closed: 1/8 of the
/// whole, at most this.
const CLOSE_RESERVE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// After a start nothing is deleted for so long: by then every destination has said what it has taken.
const KEEP_AFTER_OPEN: Duration = Duration::from_secs(10);

/// Why a record is not in the log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody takes the records, and there is no more room to keep them. The call must be refused.
    #[error("audit log is full: {bytes} bytes wait to be taken")]
    Full {
        /// Bytes in the log.
        bytes: u64,
    },
    /// The disk refuses. The call must be refused.
    #[error("cannot write the audit log in {dir}: {source}")]
    Write {
        /// The log's folder.
        dir: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The disk once refused to make records durable; what it holds is not known until the next start.
    #[error("audit log could not be made durable: restart this process once the disk is sound")]
    Unsynced,
    /// The record is larger than any may be.
    #[error("record of {bytes} bytes is too large")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The log cannot be opened.
    #[error("cannot open the audit log in {dir}: {source}")]
    Open {
        /// The log's folder.
        dir: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another process has the log open.
    #[error("audit log in {dir} is in use by another process")]
    Locked {
        /// The log's folder.
        dir: PathBuf,
    },
    /// The folder holds what this node did not write.
    #[error("{path} is not this node's audit log: {why}")]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// Where the log lies and how much it may hold.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// The folder, of this log alone.
    pub dir: PathBuf,
    /// The node's name, in every record.
    pub node: Arc<str>,
    /// A segment that has reached this size is followed by the next, bytes.
    pub segment_bytes_max: u64,
    /// All segments together, bytes. Beyond, records are refused.
    pub total_bytes_max: u64,
    /// A record is on disk after this time at the latest.
    pub fsync_interval: Duration,
}

impl LogSettings {
    /// The defaults.
    pub fn new(dir: impl Into<PathBuf>, node: impl Into<Arc<str>>) -> Self {
        Self {
            dir: dir.into(),
            node: node.into(),
            segment_bytes_max: SEGMENT_BYTES_MAX,
            total_bytes_max: TOTAL_BYTES_MAX,
            fsync_interval: FSYNC_INTERVAL,
        }
    }
}

/// Proof that a record is in the log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Its number in this node's log: from 1, without a gap.
    pub seq: u64,
    /// SHA-256 over the hash before it and its encoding.
    pub hash: [u8; 32],
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stamp({} {})", self.seq, hex::encode(self.hash))
    }
}

/// The log of this node. Clones are the same log; the last one to go makes all of it durable.
#[derive(Clone)]
pub struct Log(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    /// The limit for open records, bytes; close records may go on to the full size.
    open_bytes_max: u64,
    close_bytes_max: u64,
    opened: Instant,
    /// Held for encoding, hashing and one write(2); by the exporters for the list of segments.
    writer: Arc<Mutex<Writer>>,
    /// Seq of the newest record. Stored under the writer's lock, after the write: what is not beyond it
    /// can be read from the file.
    head: AtomicU64,
    /// What each destination has taken: seq of the newest record. Bounded by the settings' destinations.
    taken: Mutex<BTreeMap<String, u64>>,
    syncer: Syncer,
    /// Keeps other processes out for as long as it is open.
    _lock: std::fs::File,
}

impl Log {
    /// Opens or begins the log: cuts a torn tail, goes on with number and chain, and closes what the last
    /// run left open.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::Locked`], [`Error::Foreign`]; [`Error::Write`] if an open call cannot be
    /// closed.
    pub fn open(settings: LogSettings) -> Result<(Self, Recovered), Error> {
        let dir = settings.dir.clone();
        let fault = |source| Error::Open {
            dir: dir.clone(),
            source,
        };
        crate::disk::create_private_dir(&dir).map_err(fault)?;
        let lock = recover::lock(&dir)?;
        let (writer, recovered) = recover::open(WriterSettings {
            dir: dir.clone(),
            node: settings.node,
            segment_bytes_max: settings.segment_bytes_max.min(settings.total_bytes_max / 4),
        })?;
        let head = writer.seq();
        let writer = Arc::new(Mutex::new(writer));
        let syncer = Syncer::spawn(writer.clone(), settings.fsync_interval).map_err(fault)?;
        let reserve = (settings.total_bytes_max / 8).min(CLOSE_RESERVE_BYTES_MAX);
        let inner = Inner {
            dir,
            open_bytes_max: settings.total_bytes_max - reserve,
            close_bytes_max: settings.total_bytes_max,
            opened: Instant::now(),
            writer,
            head: AtomicU64::new(head),
            taken: Mutex::new(BTreeMap::new()),
            syncer,
            _lock: lock,
        };
        Ok((Self(Arc::new(inner)), recovered))
    }

    /// Writes a record. It survives this process's death when this returns, and the machine's within
    /// [`LogSettings::fsync_interval`]. A few microseconds; nothing is allocated.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Write`], [`Error::Unsynced`], [`Error::TooLarge`]: the record is not in
    /// the log, and the call must not go on. Close records are taken for a while after open ones are
    /// refused.
    pub fn append(&self, phase: Phase, record: &Record) -> Result<Stamp, Error> {
        let inner = &*self.0;
        if inner.syncer.has_failed() {
            return Err(Error::Unsynced);
        }
        let limit = match phase {
            // A note is worth no room that a call's close may need.
            Phase::Open | Phase::Note => inner.open_bytes_max,
            Phase::Close => inner.close_bytes_max,
        };
        let stamp = {
            let mut writer = inner.writer.lock();
            let stamp =
                writer.append(limit, |seq, node, out| record.encode(seq, phase, node, out))?;
            inner.head.store(stamp.seq, Ordering::Release);
            stamp
        };
        inner.syncer.wake(phase == Phase::Close);
        Ok(stamp)
    }

    /// Whether an open record would be taken now; for readiness.
    ///
    /// # Errors
    /// Why it would not.
    pub fn check(&self) -> Result<(), Error> {
        if self.0.syncer.has_failed() {
            return Err(Error::Unsynced);
        }
        match self.bytes() {
            bytes if bytes >= self.0.open_bytes_max => Err(Error::Full { bytes }),
            _ => Ok(()),
        }
    }

    /// Bytes in all segments.
    pub fn bytes(&self) -> u64 {
        self.0.writer.lock().total_bytes()
    }

    /// Seq of the newest record; 0 before the first.
    pub fn head(&self) -> u64 {
        self.0.head.load(Ordering::Acquire)
    }

    /// The log's folder.
    pub fn dir(&self) -> &std::path::Path {
        &self.0.dir
    }

    /// Seq of the newest record that a power cut cannot take back: up to here records may be sent.
    pub fn durable(&self) -> u64 {
        self.0.syncer.durable()
    }

    /// Ends when [`Self::durable`] has moved after this was first polled or enabled.
    pub(super) fn moved(&self) -> Notified<'_> {
        self.0.syncer.moved()
    }

    /// First seqs of the segments that are kept, lowest first.
    pub(super) fn segments(&self) -> Vec<u64> {
        self.0.writer.lock().segments()
    }

    /// `destination` has everything up to `seq`. Segments that all destinations have are deleted.
    pub(super) fn taken(&self, destination: &str, seq: u64) {
        let everywhere = {
            let mut taken = self.0.taken.lock();
            taken.insert(destination.to_owned(), seq);
            taken.values().copied().min().unwrap_or(0)
        };
        if self.0.opened.elapsed() < KEEP_AFTER_OPEN {
            return;
        }
        let gone = self.0.writer.lock().forget(everywhere);
        for first_seq in gone {
            let path = segment::path(&self.0.dir, first_seq);
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "cannot delete a segment that was taken");
            }
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Log({}, {})", self.0.dir.display(), self.head())
    }
}

#[cfg(test)]
mod tests;
