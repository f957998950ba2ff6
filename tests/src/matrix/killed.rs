//! An edge is killed while real clients are in the midst of something, and each ends with the right answer or an error.
//!
//! ```text
//! for each server and moment, all clients of two users at once:
//!   before a gate --edge A alone--> the midst --A is killed, B is let in--> the end      -> Ending
//! ```
//!
//! A balancer sends each request to whatever edge is there, so that what comes after the kill meets an edge that has
//! never seen the client. Start from [`run`].

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::GROUP;
use super::clients::{Outcome, Report};
use super::servers::{Server, Target};
use crate::catalog;
use crate::cluster::Balancer;
use crate::fixture_server::FixtureServer;
use crate::leftovers::Family;
use crate::mesh::{Mesh, Running};
use crate::place;
use crate::process::{self, Signal};
use crate::rpc::MODERN;
use crate::wait;
use caller::{Caller, Gates, callers};

mod caller;

/// Who is in the midst of something.
const CLIENTS: [&str; 6] = [
    "Python mcp 2.3.0",
    "Python mcp 2.3.0, legacy",
    "TypeScript sdk 1.32.2",
    "TypeScript client 2.4.0",
    "TypeScript client 2.4.0, legacy",
    "rmcp 3.9.0, legacy",
];
/// Clients of each kind: what one of them is told is never another's.
const USERS: usize = 2;

/// How long all of them may take to a gate: they start at once.
const GATHER: Duration = Duration::from_secs(60);
/// How long an edge may take to be back, which `up` lets wait longer each time.
const BACK: Duration = Duration::from_secs(60);
/// What clients say of what they had to wait for too long: an SDK gives up before, so whoever says it hangs.
const HANGS: &str = "nothing came within";

/// When an edge is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// While the user thinks about what a server asked.
    Deciding,
    /// While progress is told.
    Streaming,
    /// Between two calls.
    Between,
}

const MOMENTS: [Moment; 3] = [Moment::Deciding, Moment::Streaming, Moment::Between];

impl Moment {
    /// What a client does, in the order of [`super::FEATURES`]. Where it is more than one, the kill comes after the first.
    fn features(self) -> &'static [&'static str] {
        match self {
            Self::Deciding => &["elicitation"],
            Self::Streaming => &["progress"],
            Self::Between => &["call", "progress", "elicitation"],
        }
    }

    /// What of it did not end with the right answer.
    fn wrong(self, report: &Report) -> Vec<String> {
        let wrong = |feature: &&str| match report.of(feature) {
            Outcome::Works => None,
            Outcome::Cannot => Some(format!("{feature}: it cannot")),
            Outcome::Fails(why) => Some(format!("{feature}: {why}")),
        };
        self.features().iter().filter_map(wrong).collect()
    }
}

/// A server.
struct Stand {
    server: Server,
    title: &'static str,
    /// Whether legacy clients meet it without a sidecar.
    straight: bool,
}

/// How it ended for the clients of one kind.
#[derive(Debug)]
struct Ending {
    moment: Moment,
    server: &'static str,
    client: &'static str,
    /// For each user the features that went wrong, and how.
    wrong: Vec<Vec<String>>,
    /// What should not be.
    faults: Vec<String>,
}

/// All that came of it, and what it was played on.
#[derive(Debug)]
pub struct Killed {
    endings: Vec<Ending>,
    // In this order: Gatehouse leaves before the servers.
    _balancer: Balancer,
    _mesh: Running,
    _servers: [FixtureServer; 2],
    _folder: TempDir,
}

