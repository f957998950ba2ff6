//! Reading the log from a place on, in order, across segments.
//!
//! Reads only what the log says is durable, so it never meets a frame that is being written. It does not
//! know what is done with records, nor keeps the place on disk.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::cursor::Position;
use super::log::Log;
use super::segment::{self, FRAME_HEAD, Frame, Header, Next, PAYLOAD_BYTES_MAX};

/// Bytes read at once. The largest frame fits.
const CHUNK_BYTES: usize = 512 * 1024;
const _: () = assert!(CHUNK_BYTES >= FRAME_HEAD + PAYLOAD_BYTES_MAX);
/// A segment's header fits in this: 54 bytes and the node's name.
const HEADER_BYTES_MAX: usize = 512;

/// A place in the log that moves forward.
pub(super) struct Reader {
    position: Position,
    file: File,
    /// Records up to this seq have been read before, and are passed over.
    known: u64,
    chunk: Vec<u8>,
}

impl Reader {
    /// Goes on at `from`, or begins with the oldest record that is kept.
    pub(super) fn start(log: &Log, from: Option<Position>) -> io::Result<Self> {
        let segments = log.segments();
        let oldest = segments.first().copied().unwrap_or(1);
        // Numbers beyond the log's end are those of another log.
        let from = from.filter(|place| place.seq <= log.head());
        let known = from.map_or(0, |place| place.seq);
        if from.is_some() && known + 1 < oldest {
            tracing::error!(
                first = known + 1,
                last = oldest - 1,
                "audit records are gone unsent"
            );
        }
        let segment = segments
            .iter()
            .rev()
            .copied()
            .find(|s| *s <= known + 1)
            .unwrap_or(oldest);
        let (file, begin) = open(log.dir(), segment)?;
        let position = match from {
            Some(place) if place.segment == segment && place.offset <= file.metadata()?.len() => {
                place
            }
            _ => begin,
        };
        Ok(Self {
            position,
            file,
            known,
            chunk: vec![0; CHUNK_BYTES],
        })
    }

    /// Where it is.
    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// Hands durable records to `take`, in order, until it returns `false` (having taken that one) or there
    /// are no more.
    pub(super) fn read(
        &mut self,
        log: &Log,
        mut take: impl FnMut(u64, &Frame<'_>) -> bool,
    ) -> io::Result<()> {
        let end = log.durable();
        while self.position.seq < end {
            let bytes = self.file.read_at(&mut self.chunk, self.position.offset)?;
            let mut rest = &self.chunk[..bytes];
            let before = self.position.seq;
            while self.position.seq < end
                && let Next::Frame(frame) = segment::next_frame(rest)
            {
                rest = &rest[frame.len()..];
                self.position.seq += 1;
                self.position.offset += frame.len() as u64;
                if self.position.seq > self.known && !take(self.position.seq, &frame) {
                    return Ok(());
                }
            }
            if self.position.seq == before {
                self.next_segment(log)?;
            }
        }
        Ok(())
    }

    /// Goes on in the segment that follows. If records are missing between, that is said and passed over.
    fn next_segment(&mut self, log: &Log) -> io::Result<()> {
        let here = self.position;
        let next = log
            .segments()
            .into_iter()
            .find(|first_seq| *first_seq > here.segment);
        let Some(next) = next else {
            let why = format!("audit record {} cannot be read", here.seq + 1);
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        };
        if next != here.seq + 1 {
            tracing::error!(
                first = here.seq + 1,
                last = next - 1,
                "audit records cannot be read"
            );
        }
        (self.file, self.position) = open(log.dir(), next)?;
        Ok(())
    }
}

/// Opens a segment; the place before its first record.
fn open(dir: &Path, first_seq: u64) -> io::Result<(File, Position)> {
    let file = File::open(segment::path(dir, first_seq))?;
    let mut head = [0; HEADER_BYTES_MAX];
    let bytes = file.read_at(&mut head, 0)?;
    let (_, offset) = Header::parse(&head[..bytes])
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not an audit segment"))?;
    let offset = offset as u64;
    Ok((
        file,
        Position {
            segment: first_seq,
            offset,
            seq: first_seq - 1,
        },
    ))
}
