//! What a figure was measured on: without this it means nothing.

use std::fmt;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

/// Facts about the machine and the tree. What cannot be told is empty.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Machine {
    /// Processors that this process may use.
    pub cores: usize,
    /// The model of the first one.
    pub cpu: String,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// The kernel's version.
    pub kernel: String,
    /// Load averages over 1, 5 and 15 minutes, before the first slice.
    pub load_average: String,
    /// The revision of the tree.
    pub revision: String,
    /// Whether files differ from that revision.
    pub dirty: bool,
}

impl Machine {
    /// Looks.
    #[must_use]
    pub fn look() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let status = git(&["status", "--porcelain"]);
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            cpu: field(&read("/proc/cpuinfo"), "model name").to_owned(),
            memory_mib: kib(field(&read("/proc/meminfo"), "MemTotal")) / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_average: load(&read("/proc/loadavg")),
            revision: git(&["rev-parse", "--short=12", "HEAD"]),
            dirty: !status.is_empty(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dirty = if self.dirty { ", with changes" } else { "" };
        writeln!(
            f,
            "machine   {} x {}, {} MiB",
            self.cores, self.cpu, self.memory_mib
        )?;
        writeln!(
            f,
            "kernel    {}, load average {}",
            self.kernel, self.load_average
        )?;
        write!(f, "revision  {}{dirty}", self.revision)
    }
}

/// The value of the first line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> &'a str {
    let value = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    });
    value.unwrap_or_default()
}

fn kib(text: &str) -> u64 {
    let number = text.split_whitespace().next().unwrap_or_default();
    number.parse().unwrap_or(0)
}

fn load(text: &str) -> String {
    text.split_whitespace()
        .take(3)
        .collect::<Vec<_>>()
        .join(" ")
}

/// What git says of the checkout that this was built in; nothing where there is none.
fn git(words: &[&str]) -> String {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    let said = Command::new("git")
        .args(words)
        .current_dir(checkout)
        .output();
    let said = said.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&said).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name() {
        let info = "processor\t: 0\nmodel name\t: Fast: 3 GHz\nmodel name\t: other\n";
        assert_eq!(field(info, "model name"), "Fast: 3 GHz");
        assert_eq!(field(info, "vendor"), "");
        assert_eq!(kib(field("MemTotal:  2048 kB\n", "MemTotal")), 2048);
        assert_eq!(load("0.10 0.20 0.30 1/200 4242\n"), "0.10 0.20 0.30");
    }

    #[test]
    fn facts_are_shown_in_three_lines() {
        let machine = Machine {
            cores: 2,
            cpu: "Fast".to_owned(),
            dirty: true,
            ..Machine::default()
        };
        let text = machine.to_string();
        assert_eq!(text.lines().count(), 3);
        assert!(text.starts_with("machine   2 x Fast") && text.ends_with("with changes"));
    }
}
