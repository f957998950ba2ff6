//! The files of a node's snapshot, as they lie on disk.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// The two copies of the configuration.
pub(super) const COPIES: [&str; 2] = ["config-1.snap", "config-2.snap"];
/// The highest revision that was ever kept.
pub(super) const MARK: &str = "config.mark";
/// What everything is sealed under.
pub(super) const KEY: &str = "snapshot.key";
/// Where sidecars are: sealed under the same key, for another purpose.
pub(super) const ENDPOINTS: &str = "endpoints-1.snap";

/// What lies in them.
#[derive(Debug, Clone)]
pub(super) struct Files {
    /// Of the copies.
    pub(super) copies: [Vec<u8>; 2],
    /// Of the mark.
    pub(super) mark: Vec<u8>,
    /// Of the key.
    pub(super) key: Vec<u8>,
    /// Of the endpoints; empty where a node keeps none.
    pub(super) endpoints: Vec<u8>,
}

impl Files {
    /// Reads those of a node.
    pub(super) fn read(data: &Path) -> Self {
        let read = |name: &str| fs::read(data.join(name)).unwrap_or_default();
        Self {
            copies: COPIES.map(read),
            mark: read(MARK),
            key: read(KEY),
            endpoints: read(ENDPOINTS),
        }
    }

    /// Puts them in place of whatever is there.
    pub(super) fn put_back(&self, data: &Path) {
        let all = COPIES.iter().zip(&self.copies);
        let all = all.chain([(&MARK, &self.mark), (&KEY, &self.key)]);
        for (name, bytes) in all {
            put(&data.join(name), bytes);
        }
    }
}

/// A file with this content, in place of whatever is there.
pub(super) fn put(path: &Path, bytes: &[u8]) {
    clear(path);
    fs::write(path, bytes).expect("a file can be written");
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(path, private).expect("permissions can be set");
}

/// Removes whatever is there.
pub(super) fn clear(path: &Path) {
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => return,
    };
    removed.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
