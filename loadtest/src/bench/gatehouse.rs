//! The whole of Gatehouse as `gatehouse up` starts it, in front of one server: started, joined, let in, found.

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use super::child::{Child, output};
use super::started::{Bench, Started};
use super::targets::{GROUP, SERVER, Server, Sidecar};
use crate::compare::Role;
use crate::pause;
use crate::process::{Process, Watched, descendants};
use crate::target::Target;

/// How long `up` may take to `ready`.
const READY: Duration = Duration::from_secs(40);
/// How long the parts of `up` may take to show.
const PARTS: Duration = Duration::from_secs(10);

/// Gatehouse in one folder.
struct Gatehouse<'a> {
    bench: &'a mut Bench,
    data: PathBuf,
    edge: SocketAddr,
    control: SocketAddr,
    records: u16,
}

/// Starts it before the bench's server, reached in this way.
///
/// # Errors
/// What keeps it from starting, in the words of whoever did not start.
pub(super) fn start(name: &str, way: Server, bench: &mut Bench) -> anyhow::Result<Started> {
    let folder = bench.folder().join(name);
    let mut gatehouse = Gatehouse {
        data: folder.join("data"),
        edge: bench.ports.address()?,
        control: bench.ports.address()?,
        records: bench.ports.free()?,
        bench,
    };
    std::fs::create_dir(&folder)?;
    gatehouse.remember_ports()?;
    let up = gatehouse.up(way, &folder)?;
    let sidecar = match way {
        Server::External => Some(gatehouse.sidecar(&folder)?),
        Server::Remote | Server::Stdio => None,
    };
    let key = gatehouse.key()?;
    let url = format!("http://{}/mcp/{SERVER}", gatehouse.edge);
    let target = Target::new([url])?.with_key(&key)?;
    let processes = gatehouse.processes(&up, sidecar.as_ref(), way)?;
    let children = std::iter::once(up).chain(sidecar).collect();
    Ok(Started::new(target, processes, children))
}

impl Gatehouse<'_> {
    /// `up` looks here for the ports that it chose at an earlier start. Left to itself it prefers the same ones in every
    /// folder, and there are several at once.
    fn remember_ports(&mut self) -> anyhow::Result<()> {
        let ports = json!({
            "control-plane.otlp": self.records,
            "control-plane.admin": self.bench.ports.free()?,
            "edge-1.admin": self.bench.ports.free()?,
        });
        let private = std::fs::DirBuilder::new().mode(0o700).create(&self.data);
        private.context("a folder for Gatehouse")?;
        let memory = json!({ "ports": ports }).to_string();
        Ok(std::fs::write(self.data.join("up.json"), memory)?)
    }

    fn up(&mut self, way: Server, folder: &Path) -> anyhow::Result<Child> {
        let resources = way.resources(self.bench.server_url(), &self.bench.stdio_argv());
        // JSON is YAML, too; a file of several documents needs only the lines between them.
        let resources: String = resources
            .iter()
            .map(|resource| format!("---\n{resource:#}\n"))
            .collect();
        let file = folder.join("resources.yaml");
        std::fs::write(&file, resources)?;
        let mut command = Command::new(&self.bench.gatehouse);
        command
            .arg("up")
            .arg("--data")
            .arg(&self.data)
            .args(["--edge-listen", &self.edge.to_string()])
            .args(["--control-listen", &self.control.to_string()])
            .args(["--web-listen", &self.bench.ports.address()?.to_string()])
            .arg("-f")
            .arg(&file)
            .args(way.flags())
            .env_remove("GATEHOUSE_CONTEXT");
        let mut up = self.bench.child("up", &mut command, folder)?;
        up.said(READY, |line| (line.trim() == "ready").then_some(()))?;
        Ok(up)
    }

    /// A sidecar as one starts it that does not belong to `up`.
    fn sidecar(&mut self, folder: &Path) -> anyhow::Result<Child> {
        let words = [
            "node", "token", "create", "--kind", "sidecar", "--server", SERVER,
        ];
        let token = folder.join("join.token");
        std::fs::write(&token, self.told(&words, "token")?)?;
        let ca = self.data.join("control-plane/ca.pem");
        let own = folder.join("sidecar");
        let settings = Sidecar {
            listen: self.bench.ports.address()?.to_string(),
            admin_listen: self.bench.ports.address()?.to_string(),
            control: self.control.to_string(),
            records: format!("127.0.0.1:{}", self.records),
            control_ca: &ca.to_string_lossy(),
            data_dir: &own.to_string_lossy(),
            upstream_url: self.bench.server_url(),
        };
        let file = folder.join("sidecar.toml");
        std::fs::write(&file, toml::to_string(&settings.settings())?)?;
        let mut command = Command::new(&self.bench.gatehouse);
        command.arg("sidecar").arg("--config").arg(&file);
        command.arg("--join").arg(format!("@{}", token.display()));
        self.bench.child("sidecar", &mut command, folder)
    }

    fn key(&self) -> anyhow::Result<String> {
        self.told(
            &["key", "create", "--user", "bench", "--group", GROUP],
            "key",
        )
    }

    /// Runs a command that makes something, and answers with the member `name` of what it tells.
    fn told(&self, words: &[&str], name: &str) -> anyhow::Result<String> {
        let mut command = Command::new(&self.bench.gatehouse);
        command.args(words).args(["-o", "json"]);
        command.env("GATEHOUSE_CONTEXT", self.data.join("client.toml"));
        let made: Value = serde_json::from_str(&output(&mut command)?)?;
        let member = made[name].as_str().map(str::to_owned);
        member.with_context(|| format!("`gatehouse {}` told no {name}", words.join(" ")))
    }

    /// All processes that a call goes through, and those that look after them.
    fn processes(
        &self,
        up: &Child,
        sidecar: Option<&Child>,
        way: Server,
    ) -> anyhow::Result<Vec<(Role, Watched)>> {
        let found = pause::until(PARTS, || parts(up.pid(), way));
        let mut parts = found.context("not all parts of `gatehouse up` are there")?;
        if let Some(sidecar) = sidecar {
            parts.insert(1, (Role::Between, Watched::one("sidecar", sidecar.pid())));
        }
        if way != Server::Stdio {
            parts.push((Role::Server, self.bench.server()));
        }
        Ok(parts)
    }
}

/// The parts of `up`, by name; `None` while one is missing.
fn parts(up: u32, way: Server) -> Option<Vec<(Role, Watched)>> {
    let all = Process::all();
    let part = |kind: &str| {
        let mut ours = all.values().filter(|process| process.parent == up);
        ours.find(|process| process.words().next() == Some(kind))
            .map(|process| process.pid)
    };
    let between = |name: &str, pid| (Role::Between, Watched::one(name, pid));
    let mut found = vec![between("edge", part("edge")?)];
    let mut server = None;
    if way == Server::Stdio {
        let sidecar = part("sidecar")?;
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
    found.push(between("control plane", part("control-plane")?));
    found.push(between("up", up));
    found.extend(server);
    Some(found)
}
