//! The end of the log: encodes, chains and writes one record at a time.
//!
//! Used under the log's lock. It does not know who else reads the files, nor when they are synced.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::log::{Error, Stamp};
use super::segment::{self, FRAME_HEAD, Hash, Header, PAYLOAD_BYTES_MAX};

/// What the writer was told.
#[derive(Debug, Clone)]
pub(super) struct WriterSettings {
    pub(super) dir: PathBuf,
    pub(super) node: Arc<str>,
    pub(super) segment_bytes_max: u64,
}

/// A segment that is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    pub(super) first_seq: u64,
    pub(super) bytes: u64,
}

/// The end of the log.
pub(super) struct Writer {
    settings: WriterSettings,
    /// The newest segment, opened for appending.
    file: Arc<File>,
    /// All segments, lowest first; the last is `file`, and its bytes count whole frames only. Bounded by
    /// the log's total size.
    kept: VecDeque<Kept>,
    total_bytes: u64,
    /// Segments that were finished since the last sync.
    unsynced: Vec<Arc<File>>,
    /// Of the newest record.
    seq: u64,
    hash: Hash,
    /// The frame that is being made; kept for its memory.
    frame: Vec<u8>,
    /// Whether the file may end in a part of a frame, as cutting it off failed.
    ragged: bool,
}

impl Writer {
    /// Goes on where a log ends: `kept` is not empty and `file` is its last segment.
    pub(super) fn resume(
        settings: WriterSettings,
        file: File,
        kept: VecDeque<Kept>,
        seq: u64,
        hash: Hash,
    ) -> Self {
        Self {
            settings,
            file: Arc::new(file),
            total_bytes: kept.iter().map(|segment| segment.bytes).sum(),
            kept,
            unsynced: Vec::new(),
            seq,
            hash,
            frame: Vec::new(),
            ragged: false,
        }
    }

    /// Writes the record that `encode(seq, node, out)` appends to `out`, unless the log would then be
    /// larger than `bytes_max`.
    pub(super) fn append(
        &mut self,
        bytes_max: u64,
        encode: impl FnOnce(u64, &str, &mut Vec<u8>),
    ) -> Result<Stamp, Error> {
        let seq = self.seq + 1;
        // The hash before stands where the own one will: what is hashed lies in one piece.
        self.frame.clear();
        self.frame.extend_from_slice(&[0; 4]);
        self.frame.extend_from_slice(&self.hash);
        encode(seq, &self.settings.node, &mut self.frame);
        let payload_bytes = self.frame.len() - FRAME_HEAD;
        if payload_bytes > PAYLOAD_BYTES_MAX {
            return Err(Error::TooLarge {
                bytes: payload_bytes,
            });
        }
        let frame_bytes = self.frame.len() as u64;
        if self.total_bytes + frame_bytes > bytes_max {
            return Err(Error::Full {
                bytes: self.total_bytes,
            });
        }
        let hash = segment::sha256(&self.frame[4..]);
        self.frame[..4].copy_from_slice(&(payload_bytes as u32).to_le_bytes());
        self.frame[4..FRAME_HEAD].copy_from_slice(&hash);

        self.write_frame(frame_bytes, seq)
            .map_err(|source| self.fault(source))?;
        self.seq = seq;
        self.hash = hash;
        Ok(Stamp { seq, hash })
    }

    fn write_frame(&mut self, frame_bytes: u64, seq: u64) -> io::Result<()> {
        if self.ragged {
            self.cut()?;
        }
        if self.newest().first_seq < seq
            && self.newest().bytes + frame_bytes > self.settings.segment_bytes_max
        {
            self.begin_segment(seq)?;
        }
        if let Err(error) = (&*self.file).write_all(&self.frame) {
            self.ragged = true;
            // If this fails, too, the next record tries again before it writes.
            let _ = self.cut();
            return Err(error);
        }
        self.newest_mut().bytes += frame_bytes;
        self.total_bytes += frame_bytes;
        Ok(())
    }

