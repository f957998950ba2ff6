//! Where the sidecars are: a lane of its own, without a revision, as addresses come and go faster than
//! anybody configures.

use std::collections::BTreeMap;
use std::sync::Arc;

use proto::v1 as pb;

/// Most endpoints that are kept for one server.
const PER_SERVER_MAX: usize = 256;

/// One sidecar.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// Its node id.
    pub node: Arc<str>,
    /// `host:port`.
    pub address: Arc<str>,
}

/// All sidecars, by server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints(BTreeMap<String, Vec<Endpoint>>);

impl Endpoints {
    /// Reads a push. Entries without an address or a server say nothing and are left out.
    pub fn of(push: &pb::EndpointPush) -> Self {
        let mut by_server: BTreeMap<String, Vec<Endpoint>> = BTreeMap::new();
        for entry in &push.endpoints {
            if entry.server.is_empty() || entry.address.is_empty() {
                continue;
            }
            let list = by_server.entry(entry.server.clone()).or_default();
            if list.len() < PER_SERVER_MAX {
                list.push(Endpoint {
                    node: entry.node.as_str().into(),
                    address: entry.address.as_str().into(),
                });
            }
        }
        for list in by_server.values_mut() {
            list.sort();
            list.dedup();
        }
        Self(by_server)
    }

    /// The sidecars of one server, sorted.
    pub fn of_server(&self, server: &str) -> &[Endpoint] {
        self.0.get(server).map_or(&[], Vec::as_slice)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Endpoint)> {
        self.0
            .iter()
            .flat_map(|(server, list)| list.iter().map(move |e| (server.as_str(), e)))
    }
}
