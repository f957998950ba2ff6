//! Waits for a condition, with a deadline. The one place of the tests that sleeps.

use std::time::{Duration, Instant};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks until `probe` has what is wanted; an `Err` says what is still missing.
///
/// # Panics
/// At the deadline, with what was awaited and the last reason.
pub fn until<T>(what: &str, deadline: Duration, mut probe: impl FnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        match probe() {
            Ok(found) => return found,
            Err(missing) if began.elapsed() >= deadline => {
                panic!("waited {deadline:?} in vain for {what}: {missing}")
            }
            Err(_) => pause(),
        }
    }
}

/// Looks until `condition` holds; tells whether it did in time.
pub fn within(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if began.elapsed() >= deadline {
            return false;
        }
        pause();
    }
}

/// Looks until `condition` holds.
///
/// # Panics
/// At the deadline, with what was awaited.
pub fn wait_for(what: &str, deadline: Duration, condition: impl FnMut() -> bool) {
    assert!(
        within(deadline, condition),
        "waited {deadline:?} in vain for {what}"
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are plain threads, and this is the pause between two looks"
)]
fn pause() {
    std::thread::sleep(PAUSE);
}
