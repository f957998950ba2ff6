//! How many files a process may have open: each connection is one, at an edge two for each stream.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Enough for all that is measured here.
const WANTED: u64 = 65_536;

/// Raises the limit of this process, and of those that it starts, as far as the system lets it.
pub(super) fn raise() {
    let limit = |current, maximum| Rlimit {
        current: Some(current),
        maximum: Some(maximum),
    };
    let allowed = getrlimit(Resource::Nofile).maximum.unwrap_or(WANTED);
    if allowed < WANTED && setrlimit(Resource::Nofile, limit(WANTED, WANTED)).is_ok() {
        return;
    }
    // What is refused leaves the limit as it was, which is then what is told.
    let _ = setrlimit(Resource::Nofile, limit(WANTED.min(allowed), allowed));
}

/// The limit as it is now.
pub(super) fn limit() -> usize {
    let current = getrlimit(Resource::Nofile).current.unwrap_or(WANTED);
    usize::try_from(current).unwrap_or(usize::MAX)
}
