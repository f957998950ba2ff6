//! Many calls of modern clients that a legacy server asks something: each waits at the sidecar for its client.

use anyhow::Context;

use super::held::{Client, many};
use super::memory::Memory;
use super::system::{System, remote};
use super::{Figure, Settings};
use crate::Fixture;
use crate::bench::place::Place;
use crate::scenario::Scenario;

/// One call that waits.
const PROMISED_KIB: f64 = 64.0;
/// Calls of one user that a sidecar lets wait.
const OF_USER_MAX: usize = 128;
const SERVER: &str = "asking";
const TOOL: &str = "ask";

/// Measures with a server over HTTP: over stdio each call that asks needs a process of its own, which is the server's
/// memory and not ours.
pub(super) fn measure(settings: &Settings, place: &mut Place) -> anyhow::Result<Vec<Figure>> {
    let fixture = Fixture::new().legacy_only().start()?;
    let count = settings.parked;
    let users = settings.users.max(count.div_ceil(OF_USER_MAX));
    let resources = vec![remote(SERVER, &fixture.url())];
    let system = System::start(place, resources, &[], users)?;
    let targets = (0..users).map(|user| system.target(SERVER, user));
    let targets = targets.collect::<anyhow::Result<Vec<_>>>()?;
    system.await_answer(&targets[0], &Scenario::list())?;
    let memory = Memory::before(&system, SERVER)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let begin = |n: usize| Client::leave(&targets[n % targets.len()], TOOL);
    let (left, fault) = runtime.block_on(many(count, begin));
    let waiting = left.len();
    if waiting < count {
        let fault = fault.context("no call said why it does not wait")?;
        return Err(fault.context(format!("only {waiting} of {count} calls wait")));
    }
    let grown = memory.grown()?;
    let asked = fixture.stats().ask;
    anyhow::ensure!(
        asked == count as u64,
        "{count} calls were made, and the server saw {asked}"
    );
    let shown = grown.shown();
    Ok(vec![Figure {
        what: format!("a parked call (of {waiting}), edge + sidecar"),
        promised: PROMISED_KIB,
        measured: grown.kib_each(waiting),
        unit: "KiB",
        detail: format!("{waiting} calls of {users} users, their clients gone; {shown}"),
    }])
}
