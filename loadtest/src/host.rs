//! The machine as a whole: how much it has worked, and how much of its time it was not given. So that a figure can say
//! how much of the machine was somebody else's while it was measured.

use std::io;
use std::time::Duration;

/// Processor time of all processors together, since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Host {
    /// What processes worked, user and system.
    pub(crate) worked: Duration,
    /// What was done for nobody in particular, mostly for the network: many kernels charge no process for it.
    pub(crate) interrupts: Duration,
    /// What a hypervisor gave to others.
    pub(crate) stolen: Duration,
}

impl Host {
    /// Looks.
    ///
    /// # Errors
    /// There is no `/proc`.
    pub(crate) fn look() -> io::Result<Self> {
        let stat = std::fs::read_to_string("/proc/stat")?;
        let ticks = rustix::param::clock_ticks_per_second();
        read(&stat, ticks).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/stat"))
    }

    /// What others worked or took since `before`, as a share of all processor time in `elapsed`. `ours`: what our own
    /// processes worked meanwhile.
    pub(crate) fn others_since(
        self,
        before: Self,
        ours: Duration,
        elapsed: Duration,
        processors: usize,
    ) -> f64 {
        let worked = self.worked.saturating_sub(before.worked);
        let stolen = self.stolen.saturating_sub(before.stolen);
        let others = worked.saturating_sub(ours) + stolen;
        let all = elapsed.as_secs_f64() * processors.max(1) as f64;
        if all > 0.0 {
            others.as_secs_f64() / all
        } else {
            0.0
        }
    }
}

/// The first line of `/proc/stat`: `cpu user nice system idle iowait irq softirq steal …`.
fn read(stat: &str, ticks_per_second: u64) -> Option<Host> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = line
        .split_ascii_whitespace()
        .map_while(|field| field.parse().ok())
        .collect();
    let time = |ticks: u64| Duration::from_secs_f64(ticks as f64 / ticks_per_second.max(1) as f64);
    let [user, nice, system, _idle, _iowait, hard, soft, stolen] = *fields.first_chunk()?;
    Some(Host {
        worked: time(user + nice + system),
        interrupts: time(hard + soft),
        stolen: time(stolen),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ours_is_others() {
        let at = |line: &str| read(line, 100).unwrap_or_default();
        let before = at("cpu  100 0 100 900 0 0 0 10 0 0\ncpu0 1 2\n");
        let after = at("cpu  300 50 150 990 0 5 5 40 0 0\n");
        assert_eq!(before.worked, Duration::from_secs(2));
        assert_eq!(after.interrupts, Duration::from_millis(100));
        // 3 s worked, 2 s of them by us, and 0.3 s not given: of 2 processors for 2 s.
        let others = after.others_since(before, Duration::from_secs(2), Duration::from_secs(2), 2);
        assert!((others - 1.3 / 4.0).abs() < 1e-9, "{others}");
        // The accounts of processes and of the machine are not read at the same moment.
        let none = after.others_since(after, Duration::from_secs(9), Duration::from_secs(2), 2);
        assert!(none.abs() < 1e-9);
    }

    #[test]
    fn what_is_no_account_is_none() {
        assert_eq!(read("cpu  1 2 3", 100), None);
        assert_eq!(read("", 100), None);
    }
}
