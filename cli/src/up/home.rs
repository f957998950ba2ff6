//! The data folder of `up`: its lock, its secrets, and what it remembers from one start to the next.
//!
//! ```text
//! DIR/lock            held while `up` runs            DIR/client.toml     for the command line (0600)
//! DIR/master.key      seals the store's secrets       DIR/admin.token     opens the admin API
//! DIR/up.json         ports, id of the admin key      DIR/logs/NAME.log   what each part says
//! DIR/NAME/           settings, identity and data of each part
//! ```
//! Everything is for this user alone. Knows no processes.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use runtime::disk;
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

use crate::codes;
use crate::context::Context;
use crate::fault::Fault;

/// Bytes of a fresh secret.
const SECRET_BYTES: usize = 32;

/// What `up` remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Memory {
    /// Ports that were chosen once, by purpose: `edge-1.admin`.
    pub(super) ports: BTreeMap<String, u16>,
    /// The id of the key in `client.toml`.
    pub(super) key_id: Option<String>,
}

/// The data folder, locked.
#[derive(Debug)]
pub(crate) struct Home {
    dir: PathBuf,
    pub(super) memory: Memory,
    /// Locked as long as it is open; the system unlocks it however this process ends.
    _lock: File,
}

impl Home {
    /// Makes the folder and what is missing in it, and locks it.
    ///
    /// # Errors
    /// Another `up` has it, or it cannot be written.
    pub(crate) fn open(dir: &Path) -> Result<Self, Fault> {
        let failed = |what: &Path| {
            let what = what.display().to_string();
            move |e: std::io::Error| {
                Fault::new(codes::FILE, format!("{what} cannot be used")).why(e.to_string())
            }
        };
        disk::create_private_dir(dir).map_err(failed(dir))?;
        // Parts run in folders of their own choice; paths in their settings must hold everywhere.
        let dir = dir.canonicalize().map_err(failed(dir))?;
        let lock = lock(&dir)?;
        disk::create_private_dir(&dir.join("logs")).map_err(failed(&dir))?;
        for name in ["master.key", "admin.token"] {
            let file = dir.join(name);
            ensure_secret(&file).map_err(failed(&file))?;
        }
        let file = dir.join("up.json");
        let memory = match std::fs::read(&file) {
            // What cannot be read is only remembered convenience: choose anew.
            Ok(text) => serde_json::from_slice(&text).unwrap_or_default(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Memory::default(),
            Err(e) => return Err(failed(&file)(e)),
        };
        Ok(Self {
            dir,
            memory,
            _lock: lock,
        })
    }

    /// The folder, absolute.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A file or folder in it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The admin token.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn admin_token(&self) -> Result<String, Fault> {
        crate::context::secret(&format!("@{}", self.path("admin.token").display()))
    }

    /// Keeps what is to be remembered.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn remember(&self) -> Result<(), Fault> {
        let text = serde_json::to_vec_pretty(&self.memory).expect("text keys and numbers");
        write_private(&self.path("up.json"), &text)
    }

    /// The context that the last start wrote, if it can still be read.
    pub(super) fn last_context(&self) -> Option<Context> {
        crate::context::read(&self.path("client.toml")).ok()
    }

    /// Writes the context for the command line.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write_context(&self, context: &Context) -> Result<(), Fault> {
        let text = toml::to_string(context).expect("text and lists of text");
        write_private(&self.path("client.toml"), text.as_bytes())
    }
}

/// Replaces a file that only this user may read.
///
/// # Errors
/// It cannot be written.
pub(super) fn write_private(file: &Path, bytes: &[u8]) -> Result<(), Fault> {
    disk::replace(file, bytes, disk::PRIVATE).map_err(|e| {
        Fault::new(codes::FILE, format!("{} cannot be written", file.display())).why(e.to_string())
    })
}

