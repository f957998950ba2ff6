//! One member of an etcd: its process, its ports, its data.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{TOOL, tool};
use crate::ports;
use crate::process::{self, Process};

/// One member.
#[derive(Debug)]
pub(super) struct Member {
    name: String,
    /// Where clients reach it, `host:port`.
    pub(super) client: String,
    peer: String,
    folder: PathBuf,
    process: Option<Process>,
}

/// What `--initial-cluster` takes.
pub(super) fn cluster(members: &[Member]) -> String {
    let each = |member: &Member| format!("{}=http://{}", member.name, member.peer);
    members.iter().map(each).collect::<Vec<_>>().join(",")
}

impl Member {
    /// A member that does not run yet.
    pub(super) fn new(folder: &Path, number: usize) -> Self {
        let name = format!("etcd-{number}");
        Self {
            folder: folder.join(&name),
            name,
            client: ports::address(),
            peer: ports::address(),
            process: None,
        }
    }

    /// Starts it on its data.
    pub(super) fn launch(&mut self, cluster: &str) {
        let client = format!("http://{}", self.client);
        let peer = format!("http://{}", self.peer);
        let mut command = Command::new("etcd");
        command
            .args(["--name", &self.name])
            .args(["--logger", "zap", "--log-level", "warn", "--data-dir"])
            .arg(self.data())
            .args([
                "--listen-client-urls",
                &client,
                "--advertise-client-urls",
                &client,
            ])
            .args([
                "--listen-peer-urls",
                &peer,
                "--initial-advertise-peer-urls",
                &peer,
            ])
            .args(["--initial-cluster", cluster])
            // On a busy machine the defaults would change leaders for no other reason.
            .args(["--heartbeat-interval", "250", "--election-timeout", "2500"]);
        let folder = self.folder.parent();
        self.process = Some(Process::start(&mut command, folder));
    }

    /// Replaces its data by what a backup holds. It must not run.
    pub(super) fn restore(&mut self, file: &Path, cluster: &str) {
        self.process = None;
        let data = self.data();
        if data.exists() {
            std::fs::remove_dir_all(&data).expect("the data can be removed");
        }
        let peer = format!("http://{}", self.peer);
        let mut command = tool();
        command
            .args(["snapshot", "restore"])
            .arg(file)
            .args(["--name", &self.name, "--initial-cluster", cluster])
            .args(["--initial-advertise-peer-urls", &peer, "--data-dir"])
            .arg(&data);
        process::run(&mut command, TOOL).good();
    }

    /// Its process.
    ///
    /// # Panics
    /// Where it was never started.
    pub(super) fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("a member is started at once")
    }

    /// What it has complained about.
    pub(super) fn said(&self) -> String {
        self.process
            .as_ref()
            .map(Process::stderr)
            .unwrap_or_default()
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }
}
