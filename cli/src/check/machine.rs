//! This machine: addresses, the data folder, and how many files may be open.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, access, statvfs};
use rustix::process::{Resource, getrlimit};

use super::report::Finding;
use super::table::{DATA_FOLDER, OPEN_FILES, PORTS};
use crate::up::{home, ports};

/// Free bytes of the disk below which is a failure, and below which is a warning.
const FREE_FAIL: u64 = 100 << 20;
const FREE_WARN: u64 = 1 << 30;
/// Open files below which is a failure, and below which is a warning.
const FILES_FAIL: u64 = 256;
const FILES_WARN: u64 = 1024;
/// How long something that listens may take to say so.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How programs of ours are called, as the system shows them.
const OURS: &str = "gatehouse";

/// Before a start: each address, with the flag that changes it, is free, or a Gatehouse is there already.
pub(super) fn ports_before(addresses: &[(SocketAddr, &str)]) -> Vec<Finding> {
    let (mut free, mut ours, mut bad) = (Vec::new(), Vec::new(), Vec::new());
    for (address, flag) in addresses {
        match ports::check(*address, flag) {
            Ok(()) => free.push(address.to_string()),
            Err(_) if holder_is_ours(*address) => ours.push(address.to_string()),
            Err(fault) => bad.push(Finding::fault(PORTS, fault).about(address.to_string())),
        }
    }
    bad.extend(good_ports(&free, &ours, "free"));
    bad
}

/// While it should run: what listens at these addresses is ours. That nothing does is for others to say.
pub(super) async fn ports_now(addresses: &[SocketAddr]) -> Vec<Finding> {
    let (mut silent, mut ours, mut bad) = (Vec::new(), Vec::new(), Vec::new());
    for address in addresses {
        let tried =
            tokio::time::timeout(CONNECT_TIMEOUT, tokio::net::TcpStream::connect(address)).await;
        match (tried, ports::holder(*address)) {
            (Ok(Ok(_)), Some(holder)) if !holder.starts_with(OURS) => {
                let message = format!("is held by {holder}, which is no part of Gatehouse");
                bad.push(Finding::fail(PORTS, message).about(address.to_string()));
            }
            (Ok(Ok(_)), _) => ours.push(address.to_string()),
            _ => silent.push(address.to_string()),
        }
    }
    bad.extend(good_ports(&silent, &ours, "nothing listens there"));
    bad
}

fn holder_is_ours(address: SocketAddr) -> bool {
    ports::holder(address).is_some_and(|holder| holder.starts_with(OURS))
}

fn good_ports(free: &[String], ours: &[String], word: &str) -> Option<Finding> {
    let mut parts = Vec::new();
    if !ours.is_empty() {
        parts.push(format!("{}: Gatehouse listens there", ours.join(", ")));
    }
    if !free.is_empty() {
        parts.push(format!("{}: {word}", free.join(", ")));
    }
    (!parts.is_empty()).then(|| Finding::ok(PORTS, parts.join("; ")))
}