fn lock(dir: &Path) -> Result<File, Fault> {
    let file = dir.join("lock");
    let failed = |e: std::io::Error| {
        Fault::new(codes::FILE, format!("{} cannot be used", file.display())).why(e.to_string())
    };
    let mut lock = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&file)
        .map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(in_use(dir, &mut lock)),
        Err(TryLockError::Error(e)) => return Err(failed(e)),
    }
    let written = lock
        .set_len(0)
        .and_then(|()| write!(lock, "{}", std::process::id()));
    written.map_err(failed)?;
    Ok(lock)
}

fn in_use(dir: &Path, lock: &mut File) -> Fault {
    used_by(dir, &written_in(lock))
}

/// Who says in the lock file that it holds the lock. Empty: nobody.
fn written_in(lock: &mut File) -> String {
    let mut holder = String::new();
    // What cannot be read names nobody.
    let _ = lock
        .rewind()
        .and_then(|()| lock.take(20).read_to_string(&mut holder));
    holder.trim().to_owned()
}

/// The process that works in a folder now. Takes the lock for a moment, and only where a process of that id runs at
/// all: so that a start is not disturbed by whoever merely asks.
pub(crate) fn holder(dir: &Path) -> Option<String> {
    let mut lock = File::open(dir.join("lock")).ok()?;
    let holder = written_in(&mut lock);
    let id = holder.parse().ok().and_then(Pid::from_raw)?;
    // Not allowed to ask means that there is one.
    let runs = !matches!(test_kill_process(id), Err(rustix::io::Errno::SRCH));
    let held = runs && matches!(lock.try_lock(), Err(TryLockError::WouldBlock));
    held.then_some(holder)
}

/// The folder is in use by the process of that id, where it is known.
pub(crate) fn used_by(dir: &Path, holder: &str) -> Fault {
    let holder = if holder.is_empty() {
        String::new()
    } else {
        format!(" (process {holder})")
    };
    Fault::new(
        codes::FOLDER_IN_USE,
        format!("another `gatehouse up`{holder} works in {}", dir.display()),
    )
    .fix("use that one, stop it, or give this one a folder of its own with --data DIR")
}

/// Makes a file with a fresh secret where there is none.
fn ensure_secret(file: &Path) -> std::io::Result<()> {
    if file.exists() {
        return Ok(());
    }
    let mut secret = [0; SECRET_BYTES];
    aws_lc_rs::rand::fill(&mut secret)
        .map_err(|_| std::io::Error::other("the system gives no random bytes"))?;
    disk::replace(file, hex::encode(secret).as_bytes(), disk::PRIVATE)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_second_start_on_the_same_folder_is_told_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(&dir.path().join("data")).unwrap();
        let fault = Home::open(home.dir()).unwrap_err();
        assert_eq!(fault.code, codes::FOLDER_IN_USE);
        assert!(
            fault
                .message
                .contains(&format!("process {}", std::process::id())),
            "{}",
            fault.message
        );
        let path = home.dir().to_owned();
        drop(home);
        assert!(Home::open(&path).is_ok());
    }

    #[test]
    fn secrets_are_made_once_and_for_this_user_alone() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        let token = home.admin_token().unwrap();
        assert_eq!(token.len(), 2 * SECRET_BYTES);
        for name in ["master.key", "admin.token"] {
            let mode = std::fs::metadata(home.path(name))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        drop(home);
        assert_eq!(
            Home::open(dir.path()).unwrap().admin_token().unwrap(),
            token
        );
    }

    #[test]
    fn memory_and_context_outlive_a_start() {
        let dir = tempfile::tempdir().unwrap();
        let mut home = Home::open(dir.path()).unwrap();
        home.memory.ports.insert("edge-1.admin".to_owned(), 7809);
        home.remember().unwrap();
        let context = Context {
            address: "https://a".to_owned(),
            groups: vec!["admin".to_owned()],
            ..Context::default()
        };
        home.write_context(&context).unwrap();
        drop(home);
        let home = Home::open(dir.path()).unwrap();
        assert_eq!(home.memory.ports["edge-1.admin"], 7809);
        assert_eq!(home.last_context(), Some(context));
    }
}
