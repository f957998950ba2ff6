//! Which package is known to be in the package manager's cache: it has answered once, here.
//!
//! A start that may have to fetch a package first gets more time than one that need not. The cache is
//! not ours and may be cleared by anybody, so what is known here is a guess, taken back when a start
//! takes too long.

use std::path::PathBuf;

/// One name, in one file: a sidecar runs one server.
#[derive(Debug, Clone)]
pub struct Installed(PathBuf);

impl Installed {
    /// What the file at `path` knows.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Whether `package` was seen to run.
    pub fn has(&self, package: &str) -> bool {
        std::fs::read_to_string(&self.0).is_ok_and(|known| known == package)
    }

    /// `package` runs.
    pub fn note(&self, package: &str) {
        if !self.has(package)
            && let Err(error) = std::fs::write(&self.0, package)
        {
            tracing::warn!(path = %self.0.display(), %error, "cannot note an installed package");
        }
    }

    /// Nothing is known any more.
    pub fn forget(&self) {
        // Not there is as good as removed; and a name that stays costs one more short start.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn what_is_noted_is_known_until_it_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let installed = Installed::new(directory.path().join("installed"));
        assert!(!installed.has("npx a@1"));
        installed.note("npx a@1");
        assert!(installed.has("npx a@1") && !installed.has("npx a@2"));
        installed.forget();
        installed.forget();
        assert!(!installed.has("npx a@1"));
    }
}