/// Kills an edge at each moment before each server.
pub fn run() -> Killed {
    let script = |name| place::file(&format!("tests/matrix/servers/ts/{name}.mjs"));
    let start = |name| FixtureServer::of(Command::new(place::program("node")).arg(script(name)));
    let (modern, legacy) = (start("modern"), start("legacy"));
    let stdio = [place::program("node"), script("legacy"), "stdio".into()];
    let stdio = stdio.map(|word| word.to_string_lossy().into_owned());
    let http = |server: &FixtureServer| Target::Http(server.url().to_owned());
    let stand = |name, title, target, straight| Stand {
        server: Server::new(name, title, target),
        title,
        straight,
    };
    let stands = [
        stand("modern", "modern over HTTP", http(&modern), false),
        stand(
            "stdio",
            "legacy over stdio",
            Target::Stdio(stdio.into()),
            false,
        ),
        stand("legacy", "legacy over HTTP", http(&legacy), true),
    ];
    let mut resources: Vec<_> = stands.iter().map(|each| each.server.resource()).collect();
    resources.push(catalog::allow("matrix", GROUP, &["*"]));
    let mesh = Mesh::new().with(&resources).edges(2).start();
    let balancer = mesh.balancer();
    let folder = TempDir::with_prefix("gatehouse-killed-").expect("a folder can be made");
    let play = Play {
        callers: callers(&mesh),
        mesh: &mesh,
        balancer: &balancer,
        folder: folder.path(),
    };
    let mut endings = Vec::new();
    for stand in &stands {
        mesh.server_in(stand.server.name, "ready");
        for moment in MOMENTS {
            // They take turns, so that each is back before it is next.
            let victim = endings.len() / CLIENTS.len() % 2;
            endings.extend(play.moment(stand, moment, victim));
        }
    }
    Killed {
        endings,
        _balancer: balancer,
        _mesh: mesh,
        _servers: [modern, legacy],
        _folder: folder,
    }
}

impl Killed {
    /// All that should not be, one a line.
    pub fn faults(&self) -> String {
        let all = self.endings.iter().flat_map(|ending| &ending.faults);
        all.fold(String::new(), |text, fault| text + fault + "\n")
    }

    /// How each ended: ✓ is the right answer, for each user; else what the client says instead.
    pub fn table(&self) -> String {
        let mut text = "| server | moment | client | ended |\n|---|---|---|---|\n".to_owned();
        for ending in &self.endings {
            let how = ending.wrong.iter().map(|wrong| match wrong.as_slice() {
                [] => "✓".to_owned(),
                wrong => wrong.join("; "),
            });
            let (how, moment) = (how.collect::<Vec<_>>().join(" / "), ending.moment);
            let _ = writeln!(
                text,
                "| {} | {moment:?} | {} | {how} |",
                ending.server, ending.client
            );
        }
        text
    }
}

struct Play<'a> {
    callers: Vec<Caller>,
    mesh: &'a Running,
    balancer: &'a Balancer,
    folder: &'a Path,
}

