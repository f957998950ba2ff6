//! What a load has shown: which calls failed, and whether each of them had to.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use super::load::Outcome;
use super::{Call, Gap};

/// Failures shown in full.
const SHOWN_MAX: usize = 12;
/// That a process is gone is seen by whoever holds a connection to it a moment later than by us.
const SEEN_LATE: Duration = Duration::from_millis(100);
/// Whose call is lost must be told soon.
const TOLD: Duration = Duration::from_secs(2);

/// What was killed, as far as calls are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Victim {
    /// An edge: the calls on connections to it.
    Edge(usize),
    /// A sidecar of this server: some of the calls to that server.
    Sidecar(String),
    /// Something that no call passes through.
    Aside,
}

/// Something that was killed in mid-load.
#[derive(Debug, Clone)]
pub struct Kill {
    /// Its name.
    pub name: String,
    /// What it means for calls.
    pub victim: Victim,
    /// When.
    pub gap: Gap,
}

impl Kill {
    /// Whether a call may have been lost with it: it was under way in it.
    fn excuses(&self, call: &Call) -> bool {
        let theirs = match &self.victim {
            Victim::Edge(index) => call.edge == Some(*index),
            Victim::Sidecar(server) => call.server == *server,
            Victim::Aside => false,
        };
        theirs
            && call.began <= self.seen()
            && call.ended >= self.gap.there
            && call.ended <= self.seen() + TOLD
    }

    fn seen(&self) -> Instant {
        self.gap.gone + SEEN_LATE
    }
}

/// All calls of a load.
#[derive(Debug)]
pub struct Verdict {
    /// They, in the order of their beginning.
    pub calls: Vec<Call>,
}

impl Verdict {
    /// Of these calls.
    pub fn of(calls: Vec<Call>) -> Self {
        Self { calls }
    }

    /// Those that did not get what they should.
    pub fn failed(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(|call| !call.is_good())
    }

    /// Failed calls that none of these had under way.
    pub fn inexcusable(&self, kills: &[Kill]) -> Vec<&Call> {
        let excused = |call: &&Call| kills.iter().any(|kill| kill.excuses(call));
        self.failed().filter(|call| !excused(call)).collect()
    }

    /// How many calls each of these has cost.
    pub fn cost<'a>(&self, kills: &'a [Kill]) -> Vec<(&'a str, usize)> {
        let cost = |kill: &Kill| self.failed().filter(|call| kill.excuses(call)).count();
        kills
            .iter()
            .map(|kill| (kill.name.as_str(), cost(kill)))
            .collect()
    }

    /// Requires that no call failed but those that were under way in what was killed.
    ///
    /// # Panics
    /// With those that did.
    #[track_caller]
    pub fn only_lost_with(&self, kills: &[Kill]) {
        let bad = self.inexcusable(kills);
        assert!(bad.is_empty(), "{}", self.tell(&bad, kills));
    }

    /// Requires that no call failed.
    ///
    /// # Panics
    /// With those that did.
    #[track_caller]
    pub fn none_failed(&self) {
        self.only_lost_with(&[]);
    }

    /// The call that took longest, and how long.
    pub fn slowest(&self) -> Option<(&str, Duration)> {
        let times = self
            .calls
            .iter()
            .map(|call| (call.server.as_str(), call.took()));
        times.max_by_key(|(_, took)| *took)
    }

    fn tell(&self, bad: &[&Call], kills: &[Kill]) -> String {
        let start = self.calls.first().map_or_else(Instant::now, |c| c.began);
        let at = |when: Instant| (when - start).as_secs_f64();
        let mut text = format!("{} of {self}failed for no good reason\n", bad.len());
        for kill in kills {
            let (there, gone) = (at(kill.gap.there), at(kill.gap.gone));
            text += &format!("  {} killed from {there:.3} s to {gone:.3} s\n", kill.name);
        }
        for call in bad.iter().take(SHOWN_MAX) {
            let (began, ended) = (at(call.began), at(call.ended));
            text += &format!(
                "  {began:.3} s to {ended:.3} s, {} {:?} by edge {:?}, {}: {:?}\n",
                call.server, call.era, call.edge, call.id, call.outcome
            );
        }
        text
    }
}

/// One line with what matters, and one for each kind of failure.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut times: Vec<_> = self
            .calls
            .iter()
            .filter(|call| call.is_good())
            .map(Call::took)
            .collect();
        times.sort();
        let at = |share: f64| {
            let index = (times.len() as f64 * share) as usize;
            times.get(index.min(times.len().saturating_sub(1))).copied()
        };
        let ms = |time: Option<Duration>| time.unwrap_or_default().as_secs_f64() * 1e3;
        let (all, good) = (self.calls.len(), times.len());
        let (p50, p99, max) = (ms(at(0.5)), ms(at(0.99)), ms(at(1.0)));
        writeln!(
            f,
            "{all} calls, {good} answered; p50 {p50:.0} ms, p99 {p99:.0} ms, longest {max:.0} ms"
        )?;
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        for call in self.failed() {
            let kind = match &call.outcome {
                Outcome::Refused(code, reason, _) => format!("{code} {reason}"),
                Outcome::Broken(why) => format!("broken: {why}"),
                Outcome::Wrong(_) => "wrong answer".to_owned(),
                Outcome::Late => "late".to_owned(),
                Outcome::Answered => continue,
            };
            *kinds.entry(kind).or_default() += 1;
        }
        for (kind, count) in kinds {
            writeln!(f, "  {count} x {kind}")?;
        }
        Ok(())
    }
}
