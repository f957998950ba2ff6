//! The targets of a bench, started: one server for all of them, and what stands before it.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};

use super::child::Child;
use super::place::Place;
use super::targets::{Description, Way};
use super::{gatehouse, nginx};
use crate::compare::{Candidate, Role};
use crate::load::Load;
use crate::pause;
use crate::process::Watched;
use crate::target::Target;

/// How long a process of ours may take to say where it listens.
const LISTENS: Duration = Duration::from_secs(10);
/// How long a target may take until it answers a call.
const ANSWERS: Duration = Duration::from_secs(20);
/// How long a first call may take.
const FIRST_CALL: Duration = Duration::from_secs(5);
/// How long is called between two looks whether a target answers.
const TRY: Duration = Duration::from_millis(50);

/// What all targets share: the server, and a place. Dropping it ends what it started.
#[derive(Debug)]
pub(super) struct Bench {
    /// Where programs are looked for, as shells do.
    search_path: String,
    server: Child,
    server_url: String,
    // Behind the server, so that the folder goes when nothing runs in it any more.
    pub(super) place: Place,
}

/// A target that answers calls. Dropping it ends its processes.
#[derive(Debug)]
pub(super) struct Started {
    target: Target,
    processes: Vec<(Role, Watched)>,
    /// Ended with it.
    children: Vec<Child>,
}

impl Bench {
    /// Starts the server.
    ///
    /// # Errors
    /// It does not start, or there is no folder to be had.
    pub(super) fn start(gatehouse: PathBuf, search_path: String) -> anyhow::Result<Self> {
        let place = Place::new(gatehouse)?;
        let mut command = this_program()?;
        command.arg("fixture");
        let mut server = place.child("server", &mut command, place.folder())?;
        let server_url = server.said(LISTENS, |line| Some(line.to_owned()))?;
        Ok(Self {
            search_path,
            server,
            server_url,
            place,
        })
    }

    /// Starts what is described, and waits until it answers a call.
    ///
    /// # Errors
    /// What keeps it from that, in the words of whoever failed.
    pub(super) fn target(&mut self, description: &Description) -> anyhow::Result<Started> {
        let name = description.name;
        let mut started = match description.way {
            Way::Direct => self.direct()?,
            Way::Floor => self.floor()?,
            Way::Nginx => self.nginx()?,
            Way::Gatehouse(way) => gatehouse::start(name, way, self)?,
        };
        started.await_answer()?;
        Ok(started)
    }

    /// Whether this machine has what is described.
    pub(super) fn has(&self, description: &Description) -> bool {
        description.way != Way::Nginx || nginx::program(&self.search_path).is_some()
    }

    /// Where the server is called over HTTP.
    pub(super) fn server_url(&self) -> &str {
        &self.server_url
    }

    /// How the server is run for stdio.
    pub(super) fn stdio_argv(&self) -> Vec<String> {
        let program = std::env::current_exe().unwrap_or_default();
        let program = program.to_string_lossy().into_owned();
        [&program, "fixture", "--stdio"].map(str::to_owned).into()
    }

    /// The server's process.
    pub(super) fn server(&self) -> Watched {
        Watched::one("server", self.server.pid())
    }

    fn direct(&self) -> anyhow::Result<Started> {
        let target = Target::new([&self.server_url])?;
        let processes = vec![(Role::Server, self.server())];
        Ok(Started::new(target, processes, Vec::new()))
    }

    fn floor(&self) -> anyhow::Result<Started> {
        let mut command = this_program()?;
        command.args(["floor", "--to", &self.server_url]);
        let mut floor = self
            .place
            .child("floor", &mut command, self.place.folder())?;
        let url = floor.said(LISTENS, |line| Some(line.to_owned()))?;
        self.before_server("floor", &url, floor)
    }

    fn nginx(&mut self) -> anyhow::Result<Started> {
        let program = nginx::program(&self.search_path).context("nginx is not installed")?;
        let listen = self.place.ports.address()?;
        let server = Target::new([&self.server_url])?;
        let folder = self.place.folder().join("nginx");
        std::fs::create_dir(&folder)?;
        let file = folder.join("nginx.conf");
        let upstream = server.urls[0].address;
        std::fs::write(&file, nginx::configuration(listen, upstream))?;
        let mut command = nginx::command(&program, &folder, &file);
        let nginx = self.place.child("nginx", &mut command, &folder)?;
        self.before_server("nginx", &format!("http://{listen}/mcp"), nginx)
    }

    fn before_server(&self, name: &str, url: &str, child: Child) -> anyhow::Result<Started> {
        let between = (Role::Between, Watched::one(name, child.pid()));
        let processes = vec![between, (Role::Server, self.server())];
        Ok(Started::new(Target::new([url])?, processes, vec![child]))
    }
}

impl Started {
    pub(super) fn new(
        target: Target,
        processes: Vec<(Role, Watched)>,
        children: Vec<Child>,
    ) -> Self {
        Self {
            target,
            processes,
            children,
        }
    }

    /// As what is compared.
    pub(super) fn candidate(&self, name: &str) -> Candidate {
        Candidate {
            name: name.to_owned(),
            target: self.target.clone(),
            processes: self.processes.clone(),
        }
    }

    fn await_answer(&mut self) -> anyhow::Result<()> {
        let load = Load::of_clients(1, self.target.clone()).giving_up_after(FIRST_CALL);
        let mut last = String::new();
        let answered = pause::until(ANSWERS, || {
            for child in &mut self.children {
                if let Some(status) = child.ended() {
                    return Some(Err(format!("it ended ({status}): {}", child.last_words())));
                }
            }
            match load.run(Duration::ZERO, TRY) {
                Ok(report) if report.answered > 0 => Some(Ok(())),
                Ok(report) => {
                    last = report.failures.to_string();
                    None
                }
                Err(error) => Some(Err(error.to_string())),
            }
        });
        match answered {
            Some(Ok(())) => Ok(()),
            Some(Err(why)) => bail!("{why}"),
            None => {
                let words = self.children.iter().map(Child::last_words);
                let words = words.collect::<Vec<_>>().join("\n");
                bail!("no call was answered within {ANSWERS:?}: {last}{words}")
            }
        }
    }
}

fn this_program() -> anyhow::Result<Command> {
    let program = std::env::current_exe().context("this program does not know its own path")?;
    Ok(Command::new(program))
}
