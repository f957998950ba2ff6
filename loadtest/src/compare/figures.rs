//! Medians of what the rounds have shown. Pure.

use std::time::Duration;

use serde::Serialize;

use super::Role;
use super::slice::{Cost, Slice};

/// A median, and how far the rounds lay apart.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
}

/// What all rounds of one candidate under one load have shown. Medians, each by itself.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Figures {
    /// Rounds that could be measured.
    pub rounds: usize,
    /// Good answers a second.
    pub calls_per_s: Spread,
    /// Latency that half of the calls do not exceed, us.
    pub p50_us: Spread,
    /// Latency that 99 of 100 calls do not exceed, us.
    pub p99_us: Spread,
    /// Good answers of all rounds.
    pub answered: u64,
    /// Failures of all rounds.
    pub failed: u64,
    /// Each process.
    pub costs: Vec<Cost>,
    /// Processor time for each call of all that stands between client and server, us.
    pub between_us: Spread,
    /// … of the servers, us.
    pub server_us: Spread,
    /// … of the load generator, us.
    pub generator_us: Spread,
    /// … that the kernel charged to no process, us.
    pub interrupts_us: Spread,
    /// How much of its threads' time the generator worked.
    pub generator_busy: Spread,
    /// How much of all processor time was somebody else's meanwhile.
    pub others_busy: Spread,
    /// Rounds at whose end the candidate still worked, so that some of its cost is missing.
    pub unsettled: usize,
    /// Why a round could not be measured: the first fault.
    pub fault: Option<String>,
}

impl Figures {
    /// What these rounds have shown together.
    pub(super) fn of(slices: &[Slice]) -> Self {
        let good: Vec<_> = slices
            .iter()
            .filter(|slice| slice.fault.is_none())
            .collect();
        let spread = |figure: &dyn Fn(&Slice) -> Option<f64>| {
            Spread::of(good.iter().filter_map(|slice| figure(slice)).collect())
        };
        let us = |duration: Duration| Some(duration.as_nanos() as f64 / 1e3);
        Self {
            rounds: good.len(),
            calls_per_s: spread(&|slice| Some(slice.calls_per_s)),
            p50_us: spread(&|slice| us(slice.latency.p50())),
            p99_us: spread(&|slice| us(slice.latency.p99())),
            answered: good.iter().map(|slice| slice.answered).sum(),
            failed: good.iter().map(|slice| slice.failed).sum(),
            costs: costs(&good),
            between_us: spread(&|slice| sum(slice, Role::Between)),
            server_us: spread(&|slice| sum(slice, Role::Server)),
            generator_us: spread(&|slice| slice.generator_us),
            interrupts_us: spread(&|slice| slice.interrupts_us),
            generator_busy: spread(&|slice| slice.generator_busy),
            others_busy: spread(&|slice| slice.others_busy),
            unsettled: good.iter().filter(|slice| !slice.at_rest).count(),
            fault: slices.iter().find_map(|slice| slice.fault.clone()),
        }
    }
}

impl Spread {
    /// Of these values; all zero of none.
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let (Some(min), Some(max)) = (values.first(), values.last()) else {
            return Self::default();
        };
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Self {
            median,
            min: *min,
            max: *max,
        }
    }
}

/// Each process by its name, in the order of the first round.
fn costs(slices: &[&Slice]) -> Vec<Cost> {
    let Some(first) = slices.iter().find(|slice| !slice.costs.is_empty()) else {
        return Vec::new();
    };
    let of = |name: &str, figure: &dyn Fn(&Cost) -> f64| {
        let all = slices.iter().flat_map(|slice| &slice.costs);
        let named = all.filter(|cost| cost.name == name).map(figure);
        Spread::of(named.collect()).median
    };
    let median = |cost: &Cost| {
        let mut cost = cost.clone();
        cost.cpu_us = of(&cost.name, &|cost| cost.cpu_us);
        cost.memory.rss_bytes = of(&cost.name, &|cost| cost.memory.rss_bytes as f64) as u64;
        let peak = of(&cost.name, &|cost| cost.memory.rss_peak_bytes as f64);
        cost.memory.rss_peak_bytes = peak as u64;
        cost
    };
    first.costs.iter().map(median).collect()
}

/// Of all processes that have this part; `None` where there is none, or no call was made.
fn sum(slice: &Slice, role: Role) -> Option<f64> {
    let with = slice.costs.iter().filter(|cost| cost.role == role);
    with.map(|cost| cost.cpu_us).reduce(|sum, more| sum + more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Usage;

    fn slice(calls_per_s: f64, edge_us: f64) -> Slice {
        let cost = |name: &str, role, cpu_us| Cost {
            name: name.to_owned(),
            role,
            cpu_us,
            memory: Usage::default(),
        };
        Slice {
            calls_per_s,
            answered: 10,
            at_rest: true,
            costs: vec![
                cost("edge", Role::Between, edge_us),
                cost("sidecar", Role::Between, 2.0 * edge_us),
                cost("server", Role::Server, 5.0),
            ],
            ..Slice::default()
        }
    }

    fn fault(why: &str) -> Slice {
        Slice {
            fault: Some(why.to_owned()),
            ..Slice::default()
        }
    }

    #[test]
    fn a_median_is_the_middle_and_one_wild_round_does_not_move_it() {
        let of = |values: &[f64]| Spread::of(values.to_vec());
        assert_eq!(of(&[3.0, 1.0, 1000.0]).median, 3.0);
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]).median, 2.5);
        let spread = of(&[3.0, 1.0, 1000.0]);
        assert_eq!((spread.min, spread.max), (1.0, 1000.0));
        assert_eq!(of(&[]), Spread::default());
    }

    #[test]
    fn processes_are_summed_by_their_part() {
        let slices = [slice(100.0, 10.0), slice(300.0, 30.0), slice(200.0, 20.0)];
        let figures = Figures::of(&slices);
        assert_eq!((figures.rounds, figures.answered), (3, 30));
        assert_eq!(figures.calls_per_s.median, 200.0);
        assert_eq!(figures.between_us.median, 60.0);
        assert_eq!(figures.server_us.median, 5.0);
        let edge = &figures.costs[0];
        assert_eq!((edge.name.as_str(), edge.cpu_us), ("edge", 20.0));
    }

    #[test]
    fn a_round_that_failed_is_told_and_counts_for_nothing() {
        let figures = Figures::of(&[fault("edge is gone"), slice(100.0, 10.0), fault("again")]);
        assert_eq!((figures.rounds, figures.calls_per_s.median), (1, 100.0));
        assert_eq!(figures.fault.as_deref(), Some("edge is gone"));
        assert_eq!(Figures::of(&[]).rounds, 0);
    }
}
