//! Every edge and sidecar that is known: who is live, who runs which revision, who rejected one and why.
//!
//! Told by the node API what it hears; asked by the admin API. Of this replica's own streams only. It does not
//! know what is pushed, or how.

mod counts;
mod entry;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use model::name::ServerName;
use parking_lot::Mutex;
use proto::v1 as pb;
use proto::v1::control_message::Kind as Control;
use runtime::metrics::{Histogram, Metrics, SECONDS};
use runtime::tls::Peer;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::publish::Members;
pub(crate) use counts::{Counts, Sides, Tally};
use entry::Entry;
pub(crate) use entry::lag;

/// Messages to one node, besides configuration, that may wait.
const ORDERS_MAX: usize = 16;
/// A node that was heard of within this is live (CONTRACT section 1).
pub(crate) const LIVE: Duration = Duration::from_secs(15);
/// A node that was not heard of for so long is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Most nodes that are known. When full, the one that is silent longest makes room; if none is, the new one is
/// turned away.
const NODES_MAX: usize = 10_000;
/// Most lines of standard error that are kept of a server (see `ServerStatus`).
const STDERR_LINES_MAX: usize = 10;
/// Most characters of any text that a node says of itself.
const TEXT_CHARS_MAX: usize = 2000;
/// Most faults of one rejection that are kept.
const FAULTS_MAX: usize = 20;

/// How a replica knows a live node; the first counts most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Presence {
    /// Its stream ends there.
    Connected,
    /// Its stream ended there a moment ago.
    Lost,
    /// The replica at which it ended is gone.
    Gone,
}

/// There is no room for another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{NODES_MAX} nodes are live: there is no room for another")]
pub(crate) struct Full;

/// All nodes that are known.
#[derive(Debug)]
pub(crate) struct Nodes {
    /// By name. Locked for a look-up and a change of one entry, or one pass over all; never over an await.
    table: Mutex<Table>,
    /// Bumped on every change that somebody may wait for. Received by Rollout streams.
    changed: watch::Sender<u64>,
    /// For how long nodes were behind the head until they acknowledged it.
    behind: Histogram,
}

#[derive(Debug, Default)]
struct Table {
    entries: BTreeMap<String, Entry>,
    aim: Aim,
    /// Counts streams, so that the end of an old one does not end a new one.
    streams: u64,
}

/// What nodes are to run.
#[derive(Debug, Default)]
struct Aim {
    /// The catalog's head.
    head: u64,
    /// Who has the change that is staged; the others run what was before it.
    members: Option<Arc<Members>>,
}

impl Aim {
    /// Who has a change that is held back from a node.
    fn holds(&self, node: &str, entry: &Entry) -> Option<&Members> {
        let members = self.members.as_deref()?;
        (!members.has(node, entry.server.as_ref())).then_some(members)
    }

    /// The revision that a node is to run.
    fn of(&self, node: &str, entry: &Entry) -> u64 {
        let held = self.holds(node, entry).map(|members| members.held);
        held.unwrap_or(self.head)
    }

    fn status(&self, node: &str, entry: &Entry, now: i64) -> pb::NodeStatus {
        let held = self.holds(node, entry).map(|members| members.revision);
        entry.status(node, held, now)
    }
}

/// A node's stream, as long as it is open. Whoever holds it tells its end by [`Nodes::disconnect`].
#[derive(Debug)]
pub(crate) struct Connection {
    /// The node.
    pub node: String,
    /// Which of its streams.
    pub stream: u64,
    /// Cancelled when the node opens another stream, or is forgotten.
    pub replaced: CancellationToken,
    /// What is to be said to the node besides configuration.
    pub orders: mpsc::Receiver<Control>,
}

/// What a node says when it comes.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    /// Who it is, by its certificate.
    pub peer: Peer,
    /// When its certificate ends, Unix milliseconds.
    pub certificate_ends_unix_ms: i64,
    /// Its program version.
    pub version: String,
    /// The revision that it runs.
    pub revision: u64,
    /// Where it can be reached.
    pub addresses: Vec<String>,
}

#[cfg(test)]
impl Default for Nodes {
    fn default() -> Self {
        Self::new(&Metrics::new())
    }
}

