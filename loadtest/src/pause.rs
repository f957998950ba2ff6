//! Waiting, on threads that have nothing else to do: the bench is plain code, and its loads run on threads of their own.

use std::time::{Duration, Instant};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Waits so long.
#[expect(
    clippy::disallowed_methods,
    reason = "the caller's own thread, which has nothing else to do; no runtime runs on it"
)]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Looks until `probe` finds something, for `deadline` at the longest.
pub(crate) fn until<T>(deadline: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        pause(LOOK);
    }
}
