//! Why a change was not made, and what is wrong with what was sent.

use model::snapshot::ResourceKey;

use super::WentBack;
use crate::store;
use crate::store::seal;

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// What was sent is wrong; nothing was changed.
    #[error("{}", summary(.0))]
    Refused(Vec<Fault>),
    /// The head is not the one that the caller built on.
    #[error("the head is revision {head}, not {expected}: read again and decide again")]
    Conflict {
        /// What the caller expected.
        expected: u64,
        /// What is.
        head: u64,
    },
    /// There is nothing of that name.
    #[error("no {} named {}", .0.kind, .0.name)]
    NotFound(ResourceKey),
    /// The store was restored from a backup, and nobody has agreed to that yet.
    #[error(
        "the store went back: it holds revision {}, but revision {} was run; nothing is changed until an operator \
         agrees: gatehouse store accept --revision {}", .0.holds, .0.ran, .0.holds
    )]
    WentBack(WentBack),
    /// The store went not back, so that there is nothing to agree to; or it holds another revision by now.
    #[error("there is nothing to agree to: {0}")]
    NothingToAccept(String),
    /// A revision that history does not hold.
    #[error("history does not hold revision {revision}: it goes from {oldest} to {head}")]
    NotKept {
        /// What was asked for.
        revision: u64,
        /// The oldest that it holds.
        oldest: u64,
        /// The newest.
        head: u64,
    },
    /// A change is staged, and there is room for one.
    #[error(
        "revision {0} is being rolled out, and one change is staged at a time: let it come to all nodes (gatehouse \
         rollout promote), or take it back (gatehouse rollout halt)"
    )]
    Staged(u64),
    /// No change is staged, or it is not the one that was meant.
    #[error("{0}")]
    NotStaged(String),
    /// Other replicas were faster, again and again.
    #[error("too many changes at the same time: try again")]
    Busy,
    /// The store holds what only a newer version can read.
    #[error(
        "{0} was written by a newer version of the control plane; this one only serves what is there"
    )]
    TooOld(ResourceKey),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A secret could not be sealed or opened.
    #[error(transparent)]
    Seal(#[from] seal::Error),
}

impl Error {
    /// Whether the same change may be made by another try, with nothing done by anybody.
    pub(crate) fn may_be_retried(&self) -> bool {
        match self {
            Self::Busy => true,
            Self::Store(error) => error.may_be_retried(),
            _ => false,
        }
    }
}

/// One thing wrong with what was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Which of the things sent. `None`: something that is in the catalog already.
    pub index: Option<usize>,
    /// Whose fault it is, where it has a name.
    pub resource: Option<ResourceKey>,
    /// Field path within the resource, as users write it.
    pub path: String,
    /// GH code.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What mends it, where that is known.
    pub fix: Option<String>,
}

fn summary(faults: &[Fault]) -> String {
    match faults {
        [] => "refused".to_owned(),
        [one] => one.message.clone(),
        [first, rest @ ..] => format!("{} (and {} more)", first.message, rest.len()),
    }
}
