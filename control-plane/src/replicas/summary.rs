//! What one replica says of its nodes: enough for a rollout to be followed from any other.

use bytes::Bytes;
use proto::v1 as pb;
use serde::{Deserialize, Serialize};

use crate::nodes::{Counts, Presence, lag};

/// Nodes that a summary names. Beyond, it says how many there are, and the lowest revision of them.
const NODES_MAX: usize = 1000;
/// Faults of one rejection that it carries; all of them are with the replica itself.
const FAULTS_MAX: usize = 3;
/// Most characters of a fault.
const FAULT_CHARS_MAX: usize = 300;

/// What a replica says of itself, as it lies in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// Where other replicas reach it, `host:port`.
    pub(crate) address: String,
    /// Program version.
    pub(crate) version: String,
    /// The head revision that it has.
    pub(crate) head: u64,
    /// Live nodes whose streams end there.
    pub(crate) live: u32,
    /// The lowest revision that one of them runs. 0: none, or it has none.
    pub(crate) lowest: u64,
    /// These nodes: all, or those that are furthest behind.
    pub(crate) nodes: Vec<Brief>,
    /// What they counted in the share of a staged rollout that is under way.
    #[serde(default)]
    pub(crate) counts: Option<Counts>,
}

/// One live node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Brief {
    /// Its name.
    pub(crate) name: String,
    /// The server of a sidecar. Empty: an edge.
    pub(crate) server: String,
    /// The revision that it runs.
    pub(crate) revision: u64,
    /// The revision that it rejected. 0: none.
    pub(crate) rejected: u64,
    /// Why, in part.
    pub(crate) faults: Vec<String>,
    /// Whether its stream ends there now.
    pub(crate) presence: Presence,
    /// The revision of a change that is held back from it. 0: none.
    #[serde(default)]
    pub(crate) held: u64,
}

impl Summary {
    /// Of a replica whose live nodes are these.
    pub(super) fn of(
        address: &str,
        head: u64,
        mut live: Vec<(Presence, pb::NodeStatus)>,
        counts: Option<Counts>,
    ) -> Self {
        live.sort_by(|(_, a), (_, b)| (a.revision, &a.name).cmp(&(b.revision, &b.name)));
        Self {
            address: address.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            head,
            live: u32::try_from(live.len()).unwrap_or(u32::MAX),
            lowest: live.first().map_or(0, |(_, node)| node.revision),
            nodes: live.iter().take(NODES_MAX).map(Brief::of).collect(),
            counts,
        }
    }

    /// Whether it says the same, but for what was counted: that alone is told as often as it is told that we are there.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let uncounted = |summary: &Self| Self {
            counts: None,
            ..summary.clone()
        };
        uncounted(self) == uncounted(other)
    }

    /// Whether it names all live nodes of its replica.
    pub(crate) fn is_whole(&self) -> bool {
        self.nodes.len() == self.live as usize
    }

    pub(super) fn encode(&self) -> Bytes {
        serde_json::to_vec(self)
            .expect("a struct of texts and numbers is always JSON")
            .into()
    }

    pub(super) fn decode(value: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(value)
    }

    /// As the admin API shows the replica.
    pub(super) fn status(&self, name: &str, state: &str) -> pb::ReplicaStatus {
        pb::ReplicaStatus {
            name: name.to_owned(),
            address: self.address.clone(),
            version: self.version.clone(),
            head: self.head,
            live_nodes: self.live,
            lowest_revision: self.lowest,
            state: state.to_owned(),
        }
    }
}

impl Brief {
    fn of((presence, node): &(Presence, pb::NodeStatus)) -> Self {
        let cut = |fault: &String| fault.chars().take(FAULT_CHARS_MAX).collect();
        Self {
            name: node.name.clone(),
            server: node.server.clone(),
            revision: node.revision,
            rejected: node.rejected_revision,
            faults: node.faults.iter().take(FAULTS_MAX).map(cut).collect(),
            presence: *presence,
            held: node.held,
        }
    }

    /// As far as it is known of a node at another replica.
    pub(crate) fn status(&self, replica: &str, head: u64) -> pb::NodeStatus {
        let kind = if self.server.is_empty() {
            pb::NodeKind::Edge
        } else {
            pb::NodeKind::Sidecar
        };
        let state = match self.rejected {
            0 if self.held != 0 => "held",
            0 => lag(self.revision.cmp(&head)),
            _ => "rejected",
        };
        pb::NodeStatus {
            name: self.name.clone(),
            kind: kind.into(),
            server: self.server.clone(),
            revision: self.revision,
            state: state.to_owned(),
            faults: self.faults.clone(),
            live: true,
            rejected_revision: self.rejected,
            replica: replica.to_owned(),
            held: self.held,
            ..Default::default()
        }
    }
}
