//! The whole of Gatehouse as `gatehouse up` starts it, in front of one server: started, joined, let in, found.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use super::child::Child;
use super::started::{Bench, Started};
use super::targets::{GROUP, SERVER, Server, Sidecar};
use super::up::Up;
use crate::compare::Role;
use crate::pause;
use crate::process::{Process, Watched, descendants};
use crate::target::Target;

/// How long the parts of `up` may take to show.
const PARTS: Duration = Duration::from_secs(10);

/// Starts it before the bench's server, reached in this way.
///
/// # Errors
/// What keeps it from starting, in the words of whoever did not start.
pub(super) fn start(name: &str, way: Server, bench: &mut Bench) -> anyhow::Result<Started> {
    let folder = bench.place.folder().join(name);
    let resources = way.resources(bench.server_url(), &bench.stdio_argv());
    let up = Up::start(&mut bench.place, &folder, &resources, way.flags())?;
    let sidecar = match way {
        Server::External => Some(sidecar(&up, bench, &folder)?),
        Server::Remote | Server::Stdio => None,
    };
    let key = up.told(
        &["key", "create", "--user", "bench", "--group", GROUP],
        "key",
    )?;
    let url = format!("http://{}/mcp/{SERVER}", up.edge);
    let target = Target::new([url])?.with_key(&key)?;
    let processes = processes(&up, sidecar.as_ref(), way, bench)?;
    let children = std::iter::once(up.child).chain(sidecar).collect();
    Ok(Started::new(target, processes, children))
}

/// A sidecar as one starts it that does not belong to `up`.
fn sidecar(up: &Up, bench: &mut Bench, folder: &Path) -> anyhow::Result<Child> {
    let words = [
        "node", "token", "create", "--kind", "sidecar", "--server", SERVER,
    ];
    let token = folder.join("join.token");
    std::fs::write(&token, up.told(&words, "token")?)?;
    let (own, ca) = (folder.join("sidecar"), up.ca());
    let settings = Sidecar {
        listen: bench.place.ports.address()?.to_string(),
        admin_listen: bench.place.ports.address()?.to_string(),
        control: up.control.to_string(),
        records: format!("127.0.0.1:{}", up.records),
        control_ca: &ca.to_string_lossy(),
        data_dir: &own.to_string_lossy(),
        upstream_url: bench.server_url(),
    };
    let file = folder.join("sidecar.toml");
    std::fs::write(&file, toml::to_string(&settings.settings())?)?;
    let mut command = Command::new(&bench.place.gatehouse);
    command.arg("sidecar").arg("--config").arg(&file);
    command.arg("--join").arg(format!("@{}", token.display()));
    bench.place.child("sidecar", &mut command, folder)
}

/// All processes that a call goes through, and those that look after them.
fn processes(
    up: &Up,
    sidecar: Option<&Child>,
    way: Server,
    bench: &Bench,
) -> anyhow::Result<Vec<(Role, Watched)>> {
    let found = pause::until(PARTS, || parts(up, way));
    let mut parts = found.context("not all parts of `gatehouse up` are there")?;
    if let Some(sidecar) = sidecar {
        parts.insert(1, (Role::Between, Watched::one("sidecar", sidecar.pid())));
    }
    if way != Server::Stdio {
        parts.push((Role::Server, bench.server()));
    }
    Ok(parts)
}

/// The parts of `up`, by name; `None` while one is missing.
fn parts(up: &Up, way: Server) -> Option<Vec<(Role, Watched)>> {
    let between = |name: &str, pid| (Role::Between, Watched::one(name, pid));
    let mut found = vec![between("edge", up.part("edge")?)];
    let mut server = None;
    if way == Server::Stdio {
        let sidecar = up.part("sidecar")?;
        let all = Process::all();
        let below = descendants(&all, sidecar);
        let is_server = |process: &&Process| process.words().next() == Some("fixture");
        let pid = below.iter().copied().find(is_server)?.pid;
        server = Some((Role::Server, Watched::one("server", pid)));
        // What keeps the server's processes together belongs to the sidecar.
        let keepers = below.iter().map(|process| process.pid);
        let pids = keepers.filter(|keeper| *keeper != pid).chain([sidecar]);
        let sidecar = Watched::several("sidecar", pids.collect());
        found.push((Role::Between, sidecar));
    }
    found.push(between("control plane", up.part("control-plane")?));
    found.push(between("up", up.child.pid()));
    found.extend(server);
    Some(found)
}
