//! What is known of one call when it is through.

use std::time::{Duration, Instant};

/// Of which era its client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// A request that stands for itself.
    Modern,
    /// In a session that was there before.
    Legacy,
    /// In a session that was begun for it.
    LegacyNew,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The answer that it should get.
    Answered,
    /// A JSON-RPC error: its code, reason and message.
    Refused(i64, String, String),
    /// A reply that is neither.
    Wrong(String),
    /// No whole reply.
    Broken(String),
    /// None in time.
    Late,
}

/// A call that is through.
#[derive(Debug, Clone)]
pub struct Call {
    /// The id of its request, which `audit list` shows.
    pub id: String,
    /// Whom it was for.
    pub server: String,
    /// Of which era its client is.
    pub era: Era,
    /// When it was begun.
    pub began: Instant,
    /// When it was through.
    pub ended: Instant,
    /// The edge that its connection led to, where that is known.
    pub edge: Option<usize>,
    /// What became of it.
    pub outcome: Outcome,
}

impl Call {
    /// One that was through at once.
    pub(super) fn at_once(server: String, outcome: Outcome) -> Self {
        let now = Instant::now();
        Self {
            id: String::new(),
            server,
            era: Era::Modern,
            began: now,
            ended: now,
            edge: None,
            outcome,
        }
    }

    /// Whether it got what it should.
    pub fn is_good(&self) -> bool {
        self.outcome == Outcome::Answered
    }

    /// Whether a reply came, of whatever kind: then it must be on record.
    pub fn was_replied_to(&self) -> bool {
        matches!(self.outcome, Outcome::Answered | Outcome::Refused(..))
    }

    /// How long it took.
    pub fn took(&self) -> Duration {
        self.ended - self.began
    }

    /// Whether it was under way at any time between these.
    pub fn overlaps(&self, from: Instant, to: Instant) -> bool {
        self.began <= to && self.ended >= from
    }
}