impl Play<'_> {
    /// Has all clients come to the midst of something through one edge, and kills that.
    fn moment(&self, stand: &Stand, moment: Moment, victim: usize) -> Vec<Ending> {
        let (server, other) = (stand.server.name, 1 - victim);
        let gates = Gates(self.folder.join(format!("{server}-{moment:?}")));
        std::fs::create_dir(&gates.0).expect("a folder can be made");
        for edge in [victim, other] {
            wait::wait_for("both edges to be there", BACK, || {
                self.balancer.is_ready(edge)
            });
        }
        self.balancer.hold_back(other, true);
        let reports: Vec<Report> = std::thread::scope(|scope| {
            let run = |caller| {
                let gates = &gates;
                scope.spawn(move || self.client(server, moment, caller, gates))
            };
            let runs: Vec<Run<'_>> = self.callers.iter().map(run).collect();
            // Not before all are there: the first ones' time would run out.
            self.gather(&gates, "start", &runs);
            gates.open("start");
            self.gather(&gates, "midst", &runs);
            self.kill(victim);
            self.balancer.hold_back(other, false);
            gates.open("midst");
            let ended = |run: Run<'_>| run.join().expect("a client's thread does not panic");
            runs.into_iter().map(ended).collect()
        });
        let kinds = self.callers.chunks(USERS).zip(reports.chunks(USERS));
        kinds
            .map(|(callers, reports)| self.ending(stand, moment, &gates, callers, reports))
            .collect()
    }

    /// Kills an edge, and returns when it takes nothing any more: what comes now was in no hand of its.
    fn kill(&self, edge: usize) {
        let edge = self.mesh.part("edge", &format!("edge-{}", edge + 1));
        let process = Family::default().and(&[edge.pid]);
        process::signal(edge.pid, Signal::KILL);
        process.wait_until_gone();
    }

    fn client(&self, server: &str, moment: Moment, caller: &Caller, gates: &Gates) -> Report {
        let plan = gates.0.join(format!("plan-{}.json", caller.number));
        let text = caller.plan(moment, gates).to_string();
        std::fs::write(&plan, text).expect("a file can be written");
        let to = caller.client.through(self.balancer.url(), server);
        let report = caller.client.run(&to, Some(&caller.key), &plan);
        report.expect("each client can speak to an edge")
    }

    /// Waits until all stand before a gate. What came of those that have ended already is told later.
    fn gather(&self, gates: &Gates, gate: &str, runs: &[Run<'_>]) {
        wait::until(&format!("all to be at {gate}"), GATHER, || {
            let missing = self.callers.iter().zip(runs).filter(|(caller, run)| {
                !run.is_finished() && !gates.reached(caller, gate).exists()
            });
            let missing: Vec<_> = missing.map(|(caller, _)| caller.client.name).collect();
            if missing.is_empty() {
                Ok(())
            } else {
                Err(format!("{missing:?} are not"))
            }
        });
    }

    fn ending(
        &self,
        stand: &Stand,
        moment: Moment,
        gates: &Gates,
        callers: &[Caller],
        reports: &[Report],
    ) -> Ending {
        let mut ending = Ending {
            moment,
            server: stand.title,
            client: callers[0].client.name,
            wrong: Vec::new(),
            faults: Vec::new(),
        };
        for (caller, report) in callers.iter().zip(reports) {
            let wrong = moment.wrong(report);
            let right = must_be_right(stand, moment, report.revision.as_deref());
            let faults = wrong.iter().filter(|why| right || why.contains(HANGS));
            let faults = faults.cloned().chain(self.heard_of_others(caller, report));
            let was_there = gates.reached(caller, "midst").exists();
            let faults = faults.chain((!was_there).then(|| format!("no kill met it: {wrong:?}")));
            let (client, server, number) = (ending.client, ending.server, caller.number);
            let whose =
                |fault| format!("{client} with {server}, {moment:?}, user {number}: {fault}");
            ending.faults.extend(faults.map(whose));
            ending.wrong.push(wrong);
        }
        ending
    }

    /// What a client says that only others can have been told.
    fn heard_of_others(&self, caller: &Caller, report: &Report) -> Vec<String> {
        let said = report.text();
        let others = self
            .callers
            .iter()
            .filter(|each| each.number != caller.number);
        let texts = others.flat_map(Caller::texts);
        let heard = texts.filter(|text| said.contains(text));
        heard
            .map(|text| format!("it was told another's {text:?}: {said}"))
            .collect()
    }
}

/// The thread of a client's run.
type Run<'scope> = std::thread::ScopedJoinHandle<'scope, Report>;

/// Whether a client must end with the right answer: where nothing of it is under way, and where a sidecar keeps what it
/// lost. Elsewhere it may end with an error.
fn must_be_right(stand: &Stand, moment: Moment, revision: Option<&str>) -> bool {
    let modern = revision == Some(MODERN);
    match moment {
        Moment::Between => true,
        // A modern client has the question as an answer, and calls again.
        Moment::Deciding if modern => true,
        // What cannot be fetched again is lost.
        Moment::Streaming if modern => false,
        Moment::Deciding | Moment::Streaming => !stand.straight,
    }
}
