//! What the admin port shows of a control plane: its configuration in `/config`, its numbers in `/metrics`.

use std::sync::{Arc, OnceLock};

use runtime::admin;
use runtime::metrics::Metrics;
use runtime::readiness::Readiness;
use serde_json::json;

use crate::catalog::Catalog;
use crate::clock;
use crate::nodes::Nodes;

/// What there is to show once the store is loaded.
#[derive(Debug)]
pub(crate) struct Shown {
    catalog: Arc<Catalog>,
    nodes: Arc<Nodes>,
}

/// The port's sources; `shown` is set later, and until then there is nothing to show.
pub(crate) fn sources(readiness: Readiness, shown: Arc<OnceLock<Shown>>) -> admin::Sources {
    let metrics = Metrics::new();
    let for_metrics = shown.clone();
    admin::Sources {
        readiness,
        metrics: Arc::new(move || {
            if let Some(shown) = for_metrics.get() {
                shown.measure(&metrics);
            }
            metrics.render()
        }),
        config: Arc::new(move || shown.get().map_or_else(|| json!({}), Shown::config)),
    }
}

impl Shown {
    /// Of these.
    pub(crate) fn new(catalog: Arc<Catalog>, nodes: Arc<Nodes>) -> Self {
        Self { catalog, nodes }
    }

    fn config(&self) -> serde_json::Value {
        let state = self.catalog.state();
        json!({
            "revision": state.revision(),
            "sha256": state.sha256().hex(),
            "age_ms": clock::now_ms() - state.since_unix_ms(),
            "resources": state.resources().len(),
            "store": self.catalog.store_kind(),
        })
    }

    fn measure(&self, metrics: &Metrics) {
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let state = self.catalog.state();
        let revision = i64::try_from(state.revision()).unwrap_or(i64::MAX);
        metrics
            .gauge(
                "gatehouse_revision",
                "Head revision of the configuration.",
                &[],
            )
            .set(revision);
        metrics
            .gauge("gatehouse_resources", "Resources in the catalog.", &[])
            .set(number(state.resources().len()));
        let nodes = self.nodes.list();
        for name in ["current", "behind", "rejected", "silent"] {
            let count = nodes.iter().filter(|node| node.state == name).count();
            metrics
                .gauge(
                    "gatehouse_nodes",
                    "Nodes that are known, by state.",
                    &[("state", name)],
                )
                .set(number(count));
        }
    }
}
