//! What parts say: a file each, bounded, and its last lines for when a part dies.
//!
//! A part writes to its file by itself: so its last words are kept even where `up` is gone first.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Bytes of a log after which it is cut; one old one is kept beside it.
const LOG_BYTES_MAX: u64 = 10 << 20;
/// Lines that are shown when a part dies.
const LINES_SHOWN: usize = 10;
/// Bytes from the end in which those lines are looked for.
const TAIL_BYTES: u64 = 64 << 10;

/// The log of one part.
#[derive(Debug, Clone)]
pub(super) struct Log {
    file: PathBuf,
}

impl Log {
    /// The log of the part `name` in the data folder.
    pub(super) fn new(dir: &Path, name: &str) -> Self {
        Self {
            file: dir.join("logs").join(format!("{name}.log")),
        }
    }

    /// A handle for a part to write to; what was there before stays.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(super) fn open(&self) -> std::io::Result<File> {
        use std::os::unix::fs::OpenOptionsExt;
        File::options()
            .create(true)
            .append(true)
            .mode(runtime::disk::PRIVATE)
            .open(&self.file)
    }

    /// How long the log is now: where a part that is started writes next.
    pub(super) fn len(&self) -> u64 {
        std::fs::metadata(&self.file).map_or(0, |meta| meta.len())
    }

    /// Cuts a log that has grown too long: what is in it goes to `NAME.log.1`. The part writes on: it appends, so
    /// its next line is the first. Lines that it writes in the very moment of the cut may be lost.
    ///
    /// # Errors
    /// The files cannot be written.
    pub(super) fn bound(&self) -> std::io::Result<()> {
        if self.len() <= LOG_BYTES_MAX {
            return Ok(());
        }
        std::fs::copy(&self.file, self.file.with_extension("log.1"))?;
        File::options().write(true).open(&self.file)?.set_len(0)
    }

    /// The last lines that were written after `from`.
    pub(super) fn tail(&self, from: u64) -> Vec<String> {
        let Ok(bytes) = self.end(from) else {
            return Vec::new();
        };
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let skip = lines.len().saturating_sub(LINES_SHOWN);
        lines[skip..]
            .iter()
            .map(|line| (*line).to_owned())
            .collect()
    }

    fn end(&self, from: u64) -> std::io::Result<Vec<u8>> {
        let mut file = File::open(&self.file)?;
        let length = file.metadata()?.len();
        // A log that was cut meanwhile is shorter than where the part began.
        let from = if from > length { 0 } else { from };
        file.seek(SeekFrom::Start(from.max(length.saturating_sub(TAIL_BYTES))))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::io::Write;

    use super::*;

    fn log() -> (tempfile::TempDir, Log) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("logs")).unwrap();
        let log = Log::new(dir.path(), "edge-1");
        (dir, log)
    }

    #[test]
    fn the_last_lines_are_those_of_this_start() {
        let (_dir, log) = log();
        writeln!(log.open().unwrap(), "of the start before").unwrap();
        let from = log.len();
        let mut file = log.open().unwrap();
        for n in 0..12 {
            writeln!(file, "line {n}").unwrap();
        }
        let tail = log.tail(from);
        assert_eq!(
            (tail.len(), tail[0].as_str(), tail[9].as_str()),
            (10, "line 2", "line 11")
        );
        assert!(log.tail(log.len()).is_empty());
    }

    #[test]
    fn a_log_is_cut_and_written_on() {
        let (dir, log) = log();
        let mut file = log.open().unwrap();
        file.write_all(&vec![b'x'; usize::try_from(LOG_BYTES_MAX).unwrap() + 1])
            .unwrap();
        log.bound().unwrap();
        assert_eq!(log.len(), 0);
        assert!(
            std::fs::metadata(dir.path().join("logs/edge-1.log.1"))
                .unwrap()
                .len()
                > LOG_BYTES_MAX
        );
        writeln!(file, "goes on").unwrap();
        assert_eq!(log.tail(999), ["goes on"]);
    }
}