/// Whether `up` could use the folder. `may_run`: whether one that works in it now is as it should be.
pub(super) fn data_folder(dir: &Path, may_run: bool) -> Finding {
    let shown = dir.display();
    if let Some(holder) = home::holder(dir).filter(|_| !may_run) {
        return Finding::fault(DATA_FOLDER, home::used_by(dir, &holder));
    }
    let Some(there) = first_that_is_there(dir) else {
        return Finding::fail(DATA_FOLDER, format!("{shown} cannot be reached"));
    };
    if !there.is_dir() {
        return Finding::fail(DATA_FOLDER, format!("{} is no folder", there.display()));
    }
    if let Err(error) = access(&there, Access::WRITE_OK | Access::EXEC_OK) {
        let message = format!("{} cannot be written", there.display());
        return Finding::fail(DATA_FOLDER, message).why(error.to_string());
    }
    let state = match (there == dir, home::holder(dir)) {
        (false, _) => "will be made".to_owned(),
        (true, Some(holder)) => format!("used by process {holder}"),
        (true, None) => "writable".to_owned(),
    };
    let Ok(disk) = statvfs(&there) else {
        return Finding::ok(DATA_FOLDER, format!("{shown}, {state}"));
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let room = format!("{shown}, {state}, {} free on its disk", size(free));
    if free < FREE_FAIL {
        Finding::fail(DATA_FOLDER, room)
    } else if free < FREE_WARN {
        Finding::warn(DATA_FOLDER, room)
    } else {
        Finding::ok(DATA_FOLDER, room)
    }
}

/// The folder itself, or the nearest around it.
fn first_that_is_there(dir: &Path) -> Option<PathBuf> {
    let around = |path: &Path| {
        if path.as_os_str().is_empty() {
            PathBuf::from(".")
        } else {
            path.to_owned()
        }
    };
    dir.ancestors().map(around).find(|path| path.exists())
}

fn size(bytes: u64) -> String {
    match bytes {
        b if b >= 10 << 30 => format!("{} GiB", b >> 30),
        b => format!("{} MiB", b >> 20),
    }
}

/// How many files may be open.
pub(super) fn open_files() -> Finding {
    let limit = getrlimit(Resource::Nofile);
    open_files_of(limit.current, limit.maximum)
}

/// `None` is no limit.
fn open_files_of(current: Option<u64>, maximum: Option<u64>) -> Finding {
    let Some(limit) = current else {
        return Finding::ok(OPEN_FILES, "no limit");
    };
    let finding = match limit {
        FILES_WARN.. => return Finding::ok(OPEN_FILES, format!("{limit} at once")),
        FILES_FAIL.. => Finding::warn(OPEN_FILES, format!("only {limit} at once")),
        _ => Finding::fail(OPEN_FILES, format!("only {limit} at once")),
    };
    // Only what this shell may do by itself.
    if maximum.is_none_or(|maximum| maximum >= FILES_WARN) {
        finding.fix(format!("ulimit -n {FILES_WARN}, before gatehouse up"))
    } else {
        finding
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::super::report::Verdict;
    use super::*;

    #[test]
    fn an_address_of_somebody_else_is_named_with_a_way_out() {
        let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = holder.local_addr().unwrap();
        let free = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        };
        let found = ports_before(&[(taken, "--control-listen"), (free, "--edge-listen")]);
        // The test's own program is called after this crate.
        assert_eq!(found[0].verdict, Verdict::Fail, "{found:?}");
        assert!(found[0].fix.as_ref().unwrap().contains("--control-listen"));
        assert_eq!(found[1].verdict, Verdict::Ok);
        assert!(found[1].message.contains(&free.to_string()));
    }

    #[test]
    fn a_folder_that_is_not_there_yet_can_be_made() {
        let dir = tempfile::tempdir().unwrap();
        let finding = data_folder(&dir.path().join("a/b"), false);
        assert_ne!(finding.verdict, Verdict::Fail, "{finding:?}");
        assert!(finding.message.contains("will be made"), "{finding:?}");
    }

    #[test]
    fn a_file_in_its_place_is_a_failure() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let finding = data_folder(&file.join("data"), false);
        assert_eq!(finding.verdict, Verdict::Fail, "{finding:?}");
    }

    #[test]
    fn a_folder_in_use_is_a_failure_before_a_start_only() {
        let dir = tempfile::tempdir().unwrap();
        let home = home::Home::open(dir.path()).unwrap();
        let before = data_folder(home.dir(), false);
        assert_eq!(before.verdict, Verdict::Fail, "{before:?}");
        assert!(before.message.contains(&std::process::id().to_string()));
        let now = data_folder(home.dir(), true);
        assert_ne!(now.verdict, Verdict::Fail, "{now:?}");
        assert!(now.message.contains("used by process"), "{now:?}");
    }

    #[test]
    fn few_open_files_are_told_with_what_the_shell_may_do() {
        let many = open_files_of(Some(65_536), None);
        assert_eq!(many.verdict, Verdict::Ok);
        let few = open_files_of(Some(512), Some(4096));
        assert_eq!(few.verdict, Verdict::Warn);
        assert!(few.fix.unwrap().starts_with("ulimit -n 1024"));
        let bound = open_files_of(Some(100), Some(100));
        assert_eq!((bound.verdict, bound.fix), (Verdict::Fail, None));
    }
}
