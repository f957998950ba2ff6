//! Composition root of a sidecar: settings in, a running sidecar out. Nothing is decided here.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use dataplane::answer;
use dataplane::body::ReplyBody;
use dataplane::budget::Budget;
use dataplane::config::live::Live;
use dataplane::config::node::{self, NodeSettings};
use dataplane::config::renew;
use dataplane::config::sightings::Sightings;
use dataplane::config::watch::{self as config_watch, Node};
use dataplane::door::{Guard, Route};
use dataplane::egress::{Egress, EgressSettings};
use dataplane::frame::{self, AuditSettings};
use dataplane::listen;
use dataplane::meter::{Meter, Totals};
use dataplane::pipeline::Shared;
use dataplane::refusal::Refused;
use dataplane::stage::limit::Limiter;
use dataplane::stage::pins::Pins;
use dataplane::stage::webhook::Webhooks;
use http::{Response, StatusCode};
use model::name::ServerName;
use model::url::HttpUrl;
use proto::v1::NodeKind;
use runtime::drain::Drain;
use runtime::metrics::Metrics;
use runtime::net;
use runtime::readiness::Readiness;
use runtime::settings::Secret;
use runtime::tls::{self, ClientAuth, LiveIdentity};
use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::logs::ServerLog;
use crate::process::child::Launcher;
use crate::process::command::Policy;
use crate::process::installed::Installed;
use crate::report::{self, Shown};
use crate::serve::Sidecar;
use crate::upstream::session::{self, Supervisor};
use crate::upstream::wanted::{External, Wanted};

/// Settings of a sidecar: defaults, then file, environment (`GATEHOUSE_SIDECAR__…`) and flags.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The server that it stands before, by its name in the catalog.
    pub server: String,
    /// Where edges connect, `host:port`.
    pub listen: String,
    /// Where edges reach it, `host:port`. Empty: the listen address.
    pub advertise: String,
    /// Health, metrics and configuration, `host:port`.
    pub admin_listen: String,
    /// Control planes, `host:port`, tried in turn.
    pub control: Vec<String>,
    /// PEM file of the roots to trust while joining.
    pub control_ca: PathBuf,
    /// Where the sidecar keeps its identity, its last good configuration, its audit log, and the folder in
    /// which the server runs.
    pub data_dir: PathBuf,
    /// A join token, or `@FILE`. Needed at the first start only.
    pub join: Option<Secret>,
    /// Whether the server may be a program by path (`command`).
    pub allow_command: bool,
    /// Folders in which `npx` and `uvx` are looked for first.
    pub tools_path: Vec<PathBuf>,
    /// The endpoint of a server whose runtime is `external`.
    pub upstream_url: String,
    /// The program of a server whose runtime is `external`, with its arguments.
    pub upstream_argv: Vec<String>,
    /// What may be reached: a remote server, and receivers of webhooks.
    pub egress: EgressSettings,
    /// Longest message of the server, in bytes.
    pub line_bytes_max: usize,
    /// Largest message from an edge, in bytes.
    pub body_bytes_max: usize,
    /// Bytes of all messages under way together; further ones are refused as overloaded.
    pub bodies_bytes_max: usize,
    /// Most calls under way; further ones are refused as overloaded.
    pub calls_max: usize,
    /// How long it goes on, not ready any more, once it was asked to end: until edges have turned to
    /// others. In seconds.
    pub drain_delay_s: u64,
    /// Where records go.
    pub audit: AuditSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server: String::new(),
            listen: "127.0.0.1:7900".to_owned(),
            advertise: String::new(),
            admin_listen: "127.0.0.1:7909".to_owned(),
            control: vec!["127.0.0.1:7700".to_owned()],
            control_ca: PathBuf::from("ca.pem"),
            data_dir: PathBuf::from("sidecar-data"),
            join: None,
            allow_command: false,
            tools_path: Vec::new(),
            upstream_url: String::new(),
            upstream_argv: Vec::new(),
            egress: EgressSettings::default(),
            line_bytes_max: 16 << 20,
            body_bytes_max: 4 << 20,
            bodies_bytes_max: 256 << 20,
            calls_max: 4096,
            drain_delay_s: 6,
            audit: AuditSettings::default(),
        }
    }
}

/// Where a started sidecar listens.
#[derive(Debug, Clone)]
pub struct Started {
    /// For edges.
    pub listen: SocketAddr,
    /// For operators.
    pub admin: SocketAddr,
    /// Its node id.
    pub node: Arc<str>,
}

