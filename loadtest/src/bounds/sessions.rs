//! Many legacy sessions at one edge and one sidecar, each with its stream on a connection of its own.

use anyhow::Context;

use super::held::{self, Client, many};
use super::memory::Memory;
use super::system::{System, stdio};
use super::{Figure, Settings, files};
use crate::bench::place::Place;
use crate::scenario::Scenario;
use crate::target::Era;

/// All of 10,000 sessions at edge and sidecar.
const PROMISED_MIB: f64 = 640.0;
/// Of how many that was promised.
const PROMISED_OF: f64 = 10_000.0;
/// One open stream.
const PROMISED_KIB: f64 = 64.0;
/// An edge has two connections for each stream, to the client and to the sidecar …
const FILES_EACH: usize = 2;
/// … and these for everything else.
const FILES_SPARE: usize = 400;
/// A stream counts as a call under way: this is room for all of them.
const ROOM: [(&str, &str); 2] = [
    ("GATEHOUSE_EDGE__CALLS_MAX", "20000"),
    ("GATEHOUSE_SIDECAR__CALLS_MAX", "20000"),
];
const SERVER: &str = "shared";

/// Measures with as many sessions as are wanted, or as the limit of open files lets be.
pub(super) fn measure(settings: &Settings, place: &mut Place) -> anyhow::Result<Vec<Figure>> {
    let files = files::limit();
    let count = settings
        .sessions
        .min(files.saturating_sub(FILES_SPARE) / FILES_EACH);
    let system = System::start(place, vec![stdio(SERVER, &[])?], &ROOM, settings.users)?;
    let targets = (0..settings.users.max(1)).map(|user| system.target(SERVER, user));
    let targets = targets.collect::<anyhow::Result<Vec<_>>>()?;
    let legacy = targets[0].clone().speaking(Era::Legacy);
    system.await_answer(&legacy, &Scenario::list())?;
    let memory = Memory::before(&system, SERVER)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let begin = |n: usize| Client::with_stream(&targets[n % targets.len()]);
    let (mut held, fault) = runtime.block_on(many(count, begin));
    let begun = held.len();
    if begun < count {
        let fault = fault.context("no session said why it was not begun")?;
        return Err(fault.context(format!("only {begun} of {count} sessions were begun")));
    }
    let grown = memory.grown()?;
    let open = runtime.block_on(held::open(&mut held));
    anyhow::ensure!(open == begun, "only {open} of {begun} streams stayed open");
    let users = targets.len();
    let shown = grown.shown();
    let detail = format!(
        "{begun} sessions of {users} users, each with a stream ({files} open files are allowed a process); {shown}"
    );
    Ok(vec![
        Figure {
            what: format!("{PROMISED_OF} sessions with a stream, edge + sidecar"),
            promised: PROMISED_MIB,
            measured: grown.mib_at(PROMISED_OF / begun as f64),
            unit: "MiB",
            detail: detail.clone(),
        },
        Figure {
            what: "a session with its stream, edge + sidecar".to_owned(),
            promised: PROMISED_KIB,
            measured: grown.kib_each(begun),
            unit: "KiB",
            detail,
        },
    ])
}
