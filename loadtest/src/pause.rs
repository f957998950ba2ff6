//! Waiting, on threads that have nothing else to do: the bench is plain code, and its loads run on threads of their own.

use std::time::Duration;

/// Waits so long.
#[expect(
    clippy::disallowed_methods,
    reason = "the caller's own thread, which has nothing else to do; no runtime runs on it"
)]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