/// Runs a sidecar until `drain` starts; returns once its server's processes are gone. `launcher` plays the
/// shim; `started` is told once the sidecar listens.
///
/// # Errors
/// Whatever keeps it from starting, with what to do about it.
pub async fn run(
    settings: Settings,
    launcher: Launcher,
    drain: Drain,
    started: Option<oneshot::Sender<Started>>,
) -> anyhow::Result<()> {
    let server = ServerName::new(&settings.server)
        .context("sidecar.server must name the server that the sidecar stands before")?;
    let external = external(&settings)?;
    let readiness = Readiness::new(&["identity", "configuration"]);
    let listener = net::listen(&settings.listen, "sidecar.listen").await?;
    let address = listener.local_addr()?;
    let advertise = advertise(&settings, address)?;

    let belongs = belongs(&settings, &advertise)?;
    let draining = drain.clone();
    let identity = tokio::select! {
        identity = node::identity(NodeKind::Sidecar, Some(&server), &belongs) => identity?,
        () = draining.signaled() => return Ok(()),
    };
    readiness.done("identity");
    let name = identity.node()?;
    let identity = LiveIdentity::new(identity)?;
    renew::start(identity.clone(), &belongs, &drain);
    let tls = identity.server_config(ClientAuth::Required, &[tls::HTTP1, tls::H2])?;
    let trail = frame::open_audit(&settings.audit, &settings.data_dir, &identity)
        .context("the audit log cannot be opened")?;
    let metrics = Metrics::new();
    trail.show(&metrics);
    let budget = Budget::new(settings.calls_max, settings.bodies_bytes_max);
    budget.show(&metrics);
    let log = ServerLog::default();
    let totals = Totals::default();
    let (sightings, told) = Sightings::new();
    let (live, reports) = config_watch::start(
        Node {
            kind: NodeKind::Sidecar,
            server: Some(server.clone()),
            addresses: vec![advertise],
            identity,
            control: settings.control.clone(),
            data_dir: settings.data_dir.clone(),
            metrics: metrics.clone(),
            logs: Some(Arc::new(log.clone())),
            totals: totals.clone(),
            sightings: told,
        },
        &drain,
    )?;
    let at = &settings.admin_listen;
    let admin = frame::serve_admin(
        at,
        "sidecar.admin_listen",
        &readiness,
        &live,
        &metrics,
        &drain,
    );
    let admin = admin.await?;
    frame::await_configuration(&live, &readiness, &drain);

    let stop = CancellationToken::new();
    let wanted = follow(&live, &server, external, &drain);
    let start = start_settings(&settings, launcher, &log)?;
    let webhooks = Webhooks::new(start.egress.clone(), &metrics, &drain);
    let (supervisor, upstream, statuses) = Supervisor::new(start, wanted, stop.clone());
    upstream.show(&metrics);
    let who = (server.clone(), name.clone());
    report::start(statuses, reports, Shown::new(&metrics), who, &drain);
    // Owns the supervisor, and through it all processes: they end after the last call.
    let mut upstreams = JoinSet::new();
    upstreams.spawn(supervisor.run());

    let calls = calls_of(&drain);
    let hop = Arc::new(Sidecar::new(server, name.clone(), upstream, calls.clone()));
    let sweeping = hop.clone();
    calls.spawn("sweep of sessions", async move { sweeping.sweep().await });
    let shared = Arc::new(Shared {
        hop,
        live,
        audit: trail.log.clone(),
        guard: Guard::default(),
        body_bytes_max: settings.body_bytes_max,
        budget,
        meter: Meter::new(&metrics, totals),
        webhooks,
        // What edges have counted is not counted again.
        limits: Limiter::new(0, &metrics),
        pins: Pins::new(sightings),
        drain: calls.clone(),
        pages: page,
    });
    tracing::info!(%address, node = %name, "sidecar listens");
    if let Some(started) = started {
        // Nobody may be waiting any more; the sidecar runs all the same.
        let _ = started.send(Started {
            listen: address,
            admin,
            node: name,
        });
    }
    tokio::select! {
        () = listen::serve(listener, Some(tls), shared, calls.clone()) => {}
        _ = upstreams.join_next() => anyhow::bail!("the task that keeps the server running has failed"),
    }
    calls.finish(frame::DRAIN).await;
    stop.cancel();
    upstreams.join_next().await;
    trail.finish().await;
    Ok(())
}

/// The drain of connections and replies alone: it starts with `drain`, and is through before the server is
/// stopped, whatever else of the process still takes its time.
fn calls_of(drain: &Drain) -> Drain {
    let calls = Drain::new();
    let (started, draining) = (calls.clone(), drain.clone());
    drain.spawn("drain of calls", async move {
        draining.leaving().await;
        started.leave();
        draining.signaled().await;
        started.start();
    });
    calls
}

