//! What the admin port shows of a control plane: its configuration in `/config`, its numbers in `/metrics`.

use std::sync::{Arc, OnceLock};

use runtime::admin;
use runtime::metrics::Metrics;
use runtime::readiness::Readiness;
use serde_json::json;

use crate::catalog::Catalog;
use crate::clock;
use crate::endpoints::Endpoints;
use crate::nodes::Nodes;
use crate::records::Records;
use crate::replicas::Replicas;

/// What there is to show once the store is loaded.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) nodes: Arc<Nodes>,
    pub(crate) replicas: Arc<Replicas>,
    pub(crate) endpoints: Arc<Endpoints>,
    pub(crate) records: Records,
}

/// The port's sources; `shown` is set later, and until then there is nothing to show.
pub(crate) fn sources(
    readiness: Readiness,
    metrics: &Metrics,
    shown: Arc<OnceLock<Shown>>,
) -> admin::Sources {
    let for_metrics = shown.clone();
    metrics.ask(move |metrics| {
        if let Some(shown) = for_metrics.get() {
            shown.measure(metrics);
        }
    });
    let metrics = metrics.clone();
    admin::Sources {
        readiness,
        metrics: Arc::new(move || metrics.render()),
        config: Arc::new(move || shown.get().map_or_else(|| json!({}), Shown::config)),
    }
}

impl Shown {
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
        let gauge = |name, help, n| metrics.gauge(name, help, &[]).set(n);
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let state = self.catalog.state();
        gauge(
            "gatehouse_revision",
            "Head revision of the configuration.",
            i64::try_from(state.revision()).unwrap_or(i64::MAX),
        );
        gauge(
            "gatehouse_resources",
            "Resources in the catalog.",
            number(state.resources().len()),
        );
        gauge(
            "gatehouse_store_accepted",
            "Whether what the store holds may be pushed; 0: it went back, and waits for an operator.",
            i64::from(self.catalog.may_be_published()),
        );
        let endpoints = number(self.endpoints.watch().borrow().len());
        gauge(
            "gatehouse_endpoints",
            "Sidecars whose addresses are known.",
            endpoints,
        );
        let replicas = number(self.replicas.list().len());
        gauge(
            "gatehouse_replicas",
            "Replicas of the control plane on this store.",
            replicas,
        );
        self.measure_nodes(metrics);
        self.measure_records(metrics);
    }

    fn measure_nodes(&self, metrics: &Metrics) {
        let nodes = self.nodes.list();
        let help = "Nodes that are connected here, by state.";
        for name in ["current", "held", "behind", "ahead", "rejected", "silent"] {
            let count = nodes.iter().filter(|node| node.state == name).count();
            let labels = [("state", name)];
            let gauge = metrics.gauge("gatehouse_nodes", help, &labels);
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    fn measure_records(&self, metrics: &Metrics) {
        let counter = |name, help, n| metrics.counter(name, help, &[]).set(n);
        let counts = self.records.counts();
        counter(
            "gatehouse_records_stored_total",
            "Audit records stored.",
            counts.stored,
        );
        counter(
            "gatehouse_records_duplicate_total",
            "Audit records that came again and were there already.",
            counts.duplicates,
        );
        counter(
            "gatehouse_records_expired_total",
            "Calls deleted from the store of records, as there were too many.",
            counts.expired,
        );
    }
}
