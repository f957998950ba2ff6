//! The wall clock, as numbers. A clock before 1970 reads as its beginning. Durations are measured with
//! `Instant`, never with this.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Since the beginning of 1970.
pub fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Unix seconds.
pub fn now_unix_s() -> i64 {
    i64::try_from(since_epoch().as_secs()).unwrap_or(i64::MAX)
}

/// Unix milliseconds.
pub fn now_unix_ms() -> i64 {
    i64::try_from(since_epoch().as_millis()).unwrap_or(i64::MAX)
}

/// Unix nanoseconds.
pub fn now_unix_ns() -> i64 {
    i64::try_from(since_epoch().as_nanos()).unwrap_or(i64::MAX)
}