/// Where edges reach the sidecar.
fn advertise(settings: &Settings, address: SocketAddr) -> anyhow::Result<String> {
    if !settings.advertise.is_empty() {
        return Ok(settings.advertise.clone());
    }
    anyhow::ensure!(
        !address.ip().is_unspecified(),
        "sidecar.listen {address} is every address: set sidecar.advertise to the one where edges reach \
         this sidecar, host:port"
    );
    Ok(address.to_string())
}

fn belongs(settings: &Settings, advertise: &str) -> anyhow::Result<NodeSettings> {
    let host = advertise
        .rsplit_once(':')
        .map_or(advertise, |(host, _)| host);
    Ok(NodeSettings {
        control: settings.control.clone(),
        control_ca: settings.control_ca.clone(),
        data_dir: settings.data_dir.clone(),
        join: settings.join.as_ref().map(frame::read_token).transpose()?,
        hosts: vec![host.trim_matches(['[', ']']).to_owned()],
    })
}

fn start_settings(
    settings: &Settings,
    launcher: Launcher,
    log: &ServerLog,
) -> anyhow::Result<session::Settings> {
    let directory = std::path::absolute(settings.data_dir.join("work"))?;
    let made = std::fs::create_dir_all(&directory);
    made.with_context(|| format!("the folder {} cannot be made", directory.display()))?;
    let tools_path = settings.tools_path.iter().map(std::path::absolute);
    Ok(session::Settings {
        launcher,
        policy: Policy {
            allow_command: settings.allow_command,
            tools_path: tools_path.collect::<Result<_, _>>()?,
            inherited: inherited(),
            directory,
        },
        installed: Installed::new(settings.data_dir.join("installed")),
        line_bytes_max: settings.line_bytes_max,
        log: log.clone(),
        egress: Egress::new(&settings.egress),
        own_egress: Egress::new(&EgressSettings {
            allow_private: true,
            ..settings.egress.clone()
        }),
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "not settings: what little of it servers are given"
)]
fn inherited() -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    std::env::vars_os().collect()
}

/// Where a server of the runtime `external` is.
fn external(settings: &Settings) -> anyhow::Result<External> {
    let (url, argv) = (&settings.upstream_url, &settings.upstream_argv);
    anyhow::ensure!(
        url.is_empty() || argv.is_empty(),
        "sidecar.upstream_url and sidecar.upstream_argv: set one of them, not both"
    );
    if url.is_empty() {
        return Ok(match argv.as_slice() {
            [] => External::Unset,
            argv => External::Argv(argv.to_vec()),
        });
    }
    let read = HttpUrl::parse(url);
    let read = read.map_err(|why| anyhow::anyhow!("sidecar.upstream_url {url:?}: {why}"))?;
    Ok(External::Url(read))
}

/// The server as the configuration in force has it, in a task that ends with `drain`.
fn follow(
    live: &Live,
    server: &ServerName,
    external: External,
    drain: &Drain,
) -> watch::Receiver<Option<Arc<Wanted>>> {
    let (mut changed, live, server) = (live.changed(), live.clone(), server.clone());
    let (wanted, receiver) = watch::channel(None);
    let draining = drain.clone();
    drain.spawn("wanted server", async move {
        loop {
            if let Some(config) = live.load() {
                let now = Wanted::of(&config.engine, &server, &external).map(Arc::new);
                wanted.send_if_modified(|before| {
                    let modified = *before != now;
                    *before = now;
                    modified
                });
            }
            tokio::select! {
                changed = changed.changed() => if changed.is_err() { return },
                () = draining.signaled() => return,
            }
        }
    });
    receiver
}

/// Edges ask for MCP only; health is on the admin address.
fn page(_: &Shared<Sidecar>, _: &Route) -> Response<ReplyBody> {
    answer::refused(&Refused::new(
        StatusCode::NOT_FOUND,
        "there is no such page",
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn edges_are_told_an_address_that_they_can_reach() {
        let of = |advertise: &str, address: &str| {
            let settings = Settings {
                advertise: advertise.to_owned(),
                ..Settings::default()
            };
            super::advertise(&settings, address.parse().unwrap())
        };
        assert_eq!(of("", "127.0.0.1:7900").unwrap(), "127.0.0.1:7900");
        assert_eq!(
            of("sidecar.example:1", "0.0.0.0:7900").unwrap(),
            "sidecar.example:1"
        );
        assert!(
            of("", "[::]:7900")
                .unwrap_err()
                .to_string()
                .contains("sidecar.advertise")
        );
        let belongs = |advertise| {
            super::belongs(&Settings::default(), advertise)
                .unwrap()
                .hosts
        };
        assert_eq!(belongs("[::1]:7900"), ["::1"]);
        assert_eq!(belongs("sidecar.example:1"), ["sidecar.example"]);
    }
}
