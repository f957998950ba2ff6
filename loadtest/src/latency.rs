//! How long things took: an HDR histogram with names for what is asked of it.
//!
//! Knows durations only; what was timed, and from when, is its owner's.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// Below this all durations are told apart to the nanosecond, and count as at least one.
const SHORTEST_NS: u64 = 1;
/// Longer durations count as this one: well above any time-out of a call.
const LONGEST_NS: u64 = 600 * 1_000_000_000;
/// Decimal digits that are kept: a value is wrong by less than a thousandth of itself.
const DIGITS: u8 = 3;

/// Durations, each to three digits. Adding one costs the same whatever it holds.
#[derive(Clone)]
pub struct Latency(Histogram<u64>);

/// As what is asked of it, not as its thirty thousand counts.
impl fmt::Debug for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latency")
            .field("count", &self.count())
            .field("p50", &self.p50())
            .field("p99", &self.p99())
            .field("max", &self.max())
            .finish_non_exhaustive()
    }
}

impl Default for Latency {
    fn default() -> Self {
        let empty = Histogram::new_with_bounds(SHORTEST_NS, LONGEST_NS, DIGITS);
        Self(empty.expect("the bounds and digits are such that a histogram can have"))
    }
}

impl Latency {
    /// No duration yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one in. What is longer than ten minutes counts as ten minutes.
    pub fn record(&mut self, duration: Duration) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.0.saturating_record(ns.max(SHORTEST_NS));
    }

    /// Takes in all of another.
    pub fn add(&mut self, other: &Self) {
        self.0
            .add(&other.0)
            .expect("both have the same bounds, so that each value of one fits the other");
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.reset();
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The duration that `percent` of all do not exceed: `at(99.0)`. Zero where there is none.
    #[must_use]
    pub fn at(&self, percent: f64) -> Duration {
        if self.0.is_empty() {
            return Duration::ZERO;
        }
        Duration::from_nanos(self.0.value_at_percentile(percent))
    }

    /// The median.
    #[must_use]
    pub fn p50(&self) -> Duration {
        self.at(50.0)
    }

    /// What 99 of 100 do not exceed.
    #[must_use]
    pub fn p99(&self) -> Duration {
        self.at(99.0)
    }

    /// The longest. Zero where there is none.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.0.max())
    }

    /// The mean. Zero where there is none.
    #[must_use]
    pub fn mean(&self) -> Duration {
        Duration::from_secs_f64(self.0.mean() / 1e9)
    }
}

/// As what is asked of it, in microseconds.
impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let us = |duration: Duration| duration.as_nanos() as f64 / 1e3;
        let mut out = serializer.serialize_struct("Latency", 7)?;
        out.serialize_field("count", &self.count())?;
        out.serialize_field("mean_us", &us(self.mean()))?;
        out.serialize_field("p50_us", &us(self.p50()))?;
        out.serialize_field("p90_us", &us(self.at(90.0)))?;
        out.serialize_field("p99_us", &us(self.p99()))?;
        out.serialize_field("p999_us", &us(self.at(99.9)))?;
        out.serialize_field("max_us", &us(self.max()))?;
        out.end()
    }
}

/// A duration for people: three digits and a unit.
#[must_use]
pub fn shown(duration: Duration) -> String {
    let us = duration.as_nanos() as f64 / 1e3;
    let (value, unit) = match us {
        us if us < 1e3 => (us, "us"),
        us if us < 1e6 => (us / 1e3, "ms"),
        us => (us / 1e6, "s"),
    };
    let digits = match value {
        value if value < 10.0 => 2,
        value if value < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn of(millis: impl IntoIterator<Item = u64>) -> Latency {
        let mut latency = Latency::new();
        for each in millis {
            latency.record(Duration::from_millis(each));
        }
        latency
    }

    /// Equal to three digits.
    fn near(one: Duration, other: Duration) -> bool {
        let (one, other) = (one.as_secs_f64(), other.as_secs_f64());
        (one - other).abs() <= other * 0.001
    }

    #[test]
    fn nothing_is_no_time() {
        let none = Latency::new();
        assert_eq!((none.count(), none.p99()), (0, Duration::ZERO));
        assert_eq!((none.mean(), none.max()), (Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn percentiles_are_right_to_three_digits() {
        let latency = of(1..=1000);
        for (percent, millis) in [(50.0, 500), (90.0, 900), (99.0, 990), (99.95, 1000)] {
            let expected = Duration::from_millis(millis);
            assert!(
                near(latency.at(percent), expected),
                "{percent}: {latency:?}"
            );
        }
        assert!(near(latency.mean(), Duration::from_micros(500_500)));
        assert!(near(latency.max(), Duration::from_secs(1)));
    }

    #[test]
    fn short_times_are_told_apart() {
        let mut latency = Latency::new();
        latency.record(Duration::from_nanos(61_000));
        latency.record(Duration::from_nanos(61_200));
        assert!(latency.p50() < latency.max());
    }

    #[test]
    fn one_slow_of_fifty_shows_in_p99_and_not_in_p50() {
        let latency = of(std::iter::repeat_n(1, 98).chain([200, 200]));
        assert!(near(latency.p50(), Duration::from_millis(1)));
        assert!(near(latency.p99(), Duration::from_millis(200)));
    }

    #[test]
    fn two_together_are_as_one() {
        let mut both = of(1..=500);
        both.add(&of(501..=1000));
        let one = of(1..=1000);
        assert_eq!((both.count(), both.p99()), (one.count(), one.p99()));
        both.clear();
        assert_eq!(both.count(), 0);
    }

    #[test]
    fn what_is_beyond_the_bounds_counts_as_the_bound() {
        let mut latency = Latency::new();
        latency.record(Duration::ZERO);
        latency.record(Duration::from_secs(1_000_000));
        assert_eq!(latency.count(), 2);
        assert!(near(latency.max(), Duration::from_secs(600)));
    }

    #[test]
    fn the_written_form_is_in_microseconds() {
        let json = serde_json::to_value(of([2])).unwrap();
        assert_eq!(json["count"], 1);
        assert!((json["p50_us"].as_f64().unwrap() - 2000.0).abs() < 2.0);
    }

    #[test]
    fn durations_are_shown_with_three_digits() {
        let cases = [
            (61_234, "61.2 us"),
            (999_000, "999 us"),
            (4_560_000, "4.56 ms"),
            (12_000_000_000, "12.0 s"),
        ];
        for (ns, text) in cases {
            assert_eq!(shown(Duration::from_nanos(ns)), text);
        }
    }
}
