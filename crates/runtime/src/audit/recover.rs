//! Opening a log: finds its end, cuts what is torn, closes what was left open.
//!
//! Runs once, before anything else touches the files. It may read them whole.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::path::Path;

use model::decision::{Decision, Reason};
use prost::Message;
use proto::v1::{AuditPhase, AuditRecord};

use super::log::Error;
use super::segment::{self, GENESIS, Hash, Header, HeaderFault, Next};
use super::view::RecordView;
use super::write::{Kept, Writer, WriterSettings, append_to, create};

/// Calls that can be open at once when the process dies and still be closed at the next start. More are
/// counted in [`Recovered::forgotten`].
const OPEN_CALLS_MAX: usize = 100_000;
const LOCK_FILE: &str = "lock";

/// What was found when the log was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Seq of the newest record, before any were closed.
    pub seq: u64,
    /// Bytes of a torn tail. They were moved to a file that ends in `.torn`.
    pub torn_bytes: u64,
    /// Calls that the last run left open and that were closed now, as cancelled.
    pub closed: u64,
    /// Calls that may have been left open, and were too many to be closed.
    pub forgotten: u64,
}

/// Keeps other processes out of the log.
pub(super) fn lock(dir: &Path) -> Result<File, Error> {
    let fault = |source| Error::Open {
        dir: dir.to_owned(),
        source,
    };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(dir.join(LOCK_FILE))
        .map_err(fault)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::Locked {
            dir: dir.to_owned(),
        }),
        Err(std::fs::TryLockError::Error(source)) => Err(fault(source)),
    }
}

/// Opens the log's end for writing.
pub(super) fn open(settings: WriterSettings) -> Result<(Writer, Recovered), Error> {
    let dir = settings.dir.clone();
    let fault = |source| Error::Open {
        dir: dir.clone(),
        source,
    };
    let mut scan = Scan {
        hash: GENESIS,
        ..Scan::default()
    };
    let mut segments = segment::list(&dir).map_err(fault)?;
    scan.recovered.torn_bytes = drop_unbegun(&dir, &mut segments).map_err(fault)?;
    for (position, first_seq) in segments.iter().enumerate() {
        scan.segment(&settings, *first_seq, position + 1 == segments.len())?;
    }
    if scan.kept.is_empty() {
        // Nothing, or nothing but a torn beginning.
        let (_, bytes) = create(&settings, scan.seq + 1, scan.hash).map_err(fault)?;
        scan.kept.push_back(Kept {
            first_seq: scan.seq + 1,
            bytes,
        });
    }
    let newest = scan.kept.back().map_or(1, |segment| segment.first_seq);
    let file = append_to(&segment::path(&dir, newest)).map_err(fault)?;
    let mut writer = Writer::resume(settings, file, scan.kept, scan.seq, scan.hash);
    let mut recovered = Recovered {
        seq: scan.seq,
        ..scan.recovered
    };
    recovered.closed = close_all(&mut writer, scan.open)?;
    writer.sync_all()?;
    Ok((writer, recovered))
}

/// Deletes the newest segment while it has no whole header: the process died as it began it, and no record
/// was in it. Returns how many bytes it had.
fn drop_unbegun(dir: &Path, segments: &mut Vec<u64>) -> std::io::Result<u64> {
    let mut bytes = 0;
    while let Some(newest) = segments.last() {
        let path = segment::path(dir, *newest);
        let content = std::fs::read(&path)?;
        if !matches!(Header::parse(&content), Err(HeaderFault::Torn)) {
            break;
        }
        bytes += content.len() as u64;
        std::fs::remove_file(&path)?;
        segments.pop();
    }
    Ok(bytes)
}

/// What is known after some segments were read.
#[derive(Default)]
struct Scan {
    kept: VecDeque<Kept>,
    seq: u64,
    hash: Hash,
    /// Open records without a close, by call and span.
    open: HashMap<[u8; 24], Vec<u8>>,
    recovered: Recovered,
}

