//! A real Redis on loopback, which keeps nothing over a restart: what limits have counted may be lost.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use crate::ports;
use crate::process::{Process, Signal, signal};
use crate::wait;

/// How long a start may take.
const START: Duration = Duration::from_secs(20);
/// How long one answer may take.
const ASK: Duration = Duration::from_secs(2);

/// A Redis.
#[derive(Debug)]
pub struct Redis {
    address: String,
    process: Process,
}

impl Redis {
    /// Starts one, and waits until it answers.
    pub fn start() -> Self {
        let address = ports::address();
        let process = launch(&address);
        let redis = Self { address, process };
        redis.wait_until_it_answers();
        redis
    }

    /// What `edge.limits.redis` takes.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Kills it.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Starts it again, at the same address and with nothing in it.
    pub fn restart(&mut self) {
        self.process = launch(&self.address);
        self.wait_until_it_answers();
    }

    /// Lets it hang: connections stay, and nothing is answered.
    pub fn pause(&self) {
        signal(self.process.pid(), Signal::STOP);
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        signal(self.process.pid(), Signal::CONT);
    }

    fn wait_until_it_answers(&self) {
        wait::until("an answer of redis", START, || {
            self.ping().map_err(|error| {
                let said = self.process.stderr() + &self.process.stdout();
                format!("{error}: {said}")
            })
        });
    }

    fn ping(&self) -> std::io::Result<()> {
        let mut connection = TcpStream::connect(&self.address)?;
        connection.set_read_timeout(Some(ASK))?;
        connection.write_all(b"PING\r\n")?;
        let mut answer = [0; 7];
        connection.read_exact(&mut answer)?;
        if &answer == b"+PONG\r\n" {
            Ok(())
        } else {
            Err(std::io::Error::other("no PONG"))
        }
    }
}

fn launch(address: &str) -> Process {
    let (host, port) = address.rsplit_once(':').expect("an address has a port");
    let mut command = Command::new("redis-server");
    command
        .args(["--port", port, "--bind", host])
        .args(["--save", "", "--appendonly", "no"]);
    Process::start(&mut command, None)
}
