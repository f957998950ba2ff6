//! What came of a load.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::client::Connections;
use crate::failure::Failures;
use crate::latency::{Latency, shown};

/// What came of a load, or of a lap of one. Shown, it is a few lines for people; it can be written as JSON.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Over which time it was counted.
    #[serde(rename = "elapsed_s", serialize_with = "seconds")]
    pub elapsed: Duration,
    /// Calls begun since the start of the load, in whichever lap they ended.
    pub begun: u64,
    /// Good answers.
    pub answered: u64,
    /// Notifications that came before answers.
    pub notifications: u64,
    /// How long good answers took: in closed loop from the moment the call was made, in open loop from the moment it
    /// was due.
    pub latency: Latency,
    /// Open loop: how late calls were made, for whatever reason; the instrument's own part of the latency is in it.
    pub lag: Latency,
    /// Calls that failed.
    pub failures: Failures,
    /// What was to be done about connections, since the start of the load.
    pub connections: Connections,
}

impl Report {
    /// Good answers a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        if self.elapsed.is_zero() {
            return 0.0;
        }
        self.answered as f64 / self.elapsed.as_secs_f64()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (answered, failed) = (self.answered, self.failures.count());
        let (rate, elapsed) = (self.rate(), self.elapsed.as_secs_f64());
        writeln!(
            f,
            "{answered} answered, {failed} failed in {elapsed:.2} s: {rate:.0} calls/s"
        )?;
        let latency = |f: &mut fmt::Formatter<'_>, name: &str, latency: &Latency| {
            let at = |percent| shown(latency.at(percent));
            writeln!(
                f,
                "{name}  p50 {}  p90 {}  p99 {}  p99.9 {}  longest {}",
                at(50.0),
                at(90.0),
                at(99.0),
                at(99.9),
                shown(latency.max())
            )
        };
        latency(f, "latency    ", &self.latency)?;
        if self.lag.count() > 0 {
            latency(f, "begun late ", &self.lag)?;
        }
        let Connections {
            opened,
            refused,
            resent,
        } = self.connections;
        writeln!(
            f,
            "connections  {opened} made, {refused} refused, {resent} found closed"
        )?;
        write!(f, "{}", self.failures)
    }
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}