impl Scan {
    fn segment(
        &mut self,
        settings: &WriterSettings,
        first_seq: u64,
        is_newest: bool,
    ) -> Result<(), Error> {
        let path = segment::path(&settings.dir, first_seq);
        let fault = |source| Error::Open {
            dir: settings.dir.clone(),
            source,
        };
        let foreign = |why: String| Error::Foreign {
            path: path.clone(),
            why,
        };
        let bytes = std::fs::read(&path).map_err(fault)?;
        let (header, header_bytes) = match Header::parse(&bytes) {
            Ok(parsed) => parsed,
            Err(HeaderFault::Torn) => return Err(foreign("its header is cut off".to_owned())),
            Err(HeaderFault::Foreign(why)) => return Err(foreign(why.to_owned())),
        };
        if header.node != *settings.node {
            return Err(foreign(format!("it was written by node {:?}", header.node)));
        }
        if header.first_seq != first_seq {
            return Err(foreign(format!(
                "it begins with record {}",
                header.first_seq
            )));
        }
        (self.seq, self.hash) = (first_seq - 1, header.before);
        let good = header_bytes + self.frames(&bytes[header_bytes..], is_newest);
        let mut kept = Kept {
            first_seq,
            bytes: bytes.len() as u64,
        };
        if good < bytes.len() && is_newest {
            self.recovered.torn_bytes += (bytes.len() - good) as u64;
            cut(&path, &bytes, good).map_err(fault)?;
            kept.bytes = good as u64;
        } else if good < bytes.len() {
            tracing::error!(path = %path.display(), after = self.seq, "audit segment is damaged");
        }
        self.kept.push_back(kept);
        Ok(())
    }

    /// Walks over frames; returns how many bytes are sound. Hashes are checked in the newest segment only,
    /// where a power cut leaves its marks; `verify` checks all.
    fn frames(&mut self, mut bytes: &[u8], check: bool) -> usize {
        let whole = bytes.len();
        while let Next::Frame(frame) = segment::next_frame(bytes) {
            if check && !frame.follows(&self.hash) {
                break;
            }
            let Some(record) = RecordView::parse(frame.payload) else {
                break;
            };
            if record.seq != self.seq + 1 {
                break;
            }
            self.note(&record, frame.payload);
            self.seq = record.seq;
            self.hash = *frame.hash;
            bytes = &bytes[frame.len()..];
        }
        whole - bytes.len()
    }

    fn note(&mut self, record: &RecordView<'_>, payload: &[u8]) {
        let key = key(record);
        if record.is_close() {
            self.open.remove(&key);
        } else if record.is_note() {
            // Its call is closed already.
        } else if self.open.len() < OPEN_CALLS_MAX {
            self.open.insert(key, payload.to_vec());
        } else {
            self.recovered.forgotten += 1;
        }
    }
}

fn key(record: &RecordView<'_>) -> [u8; 24] {
    let mut key = [0; 24];
    for (to, from) in key
        .iter_mut()
        .zip(record.call_id.iter().chain(record.span_id))
    {
        *to = *from;
    }
    key
}

/// Moves what follows the first `good` bytes into a file beside: nothing of an audit log is thrown away.
fn cut(path: &Path, bytes: &[u8], good: usize) -> std::io::Result<()> {
    crate::disk::replace(
        &path.with_extension("torn"),
        &bytes[good..],
        crate::disk::PRIVATE,
    )?;
    let file = File::options().write(true).open(path)?;
    file.set_len(good as u64)?;
    file.sync_all()
}

/// Closes calls that nobody will close any more: `error`, `cancelled`.
fn close_all(writer: &mut Writer, open: HashMap<[u8; 24], Vec<u8>>) -> Result<u64, Error> {
    let mut records: Vec<AuditRecord> = open
        .into_values()
        .filter_map(|payload| AuditRecord::decode(payload.as_slice()).ok())
        .collect();
    records.sort_unstable_by_key(|record| record.seq);
    for record in &mut records {
        record.phase = AuditPhase::Close.into();
        record.decision = Decision::Error.as_str().to_owned();
        record.reason = Reason::Cancelled.as_str().to_owned();
        writer.append(u64::MAX, |seq, _, out| {
            record.seq = seq;
            out.extend_from_slice(&record.encode_to_vec());
        })?;
    }
    Ok(records.len() as u64)
}
