//! Several candidates in one interleaved run: `ABC BCA CAB`, in short slices, so that a machine that grows slower hits
//! all of them alike; what is told of each is the median of its rounds.
//!
//! ```text
//! Plan -> run -> slice: Load, processor time around it -> figures: medians -> table, JSON
//! ```
//! Start from [`run`]. Must not know what the candidates are.

mod figures;
mod slice;
pub(crate) mod table;

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::load::Pace;
use crate::process::Watched;
use crate::scenario::Scenario;
use crate::target::Target;
pub use figures::{Figures, Spread};
pub use slice::Slice;
pub use table::tables;

/// Most rounds.
pub const ROUNDS_MAX: usize = 1000;

/// Whose part in a call a process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Stands between client and server: what a gateway costs.
    Between,
    /// The server that answers.
    Server,
}

/// What is compared.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// Where it is called.
    pub target: Target,
    /// The processes whose work it is.
    pub processes: Vec<(Role, Watched)>,
}

/// How candidates are compared.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What each call is.
    pub scenario: Scenario,
    /// Each candidate is put under each of these loads in each round.
    pub paces: Vec<Pace>,
    /// How many rounds, if the time allows.
    pub rounds: usize,
    /// How long a load runs before it is measured.
    pub warm_up: Duration,
    /// How long it is measured.
    pub slice: Duration,
    /// How long to wait after each slice for what a candidate still has to do.
    pub settle_max: Duration,
    /// Time for everything: a round that would not end in it is not begun, unless it is the first.
    pub budget: Duration,
    /// Threads of the load generator.
    pub threads: usize,
}

/// A cell of the comparison: one candidate under one load.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The candidate.
    pub candidate: String,
    /// The load.
    pub pace: Pace,
    /// Medians over all rounds.
    pub figures: Figures,
    /// Each round by itself.
    pub slices: Vec<Slice>,
}

/// Compares, and answers with a row for each candidate under each load, in the order of the plan. `progress` is told
/// of each round.
#[must_use]
pub fn run(candidates: &[Candidate], plan: &Plan, mut progress: impl FnMut(&str)) -> Vec<Row> {
    let cells: Vec<_> = plan
        .paces
        .iter()
        .flat_map(|pace| (0..candidates.len()).map(|candidate| (*pace, candidate)))
        .collect();
    let mut slices: Vec<Vec<Slice>> = vec![Vec::new(); cells.len()];
    let start = Instant::now();
    for round in 0..plan.rounds.min(ROUNDS_MAX) {
        let elapsed = start.elapsed();
        let each = elapsed.checked_div(u32::try_from(round).unwrap_or(u32::MAX));
        if each.is_some_and(|each| elapsed + each > plan.budget) {
            progress(&format!("the time is over after {round} rounds"));
            break;
        }
        for nth in order(plan.paces.len(), candidates.len(), round) {
            let (pace, candidate) = cells[nth];
            slices[nth].push(slice::measure(&candidates[candidate], pace, plan));
        }
        let (round, rounds, elapsed) = (round + 1, plan.rounds, start.elapsed().as_secs());
        progress(&format!(
            "round {round} of {rounds} is over after {elapsed} s"
        ));
    }
    let rows = cells.into_iter().zip(slices);
    rows.map(|((pace, candidate), slices)| Row {
        candidate: candidates[candidate].name.clone(),
        pace,
        figures: Figures::of(&slices),
        slices,
    })
    .collect()
}

/// The order of one round: load by load, and within each all candidates, another one first in each round.
fn order(paces: usize, candidates: usize, round: usize) -> impl Iterator<Item = usize> {
    (0..paces).flat_map(move |pace| {
        (0..candidates).map(move |nth| pace * candidates + (nth + round) % candidates)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_interleave_and_turn() {
        let order = |round| order(2, 3, round).collect::<Vec<_>>();
        assert_eq!(order(0), [0, 1, 2, 3, 4, 5]);
        assert_eq!(order(1), [1, 2, 0, 4, 5, 3]);
        assert_eq!(order(5), [2, 0, 1, 5, 3, 4]);
    }

    #[test]
    fn a_comparison_of_nothing_is_empty() {
        let plan = Plan {
            scenario: Scenario::echo(1),
            paces: vec![Pace::Clients(1)],
            rounds: 3,
            warm_up: Duration::ZERO,
            slice: Duration::ZERO,
            settle_max: Duration::ZERO,
            budget: Duration::ZERO,
            threads: 1,
        };
        assert!(run(&[], &plan, |_| {}).is_empty());
    }
}
