//! Calls that failed: of which kind, how many, when, and a few of them in full.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

/// Failures that are kept in full, the first ones; all are counted.
pub const SAMPLES_MAX: usize = 20;
/// Kinds that are told apart; further ones, which only a wild server could think of, count as wrong answers.
const KINDS_MAX: usize = 64;
/// Longest detail of a sample, characters.
const DETAIL_CHARS_MAX: usize = 300;

/// How a call failed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// No URL of the target took a connection: nothing was sent.
    Connect,
    /// The connection broke when the call may have been received.
    Broken,
    /// An HTTP status that is no success, without a JSON-RPC error.
    Status(u16),
    /// A JSON-RPC error.
    Rpc {
        /// `error.code`.
        code: i64,
        /// `error.data.reason`, where there is one.
        reason: Option<String>,
    },
    /// Something came back that is not the answer to what was asked.
    Wrong,
    /// No answer in time.
    Timeout,
    /// Open loop: its time came, and all calls that may be under way at once were.
    Unsent,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("no connection"),
            Self::Broken => f.write_str("broken connection"),
            Self::Status(status) => write!(f, "HTTP {status}"),
            Self::Rpc { code, reason: None } => write!(f, "JSON-RPC {code}"),
            Self::Rpc {
                code,
                reason: Some(reason),
            } => write!(f, "JSON-RPC {code} {reason}"),
            Self::Wrong => f.write_str("wrong answer"),
            Self::Timeout => f.write_str("timeout"),
            Self::Unsent => f.write_str("unsent"),
        }
    }
}

/// As people read it.
impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why one call failed; when, is added where it is counted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {detail}")]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) detail: String,
    /// The status of the response that told it, if one did.
    pub(crate) status: Option<u16>,
}

impl Fault {
    pub(crate) fn new(kind: Kind, detail: impl fmt::Display) -> Self {
        let detail = detail.to_string().chars().take(DETAIL_CHARS_MAX).collect();
        Self {
            kind,
            detail,
            status: None,
        }
    }

    pub(crate) fn with_status(self, status: u16) -> Self {
        Self {
            status: Some(status),
            ..self
        }
    }

    pub(crate) fn wrong(detail: impl fmt::Display) -> Self {
        Self::new(Kind::Wrong, detail)
    }
}

/// One failed call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// How it failed.
    pub kind: Kind,
    /// What is known about it.
    pub detail: String,
    /// When it failed, since the load began.
    #[serde(rename = "after_ms", serialize_with = "millis")]
    pub after: Duration,
    /// When it failed, by the clock on the wall.
    #[serde(rename = "at_unix_ms", serialize_with = "unix_millis")]
    pub at: SystemTime,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after = self.after.as_secs_f64();
        write!(f, "after {after:.3} s: {}: {}", self.kind, self.detail)
    }
}

/// All failures of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Count {
    /// How many.
    pub count: u64,
    /// When the first one failed, since the load began.
    #[serde(rename = "first_ms", serialize_with = "millis")]
    pub first: Duration,
    /// When the last one failed, since the load began.
    #[serde(rename = "last_ms", serialize_with = "millis")]
    pub last: Duration,
}

/// All failures of a load. Its size is bounded, whatever happens.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Failures {
    /// By kind.
    #[serde(serialize_with = "kinds")]
    pub by_kind: BTreeMap<Kind, Count>,
    /// The first [`SAMPLES_MAX`] in full, in the order of their time.
    pub samples: Vec<Failure>,
}

impl Failures {
    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.by_kind.values().map(|each| each.count).sum()
    }

    /// How many of one kind.
    #[must_use]
    pub fn of(&self, kind: &Kind) -> u64 {
        self.by_kind.get(kind).map_or(0, |each| each.count)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_kind.is_empty()
    }

    pub(crate) fn add(&mut self, failure: Failure) {
        let kind = self.known(failure.kind.clone());
        self.count_in(kind, Count::once(failure.after));
        self.sample(failure);
    }

    /// Many of one kind at once, with one sample.
    pub(crate) fn add_many(&mut self, count: u64, failure: Failure) {
        let kind = self.known(failure.kind.clone());
        let once = Count::once(failure.after);
        self.count_in(kind, Count { count, ..once });
        self.sample(failure);
    }

    /// Takes in all of another, of the same load.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (kind, count) in &other.by_kind {
            let kind = self.known(kind.clone());
            self.count_in(kind, *count);
        }
        self.samples.extend(other.samples.iter().cloned());
        self.samples.sort_by_key(|sample| sample.after);
        self.samples.truncate(SAMPLES_MAX);
    }

    fn known(&self, kind: Kind) -> Kind {
        if self.by_kind.len() < KINDS_MAX || self.by_kind.contains_key(&kind) {
            kind
        } else {
            Kind::Wrong
        }
    }

    fn count_in(&mut self, kind: Kind, more: Count) {
        self.by_kind
            .entry(kind)
            .and_modify(|known| {
                known.count += more.count;
                known.first = known.first.min(more.first);
                known.last = known.last.max(more.last);
            })
            .or_insert(more);
    }

    fn sample(&mut self, failure: Failure) {
        if self.samples.len() < SAMPLES_MAX {
            self.samples.push(failure);
        }
    }
}

impl Count {
    fn once(after: Duration) -> Self {
        Self {
            count: 1,
            first: after,
            last: after,
        }
    }
}

/// One line a kind, then the samples; nothing where nothing failed.
impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, each) in &self.by_kind {
            let (first, last) = (each.first.as_secs_f64(), each.last.as_secs_f64());
            let count = each.count;
            writeln!(f, "{count} x {kind}, from {first:.3} s to {last:.3} s")?;
        }
        for sample in &self.samples {
            writeln!(f, "  {sample}")?;
        }
        Ok(())
    }
}

fn millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64() * 1e3)
}

fn unix_millis<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    serializer.serialize_u64(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A map's keys are texts in JSON.
fn kinds<S: Serializer>(by_kind: &BTreeMap<Kind, Count>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(by_kind.iter().map(|(kind, each)| (kind.to_string(), each)))
}

#[cfg(test)]
mod tests;
