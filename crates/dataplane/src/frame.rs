//! What edge and sidecar do alike when they start: the audit log with its exporters, the admin page, and
//! the wait for the first configuration.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use runtime::admin::{self, Sources};
use runtime::audit::export::{self, Destination, Exporter};
use runtime::audit::{Log, LogSettings};
use runtime::drain::{self, Drain};
use runtime::metrics::Metrics;
use runtime::readiness::Readiness;
use runtime::settings::{self, Secret};
use runtime::tls::LiveIdentity;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::config::live::Live;

/// Runs `process` until it ends. Asked to end, it is first made not ready for `delay`, and then drains.
///
/// # Errors
/// Those of the process.
pub async fn run(
    process: impl Future<Output = anyhow::Result<()>>,
    drain: &Drain,
    delay: Duration,
    exit_with_stdin: bool,
) -> anyhow::Result<()> {
    let asked = async {
        drain::wait_for_stop(exit_with_stdin).await?;
        leave(drain, delay).await
    };
    let mut process = std::pin::pin!(process);
    tokio::select! {
        ended = &mut process => ended,
        asked = asked => {
            asked?;
            process.await
        }
    }
}

/// Takes a process out of service, once it was asked to end: it is not ready any more, and goes on for `delay` while
/// load balancers and peers learn that, and connections that are kept come to be closed by their users. Whoever asks
/// once more does not want to wait.
///
/// # Errors
/// If signals cannot be heard.
async fn leave(drain: &Drain, delay: Duration) -> std::io::Result<()> {
    drain.leave();
    if !delay.is_zero() {
        tracing::info!(
            delay_s = delay.as_secs(),
            "not ready any more; what comes meanwhile is still served"
        );
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            again = drain::wait_for_stop(false) => again?,
        }
    }
    drain.start();
    Ok(())
}

/// What the flag `--egress-allow-private` stands for, under the key `egress`.
pub fn egress_flags() -> toml::Value {
    let allow = ("allow_private".to_owned(), toml::Value::Boolean(true));
    toml::Value::Table(toml::Table::from_iter([allow]))
}

/// Where a node's records go. They are written to its own log first, and sent from there.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditSettings {
    /// The control planes' own stores, `host:port`, over mTLS, tried in turn: each will do. Empty: none.
    pub store: Vec<String>,
    /// Further OTLP receivers, as URLs: `http://host:4317` is gRPC, one with a path (`…:4318/v1/traces`) HTTP.
    pub otlp: Vec<String>,
    /// Bytes of the log on disk; when records that no receiver has taken fill it, calls are refused.
    pub log_bytes_max: u64,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self {
            store: vec!["127.0.0.1:7702".to_owned()],
            otlp: Vec::new(),
            log_bytes_max: 1 << 30,
        }
    }
}

/// The node's log, and the exporters that send from it: in a drain of their own, as the last calls are recorded
/// while the node's other tasks end.
#[derive(Debug)]
pub struct Trail {
    /// Where calls are recorded.
    pub log: Log,
    exporters: Vec<Exporter>,
    drain: Drain,
}

impl Trail {
    /// Sends what is there, for a few seconds. What is left goes at the next start.
    pub async fn finish(self) {
        self.drain.finish(FLUSH).await;
    }

    /// Has it shown among `metrics`.
    pub fn show(&self, metrics: &Metrics) {
        let (log, exporters) = (self.log.clone(), self.exporters.clone());
        metrics.ask(move |metrics| {
            let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
            let gauge = |name, help, n| metrics.gauge(name, help, &[]).set(number(n));
            let (head, durable) = (log.head(), log.durable());
            gauge("gatehouse_audit_log_bytes", "Size of the log of records on disk.", log.bytes());
            gauge(
                "gatehouse_audit_unsynced_records",
                "Records that are not yet safe on disk.",
                head.saturating_sub(durable),
            );
            for exporter in &exporters {
                let labels = [("destination", exporter.name())];
                let backlog = head.saturating_sub(exporter.taken_seq());
                metrics
                    .gauge(
                        "gatehouse_audit_backlog_records",
                        "Records that a destination does not have yet.",
                        &labels,
                    )
                    .set(number(backlog));
                let counter = |name, help, n| metrics.counter(name, help, &labels).set(n);
                counter(
                    "gatehouse_audit_sent_total",
                    "Spans that a destination has taken.",
                    exporter.sent(),
                );
                counter(
                    "gatehouse_audit_dead_letters_total",
                    "Spans that a destination refused for good: they are kept in its dead-letter file.",
                    exporter.refused(),
                );
                counter(
                    "gatehouse_audit_failed_tries_total",
                    "Tries to send that failed and are made again.",
                    exporter.failed_tries(),
                );
            }
        });
    }
}

