//! Resident memory of edge and sidecar, before something is held open and while it is.

use std::time::Duration;

use super::system::System;
use crate::compare::table::mib;
use crate::pause::pause;
use crate::process::Watched;

/// How long they are left alone before each look.
const REST: Duration = Duration::from_secs(5);

/// Both processes, and what they had at first, bytes.
#[derive(Debug)]
pub(super) struct Memory {
    parts: [Watched; 2],
    before: [u64; 2],
}

/// What they have now, bytes.
#[derive(Debug)]
pub(super) struct Grown {
    before: [u64; 2],
    now: [u64; 2],
}

impl Memory {
    /// Looks for the first time.
    ///
    /// # Errors
    /// One of them does not run.
    pub(super) fn before(system: &System, server: &str) -> anyhow::Result<Self> {
        let parts = [system.edge()?, system.sidecar(server)?];
        pause(REST);
        let before = now(&parts)?;
        Ok(Self { parts, before })
    }

    /// Looks again.
    ///
    /// # Errors
    /// One of them does not run any more.
    pub(super) fn grown(&self) -> anyhow::Result<Grown> {
        pause(REST);
        Ok(Grown {
            before: self.before,
            now: now(&self.parts)?,
        })
    }
}

impl Grown {
    /// What both would have, MiB, had they grown by `times` as much: what they had at first does not grow.
    pub(super) fn mib_at(&self, times: f64) -> f64 {
        let before = self.before.iter().sum::<u64>() as f64;
        (before + self.grown() * times) / f64::from(1 << 20)
    }

    /// By how much both have grown, bytes.
    fn grown(&self) -> f64 {
        self.now.iter().sum::<u64>() as f64 - self.before.iter().sum::<u64>() as f64
    }

    /// By how much both have grown for each of so many things, KiB.
    pub(super) fn kib_each(&self, count: usize) -> f64 {
        self.grown() / 1024.0 / count.max(1) as f64
    }

    /// As people read it.
    pub(super) fn shown(&self) -> String {
        let [edge, sidecar] = [0, 1].map(|n| (mib(self.before[n]), mib(self.now[n])));
        format!(
            "MiB: edge {} -> {}, sidecar {} -> {}",
            edge.0, edge.1, sidecar.0, sidecar.1
        )
    }
}

fn now(parts: &[Watched; 2]) -> anyhow::Result<[u64; 2]> {
    let [edge, sidecar] = parts;
    Ok([edge.usage()?.rss_bytes, sidecar.usage()?.rss_bytes])
}
