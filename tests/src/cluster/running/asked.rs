//! What the command line says of a cluster: its nodes, its servers, its record.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Running, settle};
use crate::process::Output;
use crate::wait;

/// The largest page of `audit list`.
const PAGE: &str = "1000";
/// How long a server may take to be ready.
const SERVER: Duration = Duration::from_secs(60);

impl Running {
    /// Waits until every control plane says that every node lives and runs the head.
    ///
    /// # Panics
    /// With what is amiss, where that does not come about.
    pub fn settled(&self) {
        for control_plane in 0..self.control_planes.len() {
            settle("all nodes to run the head", || {
                self.is_settled(control_plane)
            });
        }
    }

    /// Whether a control plane says that every node lives and runs the head; an `Err` says what is missing.
    ///
    /// # Errors
    /// What is missing.
    pub fn is_settled(&self, control_plane: usize) -> Result<(), String> {
        let wanted = self.edges.len() + self.sidecars.len();
        let output = self.gatehouse(control_plane, &["nodes", "-o", "json"]);
        if output.status != Some(0) {
            return Err(output.to_string());
        }
        let document = output.json();
        let nodes = output.items();
        let runs = |node: &&Value| node["revision"] == document["revision"] && node["live"] == true;
        if nodes.iter().filter(runs).count() == wanted {
            Ok(())
        } else {
            Err(format!("{document:#}"))
        }
    }

    /// The revision that a control plane says is the head.
    pub fn head(&self, control_plane: usize) -> u64 {
        let output = self
            .gatehouse(control_plane, &["nodes", "-o", "json"])
            .good();
        let revision = output.json()["revision"].as_u64();
        revision.unwrap_or_else(|| panic!("no revision: {output}"))
    }

    /// Waits until a server can be called.
    pub fn server_is_ready(&self, server: &str) {
        wait::until(&format!("server {server} to be ready"), SERVER, || {
            let words = ["server", "status", server, "-o", "json"];
            let output = self.gatehouse(0, &words);
            let rows = if output.status == Some(0) {
                output.items()
            } else {
                Vec::new()
            };
            let wanted = self.servers.iter().filter(|each| *each == server).count();
            let ready = rows.iter().filter(|row| row["state"] == "ready").count();
            if ready == wanted {
                Ok(())
            } else {
                Err(output.to_string())
            }
        });
    }

    /// Waits until a command ends well, and tells how long that took since `since`.
    ///
    /// # Panics
    /// With what it said last, where it does not.
    pub fn works(
        &self,
        control_plane: usize,
        words: &[&str],
        since: Instant,
        deadline: Duration,
    ) -> Duration {
        let what = format!("`gatehouse {}` to work", words.join(" "));
        wait::until(&what, deadline.saturating_sub(since.elapsed()), || {
            let output: Output = self.gatehouse(control_plane, words);
            if output.status == Some(0) {
                Ok(())
            } else {
                Err(output.to_string())
            }
        });
        since.elapsed()
    }

    /// How often `audit list` shows each request of a user, by the id of the request; page by page to the end.
    pub fn recorded(&self, control_plane: usize, user: &str) -> BTreeMap<String, usize> {
        let mut found = BTreeMap::new();
        let mut after = String::new();
        loop {
            let mut words = vec!["audit", "list", "-o", "json", "--user", user];
            words.extend(["--limit", PAGE]);
            if !after.is_empty() {
                words.extend(["--after", &after]);
            }
            let page = self.gatehouse(control_plane, &words).good();
            for row in page.items() {
                let id = row["request_id"].as_str().unwrap_or_default();
                *found.entry(id.to_owned()).or_default() += 1;
            }
            after = page.json()["next"].as_str().unwrap_or_default().to_owned();
            if after.is_empty() {
                return found;
            }
        }
    }
}
