//! What the calls of one hop add up to: how many, how they were decided, how long they took.
//!
//! Series are made for servers of the catalog alone, so that nobody can make them by asking for names.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use model::decision::{Decision, Reason};
use model::name::ServerName;
use model::record::Record;
use parking_lot::RwLock;
use runtime::metrics::{Counter, Gauge, Histogram, Metrics, SECONDS};

/// Servers that are told apart. Those beyond are counted together, without a name.
const SERVERS_MAX: usize = 512;
/// Methods of one server that are told apart; the protocol has fewer.
const METHODS_MAX: usize = 48;

/// All calls of a hop that are over, and those of them that were refused or failed: what the control plane hears with each
/// heartbeat. What clients cancelled or got wrong counts as neither. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Totals(Arc<[AtomicU64; 2]>);

impl Totals {
    fn count(&self, reason: Option<Reason>) {
        if matches!(reason, Some(Reason::Cancelled | Reason::Invalid)) {
            return;
        }
        let [calls, failed] = &*self.0;
        calls.fetch_add(1, Ordering::Relaxed);
        if reason.is_some() {
            failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Calls, and those that were refused or failed.
    pub fn get(&self) -> (u64, u64) {
        let [calls, failed] = &*self.0;
        // Never more failures than calls: a call is counted before its failure.
        let failed = failed.load(Ordering::Relaxed);
        (calls.load(Ordering::Relaxed).max(failed), failed)
    }
}

/// The metrics of one hop's calls. Clones are the same.
#[derive(Debug, Clone)]
pub struct Meter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    metrics: Metrics,
    servers: DashMap<ServerName, Arc<ServerMeter>>,
    /// Of servers that are not in the catalog, or beyond [`SERVERS_MAX`].
    others: Arc<ServerMeter>,
    /// What was added to the calls' own time.
    overhead: Histogram,
    /// Open connections of the listener.
    connections: Gauge,
    totals: Totals,
}

/// One connection that is open.
#[derive(Debug)]
pub struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

/// The metrics of one server's calls.
#[derive(Debug)]
pub struct ServerMeter {
    metrics: Metrics,
    server: String,
    overhead: Histogram,
    totals: Totals,
    /// Made when first needed; locked for a look.
    outcomes: RwLock<HashMap<(Decision, Option<Reason>), Counter>>,
    /// Likewise, by method.
    durations: RwLock<HashMap<Arc<str>, Histogram>>,
}

impl Meter {
    /// Among `metrics`; all calls are counted in `totals`, too.
    pub fn new(metrics: &Metrics, totals: Totals) -> Self {
        let overhead = metrics.histogram(
            "gatehouse_overhead_seconds",
            "What this process added to calls: their time without that of what stands behind it.",
            &[],
            &SECONDS,
        );
        Self(Arc::new(Inner {
            others: Arc::new(ServerMeter::new(metrics, "", &overhead, &totals)),
            metrics: metrics.clone(),
            servers: DashMap::new(),
            overhead,
            connections: metrics.gauge(
                "gatehouse_connections",
                "Open connections of callers.",
                &[],
            ),
            totals,
        }))
    }

    /// Counts a connection, until it is dropped.
    pub fn connection(&self) -> Open {
        self.0.connections.add(1);
        Open(self.0.connections.clone())
    }

    /// That of a server of the catalog; `None`: of any other name.
    pub fn of(&self, server: Option<&ServerName>) -> Arc<ServerMeter> {
        let Some(server) = server else {
            return self.0.others.clone();
        };
        if let Some(meter) = self.0.servers.get(server) {
            return meter.clone();
        }
        if self.0.servers.len() >= SERVERS_MAX {
            return self.0.others.clone();
        }
        let Inner {
            metrics,
            overhead,
            totals,
            ..
        } = &*self.0;
        let new = || ServerMeter::new(metrics, server.as_str(), overhead, totals);
        let entry = self.0.servers.entry(server.clone());
        entry.or_insert_with(|| Arc::new(new())).clone()
    }
}

impl ServerMeter {
    fn new(metrics: &Metrics, server: &str, overhead: &Histogram, totals: &Totals) -> Self {
        Self {
            metrics: metrics.clone(),
            server: server.to_owned(),
            overhead: overhead.clone(),
            totals: totals.clone(),
            outcomes: RwLock::default(),
            durations: RwLock::default(),
        }
    }

    /// Counts a call that is over, in which people were waited for so long.
    pub fn count(&self, record: &Record, waited: Duration) {
        self.outcome(record.decision, record.reason).add_one();
        self.totals.count(record.reason);
        self.duration(&record.method)
            .observe(Duration::from_nanos(record.duration_ns));
        let own = record.duration_ns.saturating_sub(record.upstream_ns);
        self.overhead
            .observe(Duration::from_nanos(own).saturating_sub(waited));
    }

    fn outcome(&self, decision: Decision, reason: Option<Reason>) -> Counter {
        let key = (decision, reason);
        if let Some(counter) = self.outcomes.read().get(&key) {
            return counter.clone();
        }
        let labels = [
            ("server", self.server.as_str()),
            ("decision", decision.as_str()),
            ("reason", reason.map_or("", Reason::as_str)),
        ];
        let help = "Calls that are over, by what was decided and why.";
        let counter = self.metrics.counter("gatehouse_calls_total", help, &labels);
        self.outcomes.write().insert(key, counter.clone());
        counter
    }

    fn duration(&self, method: &Arc<str>) -> Histogram {
        if let Some(histogram) = self.durations.read().get(method) {
            return histogram.clone();
        }
        let mut durations = self.durations.write();
        let known = mcp::method::is_request(method) && durations.len() < METHODS_MAX;
        let method: Arc<str> = if known { method.clone() } else { "".into() };
        let labels = [("server", self.server.as_str()), ("method", &method)];
        let help = "How long calls took, from their coming to the end of their reply.";
        let name = "gatehouse_call_duration_seconds";
        let histogram = self.metrics.histogram(name, help, &labels, &SECONDS);
        durations.insert(method, histogram.clone());
        histogram
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn what_clients_give_up_or_get_wrong_is_no_failure() {
        let totals = Totals::default();
        let reasons = [
            None,
            Some(Reason::NoRule),
            Some(Reason::Unavailable),
            Some(Reason::Cancelled),
            Some(Reason::Invalid),
        ];
        for reason in reasons {
            totals.count(reason);
        }
        assert_eq!(totals.get(), (3, 2));
    }

    #[test]
    fn strangers_make_no_series() {
        let metrics = Metrics::new();
        let meter = Meter::new(&metrics, Totals::default());
        let time = ServerName::new("time").unwrap();
        meter
            .of(Some(&time))
            .outcome(Decision::Allow, None)
            .add_one();
        let strange = meter.of(None);
        for method in ["tools/call", "x/1", "x/2", "x/3"] {
            strange
                .outcome(Decision::Deny, Some(Reason::NoRule))
                .add_one();
            strange
                .duration(&method.into())
                .observe(Duration::from_millis(1));
        }
        let text = metrics.render();
        let lines = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
        assert!(
            text.contains(r#"gatehouse_calls_total{server="time",decision="allow",reason=""} 1"#)
        );
        assert!(
            text.contains(r#"gatehouse_calls_total{server="",decision="deny",reason="no_rule"} 4"#)
        );
        assert_eq!(lines("gatehouse_call_duration_seconds_count"), 2, "{text}");
    }
}
