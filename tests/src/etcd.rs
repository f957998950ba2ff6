//! A real etcd on loopback, of one member or more, with data that outlives a kill.
//!
//! ```text
//! Etcd ── Member 0, 1, 2   kill9 / stop / restart / pause one of them: by index
//!   `-- leader(), compact(), save(file), restore(file): of the whole
//! ```

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::Request;
use crate::process::{self, Process};
use crate::wait;

mod member;

use member::Member;

/// How long a start may take.
const START: Duration = Duration::from_secs(30);
/// How long one question to a member may take.
const ASK: Duration = Duration::from_secs(2);
/// How long a member may take to end when it is asked to.
const END: Duration = Duration::from_secs(20);
/// How long `etcdctl` may take.
const TOOL: Duration = Duration::from_secs(30);

/// An etcd.
#[derive(Debug)]
pub struct Etcd {
    members: Vec<Member>,
    folder: TempDir,
}

impl Etcd {
    /// Starts one of a single member, and waits until it is healthy.
    pub fn start() -> Self {
        Self::of(1)
    }

    /// Starts one of so many members, and waits until all are healthy.
    pub fn of(members: usize) -> Self {
        let folder = TempDir::with_prefix("gatehouse-etcd-").expect("a folder can be made");
        let mut members: Vec<_> = (1..=members)
            .map(|number| Member::new(folder.path(), number))
            .collect();
        let cluster = member::cluster(&members);
        for member in &mut members {
            member.launch(&cluster);
        }
        let etcd = Self { members, folder };
        etcd.wait_until_healthy();
        etcd
    }

    /// What `--store` takes.
    pub fn store(&self) -> String {
        format!("etcd://{}", self.clients().join(","))
    }

    /// Where clients reach its members, `host:port`.
    pub fn clients(&self) -> Vec<String> {
        self.members
            .iter()
            .map(|member| member.client.clone())
            .collect()
    }

    /// How many members it has.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether it has none, which never is.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The member that leads.
    ///
    /// # Panics
    /// Where none does for long.
    pub fn leader(&self) -> usize {
        wait::until("a leader of etcd", START, || {
            let leads = |member: &Member| {
                let status = member.status()?;
                let (leader, own) = (&status["leader"], &status["header"]["member_id"]);
                (leader == own && leader.is_string()).then_some(())
            };
            let found = self
                .members
                .iter()
                .position(|member| leads(member).is_some());
            found.ok_or_else(|| format!("none of {:?} leads", self.clients()))
        })
    }

    /// A member that follows.
    pub fn follower(&self) -> usize {
        let leader = self.leader();
        (leader + 1) % self.members.len()
    }

    /// Kills the first member, which is all of an etcd of one.
    pub fn kill9(&mut self) {
        self.kill9_member(0);
    }

    /// Starts it again on the same data, and waits until it is healthy.
    pub fn restart(&mut self) {
        self.launch_all();
        self.wait_until_healthy();
    }

    /// Kills one member.
    pub fn kill9_member(&mut self, index: usize) {
        self.process(index).kill9();
    }

    /// Asks one member to end, and waits until it has.
    pub fn stop_member(&mut self, index: usize) {
        let process = self.process(index);
        process.ask_to_end();
        process.wait(END);
    }

    /// Starts one member again on its data; it is not waited for.
    pub fn launch_member(&mut self, index: usize) {
        let cluster = member::cluster(&self.members);
        self.members[index].launch(&cluster);
    }

    /// Starts all members again that do not run; they are not waited for.
    pub fn launch_all(&mut self) {
        for index in 0..self.members.len() {
            if self.process(index).ended().is_some() {
                self.launch_member(index);
            }
        }
    }

    /// Kills all members.
    pub fn kill9_all(&mut self) {
        for index in 0..self.members.len() {
            self.kill9_member(index);
        }
    }

    /// Sends a signal to all members: to hold them and to let them go on.
    pub fn signal_all(&mut self, signal: process::Signal) {
        for index in 0..self.members.len() {
            process::signal(self.process(index).pid(), signal);
        }
    }

    /// Whether one member says that it is healthy.
    pub fn is_healthy(&self, index: usize) -> bool {
        self.members[index].health().is_ok()
    }

    /// Waits until all members are healthy.
    ///
    /// # Panics
    /// With what is amiss, where one is not.
    pub fn wait_until_healthy(&self) {
        wait::until("etcd to be healthy", START, || {
            self.members.iter().try_for_each(Member::health)
        });
    }

    /// The revision that it stands at: etcd's own, not Gatehouse's.
    pub fn revision(&self) -> u64 {
        let status = self.members[self.leader()]
            .status()
            .expect("the leader answers");
        let revision = status["header"]["revision"].as_str().unwrap_or_default();
        revision
            .parse()
            .unwrap_or_else(|_| panic!("no revision: {status}"))
    }

    /// Forgets all history before now, and answers with the revision up to which it is forgotten.
    pub fn compact(&self) -> u64 {
        let revision = self.revision();
        let body = json!({"revision": revision.to_string(), "physical": true});
        let compacted = self.members[self.leader()].ask("/v3/kv/compaction", &body);
        compacted.unwrap_or_else(|why| panic!("not compacted: {why}"));
        revision
    }

    /// Writes all that it holds to a file, as an operator's backup does.
    pub fn save(&self, file: &Path) {
        let member = &self.members[self.leader()];
        let endpoint = format!("--endpoints=http://{}", member.client);
        let mut command = tool();
        command.args([&endpoint, "snapshot", "save"]).arg(file);
        process::run(&mut command, TOOL).good();
    }

    /// Puts back what [`Self::save`] wrote, as an operator does: all members are ended, their data goes, each begins
    /// anew from the file. They are not waited for.
    pub fn restore(&mut self, file: &Path) {
        self.kill9_all();
        let cluster = member::cluster(&self.members);
        for member in &mut self.members {
            member.restore(file, &cluster);
            member.launch(&cluster);
        }
    }

    /// The ids of the members' processes that run.
    pub fn pids(&mut self) -> Vec<u32> {
        let processes = self.members.iter_mut().map(Member::process);
        let run = processes.filter_map(|process| process.ended().is_none().then(|| process.pid()));
        run.collect()
    }

    /// The folder of its members' data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn process(&mut self, index: usize) -> &mut Process {
        self.members[index].process()
    }
}

/// The version of the API that etcdctl 3.4 speaks by default is 2's.
fn tool() -> Command {
    let mut command = Command::new("etcdctl");
    command.env("ETCDCTL_API", "3");
    command
}

impl Member {
    fn health(&self) -> Result<(), String> {
        let health = Request::get(&format!("http://{}/health", self.client)).deadline(ASK);
        match health.try_send() {
            Ok(response) if response.status == 200 => Ok(()),
            Ok(response) => Err(response.text()),
            Err(error) => Err(format!("{error}\n{}", self.said())),
        }
    }

    fn status(&self) -> Option<Value> {
        self.ask("/v3/maintenance/status", &json!({})).ok()
    }

    fn ask(&self, path: &str, body: &Value) -> Result<Value, String> {
        let request = Request::post(&format!("http://{}{path}", self.client))
            .body(body.to_string())
            .deadline(ASK);
        let response = request.try_send().map_err(|error| error.to_string())?;
        match response.status {
            200 => serde_json::from_str(&response.text()).map_err(|error| error.to_string()),
            _ => Err(response.to_string()),
        }
    }
}