/// Opens the node's log and begins to send from it.
///
/// # Errors
/// Where the log cannot be opened, or a receiver's address is none.
pub fn open_audit(
    settings: &AuditSettings,
    data_dir: &Path,
    identity: &LiveIdentity,
) -> anyhow::Result<Trail> {
    let node = identity.current().node()?;
    let mut log_settings = LogSettings::new(data_dir.join("audit"), node);
    log_settings.total_bytes_max = settings.log_bytes_max;
    let mut destinations = Vec::new();
    if !settings.store.is_empty() {
        destinations.push(Destination::control_plane(&settings.store, identity)?);
    }
    for url in &settings.otlp {
        destinations.push(Destination::collector(url, Vec::new(), None)?);
    }
    destinations.extend(export::destinations_from_env()?);
    let (log, recovered) = Log::open(log_settings)?;
    if recovered.closed > 0 {
        tracing::warn!(
            calls = recovered.closed,
            "calls that a crash cut off are closed on record"
        );
    }
    let drain = Drain::new();
    let spawn = |destination| Exporter::spawn(&drain, &log, destination);
    let exporters = destinations.into_iter().map(spawn);
    let exporters = exporters.collect::<Result<_, _>>()?;
    Ok(Trail {
        log,
        exporters,
        drain,
    })
}

/// Serves the admin port; answers with where it listens. `setting` is named where the address is taken.
///
/// # Errors
/// Where the address is taken.
pub async fn serve_admin(
    address: &str,
    setting: &str,
    readiness: &Readiness,
    live: &Live,
    metrics: &Metrics,
    drain: &Drain,
) -> anyhow::Result<SocketAddr> {
    let (live, metrics) = (live.clone(), metrics.clone());
    let config = move || match live.load() {
        Some(config) => json!({
            "revision": config.engine.revision().0,
            "servers": config.engine.snapshot().servers.len(),
        }),
        None => json!({"revision": null}),
    };
    let sources = Sources {
        readiness: readiness.clone(),
        metrics: Arc::new(move || metrics.render()),
        config: Arc::new(config),
    };
    Ok(admin::serve(address, setting, sources, drain).await?)
}

/// Marks the node ready with its first configuration, in a task that ends with it or with `drain`.
pub fn await_configuration(live: &Live, readiness: &Readiness, drain: &Drain) {
    let (mut changed, live, readiness) = (live.changed(), live.clone(), readiness.clone());
    let draining = drain.clone();
    drain.spawn("first configuration", async move {
        while live.load().is_none() {
            tokio::select! {
                changed = changed.changed() => if changed.is_err() { return },
                () = draining.signaled() => return,
            }
        }
        readiness.done("configuration");
    });
}

/// A token as given, or the content of the file that `@FILE` names: secrets do not stand in command lines.
///
/// # Errors
/// Where the file cannot be read.
pub fn read_token(token: &Secret) -> anyhow::Result<String> {
    let Some(path) = token.expose().strip_prefix('@') else {
        return Ok(token.expose().to_owned());
    };
    let path = PathBuf::from(path);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("the join token file {} cannot be read", path.display()))?;
    Ok(text.trim().to_owned())
}

/// How long records may take to be sent when a node stops.
const FLUSH: Duration = Duration::from_secs(6);
/// How long calls under way may take when a node is told to stop.
pub const DRAIN: Duration = Duration::from_secs(20);

/// Prints the settings in force, without secrets: what `--print-config` shows.
///
/// # Errors
/// Where standard output is closed.
pub fn print_settings<T: Serialize>(settings: &T) -> anyhow::Result<()> {
    std::io::stdout().write_all(settings::print(settings).as_bytes())?;
    Ok(())
}

/// Says on standard error why a process ends; its log may not have begun yet.
pub fn complain(process: &str, error: &anyhow::Error) {
    // Where standard error is closed, the exit code has to say it.
    let _ = writeln!(std::io::stderr(), "{process}: {error:#}");
}
