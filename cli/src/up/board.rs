//! What the user has been told, and what is still awaited: which lines `up` prints, each once, and when it is ready.
//!
//! Pure: is shown how things are, answers with what to print.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proto::v1::ServerStatus;

use crate::server;
use crate::when;

/// Looks that may find a server waiting for its next start before it counts as failed: one glitch is none, and a
/// server that never comes does not hold up the others.
const BACKOFF_LOOKS_MAX: u32 = 8;
/// Width of the first column.
const COLUMN: usize = 16;

/// The state of the announcement.
#[derive(Debug)]
pub(super) struct Board {
    /// URL of each edge, and whether it was announced.
    edges: Vec<(String, bool)>,
    /// Servers that are hosted here.
    servers: BTreeMap<String, Server>,
    /// Whether the catalog has been seen.
    catalog_seen: bool,
    /// Whether `ready` was printed.
    ready: bool,
}

#[derive(Debug, Default)]
struct Server {
    status: Option<ServerStatus>,
    /// What was announced last.
    told: Option<Told>,
    /// How many looks found it waiting for its next start.
    backoff_looks: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Ready,
    Failed,
}

impl Board {
    /// Edges by their URLs, in order; the first is canonical.
    pub(super) fn new(edges: Vec<String>) -> Self {
        let edges = edges.into_iter().map(|url| (url, false)).collect();
        Self {
            edges,
            servers: BTreeMap::new(),
            catalog_seen: false,
            ready: false,
        }
    }

    /// A line with its first column.
    pub(super) fn line(head: &str, rest: &str) -> String {
        format!("{head:COLUMN$}{rest}")
    }

    /// The edge runs: its line, the first time.
    pub(super) fn edge_runs(&mut self, index: usize) -> Option<String> {
        let (url, told) = self.edges.get_mut(index)?;
        if std::mem::replace(told, true) {
            return None;
        }
        Some(Self::line("edge", url))
    }

    /// Indexes of edges that do not run yet.
    pub(super) fn edges_awaited(&self) -> Vec<usize> {
        (0..self.edges.len())
            .filter(|index| !self.edges[*index].1)
            .collect()
    }

    /// Servers that were hosted and are not any more.
    pub(super) fn no_longer(&self, names: &BTreeSet<String>) -> Vec<String> {
        self.servers
            .keys()
            .filter(|name| !names.contains(*name))
            .cloned()
            .collect()
    }

    /// Servers that were not hosted before.
    pub(super) fn new_ones(&self, names: &BTreeSet<String>) -> Vec<String> {
        names
            .iter()
            .filter(|name| !self.servers.contains_key(*name))
            .cloned()
            .collect()
    }

    /// These servers are hosted now.
    pub(super) fn hosted(&mut self, names: &BTreeSet<String>) {
        self.catalog_seen = true;
        self.servers.retain(|name, _| names.contains(name));
        for name in names {
            self.servers.entry(name.clone()).or_default();
        }
    }

    /// How servers are now; lines for those that came to an end of their start.
    pub(super) fn statuses(&mut self, statuses: Vec<ServerStatus>) -> Vec<String> {
        let url = self
            .edges
            .first()
            .map(|(url, _)| url.clone())
            .unwrap_or_default();
        let mut lines = Vec::new();
        for status in server::one_each(statuses) {
            let Some(server) = self.servers.get_mut(&status.server) else {
                continue;
            };
            match status.state.as_str() {
                "ready" => server.backoff_looks = 0,
                "backoff" => server.backoff_looks = server.backoff_looks.saturating_add(1),
                _ => {}
            }
            let now = settled(&status, server.backoff_looks);
            if let Some(now) = now.filter(|now| server.told != Some(*now)) {
                let rest = match now {
                    Told::Ready => format!("{:COLUMN$} {url}/mcp/{}", status.server, status.server),
                    Told::Failed => {
                        format!("{:COLUMN$} failed: {}", status.server, reason(&status))
                    }
                };
                lines.push(Self::line("server", &rest));
                server.told = Some(now);
            }
            server.status = Some(status);
        }
        lines
    }

    /// Whether some server is still on its way.
    pub(super) fn servers_awaited(&self) -> bool {
        !self.catalog_seen
            || self
                .servers
                .values()
                .any(|server| server.told != Some(Told::Ready))
    }

    /// A server that takes calls, for the hint.
    pub(super) fn a_ready_server(&self) -> Option<&str> {
        let ready = |server: &Server| server.told == Some(Told::Ready);
        self.servers
            .iter()
            .find(|(_, server)| ready(server))
            .map(|(name, _)| name.as_str())
    }

    /// Whether everything runs or has failed for good; true once only.
    pub(super) fn becomes_ready(&mut self) -> bool {
        let servers =
            self.catalog_seen && self.servers.values().all(|server| server.told.is_some());
        let ready = !self.ready && servers && self.edges_awaited().is_empty();
        self.ready |= ready;
        ready
    }

    /// Whether `ready` was said.
    pub(super) const fn is_ready(&self) -> bool {
        self.ready
    }

