//! Where measured processes run: a folder of their own, free ports, and somebody who cleans up.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use tempfile::TempDir;

use super::child::Child;
use super::ports::Ports;
use super::watchdog::Watchdog;

/// A place. Dropping it ends everything that was started in it, and removes the folder.
#[derive(Debug)]
pub(crate) struct Place {
    /// The binary that is measured.
    pub(crate) gatehouse: PathBuf,
    /// Ports that nobody else has.
    pub(crate) ports: Ports,
    folder: TempDir,
    _watchdog: Watchdog,
}

impl Place {
    /// Makes one.
    ///
    /// # Errors
    /// There is no folder to be had, or nobody to clean up.
    pub(crate) fn new(gatehouse: PathBuf) -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("gatehouse-bench-")?;
        let watchdog = Watchdog::start(folder.path()).context("the watchdog cannot be started")?;
        Ok(Self {
            gatehouse,
            ports: Ports::new(),
            folder,
            _watchdog: watchdog,
        })
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a process that ends with the place.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn child(
        &self,
        name: &str,
        command: &mut Command,
        folder: &Path,
    ) -> anyhow::Result<Child> {
        Child::start(name, command, folder, self.folder())
    }
}
