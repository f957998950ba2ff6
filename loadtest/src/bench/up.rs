//! `gatehouse up` in a folder of its own: started, and asked by commands.

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use super::child::{Child, output};
use super::place::Place;
use crate::process::Process;

/// How long `up` may take to `ready`.
const READY: Duration = Duration::from_secs(40);

/// A system that runs. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Up {
    /// The process above all others.
    pub(crate) child: Child,
    /// Its data.
    pub(crate) data: PathBuf,
    /// Where clients call.
    pub(crate) edge: SocketAddr,
    /// The control plane's APIs.
    pub(crate) control: SocketAddr,
    /// The control plane's receiver of records, on loopback.
    pub(crate) records: u16,
    gatehouse: PathBuf,
}

impl Up {
    /// Starts it below `folder`, with these resources in its catalog.
    ///
    /// # Errors
    /// What keeps it from starting, in its own words.
    pub(crate) fn start(
        place: &mut Place,
        folder: &Path,
        resources: &[Value],
        flags: &[&str],
    ) -> anyhow::Result<Self> {
        Self::start_with(place, folder, resources, flags, &[])
    }

    /// … and with these variables of the environment, which its parts inherit: settings of theirs.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub(crate) fn start_with(
        place: &mut Place,
        folder: &Path,
        resources: &[Value],
        flags: &[&str],
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let data = folder.join("data");
        let (edge, control) = (place.ports.address()?, place.ports.address()?);
        let records = place.ports.free()?;
        std::fs::create_dir(folder)?;
        remember_ports(place, &data, records)?;
        let file = folder.join("resources.yaml");
        std::fs::write(&file, yaml(resources))?;
        let mut command = Command::new(&place.gatehouse);
        command
            .arg("up")
            .arg("--data")
            .arg(&data)
            .args(["--edge-listen", &edge.to_string()])
            .args(["--control-listen", &control.to_string()])
            .args(["--web-listen", &place.ports.address()?.to_string()])
            .arg("-f")
            .arg(&file)
            .args(flags)
            .envs(variables.iter().copied())
            .env_remove("GATEHOUSE_CONTEXT");
        let mut child = place.child("up", &mut command, folder)?;
        child.said(READY, |line| (line.trim() == "ready").then_some(()))?;
        Ok(Self {
            child,
            data,
            edge,
            control,
            records,
            gatehouse: place.gatehouse.clone(),
        })
    }

    /// What commands find it by.
    pub(crate) fn context(&self) -> PathBuf {
        self.data.join("client.toml")
    }

    /// The authority of its parts.
    pub(crate) fn ca(&self) -> PathBuf {
        self.data.join("control-plane/ca.pem")
    }

    /// Runs a command that makes something, and answers with the member `name` of what it tells.
    ///
    /// # Errors
    /// It fails, or tells no such thing.
    pub(crate) fn told(&self, words: &[&str], name: &str) -> anyhow::Result<String> {
        let mut command = Command::new(&self.gatehouse);
        command.args(words).args(["-o", "json"]);
        command.env("GATEHOUSE_CONTEXT", self.context());
        let made: Value = serde_json::from_str(&output(&mut command)?)?;
        let member = made[name].as_str().map(str::to_owned);
        member.with_context(|| format!("`gatehouse {}` told no {name}", words.join(" ")))
    }

    /// The id of a part, by the word that it was started with.
    pub(crate) fn part(&self, kind: &str) -> Option<u32> {
        let all = Process::all();
        let mut ours = all
            .values()
            .filter(|process| process.parent == self.child.pid());
        ours.find(|process| process.words().next() == Some(kind))
            .map(|process| process.pid)
    }
}

/// `up` looks here for the ports that it chose at an earlier start. Left to itself it prefers the same ones in every
/// folder, and there are several at once.
fn remember_ports(place: &mut Place, data: &Path, records: u16) -> anyhow::Result<()> {
    let ports = json!({
        "control-plane.otlp": records,
        "control-plane.admin": place.ports.free()?,
        "edge-1.admin": place.ports.free()?,
    });
    let private = std::fs::DirBuilder::new().mode(0o700).create(data);
    private.context("a folder for Gatehouse")?;
    let memory = json!({ "ports": ports }).to_string();
    Ok(std::fs::write(data.join("up.json"), memory)?)
}

/// JSON is YAML, too; a file of several documents needs only the lines between them.
fn yaml(resources: &[Value]) -> String {
    resources
        .iter()
        .map(|resource| format!("---\n{resource:#}\n"))
        .collect()
}
