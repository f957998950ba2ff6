//! What operators see of a node's configuration: which revision, how it came, and since when nothing has.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use runtime::clock::now_unix_ms;
use runtime::metrics::{Counter, Gauge, Histogram, Metrics, SECONDS};

use super::live::Live;

/// The metrics of the stream to the control plane.
#[derive(Debug)]
pub(super) struct ConfigMeter {
    taken: Counter,
    refused: Counter,
    /// From a push's coming until it is in force and on disk.
    took: Histogram,
    connected: Gauge,
    /// When the last stream ended, Unix milliseconds; 0: there is one.
    away_unix_ms: Arc<AtomicI64>,
}

impl ConfigMeter {
    /// Among `metrics`, for what is in force in `live`.
    pub(super) fn new(metrics: &Metrics, live: &Live) -> Self {
        let pushes = |result| {
            let help = "Pushes of configuration, by what became of them.";
            metrics.counter("gatehouse_config_pushes_total", help, &[("result", result)])
        };
        let took = metrics.histogram(
            "gatehouse_config_apply_seconds",
            "How long pushes took from their coming until they were in force and on disk.",
            &[],
            &SECONDS,
        );
        let connected = "Whether there is a stream to a control plane.";
        let away_unix_ms = Arc::new(AtomicI64::new(now_unix_ms()));
        let (live, away) = (live.clone(), away_unix_ms.clone());
        metrics.ask(move |metrics| {
            let gauge = |name, help, n| metrics.gauge(name, help, &[]).set(n);
            let revision = live.load().map_or(0, |config| config.engine.revision().0);
            gauge(
                "gatehouse_config_revision",
                "The revision in force; 0: none yet.",
                i64::try_from(revision).unwrap_or(i64::MAX),
            );
            gauge(
                "gatehouse_endpoints",
                "Sidecars whose addresses are known.",
                i64::try_from(live.endpoints().all().count()).unwrap_or(i64::MAX),
            );
            gauge(
                "gatehouse_control_plane_away_seconds",
                "For how long there has been no stream to any control plane; 0: there is one.",
                match away.load(Ordering::Relaxed) {
                    0 => 0,
                    since => (now_unix_ms() - since).max(1000) / 1000,
                },
            );
        });
        Self {
            taken: pushes("ack"),
            refused: pushes("nack"),
            took,
            connected: metrics.gauge("gatehouse_control_plane_connected", connected, &[]),
            away_unix_ms,
        }
    }

    /// The stream has begun.
    pub(super) fn came(&self) {
        self.connected.set(1);
        self.away_unix_ms.store(0, Ordering::Relaxed);
    }

    /// There is no stream (any more).
    pub(super) fn went(&self) {
        self.connected.set(0);
        let (relaxed, now) = (Ordering::Relaxed, now_unix_ms());
        // It is away since the first time that this is said.
        let _ = self.away_unix_ms.compare_exchange(0, now, relaxed, relaxed);
    }

    /// A push was taken, which took this long.
    pub(super) fn taken(&self, took: Duration) {
        self.taken.add_one();
        self.took.observe(took);
    }

    /// A push was refused.
    pub(super) fn refused(&self) {
        self.refused.add_one();
    }
}
