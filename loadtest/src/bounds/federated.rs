//! `tools/list` of a virtual server against that of one of its members, both warm, through the same edge.

use serde_json::json;

use super::system::{System, remote, stdio};
use super::{Figure, Settings};
use crate::Fixture;
use crate::bench::place::Place;
use crate::bench::targets::resource;
use crate::compare::{self, Candidate, Role, Row};
use crate::scenario::Scenario;

/// On top of the slowest member.
const PROMISED_MS: f64 = 2.0;
/// Tools of a member.
const TOOLS: usize = 4;
/// The name of the virtual server.
const ALL: &str = "all";
/// What stands before the names of those that sidecars run.
const STDIO: &str = "s";

/// Measures both ways to members: called by the edge itself, and by a sidecar each.
pub(super) fn measure(settings: &Settings, place: &mut Place) -> anyhow::Result<Vec<Figure>> {
    let fixture = Fixture::new().start()?;
    let count = settings.members;
    let names: Vec<_> = (0..count).map(|number| format!("m{number}")).collect();
    let mut resources = Vec::new();
    for name in &names {
        resources.push(stdio(&format!("{STDIO}{name}"), &["--modern-only"])?);
        resources.push(remote(name, &fixture.url()));
    }
    for prefix in ["", STDIO] {
        let members: Vec<_> = names
            .iter()
            .map(|name| json!({"server": format!("{prefix}{name}"), "prefix": format!("{name}_")}))
            .collect();
        let spec = json!({ "members": members });
        resources.push(resource("VirtualServer", &format!("{prefix}{ALL}"), &spec));
    }
    let system = System::start(place, resources, &[], 1)?;
    let mut figures = Vec::new();
    for (prefix, way) in [("", "over HTTP"), (STDIO, "over stdio, a sidecar each")] {
        let one = system.target(&format!("{prefix}m0"), 0)?;
        let all = system.target(&format!("{prefix}{ALL}"), 0)?;
        for name in &names {
            let member = system.target(&format!("{prefix}{name}"), 0)?;
            system.await_answer(&member, &Scenario::list())?;
        }
        // Whole, with nobody left out: before and after.
        let whole = Scenario::list_of(TOOLS * count);
        system.await_answer(&all, &whole)?;
        let everyone = system.others(&[]);
        let candidates = [("one", one), ("all", all.clone())].map(|(name, target)| Candidate {
            name: name.to_owned(),
            target,
            processes: vec![(Role::Server, everyone.clone())],
        });
        let before = fixture.stats().messages;
        let rows = compare::run(&candidates, &settings.plan(Scenario::list(), 1), |_| {});
        system.await_answer(&all, &whole)?;
        let lists = |row: &Row| row.figures.answered;
        let asked = rows.iter().map(lists).sum::<u64>()
            + rows.last().map_or(0, lists) * (count as u64).saturating_sub(1);
        let seen = fixture.stats().messages - before;
        anyhow::ensure!(
            prefix == STDIO || seen >= asked,
            "members were asked {seen} times for {asked} lists"
        );
        figures.push(figure(&rows, count, way)?);
    }
    Ok(figures)
}

fn figure(rows: &[Row], count: usize, way: &str) -> anyhow::Result<Figure> {
    let [one, all] = rows else {
        anyhow::bail!("two were to be compared");
    };
    for row in rows {
        let figures = &row.figures;
        anyhow::ensure!(figures.failed == 0, "{} lists failed", figures.failed);
    }
    let ms = |row: &Row| row.figures.p50_us.median / 1e3;
    let (one, all, others) = (ms(one), ms(all), all.figures.others_busy.median);
    Ok(Figure {
        what: format!("tools/list of {count} members ({way}), over one"),
        promised: PROMISED_MS,
        measured: all - one,
        unit: "ms",
        detail: format!(
            "p50, one client: one {one:.2} ms, all {all:.2} ms; others had {:.0} % of the machine",
            100.0 * others
        ),
    })
}