    /// What is awaited, in words: the stable part and the part that runs.
    pub(super) fn awaited(&self, since: Duration) -> Option<(String, String)> {
        let running = format!(", {}", when::span(since));
        if let Some(index) = self.edges_awaited().first() {
            return Some((format!("edge {}: starting", self.edges[*index].0), running));
        }
        if !self.catalog_seen {
            return Some(("catalog: loading".to_owned(), running));
        }
        let (name, server) = self
            .servers
            .iter()
            .find(|(_, server)| server.told.is_none())?;
        let (state, message) = server
            .status
            .as_ref()
            .map_or(("starting", ""), |s| (s.state.as_str(), s.message.as_str()));
        let message = if message.is_empty() || message == state {
            String::new()
        } else {
            format!(", {message}")
        };
        Some((
            format!("server {name}: {state}"),
            format!("{message}{running}"),
        ))
    }

    /// Everything that is awaited, for the end of patience.
    pub(super) fn all_awaited(&self) -> String {
        let edges = self
            .edges_awaited()
            .into_iter()
            .map(|index| format!("edge {}", self.edges[index].0));
        let servers = self
            .servers
            .iter()
            .filter(|(_, server)| server.told.is_none())
            .map(|(name, server)| {
                let state = server
                    .status
                    .as_ref()
                    .map_or("no word from its sidecar", |status| status.state.as_str());
                format!("server {name} ({state})")
            });
        edges.chain(servers).collect::<Vec<_>>().join(", ")
    }
}

/// Whether a server's start has come to an end.
fn settled(status: &ServerStatus, backoff_looks: u32) -> Option<Told> {
    match status.state.as_str() {
        "ready" => Some(Told::Ready),
        "failed" => Some(Told::Failed),
        "backoff" if backoff_looks >= BACKOFF_LOOKS_MAX => Some(Told::Failed),
        _ => None,
    }
}

fn reason(status: &ServerStatus) -> String {
    let reason = [&status.message, &status.last_exit]
        .into_iter()
        .find(|text| !text.is_empty());
    reason
        .cloned()
        .unwrap_or_else(|| "no reason given".to_owned())
        .replace('\n', " ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn status(server: &str, state: &str) -> ServerStatus {
        ServerStatus {
            server: server.to_owned(),
            state: state.to_owned(),
            message: if state == "ready" {
                String::new()
            } else {
                format!("{state} message")
            },
            ..ServerStatus::default()
        }
    }

    fn board() -> Board {
        let mut board = Board::new(vec![
            "http://127.0.0.1:7800".to_owned(),
            "http://127.0.0.1:7801".to_owned(),
        ]);
        board.hosted(&["everything", "time"].map(str::to_owned).into());
        board
    }

    #[test]
    fn each_line_is_printed_once() {
        let mut board = board();
        assert_eq!(
            board.edge_runs(0).unwrap(),
            "edge            http://127.0.0.1:7800"
        );
        assert_eq!(board.edge_runs(0), None);
        assert_eq!(
            board.statuses(vec![status("everything", "ready")]),
            ["server          everything       http://127.0.0.1:7800/mcp/everything"]
        );
        assert!(
            board
                .statuses(vec![
                    status("everything", "ready"),
                    status("elsewhere", "ready")
                ])
                .is_empty()
        );
    }

    #[test]
    fn ready_waits_for_all_and_comes_once() {
        let mut board = board();
        board.edge_runs(0);
        board.statuses(vec![
            status("everything", "ready"),
            status("time", "installing"),
        ]);
        assert!(!board.becomes_ready());
        board.edge_runs(1);
        let (what, detail) = board.awaited(Duration::from_secs(9)).unwrap();
        assert_eq!(
            (what.as_str(), detail.as_str()),
            ("server time: installing", ", installing message, 9s")
        );
        board.statuses(vec![status("time", "ready")]);
        assert!(board.becomes_ready());
        assert!(!board.becomes_ready());
        assert!(board.is_ready() && !board.servers_awaited());
    }

    #[test]
    fn a_failed_server_is_named_and_does_not_hold_ready() {
        let mut board = board();
        board.edge_runs(0);
        board.edge_runs(1);
        board.statuses(vec![status("everything", "ready")]);
        for _ in 1..BACKOFF_LOOKS_MAX {
            let lines = board.statuses(vec![status("time", "backoff")]);
            assert!(lines.is_empty(), "one glitch is no failure");
        }
        assert_eq!(
            board.statuses(vec![status("time", "backoff")]),
            ["server          time             failed: backoff message"]
        );
        assert!(board.becomes_ready());
        assert_eq!(board.a_ready_server(), Some("everything"));
        assert_eq!(
            board.statuses(vec![status("time", "ready")]).len(),
            1,
            "it came after all"
        );
    }

    #[test]
    fn of_two_sidecars_the_one_that_serves_counts() {
        let mut board = board();
        let both = || {
            vec![
                status("time", "failed"),
                status("time", "ready"),
                status("time", "stopped"),
            ]
        };
        assert_eq!(board.statuses(both()).len(), 1);
        assert!(board.statuses(both()).is_empty());
    }

    #[test]
    fn without_the_catalog_nothing_is_ready() {
        let mut board = Board::new(Vec::new());
        assert!(!board.becomes_ready());
        board.hosted(&BTreeSet::new());
        assert!(board.becomes_ready());
    }
}
