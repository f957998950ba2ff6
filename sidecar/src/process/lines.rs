//! Lines of a stream, bounded in length, each a slice of the buffer it was read into.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Room that is made at a time, bytes: as much as a pipe holds.
const ROOM_BYTES: usize = 64 * 1024;
/// With less room than this, more is made before the next read.
const ROOM_BYTES_MIN: usize = 4 * 1024;
/// How much of a line that is too long is handed on, bytes.
const START_BYTES: usize = 1024;

/// One line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// All of it.
    Whole(Bytes),
    /// It was longer than the bound and is skipped, but for its start.
    TooLong {
        /// The first bytes.
        start: Bytes,
    },
}

/// Reads lines that end in LF or CR LF; the last one may have no end.
#[derive(Debug)]
pub struct Lines<R> {
    stream: R,
    buffer: BytesMut,
    /// Bytes of the buffer that are known to hold no LF.
    searched: usize,
    line_bytes_max: usize,
    /// The start of a line that is being skipped.
    skipping: Option<Bytes>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines of `stream`, of at most `line_bytes_max` each.
    pub fn new(stream: R, line_bytes_max: usize) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            searched: 0,
            line_bytes_max,
            skipping: None,
        }
    }

    /// The next line; `None` at the end. Loses nothing if it is dropped while it waits.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            if let Some(line) = self.take() {
                return Ok(Some(line));
            }
            if self.buffer.capacity() - self.buffer.len() < ROOM_BYTES_MIN {
                self.buffer.reserve(ROOM_BYTES);
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(self.rest());
            }
        }
    }

    /// A line that is in the buffer already.
    fn take(&mut self) -> Option<Line> {
        let fresh = self.buffer.get(self.searched..).unwrap_or_default();
        let Some(found) = memchr::memchr(b'\n', fresh) else {
            self.searched = self.buffer.len();
            self.skip_if_too_long();
            return None;
        };
        let mut line = self.buffer.split_to(self.searched + found + 1);
        self.searched = 0;
        line.truncate(line.len() - 1);
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        Some(self.finish(line.freeze()))
    }

    /// What stands behind the last line's end.
    fn rest(&mut self) -> Option<Line> {
        self.searched = 0;
        let line = self.buffer.split().freeze();
        (!line.is_empty() || self.skipping.is_some()).then(|| self.finish(line))
    }

    fn finish(&mut self, line: Bytes) -> Line {
        match self.skipping.take() {
            Some(start) => Line::TooLong { start },
            None if line.len() > self.line_bytes_max => Line::TooLong {
                start: start_of(&line),
            },
            None => Line::Whole(line),
        }
    }

    /// Throws away what belongs to a line that is too long, so that the buffer stays bounded.
    fn skip_if_too_long(&mut self) {
        if self.skipping.is_none() && self.buffer.len() > self.line_bytes_max {
            self.skipping = Some(start_of(&self.buffer));
        }
        if self.skipping.is_some() {
            self.buffer.clear();
            self.searched = 0;
        }
    }
}

fn start_of(line: &[u8]) -> Bytes {
    Bytes::copy_from_slice(line.get(..START_BYTES).unwrap_or(line))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// All lines, read in pieces of `piece` bytes.
    async fn lines(text: &[u8], piece: usize, line_bytes_max: usize) -> Vec<Line> {
        let (mut near, far) = tokio::io::duplex(piece);
        let mut lines = Lines::new(far, line_bytes_max);
        let write = async move {
            tokio::io::AsyncWriteExt::write_all(&mut near, text)
                .await
                .unwrap();
        };
        let read = async {
            let mut all = Vec::new();
            while let Some(line) = lines.next().await.unwrap() {
                all.push(line);
            }
            all
        };
        tokio::join!(write, read).1
    }

    fn whole(text: &'static str) -> Line {
        Line::Whole(Bytes::from_static(text.as_bytes()))
    }

    #[tokio::test]
    async fn lines_are_the_same_however_they_arrive() {
        for piece in [1, 2, 3, 7, 100] {
            let read = lines(b"one\r\n\ntwo\nthree", piece, 10).await;
            assert_eq!(
                read,
                [whole("one"), whole(""), whole("two"), whole("three")],
                "{piece}"
            );
        }
    }

    #[tokio::test]
    async fn a_long_line_is_skipped_and_the_next_one_is_not() {
        for piece in [1, 3, 100] {
            let read = lines(b"0123456789X\nshort\nYYYYYYYYYYYYYYYY", piece, 10).await;
            let [Line::TooLong { start }, short, Line::TooLong { .. }] = read.as_slice() else {
                panic!("{read:?}");
            };
            assert!(start.starts_with(b"0123456789X"), "{start:?}");
            assert_eq!(*short, whole("short"));
        }
    }
}
