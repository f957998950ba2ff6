//! Who is still there: processes and their children, as `/proc` tells.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::wait;

/// How long whoever should be gone may take to go.
const GONE: Duration = Duration::from_secs(15);

/// A process, told apart from a later one of the same id by its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its parent's id.
    pub parent: u32,
    /// When it started, in clock ticks since boot.
    start: u64,
    /// Its words.
    pub argv: Vec<String>,
}

/// Every process that runs; dead ones that nobody has waited for are none.
pub fn all() -> BTreeMap<u32, Seen> {
    let entries = std::fs::read_dir("/proc").expect("/proc is there");
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, look(pid)?))).collect()
}

fn look(pid: u32) -> Option<Seen> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; what follows it does not.
    let fields: Vec<_> = stat.rsplit_once(") ")?.1.split(' ').collect();
    // The first thread may be dead while others are still ending: until they have, what is open stays open, a listener
    // among it, which takes connections that nobody will answer.
    let threads: u32 = fields.get(17)?.parse().ok()?;
    if matches!(*fields.first()?, "Z" | "X") && threads <= 1 {
        return None;
    }
    let cmdline = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = cmdline
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned());
    let argv = words.filter(|word| !word.is_empty()).collect();
    Some(Seen {
        parent: fields.get(1)?.parse().ok()?,
        start: fields.get(19)?.parse().ok()?,
        argv,
    })
}

/// A set of processes that belong together.
#[derive(Debug, Clone, Default)]
pub struct Family(BTreeMap<u32, Seen>);

impl Family {
    /// A process and all that descend from it.
    pub fn of(root: u32) -> Self {
        let all = all();
        let mut family = Self::default();
        let mut next = vec![root];
        while let Some(pid) = next.pop() {
            if let Some(seen) = all.get(&pid) {
                family.0.insert(pid, seen.clone());
            }
            next.extend(
                all.iter()
                    .filter(|(_, seen)| seen.parent == pid)
                    .map(|(pid, _)| *pid),
            );
        }
        family
    }

    /// All of both.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Adds the processes with these ids.
    #[must_use]
    pub fn and(mut self, pids: &[u32]) -> Self {
        self.0
            .extend(pids.iter().filter_map(|pid| Some((*pid, look(*pid)?))));
        self
    }

    /// Adds all that name `folder` in their words or environment.
    #[must_use]
    pub fn and_all_that_name(mut self, folder: &Path) -> Self {
        let needle = folder.to_string_lossy().into_owned();
        let names = |pid: u32, seen: &Seen| {
            let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            seen.argv.iter().any(|word| word.contains(&needle))
                || String::from_utf8_lossy(&environ).contains(&needle)
        };
        let watchdog = |seen: &Seen| seen.argv.iter().any(|word| word == "watchdog");
        self.0.extend(
            all()
                .into_iter()
                .filter(|(pid, seen)| names(*pid, seen) && !watchdog(seen)),
        );
        self
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that still run.
    pub fn left(&self) -> Vec<String> {
        let still = |(pid, seen): (&u32, &Seen)| {
            let same = look(*pid).is_some_and(|now| now.start == seen.start);
            same.then(|| format!("{pid}: {}", seen.argv.join(" ")))
        };
        self.0.iter().filter_map(still).collect()
    }

    /// Waits until none runs any more.
    ///
    /// # Panics
    /// With who is left, where one stays.
    pub fn wait_until_gone(&self) {
        wait::until("all processes to be gone", GONE, || {
            let left = self.left();
            if left.is_empty() {
                Ok(())
            } else {
                Err(left.join("\n"))
            }
        });
    }
}
