//! Whether the store goes on from what was run, or went back.
//!
//! A store that was restored from a backup holds an older state, under a number that other content had before. Nodes
//! keep what they run, as they refuse a lower revision; and here nothing is changed or published on top of it until
//! an operator agrees. That it went back is noticed by what this replica has in memory, by what it remembers on disk
//! of the highest revision that it ran, and by nodes that say they run a higher one.
//!
//! Knows revisions and change ids; not what they hold.

use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{Error, State, load};
use crate::store::{self, Head, Store};

/// The file in the data folder that remembers the highest revision.
const FILE: &str = "highest-revision.json";
/// How far above the head a node's word counts. Beyond, it is the node that is wrong, and not the store.
const HEARSAY_MAX: u64 = 1_000_000;

/// A store that went back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WentBack {
    /// The highest revision that is known to have been run.
    pub ran: u64,
    /// The revision that the store holds.
    pub holds: u64,
}

/// How the store stands to what was run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It goes on from there.
    Firm,
    /// It does not.
    WentBack(WentBack),
}

/// Keeps the standing.
#[derive(Debug)]
pub(super) struct Keeper {
    file: PathBuf,
    /// Locked for a look or a change; never over an await.
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    standing: Standing,
    /// Whether this replica began on a store that had gone back, so that what it has in memory is not what was run.
    began_so: bool,
}

/// As it lies in [`FILE`].
#[derive(Debug, Serialize, Deserialize)]
struct Memory {
    revision: u64,
    change: String,
}

impl Keeper {
    /// Compares what the store holds with what is remembered in `data_dir`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(super) async fn open(
        data_dir: &Path,
        store: &dyn Store,
        loaded: &State,
    ) -> Result<Self, Error> {
        let file = data_dir.join(FILE);
        let mut now = Now {
            standing: Standing::Firm,
            began_so: false,
        };
        if let Some(Memory { revision, change }) = read(&file)
            && !load::is_in_history(store, loaded.head(), revision, &change).await?
        {
            let (ran, holds) = (revision, loaded.revision());
            tracing::error!(
                ran,
                holds,
                "the store went back: nothing is published or changed"
            );
            now = Now {
                standing: Standing::WentBack(WentBack { ran, holds }),
                began_so: true,
            };
        }
        Ok(Self {
            file,
            now: Mutex::new(now),
        })
    }

    pub(super) fn now(&self) -> Standing {
        self.now.lock().standing
    }

    pub(super) fn may_be_published(&self) -> bool {
        let now = self.now.lock();
        now.standing == Standing::Firm || !now.began_so
    }

    /// The store holds what was in memory, or what came after it. Where it was thought to have gone back, it is as
    /// high again as what was run: it was put right.
    pub(super) fn holds(&self, revision: u64) {
        let mut now = self.now.lock();
        let Standing::WentBack(back) = now.standing else {
            return;
        };
        now.standing = if revision >= back.ran {
            tracing::info!(revision, "the store goes on from what was run");
            now.began_so = false;
            Standing::Firm
        } else {
            Standing::WentBack(WentBack {
                holds: revision,
                ..back
            })
        };
    }

    /// The store holds another history than what is in memory.
    pub(super) fn went_back(&self, ran: u64, holds: u64) {
        let mut now = self.now.lock();
        let ran = match now.standing {
            Standing::WentBack(back) => back.ran.max(ran),
            Standing::Firm => {
                tracing::error!(ran, holds, "the store went back: nodes keep what they run");
                ran
            }
        };
        now.standing = Standing::WentBack(WentBack { ran, holds });
    }

    /// A node runs `revision`, and the store's head is `head`.
    pub(super) fn heard_of(&self, revision: u64, head: u64) {
        if revision <= head {
            return;
        }
        if revision > head + HEARSAY_MAX {
            tracing::error!(
                revision,
                head,
                "a node says that it runs a revision that cannot be"
            );
            return;
        }
        let mut now = self.now.lock();
        match &mut now.standing {
            Standing::WentBack(back) => back.ran = back.ran.max(revision),
            Standing::Firm => {
                tracing::error!(
                    ran = revision,
                    holds = head,
                    "a node runs more than the store holds: it went back"
                );
                *now = Now {
                    standing: Standing::WentBack(WentBack {
                        ran: revision,
                        holds: head,
                    }),
                    began_so: true,
                };
            }
        }
    }

    /// Remembers a state that is run from now on.
    pub(super) async fn remember(&self, state: &State) {
        let Some(Head {
            revision, change, ..
        }) = state.head().cloned()
        else {
            return;
        };
        let file = self.file.clone();
        let memory = serde_json::to_vec(&Memory { revision, change });
        let written = tokio::task::spawn_blocking(move || {
            let memory = memory.map_err(std::io::Error::other)?;
            runtime::disk::replace(&file, &memory, runtime::disk::PRIVATE)
        });
        // Without it, only a store that goes back while this process is down may go unnoticed; nodes still notice.
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the highest revision is not remembered"),
            Err(error) => tracing::error!(%error, "the highest revision is not remembered"),
        }
    }
}

/// A store that is empty, where something was run from it, is not begun anew: with it the authority that nodes trust
/// would be lost.
///
/// # Errors
/// [`store::Error::Emptied`], and what the store may say.
pub(crate) async fn must_not_be_empty(
    store: &dyn Store,
    data_dir: &Path,
) -> Result<(), store::Error> {
    let file = data_dir.join(FILE);
    match read(&file) {
        Some(memory) if store.head().await?.is_none() => Err(store::Error::Emptied {
            ran: memory.revision,
            file: file.display().to_string(),
        }),
        _ => Ok(()),
    }
}

/// What cannot be read is taken for nothing, with a word: nodes know better.
fn read(file: &Path) -> Option<Memory> {
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::error!(file = %file.display(), %error, "the highest revision cannot be read");
            return None;
        }
    };
    match serde_json::from_slice(&bytes) {
        Ok(memory) => Some(memory),
        Err(error) => {
            tracing::error!(file = %file.display(), %error, "the highest revision cannot be read");
            None
        }
    }
}
