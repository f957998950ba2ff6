//! A real etcd on loopback, with data that outlives a kill.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::http::Request;
use crate::ports;
use crate::process::Process;
use crate::wait;

/// How long a start may take.
const START: Duration = Duration::from_secs(30);

/// An etcd of one member.
#[derive(Debug)]
pub struct Etcd {
    process: Process,
    client: String,
    peer: String,
    folder: TempDir,
}

impl Etcd {
    /// Starts one, and waits until it is healthy.
    pub fn start() -> Self {
        let folder = TempDir::with_prefix("gatehouse-etcd-").expect("a folder can be made");
        let (client, peer) = (ports::address(), ports::address());
        let process = launch(folder.path(), &client, &peer);
        let etcd = Self {
            process,
            client,
            peer,
            folder,
        };
        etcd.wait_until_healthy();
        etcd
    }

    /// What `--store` takes.
    pub fn store(&self) -> String {
        format!("etcd://{}", self.client)
    }

    /// Kills it.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Starts it again on the same data, and waits until it is healthy.
    pub fn restart(&mut self) {
        self.process = launch(self.folder.path(), &self.client, &self.peer);
        self.wait_until_healthy();
    }

    fn wait_until_healthy(&self) {
        let health = Request::get(&format!("http://{}/health", self.client))
            .deadline(Duration::from_secs(2));
        wait::until("etcd to be healthy", START, || match health.try_send() {
            Ok(response) if response.status == 200 => Ok(()),
            Ok(response) => Err(response.text()),
            Err(error) => Err(format!("{error}\n{}", self.process.stderr())),
        });
    }
}

fn launch(folder: &Path, client: &str, peer: &str) -> Process {
    let (client, peer) = (format!("http://{client}"), format!("http://{peer}"));
    let mut command = Command::new("etcd");
    command
        .args([
            "--name",
            "test",
            "--logger",
            "zap",
            "--log-level",
            "warn",
            "--data-dir",
        ])
        .arg(folder.join("data"))
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
        .args(["--initial-cluster", &format!("test={peer}")]);
    Process::start(&mut command, Some(folder))
}
