//! How long a change takes to reach many nodes.
//!
//! ```text
//! gatehouse up ◀── admin: apply one rule, follow its rollout      a change at a time, with pauses
//!      │
//!      └─ config stream ─▶ fleet: many nodes in this process      each with the real code, identity and folder of a node
//! ```
//! Timed from before the request to store the change: until it is stored, until half and all of the nodes decide by it,
//! until all have acknowledged it (checked, proved by hash, kept on their disk). It knows nodes as `dataplane` makes them,
//! and nothing of calls. Start from [`run`].

mod admin;
mod fleet;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;
use serde_json::json;

use crate::bench::Machine;
use crate::bench::place::Place;
use crate::bench::targets::{SERVER, resource};
use crate::bench::up::Up;
use crate::compare::table;
use crate::latency::{Latency, shown};
use crate::process::{Usage, Watched};
use admin::{Admin, rule};
use fleet::Fleet;

/// What to measure, and with what.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many nodes, besides the edge of `gatehouse up` itself.
    pub nodes: usize,
    /// How many rules stand in the catalog, which every node holds.
    pub rules: usize,
    /// How many changes, one after the other.
    pub changes: usize,
    /// Between two of them.
    pub pause: Duration,
    /// The binary of Gatehouse.
    pub gatehouse: PathBuf,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// On what.
    pub machine: Machine,
    /// Nodes that took part, the edge of `gatehouse up` among them.
    pub nodes: usize,
    /// Rules that each of them held.
    pub rules: usize,
    /// Changes that were made.
    pub changes: usize,
    /// From the request to each of these.
    pub times: Vec<Time>,
    /// The control plane's processor time for each change, us.
    pub control_plane_us: f64,
    /// … and its memory afterwards, with all nodes connected, bytes.
    pub control_plane_rss_bytes: u64,
    /// Processor time of all nodes together for each change, us.
    pub nodes_us: f64,
}

/// How long something took, over all changes, us.
#[derive(Debug, Clone, Serialize)]
pub struct Time {
    /// What.
    pub what: &'static str,
    /// Half of the changes took no longer.
    pub p50_us: f64,
    /// 99 of 100.
    pub p99_us: f64,
    /// The longest.
    pub max_us: f64,
}

/// Times of one change, from before the request.
struct Change {
    stored: Duration,
    half: Duration,
    all: Duration,
    acknowledged: Duration,
}

/// Measures. `progress` is told what is done meanwhile.
///
/// # Errors
/// What keeps the system or a node from starting, or a change from reaching all.
pub fn run(settings: &Settings, mut progress: impl FnMut(&str)) -> anyhow::Result<Outcome> {
    let machine = Machine::look();
    let mut place = Place::new(settings.gatehouse.clone())?;
    let folder = place.folder().join("nodes");
    progress("starting gatehouse up");
    let server = resource("Server", SERVER, &json!({"runtime": {"external": {}}}));
    let up = Up::start(&mut place, &folder, &[server], &[])?;
    let control_plane = up.part("control-plane");
    let control_plane = control_plane.context("`gatehouse up` has started no control plane")?;
    let control_plane = Watched::one("control plane", control_plane);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        let mut admin = Admin::connect(&up)?;
        let rules = (0..settings.rules).map(|number| rule(&format!("nodes-{number}"), number));
        if settings.rules > 0 {
            admin.apply(rules.collect()).await?;
        }
        progress(&format!("joining {} nodes", settings.nodes));
        let fleet = Fleet::start(settings.nodes, &up, &folder, &mut admin).await?;
        progress(&format!("making {} changes", settings.changes));
        let own = Watched::one("nodes", std::process::id());
        let before = (control_plane.usage()?, own.usage()?);
        let mut changes = Vec::new();
        for number in 0..settings.changes {
            tokio::time::sleep(settings.pause).await;
            changes.push(change(number, &mut admin, &fleet).await?);
        }
        let after = (control_plane.usage()?, own.usage()?);
        let each = |before: Usage, after: Usage| {
            let cpu = after.cpu.saturating_sub(before.cpu);
            cpu.as_secs_f64() * 1e6 / changes.len().max(1) as f64
        };
        progress("ending all nodes");
        fleet.end().await;
        anyhow::Ok(Outcome {
            machine,
            nodes: settings.nodes + 1,
            rules: settings.rules,
            changes: changes.len(),
            times: times(&changes),
            control_plane_us: each(before.0, after.0),
            control_plane_rss_bytes: after.0.rss_bytes,
            nodes_us: each(before.1, after.1),
        })
    })?;
    drop(up);
    Ok(outcome)
}

async fn change(number: usize, admin: &mut Admin, fleet: &Fleet) -> anyhow::Result<Change> {
    let start = Instant::now();
    let revision = admin.apply(vec![rule("nodes-change", number)]).await?;
    let stored = start.elapsed();
    let followed = async {
        admin.await_rollout(revision).await?;
        anyhow::Ok(start.elapsed())
    };
    let (acknowledged, reached) = tokio::join!(followed, fleet.reached(revision, start));
    let (acknowledged, reached) = (acknowledged?, reached?);
    Ok(Change {
        stored,
        half: reached[reached.len().div_ceil(2) - 1],
        all: reached[reached.len() - 1],
        acknowledged,
    })
}

fn times(changes: &[Change]) -> Vec<Time> {
    type Figure = fn(&Change) -> Duration;
    let figures: [(&'static str, Figure); 4] = [
        ("stored", |change| change.stored),
        ("in force at half of the nodes", |change| change.half),
        ("in force at all nodes", |change| change.all),
        ("acknowledged by all nodes", |change| change.acknowledged),
    ];
    let time = |(what, figure): (&'static str, Figure)| {
        let mut latency = Latency::new();
        for change in changes {
            latency.record(figure(change));
        }
        let us = |duration: Duration| duration.as_secs_f64() * 1e6;
        Time {
            what,
            p50_us: us(latency.p50()),
            p99_us: us(latency.p99()),
            max_us: us(latency.max()),
        }
    };
    figures.into_iter().map(time).collect()
}

impl Outcome {
    /// As people read it.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = table::new(&["AFTER THE REQUEST", "P50", "P99", "MAX"], 1);
        let us = |us: f64| shown(Duration::from_secs_f64(us / 1e6));
        for time in &self.times {
            let figures = [time.p50_us, time.p99_us, time.max_us].map(us);
            let [p50, p99, max] = figures;
            table.add_row([time.what.to_owned(), p50, p99, max]);
        }
        let (machine, nodes, rules, changes) =
            (&self.machine, self.nodes, self.rules, self.changes);
        let rss = table::mib(self.control_plane_rss_bytes);
        format!(
            "{machine}\n\n{changes} changes, {nodes} nodes, {rules} rules at each\n\n{}\n\n\
             processor time a change: control plane {}, all nodes together {}\n\
             memory of the control plane: {rss} MiB",
            table.trim_fmt(),
            us(self.control_plane_us),
            us(self.nodes_us),
        )
    }
}
