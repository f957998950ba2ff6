//! What the bridge adds to a call: the same call to a server of the client's era, and to one of the other era.

use super::system::{System, stdio};
use super::{Figure, Settings};
use crate::bench::place::Place;
use crate::compare::{self, Candidate, Role, Row};
use crate::scenario::Scenario;
use crate::target::Era;

/// On top of the call of the same era.
const PROMISED_PERCENT: f64 = 30.0;
/// Clients of each load.
const CLIENTS: usize = 16;
/// Bytes of the message.
const ECHO: usize = 64;
const MODERN: &str = "modern";
const LEGACY: &str = "legacy";

/// Measures all four ways in one interleaved run.
pub(super) fn measure(settings: &Settings, place: &mut Place) -> anyhow::Result<Vec<Figure>> {
    let resources = vec![stdio(MODERN, &["--modern-only"])?, stdio(LEGACY, &[])?];
    let system = System::start(place, resources, &[], 1)?;
    let scenario = Scenario::echo(ECHO);
    let mut candidates = Vec::new();
    for (client, era) in [(MODERN, Era::Modern), (LEGACY, Era::Legacy)] {
        for server in [MODERN, LEGACY] {
            let target = system.target(server, 0)?.speaking(era);
            system.await_answer(&target, &scenario)?;
            let (edge, sidecar) = (system.edge()?, system.sidecar(server)?);
            let others = system.others(&[&edge, &sidecar]);
            let processes = vec![
                (Role::Between, edge),
                (Role::Between, sidecar),
                (Role::Server, others),
            ];
            candidates.push(Candidate {
                name: format!("{client} client, {server} server"),
                target,
                processes,
            });
        }
    }
    let rows = compare::run(&candidates, &settings.plan(scenario, CLIENTS), |_| {});
    let [modern, to_legacy, to_modern, legacy] = &rows[..] else {
        anyhow::bail!("four were to be compared");
    };
    Ok(vec![figure(modern, to_legacy)?, figure(legacy, to_modern)?])
}

fn figure(same: &Row, bridged: &Row) -> anyhow::Result<Figure> {
    for row in [same, bridged] {
        let (name, figures) = (&row.candidate, &row.figures);
        let failures = row.slices.first().map(|slice| slice.failures.to_string());
        let failures = failures.unwrap_or_default();
        anyhow::ensure!(figures.failed == 0, "{name}: calls failed: {failures}");
        if let Some(fault) = &figures.fault {
            anyhow::bail!("{name}: {fault}");
        }
    }
    let us = |row: &Row| row.figures.between_us.median;
    let parts = |row: &Row| {
        let costs = row.figures.costs.iter();
        let costs = costs.filter(|cost| cost.role == Role::Between);
        let parts = costs.map(|cost| format!("{} {:.1}", cost.name, cost.cpu_us));
        parts.collect::<Vec<_>>().join(" + ")
    };
    anyhow::ensure!(us(same) > 0.0, "the same era cost no processor time");
    Ok(Figure {
        what: format!("bridge, {}, over the same era", bridged.candidate),
        promised: PROMISED_PERCENT,
        measured: 100.0 * (us(bridged) / us(same) - 1.0),
        unit: "% CPU",
        detail: format!(
            "us a call at {CLIENTS} clients: bridged {:.1} ({}), same era {:.1} ({}); others had {:.0} % of the machine",
            us(bridged),
            parts(bridged),
            us(same),
            parts(same),
            100.0 * bridged.figures.others_busy.median,
        ),
    })
}
