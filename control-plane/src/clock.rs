//! The wall clock, in the forms that are stored and shown.

use std::time::Duration;

pub(crate) use runtime::clock::{now_unix_ms as now_ms, since_epoch};

/// RFC 3339, in UTC, to the millisecond.
pub(crate) fn now_text() -> String {
    let now = jiff::Timestamp::from_millisecond(now_ms()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{now:.3}")
}

/// A duration as signed milliseconds.
pub(crate) fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