    /// Cuts off what does not belong to a whole frame.
    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.newest().bytes)?;
        self.ragged = false;
        Ok(())
    }

    fn begin_segment(&mut self, first_seq: u64) -> io::Result<()> {
        let (file, bytes) = create(&self.settings, first_seq, self.hash)?;
        let finished = std::mem::replace(&mut self.file, Arc::new(file));
        self.unsynced.push(finished);
        self.kept.push_back(Kept { first_seq, bytes });
        self.total_bytes += bytes;
        Ok(())
    }

    /// Takes segments off the list that hold nothing beyond `seq`, never the newest; the caller deletes them.
    pub(super) fn forget(&mut self, seq: u64) -> Vec<u64> {
        let mut gone = Vec::new();
        while self
            .kept
            .get(1)
            .is_some_and(|next| next.first_seq <= seq + 1)
        {
            if let Some(segment) = self.kept.pop_front() {
                self.total_bytes -= segment.bytes;
                gone.push(segment.first_seq);
            }
        }
        gone
    }

    /// Files that may hold what is not on disk yet, oldest first, and the seq of the newest record in them.
    pub(super) fn take_unsynced(&mut self) -> (Vec<Arc<File>>, u64) {
        let mut files = std::mem::take(&mut self.unsynced);
        files.push(self.file.clone());
        (files, self.seq)
    }

    /// Makes the newest segment durable, with its name.
    pub(super) fn sync_all(&self) -> Result<(), Error> {
        let newest = segment::path(&self.settings.dir, self.newest().first_seq);
        self.file
            .sync_all()
            .and_then(|()| crate::disk::sync_parent(&newest))
            .map_err(|source| self.fault(source))
    }

    pub(super) fn dir(&self) -> &std::path::Path {
        &self.settings.dir
    }

    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    pub(super) fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    pub(super) fn segments(&self) -> Vec<u64> {
        self.kept.iter().map(|segment| segment.first_seq).collect()
    }

    fn newest(&self) -> Kept {
        *self
            .kept
            .back()
            .expect("the newest segment is never forgotten")
    }

    fn newest_mut(&mut self) -> &mut Kept {
        self.kept
            .back_mut()
            .expect("the newest segment is never forgotten")
    }

    fn fault(&self, source: io::Error) -> Error {
        Error::Write {
            dir: self.settings.dir.clone(),
            source,
        }
    }
}

/// Begins a segment; what is left of a try that failed is overwritten.
pub(super) fn create(
    settings: &WriterSettings,
    first_seq: u64,
    before: Hash,
) -> io::Result<(File, u64)> {
    let path = segment::path(&settings.dir, first_seq);
    let header = Header {
        first_seq,
        before,
        node: settings.node.to_string(),
    }
    .encode();
    // Created empty first: append mode and truncation exclude each other.
    File::create(&path)?;
    let mut file = append_to(&path)?;
    file.write_all(&header)?;
    Ok((file, header.len() as u64))
}

/// Opens a segment to append to it.
pub(super) fn append_to(path: &std::path::Path) -> io::Result<File> {
    OpenOptions::new().append(true).open(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::path::Path;

    use super::*;
    use crate::audit::{Verdict, verify};

    fn writer(dir: &Path, open: impl Fn(&Path) -> io::Result<File>) -> Writer {
        let settings = WriterSettings {
            dir: dir.to_owned(),
            node: "n".into(),
            segment_bytes_max: 4096,
        };
        let (_, bytes) = create(&settings, 1, segment::GENESIS).unwrap();
        let file = open(&segment::path(dir, 1)).unwrap();
        let kept = VecDeque::from([Kept {
            first_seq: 1,
            bytes,
        }]);
        Writer::resume(settings, file, kept, 0, segment::GENESIS)
    }

    fn append(writer: &mut Writer) -> Result<Stamp, Error> {
        // Field 1 of a record is its number.
        writer.append(u64::MAX, |seq, _, out| {
            out.extend_from_slice(&[8, seq as u8])
        })
    }

    #[test]
    fn a_disk_that_refuses_costs_no_number() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = writer(dir.path(), |path| File::open(path));
        for _ in 0..2 {
            let error = append(&mut writer).unwrap_err();
            assert!(matches!(error, Error::Write { .. }), "{error}");
        }
        assert_eq!((writer.seq(), writer.ragged), (0, true));
        writer.file = Arc::new(append_to(&segment::path(dir.path(), 1)).unwrap());
        assert_eq!(append(&mut writer).unwrap().seq, 1);
        assert_eq!(verify(dir.path()).unwrap().verdict, Verdict::Whole);
    }

    #[test]
    fn half_a_frame_is_cut_off_before_the_next_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = writer(dir.path(), append_to);
        append(&mut writer).unwrap();
        // What a write that failed midway leaves, where cutting it off failed as well.
        (&*writer.file).write_all(b"half a frame").unwrap();
        writer.ragged = true;
        assert!(matches!(
            verify(dir.path()).unwrap().verdict,
            Verdict::Broken { seq: 2, .. }
        ));
        assert_eq!(append(&mut writer).unwrap().seq, 2);
        let report = verify(dir.path()).unwrap();
        assert_eq!((report.verdict, report.records), (Verdict::Whole, 2));
    }
}
