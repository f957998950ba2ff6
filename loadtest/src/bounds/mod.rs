//! What was promised of speed and memory, and what is measured of it.
//!
//! ```text
//! federated  a list of many servers, against the list of one            compare, p50
//! bridged    a call to a server of the other era, against the same era  compare, processor time
//! sessions   many legacy sessions, each with its stream                 held clients, memory before and after
//! parked     many calls that wait for their client                      held clients, memory before and after
//! ```
//! Each part starts `gatehouse up` in a folder of its own, one after the other. A part more is a line in `PARTS` and a
//! file. It knows Gatehouse as a program with commands, as [`mod@crate::bench`] does. Start from [`run`].

mod bridged;
mod federated;
mod files;
mod held;
mod memory;
mod parked;
mod sessions;
mod system;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::bench::Machine;
use crate::bench::place::Place;
use crate::compare::{Plan, table};
use crate::load::Pace;
use crate::scenario::Scenario;

/// What to measure, and with what.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Names of parts; none: all.
    pub only: Vec<String>,
    /// Members of the virtual server.
    pub members: usize,
    /// Sessions that are held open.
    pub sessions: usize,
    /// Calls that are left waiting.
    pub parked: usize,
    /// Whose sessions and calls those are.
    pub users: usize,
    /// Rounds of what is compared.
    pub rounds: usize,
    /// How long each slice of a round is measured.
    pub slice: Duration,
    /// The binary of Gatehouse.
    pub gatehouse: PathBuf,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// On what.
    pub machine: Machine,
    /// How long all of it took, seconds.
    pub elapsed_s: f64,
    /// What was measured.
    pub figures: Vec<Figure>,
    /// Parts that could not be measured.
    pub missing: Vec<Missing>,
}

/// One promise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// Of what.
    pub what: String,
    /// At most so much.
    pub promised: f64,
    /// So much it is.
    pub measured: f64,
    /// Of both.
    pub unit: &'static str,
    /// What it is made of.
    pub detail: String,
}

/// A part that was not measured.
#[derive(Debug, Clone, Serialize)]
pub struct Missing {
    /// Which.
    pub name: &'static str,
    /// Why.
    pub error: String,
}

type Part = fn(&Settings, &mut Place) -> anyhow::Result<Vec<Figure>>;

/// All parts, in the order of the table.
const PARTS: [(&str, Part); 4] = [
    ("federated", federated::measure),
    ("bridged", bridged::measure),
    ("sessions", sessions::measure),
    ("parked", parked::measure),
];

/// The names of all parts.
pub fn names() -> impl Iterator<Item = &'static str> {
    PARTS.iter().map(|(name, _)| *name)
}

/// Measures. `progress` is told what is done meanwhile.
///
/// # Errors
/// There is no folder to be had; what keeps a single part from being measured is part of the outcome.
pub fn run(settings: &Settings, mut progress: impl FnMut(&str)) -> anyhow::Result<Outcome> {
    let start = Instant::now();
    let machine = Machine::look();
    // All processes to come inherit it.
    files::raise();
    let (mut figures, mut missing) = (Vec::new(), Vec::new());
    let wanted = |name: &str| settings.only.is_empty() || settings.only.iter().any(|n| n == name);
    for (name, measure) in PARTS.into_iter().filter(|(name, _)| wanted(name)) {
        progress(&format!("measuring {name}"));
        let mut place = Place::new(settings.gatehouse.clone())?;
        match measure(settings, &mut place) {
            Ok(measured) => figures.extend(measured),
            Err(error) => missing.push(Missing {
                name,
                error: format!("{error:#}"),
            }),
        }
    }
    Ok(Outcome {
        machine,
        elapsed_s: start.elapsed().as_secs_f64(),
        figures,
        missing,
    })
}

impl Settings {
    /// How candidates are compared here.
    fn plan(&self, scenario: Scenario, clients: usize) -> Plan {
        Plan {
            scenario,
            paces: vec![Pace::Clients(clients)],
            rounds: self.rounds,
            warm_up: Duration::from_millis(500),
            slice: self.slice,
            settle_max: Duration::from_secs(2),
            budget: Duration::from_secs(300),
            threads: 1,
        }
    }
}

impl Figure {
    /// Whether the promise is kept.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.measured <= self.promised
    }
}

impl Outcome {
    /// Whether everything was measured. Whether promises are kept says [`Figure::is_kept`]: on a machine with other work
    /// that is no matter of right and wrong.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty()
    }

    /// As people read it.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = table::new(&["WHAT", "UNIT", "PROMISED", "MEASURED", "KEPT"], 2);
        for figure in &self.figures {
            let kept = if figure.is_kept() { "yes" } else { "no" };
            table.add_row([
                figure.what.clone(),
                figure.unit.to_owned(),
                number(figure.promised),
                number(figure.measured),
                kept.to_owned(),
            ]);
        }
        let (machine, elapsed) = (&self.machine, self.elapsed_s);
        let table = table.trim_fmt();
        let mut text = format!("{machine}\nelapsed   {elapsed:.0} s\n\n{table}\n");
        for figure in &self.figures {
            text.push_str(&format!("\n{}: {}", figure.what, figure.detail));
        }
        for Missing { name, error } in &self.missing {
            text.push_str(&format!("\nnot measured: {name}: {error}"));
        }
        text
    }
}

fn number(value: f64) -> String {
    let digits = if value.fract() == 0.0 || value >= 100.0 {
        0
    } else {
        1
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_shown_with_what_it_is_made_of() {
        let figure = |measured| Figure {
            what: "a list".to_owned(),
            promised: 2.0,
            measured,
            unit: "ms",
            detail: "one takes 0.1 ms".to_owned(),
        };
        let outcome = Outcome {
            machine: Machine::default(),
            elapsed_s: 1.0,
            figures: vec![figure(1.52), figure(130.4)],
            missing: vec![Missing {
                name: "parked",
                error: "no room".to_owned(),
            }],
        };
        assert!(!outcome.is_whole());
        let text = outcome.table();
        let words = |word: &str| {
            let line = text.lines().find(|line| line.contains(word));
            let words = line.unwrap_or_default().split_ascii_whitespace();
            words.map(str::to_owned).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words("1.5"), "a list ms 2 1.5 yes");
        assert_eq!(words("130"), "a list ms 2 130 no");
        assert_eq!(words("not measured"), "not measured: parked: no room");
        assert!(text.contains("\na list: one takes 0.1 ms"));
    }
}
