//! How many files a process may have open: each connection is one, at an edge two for each stream.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Enough for all that is measured here.
const WANTED: u64 = 65_536;

/// Raises the limit of this process, and of those that it starts, as far as the system lets it.
pub(super) fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= WANTED) {
        return;
    }
    let set = |current, maximum| {
        let current = Some(current);
        setrlimit(Resource::Nofile, Rlimit { current, maximum })
    };
    match maximum {
        // What is refused leaves the limit as it was, which is then what is told.
        Some(most) if most < WANTED => {
            let _ = set(WANTED, Some(WANTED)).or_else(|_| set(most, maximum));
        }
        _ => {
            let _ = set(WANTED, maximum);
        }
    }
}

/// The limit as it is now.
pub(super) fn limit() -> usize {
    let current = getrlimit(Resource::Nofile).current.unwrap_or(WANTED);
    usize::try_from(current).unwrap_or(usize::MAX)
}
