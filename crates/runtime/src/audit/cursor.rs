//! How far a destination has come: a place in the log, kept in a small file beside it.
//!
//! The file moves only after the destination has said that it has the records; a copy that is behind
//! means records that are sent twice, never one that is not sent. It does not know who moves it.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::disk;

/// Longest name of a destination, bytes.
const NAME_BYTES_MAX: usize = 64;

/// A place between two records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// First seq of the segment.
    pub(super) segment: u64,
    /// Bytes of it that have been read.
    pub(super) offset: u64,
    /// Seq of the newest record that has been read.
    pub(super) seq: u64,
}

/// The file that holds one destination's place.
#[derive(Debug, Clone)]
pub(super) struct Cursor(PathBuf);

impl Cursor {
    /// The cursor of the destination `name` for the log in `dir`.
    pub(super) fn new(dir: &Path, name: &str) -> Self {
        Self(dir.join(format!("cursor-{}.json", file_name(name))))
    }

    /// Where the destination was. `None`: it is new, or its file is none of ours; then everything that is
    /// kept is sent (again).
    pub(super) fn load(&self) -> io::Result<Option<Position>> {
        match std::fs::read(&self.0) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps the place, durably.
    pub(super) fn save(&self, position: Position) -> io::Result<()> {
        disk::replace(&self.0, &serde_json::to_vec(&position)?, disk::PRIVATE)
    }
}

/// A destination's name as a part of a file's.
pub(super) fn file_name(destination: &str) -> String {
    let kept = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let chars = destination.chars().take(NAME_BYTES_MAX);
    chars.map(|c| if kept(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_place_is_kept_under_a_name_that_stays_in_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let cursor = Cursor::new(dir.path(), "../https://collector:4317");
        assert_eq!(cursor.load().unwrap(), None);
        let place = Position {
            segment: 1,
            offset: 99,
            seq: 7,
        };
        cursor.save(place).unwrap();
        assert_eq!(cursor.load().unwrap(), Some(place));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        std::fs::write(&cursor.0, "rubbish").unwrap();
        assert_eq!(cursor.load().unwrap(), None);
    }
}
