//! `gatehouse up` with users that may call everything in it.

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use crate::Target;
use crate::bench::place::Place;
use crate::bench::targets::{GROUP, resource};
use crate::bench::up::Up;
use crate::load::Load;
use crate::pause;
use crate::process::{Process, Watched, descendants};
use crate::scenario::Scenario;

/// How long a part of `up` may take to show, and a server to answer.
const READY: Duration = Duration::from_secs(60);
/// How long is called between two looks whether a server answers.
const TRY: Duration = Duration::from_millis(100);
/// How long such a call may take.
const CALL: Duration = Duration::from_secs(10);

/// A system that runs. Dropping it ends it.
#[derive(Debug)]
pub(super) struct System {
    up: Up,
    keys: Vec<String>,
}

impl System {
    /// Starts it with these resources, and with a key for each of so many users. `variables`: settings of its parts.
    ///
    /// # Errors
    /// What keeps it from starting, in its own words.
    pub(super) fn start(
        place: &mut Place,
        resources: Vec<Value>,
        variables: &[(&str, &str)],
        users: usize,
    ) -> anyhow::Result<Self> {
        let rule = json!({"effect": "allow", "subjects": [{"group": GROUP}], "servers": ["*"]});
        let rule = resource("AccessRule", "bounds", &rule);
        let resources: Vec<_> = resources.into_iter().chain([rule]).collect();
        let folder = place.folder().join("up");
        // Servers lie on loopback, or are this very program.
        let flags = ["--allow-command", "--egress-allow-private"];
        let up = Up::start_with(place, &folder, &resources, &flags, variables)?;
        let keys = (0..users.max(1)).map(|user| {
            let user = format!("bench-{user}");
            up.told(&["key", "create", "--user", &user, "--group", GROUP], "key")
        });
        let keys = keys.collect::<anyhow::Result<_>>()?;
        Ok(Self { up, keys })
    }

    /// A server of the catalog, as one of the users calls it.
    pub(super) fn target(&self, server: &str, user: usize) -> anyhow::Result<Target> {
        let url = format!("http://{}/mcp/{server}", self.up.edge);
        Ok(Target::new([url])?.with_key(&self.keys[user % self.keys.len()])?)
    }

    /// Waits until a target answers this.
    ///
    /// # Errors
    /// It does not in time, with what it said last.
    pub(super) fn await_answer(&self, target: &Target, scenario: &Scenario) -> anyhow::Result<()> {
        let load = Load::of_clients(1, target.clone())
            .calling(scenario.clone())
            .giving_up_after(CALL);
        let mut last = String::new();
        let answered = pause::until(READY, || {
            let report = load.run(Duration::ZERO, TRY).ok()?;
            last = report.failures.to_string();
            (report.answered > 0 && report.failures.is_empty()).then_some(())
        });
        answered.with_context(|| format!("{target:?} does not answer within {READY:?}: {last}"))
    }

    /// The edge.
    pub(super) fn edge(&self) -> anyhow::Result<Watched> {
        let pid = pause::until(READY, || self.up.part("edge"));
        let pid = pid.context("`gatehouse up` has started no edge")?;
        Ok(Watched::one("edge", pid))
    }

    /// The sidecar of a server, and what keeps the server's processes together, which belongs to it.
    pub(super) fn sidecar(&self, server: &str) -> anyhow::Result<Watched> {
        let pids = pause::until(READY, || self.sidecar_pids(server));
        let pids = pids.with_context(|| format!("there is no sidecar of {server}"))?;
        Ok(Watched::several("sidecar", pids))
    }

    /// All that runs here but these.
    pub(super) fn others(&self, these: &[&Watched]) -> Watched {
        let all = Process::all();
        let below = descendants(&all, self.up.child.pid());
        let pids = below.iter().map(|process| process.pid);
        let is_other = |pid: &u32| !these.iter().any(|watched| watched.pids.contains(pid));
        let pids = std::iter::once(self.up.child.pid()).chain(pids);
        Watched::several("others", pids.filter(is_other).collect())
    }

    fn sidecar_pids(&self, server: &str) -> Option<Vec<u32>> {
        let all = Process::all();
        let part = format!("sidecar-{server}");
        let is_part = |process: &&Process| {
            let mut words = process.words();
            words.next() == Some("sidecar") && words.any(|word| word.split('/').any(|w| w == part))
        };
        let below = descendants(&all, self.up.child.pid());
        let sidecar = below.into_iter().find(is_part)?.pid;
        let is_server = |process: &&Process| process.words().next() == Some("fixture");
        let below = descendants(&all, sidecar).into_iter();
        let keepers = below.filter(|process| !is_server(process));
        let pids = std::iter::once(sidecar).chain(keepers.map(|keeper| keeper.pid));
        Some(pids.collect())
    }
}

/// The fixture as a server that a sidecar runs.
pub(super) fn stdio(name: &str, words: &[&str]) -> anyhow::Result<Value> {
    let program = std::env::current_exe().context("this program does not know its own path")?;
    let program = program.to_string_lossy().into_owned();
    let words = ["fixture", "--stdio"].iter().chain(words);
    let argv: Vec<_> = std::iter::once(program)
        .chain(words.map(|word| (*word).to_owned()))
        .collect();
    let spec = json!({"tenancy": "shared", "runtime": {"command": {"argv": argv}}});
    Ok(resource("Server", name, &spec))
}

/// A server that runs elsewhere.
pub(super) fn remote(name: &str, url: &str) -> Value {
    resource(
        "Server",
        name,
        &json!({"runtime": {"remote": {"url": url}}}),
    )
}
