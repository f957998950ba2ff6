//! Many nodes in one process: each joins, holds, checks, keeps and acknowledges as an edge does, and serves nobody.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use dataplane::config::live::Live;
use dataplane::config::node::{self, NodeSettings};
use dataplane::config::sightings::Sightings;
use dataplane::config::watch::{self, Node};
use dataplane::meter::Totals;
use futures_util::future::try_join_all;
use proto::v1::NodeKind;
use runtime::drain::Drain;
use runtime::metrics::Metrics;
use runtime::tls::LiveIdentity;

use super::admin::Admin;
use crate::bench::up::Up;

/// How long one change may take to reach a node, and a node to have its first configuration.
const REACH: Duration = Duration::from_secs(30);
/// How long nodes may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// Nodes that are connected.
#[derive(Debug)]
pub(super) struct Fleet {
    nodes: Vec<Live>,
    drain: Drain,
}

impl Fleet {
    /// Joins so many, and waits until all have a configuration.
    pub(super) async fn start(
        count: usize,
        up: &Up,
        folder: &Path,
        admin: &mut Admin,
    ) -> anyhow::Result<Self> {
        let mut fleet = Self {
            nodes: Vec::new(),
            drain: Drain::new(),
        };
        for number in 0..count {
            let settings = NodeSettings {
                control: vec![up.control.to_string()],
                control_ca: up.ca(),
                data_dir: folder.join(format!("node-{number}")),
                join: Some(admin.join_token().await?),
                hosts: Vec::new(),
            };
            fleet.nodes.push(join(settings, &fleet.drain).await?);
        }
        fleet.reached(0, Instant::now()).await?;
        Ok(fleet)
    }

    /// How long after `start` each node decided by this revision or a later one, the fastest first.
    pub(super) async fn reached(
        &self,
        revision: u64,
        start: Instant,
    ) -> anyhow::Result<Vec<Duration>> {
        let one = async |live: &Live| {
            let runs = |live: &Live| {
                let config = live.load();
                config.is_some_and(|config| config.engine.snapshot().revision.0 >= revision)
            };
            let mut changed = live.changed();
            let reached = changed.wait_for(|_| runs(live));
            let reached = tokio::time::timeout(REACH, reached).await;
            let reached = reached.with_context(|| {
                format!("a node did not have revision {revision} within {REACH:?}")
            })?;
            reached.context("a node has ended")?;
            anyhow::Ok(start.elapsed())
        };
        let mut reached = try_join_all(self.nodes.iter().map(one)).await?;
        reached.sort_unstable();
        Ok(reached)
    }

    /// Ends all of them.
    pub(super) async fn end(self) {
        self.drain.finish(GRACE).await;
    }
}

async fn join(settings: NodeSettings, drain: &Drain) -> anyhow::Result<Live> {
    let identity = node::identity(NodeKind::Edge, None, &settings).await?;
    let node = Node {
        kind: NodeKind::Edge,
        server: None,
        addresses: Vec::new(),
        identity: LiveIdentity::new(identity)?,
        control: settings.control,
        data_dir: settings.data_dir,
        metrics: Metrics::new(),
        logs: None,
        totals: Totals::default(),
        sightings: Sightings::new().1,
    };
    Ok(watch::start(node, drain)?.0)
}