impl Nodes {
    /// None yet. How long they take to follow is shown among `metrics`.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let name = "gatehouse_node_behind_seconds";
        let help = "For how long nodes were behind the head, until they acknowledged it.";
        Self {
            table: Mutex::default(),
            changed: watch::Sender::new(0),
            behind: metrics.histogram(name, help, &[], &SECONDS),
        }
    }

    /// A node opens its stream. One that it has open already is told to end.
    ///
    /// # Errors
    /// [`Full`].
    pub(crate) fn connect(&self, arrival: Arrival) -> Result<Connection, Full> {
        let now = clock::now_ms();
        let node = arrival.peer.node().to_owned();
        let mut table = self.table.lock();
        if !table.entries.contains_key(&node) {
            table.make_room(now)?;
        }
        table.streams += 1;
        let stream = table.streams;
        let replaced = CancellationToken::new();
        let (sender, orders) = mpsc::channel(ORDERS_MAX);
        let Table { entries, aim, .. } = &mut *table;
        let entry = entries
            .entry(node.clone())
            .or_insert_with(|| Entry::new(now));
        entry.is_of(&arrival.peer);
        let head = aim.of(&node, entry);
        entry.connect(arrival, stream, replaced.clone(), head, now);
        entry.orders = Some(sender);
        drop(table);
        self.bump();
        Ok(Connection {
            node,
            stream,
            replaced,
            orders,
        })
    }

    /// A node's stream has ended.
    pub(crate) fn disconnect(&self, connection: &Connection) {
        self.with(connection, |entry, _, _| entry.connected = None);
        self.bump();
    }

    /// A node lives. Only what may be waited for wakes others: that it was silent before.
    pub(crate) fn heartbeat(&self, connection: &Connection, beat: &pb::Heartbeat) {
        let now = clock::now_ms();
        let counted = Tally {
            calls: beat.calls,
            failed: beat.failed,
        };
        let moved = self.with(connection, |entry, head, staged| {
            let moved = !entry.is_live(now) || entry.revision != beat.revision;
            entry.seen_unix_ms = now;
            entry.runs(beat.revision, head, now);
            entry.counted.says(counted, staged, now);
            moved
        });
        if moved == Some(true) {
            self.bump();
        }
    }

    /// A node took a push.
    pub(crate) fn acknowledged(&self, connection: &Connection, revision: u64) {
        let now = clock::now_ms();
        let behind = self.with(connection, |entry, head, _| {
            entry.seen_unix_ms = now;
            let behind = entry.behind_ms(head, now).filter(|_| revision == head);
            entry.runs(revision, head, now);
            behind
        });
        if let Some(ms) = behind.flatten() {
            let time = Duration::from_millis(u64::try_from(ms).unwrap_or(0));
            self.behind.observe(time);
        }
        self.bump();
    }

    /// A node refused `revision`, or was not given it, and why.
    pub(crate) fn rejected(&self, connection: &Connection, revision: u64, faults: Vec<String>) {
        let now = clock::now_ms();
        let faults = faults.into_iter().take(FAULTS_MAX).map(cut).collect();
        self.with(connection, |entry, _, _| {
            entry.rejects(revision, faults, now)
        });
        self.bump();
    }

    /// A sidecar says what its server does. Its server and node are those of its certificate.
    pub(crate) fn server_status(&self, connection: &Connection, mut status: pb::ServerStatus) {
        status.node.clone_from(&connection.node);
        for text in [
            &mut status.state,
            &mut status.message,
            &mut status.mcp_revision,
            &mut status.server_info,
            &mut status.last_exit,
        ] {
            *text = cut(std::mem::take(text));
        }
        let excess = status.stderr.len().saturating_sub(STDERR_LINES_MAX);
        status.stderr.drain(..excess);
        status.stderr = status.stderr.into_iter().map(cut).collect();
        status.argv = status.argv.into_iter().take(100).map(cut).collect();
        self.with(connection, |entry, _, _| {
            if let Some(server) = &entry.server {
                status.server = server.to_string();
                entry.server_status = Some(status);
            }
        });
        self.bump();
    }

    /// The sidecars of `server` that are connected here, and how they are told something.
    pub(crate) fn sidecars(&self, server: &str) -> Vec<(String, mpsc::Sender<Control>)> {
        let table = self.table.lock();
        let entries = table.entries.iter().filter(|(_, entry)| {
            let of_server = entry.server.as_ref().is_some_and(|s| s.as_str() == server);
            of_server && entry.connected.is_some()
        });
        entries
            .filter_map(|(name, entry)| Some((name.clone(), entry.orders.clone()?)))
            .collect()
    }

    /// The catalog's head has moved; of the change that is staged `members` say who has it.
    pub(crate) fn head_moved(&self, head: u64, members: Option<Arc<Members>>) {
        let now = clock::now_ms();
        let mut table = self.table.lock();
        let share = |members: &Arc<Members>| (members.revision, members.begun);
        let begins = table.aim.members.as_ref().map(share) != members.as_ref().map(share);
        table.aim = Aim { head, members };
        let Table { entries, aim, .. } = &mut *table;
        for (node, entry) in entries {
            if begins {
                entry.counted.begin();
            }
            let head = aim.of(node, entry);
            entry.head_moved(head, now);
        }
        drop(table);
        self.bump();
    }

    /// What live nodes whose streams end here have counted in the share that is under way. `None`: no change is staged.
    pub(crate) fn counts(&self) -> Option<Counts> {
        let table = self.table.lock();
        let members = table.aim.members.as_ref()?;
        let mut counts = Counts {
            revision: members.revision,
            begun: members.begun,
            ..Counts::default()
        };
        let here = table
            .entries
            .iter()
            .filter(|(_, entry)| entry.connected.is_some());
        for (node, entry) in here.filter(|(_, entry)| members.concerns(entry.server.as_ref())) {
            let sides = match entry.server {
                None => &mut counts.edges,
                Some(_) => &mut counts.sidecars,
            };
            let counted = &entry.counted;
            if members.has(node, entry.server.as_ref()) {
                sides.having += counted.since();
                sides.before += counted.before();
            } else {
                sides.others += counted.since();
            }
        }
        Some(counts)
    }

    /// The catalog's head, as far as it was told.
    pub(crate) fn head(&self) -> u64 {
        self.table.lock().aim.head
    }

    /// The names of all live nodes.
    pub(crate) fn live_names(&self) -> BTreeSet<String> {
        let now = clock::now_ms();
        let table = self.table.lock();
        let live = table.entries.iter().filter(|(_, entry)| entry.is_live(now));
        live.map(|(name, _)| name.clone()).collect()
    }

    /// All live nodes, and whether their streams end here.
    pub(crate) fn live(&self) -> Vec<(Presence, pb::NodeStatus)> {
        let now = clock::now_ms();
        let table = self.table.lock();
        let live = table.entries.iter().filter(|(_, entry)| entry.is_live(now));
        live.map(|(name, entry)| {
            let presence = if entry.connected.is_some() {
                Presence::Connected
            } else {
                Presence::Lost
            };
            (presence, table.aim.status(name, entry, now))
        })
        .collect()
    }

    /// All nodes, by name.
    pub(crate) fn list(&self) -> Vec<pb::NodeStatus> {
        let now = clock::now_ms();
        let mut table = self.table.lock();
        table.forget(now);
        table
            .entries
            .iter()
            .map(|(name, entry)| table.aim.status(name, entry, now))
            .collect()
    }

    /// What runs for each of `servers`: one row for each live sidecar, and one without a node where there is
    /// none.
    pub(crate) fn servers<'a>(
        &self,
        servers: impl Iterator<Item = &'a ServerName>,
    ) -> Vec<pb::ServerStatus> {
        let now = clock::now_ms();
        let table = self.table.lock();
        let mut rows = Vec::new();
        for server in servers {
            let ours = || {
                table
                    .entries
                    .iter()
                    .filter(|(_, e)| e.server.as_ref() == Some(server))
            };
            let live = ours().filter(|(_, entry)| entry.is_live(now));
            let before = rows.len();
            rows.extend(live.map(|(node, entry)| entry.server_row(server, node)));
            if rows.len() == before {
                let last = ours().max_by_key(|(_, entry)| entry.seen_unix_ms);
                rows.push(entry::absent(
                    server,
                    last.map(|(node, e)| (node.as_str(), e)),
                ));
            }
        }
        rows
    }

    /// Bumped whenever [`Self::list`] may say something else; not when a node falls silent, which only time
    /// tells.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Looks at an entry with the revision that it is to run, and whether a change is staged, if the connection is still
    /// the node's own.
    fn with<T>(
        &self,
        connection: &Connection,
        look: impl FnOnce(&mut Entry, u64, bool) -> T,
    ) -> Option<T> {
        let mut table = self.table.lock();
        let Table { entries, aim, .. } = &mut *table;
        let entry = entries.get_mut(&connection.node)?;
        let head = aim.of(&connection.node, entry);
        let staged = aim.members.is_some();
        (entry.stream == connection.stream).then(|| look(entry, head, staged))
    }

    fn bump(&self) {
        self.changed.send_modify(|n| *n += 1);
    }
}

impl Table {
    /// Forgets who was silent for too long.
    fn forget(&mut self, now: i64) {
        let forget = clock::ms(FORGET_AFTER);
        self.entries
            .retain(|_, entry| entry.connected.is_some() || now - entry.seen_unix_ms < forget);
    }

    fn make_room(&mut self, now: i64) -> Result<(), Full> {
        if self.entries.len() >= NODES_MAX {
            self.forget(now);
        }
        if self.entries.len() < NODES_MAX {
            return Ok(());
        }
        let silent = self.entries.iter().filter(|(_, entry)| !entry.is_live(now));
        let longest = silent
            .min_by_key(|(_, entry)| entry.seen_unix_ms)
            .map(|(name, _)| name.clone());
        let entry = longest
            .and_then(|name| self.entries.remove(&name))
            .ok_or(Full)?;
        if let Some(replaced) = entry.connected {
            replaced.cancel();
        }
        Ok(())
    }
}

/// Bounds what a node says of itself.
fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(TEXT_CHARS_MAX) {
        text.truncate(end);
    }
    text
}
