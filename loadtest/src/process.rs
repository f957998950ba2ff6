//! What processes cost: processor time and memory, as `/proc` tells. Knows processes; must not know what they are for.
//!
//! Processor time is the kernel's own account of each process, user and system, in units of 10 ms: over a slice of
//! seconds that is a fraction of a percent. What a process's ended children cost is in neither account.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use serde::Serialize;

/// What one or more processes cost so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Usage {
    /// Processor time, user and system.
    #[serde(skip)]
    pub cpu: Duration,
    /// Memory that is resident now, bytes.
    pub rss_bytes: u64,
    /// Most memory that was ever resident, bytes. Of several processes, the sum of theirs.
    pub rss_peak_bytes: u64,
}

/// A process, told apart from a later one of the same id by its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its parent's id.
    pub parent: u32,
    /// When it started, in clock ticks since boot.
    pub start: u64,
    /// Its words.
    pub argv: Vec<String>,
}

/// One or more processes under one name.
#[derive(Debug, Clone)]
pub struct Watched {
    /// The name.
    pub name: String,
    /// Their ids.
    pub pids: Vec<u32>,
    /// Whether all that descend from them count, too, whenever they are looked at.
    pub with_descendants: bool,
}

impl Watched {
    /// One process.
    #[must_use]
    pub fn one(name: &str, pid: u32) -> Self {
        Self::several(name, vec![pid])
    }

    /// Several processes.
    #[must_use]
    pub fn several(name: &str, pids: Vec<u32>) -> Self {
        Self {
            name: name.to_owned(),
            pids,
            with_descendants: false,
        }
    }

    /// … and all that descend from them.
    #[must_use]
    pub fn with_descendants(self) -> Self {
        Self {
            with_descendants: true,
            ..self
        }
    }

    /// What they have cost so far.
    ///
    /// # Errors
    /// One of those named is gone. A descendant may come and go.
    pub fn usage(&self) -> io::Result<Usage> {
        let mut sum = Usage::default();
        for pid in &self.pids {
            sum.add(Usage::of(*pid)?);
        }
        if self.with_descendants {
            let all = Process::all();
            let below = self.pids.iter().flat_map(|pid| descendants(&all, *pid));
            for process in below {
                sum.add(Usage::of(process.pid).unwrap_or_default());
            }
        }
        Ok(sum)
    }
}

impl Usage {
    /// What a process has cost so far.
    ///
    /// # Errors
    /// It is gone, or there is no `/proc`.
    pub fn of(pid: u32) -> io::Result<Self> {
        Self::read(&format!("/proc/{pid}"))
    }

    /// What this process has cost so far.
    ///
    /// # Errors
    /// There is no `/proc`.
    pub fn of_this_process() -> io::Result<Self> {
        Self::read("/proc/self")
    }

    fn read(folder: &str) -> io::Result<Self> {
        let stat = std::fs::read_to_string(format!("{folder}/stat"))?;
        let status = std::fs::read_to_string(format!("{folder}/status"))?;
        let strange = || io::Error::new(io::ErrorKind::InvalidData, format!("{folder}/stat"));
        Ok(Self {
            cpu: cpu(&stat, rustix::param::clock_ticks_per_second()).ok_or_else(strange)?,
            // A process that is ending has none.
            rss_bytes: kib(&status, "VmRSS:").unwrap_or(0) * 1024,
            rss_peak_bytes: kib(&status, "VmHWM:").unwrap_or(0) * 1024,
        })
    }

    fn add(&mut self, other: Self) {
        self.cpu += other.cpu;
        self.rss_bytes += other.rss_bytes;
        self.rss_peak_bytes += other.rss_peak_bytes;
    }
}

impl Process {
    /// Every process that runs; dead ones that nobody has waited for are none. Empty where there is no `/proc`.
    #[must_use]
    pub fn all() -> BTreeMap<u32, Self> {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(|pid| Some((pid, Self::look(pid)?)))
            .collect()
    }

    /// The process of this id, if it runs.
    #[must_use]
    pub fn look(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let cmdline = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words = cmdline.split(|byte| *byte == 0);
        let words = words.map(|word| String::from_utf8_lossy(word).into_owned());
        let fields = fields(&stat)?;
        if matches!(*fields.first()?, "Z" | "X") {
            return None;
        }
        Some(Self {
            pid,
            parent: fields.get(1)?.parse().ok()?,
            start: fields.get(19)?.parse().ok()?,
            argv: words.filter(|word| !word.is_empty()).collect(),
        })
    }

    /// Its words after the program's name.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.argv.iter().skip(1).map(String::as_str)
    }
}

/// All that descend from a process, of those in `all`.
#[must_use]
pub fn descendants(all: &BTreeMap<u32, Process>, root: u32) -> Vec<&Process> {
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(parent) = next.pop() {
        for process in all.values().filter(|process| process.parent == parent) {
            found.push(process);
            next.push(process.pid);
        }
    }
    found
}

/// The fields of `/proc/…/stat` from the third on. The second, a name in parentheses, may hold anything.
fn fields(stat: &str) -> Option<Vec<&str>> {
    Some(stat.rsplit_once(") ")?.1.split_ascii_whitespace().collect())
}

/// User and system time of `/proc/…/stat`.
fn cpu(stat: &str, ticks_per_second: u64) -> Option<Duration> {
    let fields = fields(stat)?;
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let ticks = ticks(11)? + ticks(12)?;
    Some(Duration::from_secs_f64(
        ticks as f64 / ticks_per_second.max(1) as f64,
    ))
}

/// A size of `/proc/…/status`.
fn kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    /// As `/proc` has it, of a process with a wild name.
    const STAT: &str =
        "77 (a) b (c) ) S 12 77 77 0 -1 4194304 1 2 3 4 150 50 9 9 20 0 3 0 4242 1 2 3";

    #[test]
    fn processor_time_is_user_and_system() {
        assert_eq!(cpu(STAT, 100), Some(Duration::from_secs(2)));
        assert_eq!(cpu("77 (x", 100), None);
        assert_eq!(cpu("77 (x) S 1", 100), None);
    }

    #[test]
    fn sizes_are_found_by_their_names() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(kib(status, "VmRSS:"), Some(1024));
        assert_eq!(kib(status, "VmHWM:"), Some(2048));
        assert_eq!(kib(status, "VmSwap:"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_seen_with_what_it_does() {
        let watched = Watched::one("this", std::process::id()).with_descendants();
        let before = watched.usage().unwrap();
        let mut sum = 0_u64;
        // Some 10 ms at least, whatever the machine.
        while watched.usage().unwrap().cpu == before.cpu {
            sum = (0..1_000_000_u64).fold(sum, u64::wrapping_add);
            std::hint::black_box(sum);
        }
        assert!(before.rss_bytes > 0 && before.rss_peak_bytes >= before.rss_bytes);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn children_are_found_and_gone_ones_are_an_error() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let all = Process::all();
        let below = descendants(&all, std::process::id());
        let found = below.iter().find(|process| process.pid == child.id());
        let words: Vec<_> = found.unwrap().words().collect();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(words, ["60"]);
        assert!(Watched::one("gone", child.id()).usage().is_err());
        assert_eq!(Process::look(child.id()), None);
    }
}
