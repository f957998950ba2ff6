//! Composition root of an edge: settings in, a running edge out. Nothing is decided here.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use dataplane::approval::desk::Desk;
use dataplane::budget::Budget;
use dataplane::config::node::{self, NodeSettings};
use dataplane::config::renew;
use dataplane::config::sightings::Sightings;
use dataplane::config::watch::{self, Node};
use dataplane::deliver::federation::Federating;
use dataplane::deliver::probe::Eras;
use dataplane::door::Guard;
use dataplane::egress::{Egress, EgressSettings};
use dataplane::frame::{self, AuditSettings};
use dataplane::listen;
use dataplane::meter::{Meter, Totals};
use dataplane::pipeline::Shared;
use dataplane::stage::limit::{LimitSettings, Limiter};
use dataplane::stage::pins::Pins;
use dataplane::stage::webhook::Webhooks;
use proto::v1::NodeKind;
use runtime::drain::Drain;
use runtime::metrics::Metrics;
use runtime::net;
use runtime::readiness::Readiness;
use runtime::settings::Secret;
use runtime::tls::{self, LiveIdentity};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::hop::{Edge, Outbound};
use crate::pages;
use crate::waiting::Waiting;

/// Settings of an edge: defaults, then file, environment (`GATEHOUSE_EDGE__…`) and flags.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where clients connect, `host:port`.
    pub listen: String,
    /// Where clients reach the edges, the same on all of them, the first canonical. Empty: the listen address.
    pub public_urls: Vec<String>,
    /// Origins of web pages that may call, besides those of the public URLs.
    pub allowed_origins: Vec<String>,
    /// Whether a proxy in front does TLS; else plain HTTP is served on loopback addresses only.
    pub behind_tls_proxy: bool,
    /// Certificate and key for clients.
    pub tls: Option<TlsFiles>,
    /// Health, metrics and configuration, `host:port`.
    pub admin_listen: String,
    /// Control planes, `host:port`, tried in turn.
    pub control: Vec<String>,
    /// PEM file of the roots to trust while joining.
    pub control_ca: PathBuf,
    /// Where the edge keeps its identity, its last good configuration and its audit log.
    pub data_dir: PathBuf,
    /// A join token, or `@FILE`. Needed at the first start only.
    pub join: Option<Secret>,
    /// Largest message from a client, in bytes.
    pub body_bytes_max: usize,
    /// Bytes of all messages under way together; further ones are refused as overloaded.
    pub bodies_bytes_max: usize,
    /// Most calls under way; further ones are refused as overloaded.
    pub calls_max: usize,
    /// What may be reached: remote servers and receivers of webhooks.
    pub egress: EgressSettings,
    /// How limits are counted.
    pub limits: LimitSettings,
    /// How long a call waits for a sidecar that was there and cannot be reached, in seconds: it is most often just
    /// being started again. At most the server's own limit for a call.
    pub sidecar_wait_s: u64,
    /// How virtual servers are served.
    pub federation: FederationSettings,
    /// How long it goes on, not ready any more, once it was asked to end: until load balancers have turned to
    /// others. In seconds.
    pub drain_delay_s: u64,
    /// Where records go.
    pub audit: AuditSettings,
}

/// How virtual servers are served.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FederationSettings {
    /// How long one member may take where all are asked, in milliseconds, if its own limit of a call is not less. What
    /// is not there by then is named in the answer. The same on all edges.
    pub member_timeout_ms: u64,
    /// How long a member that missed its time twice in a row is left out at once, in milliseconds; then one request at a
    /// time asks it again. 0: it is waited for each time.
    pub member_pause_ms: u64,
    /// Longest names of tools and prompts that clients see, 64 to 128; longer ones are shortened. The same on all edges.
    pub name_chars_max: usize,
}

impl Default for FederationSettings {
    fn default() -> Self {
        Self {
            member_timeout_ms: 5000,
            member_pause_ms: 10_000,
            name_chars_max: engine::federation::NAME_CHARS,
        }
    }
}

/// Certificate and key, as PEM files.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The chain, leaf first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7800".to_owned(),
            public_urls: Vec::new(),
            allowed_origins: Vec::new(),
            behind_tls_proxy: false,
            tls: None,
            admin_listen: "127.0.0.1:7809".to_owned(),
            control: vec!["127.0.0.1:7700".to_owned()],
            control_ca: PathBuf::from("ca.pem"),
            data_dir: PathBuf::from("edge-data"),
            join: None,
            body_bytes_max: 4 << 20,
            bodies_bytes_max: 256 << 20,
            calls_max: 4096,
            egress: EgressSettings::default(),
            limits: LimitSettings::default(),
            sidecar_wait_s: 15,
            federation: FederationSettings::default(),
            drain_delay_s: 5,
            audit: AuditSettings::default(),
        }
    }
}

/// Where a started edge listens.
#[derive(Debug, Clone)]
pub struct Started {
    /// For clients.
    pub listen: std::net::SocketAddr,
    /// For operators.
    pub admin: std::net::SocketAddr,
    /// Its node id.
    pub node: Arc<str>,
}

/// Runs an edge until `drain` starts, and finishes what is under way then. `started` is told once it listens.
///
/// # Errors
/// Whatever keeps it from starting, with what to do about it.
pub async fn run(
    settings: Settings,
    drain: Drain,
    started: Option<oneshot::Sender<Started>>,
) -> anyhow::Result<()> {
    let readiness = Readiness::new(&["identity", "configuration"]);
    let listener = net::listen(&settings.listen, "edge.listen").await?;
    let address = listener.local_addr()?;
    let public_urls = public_urls(&settings, address)?;
    let federation = &settings.federation;
    let federating = Federating::new(
        federation.name_chars_max,
        federation.member_timeout_ms,
        federation.member_pause_ms,
    )
    .map_err(anyhow::Error::msg)?;
    let tls = match &settings.tls {
        Some(files) => Some(tls::public_server_config(&files.cert, &files.key)?),
        None if net::is_loopback(&address) || settings.behind_tls_proxy => None,
        None => anyhow::bail!(
            "edge.listen {address} is not a loopback address: set tls.cert and tls.key, or \
             behind_tls_proxy where a proxy in front does TLS"
        ),
    };

    let belongs = NodeSettings {
        control: settings.control.clone(),
        control_ca: settings.control_ca.clone(),
        data_dir: settings.data_dir.clone(),
        join: settings.join.as_ref().map(frame::read_token).transpose()?,
        hosts: Vec::new(),
    };
    let draining = drain.clone();
    let identity = tokio::select! {
        identity = node::identity(NodeKind::Edge, None, &belongs) => identity?,
        () = draining.signaled() => return Ok(()),
    };
    readiness.done("identity");
    let name = identity.node()?;
    let outbound = Outbound::new(&identity)?;
    let identity = LiveIdentity::new(identity)?;
    renew::start(identity.clone(), &belongs, &drain);
    let trail = frame::open_audit(&settings.audit, &settings.data_dir, &identity)
        .context("the audit log cannot be opened")?;
    let metrics = Metrics::new();
    trail.show(&metrics);
    let budget = Budget::new(settings.calls_max, settings.bodies_bytes_max);
    budget.show(&metrics);

    let totals = Totals::default();
    let (sightings, told) = Sightings::new();
    let (live, _) = watch::start(
        Node {
            kind: NodeKind::Edge,
            server: None,
            addresses: public_urls.clone(),
            identity: identity.clone(),
            control: settings.control.clone(),
            data_dir: settings.data_dir.clone(),
            metrics: metrics.clone(),
            logs: None,
            totals: totals.clone(),
            sightings: told,
        },
        &drain,
    )?;
    let admin = frame::serve_admin(
        &settings.admin_listen,
        "edge.admin_listen",
        &readiness,
        &live,
        &metrics,
        &drain,
    )
    .await?;
    frame::await_configuration(&live, &readiness, &drain);

    let egress = Egress::new(&settings.egress);
    let edge = Arc::new(Edge {
        public_urls: public_urls.clone(),
        live: live.clone(),
        outbound: ArcSwap::from_pointee(outbound),
        egress: egress.clone(),
        eras: Eras::default(),
        waiting: Waiting::new(&metrics),
        wait_max: Duration::from_secs(settings.sidecar_wait_s),
        federating,
        desk: Desk::new(&settings.control, &identity, &metrics)?,
    });
    follow(&identity, edge.clone(), &drain);
    let shared = Arc::new(Shared {
        hop: edge,
        live,
        audit: trail.log.clone(),
        guard: guard(&public_urls, &settings.allowed_origins),
        body_bytes_max: settings.body_bytes_max,
        budget,
        meter: Meter::new(&metrics, totals),
        limits: Limiter::start(&settings.limits, &drain, &metrics)?,
        webhooks: Webhooks::new(egress, &metrics, &drain),
        pins: Pins::new(sightings),
        drain: drain.clone(),
        pages: pages::page,
    });
    tracing::info!(%address, node = %name, "edge listens");
    if let Some(started) = started {
        // Nobody may be waiting any more; the edge runs all the same.
        let _ = started.send(Started {
            listen: address,
            admin,
            node: name,
        });
    }
    listen::serve(listener, tls, shared, drain.clone()).await;
    drain.finish(frame::DRAIN).await;
    trail.finish().await;
    Ok(())
}

/// Shows sidecars the newest certificate, in a task that ends with `drain`. Calls under way end on the old connections.
fn follow(identity: &LiveIdentity, edge: Arc<Edge>, drain: &Drain) {
    let (mut renewed, draining) = (identity.changed(), drain.clone());
    drain.spawn("shown certificate", async move {
        loop {
            tokio::select! {
                () = draining.signaled() => return,
                changed = renewed.changed() => if changed.is_err() { return },
            }
            let identity = renewed.borrow_and_update().clone();
            match Outbound::new(&identity) {
                Ok(outbound) => edge.outbound.store(Arc::new(outbound)),
                Err(error) => tracing::error!(%error, "sidecars are shown the old certificate"),
            }
        }
    });
}

/// The public URLs without a trailing slash; the listen address where none are set.
fn public_urls(settings: &Settings, address: std::net::SocketAddr) -> anyhow::Result<Vec<String>> {
    if settings.public_urls.is_empty() {
        let scheme = if settings.tls.is_some() {
            "https"
        } else {
            "http"
        };
        return Ok(vec![format!("{scheme}://{address}")]);
    }
    settings
        .public_urls
        .iter()
        .map(|url| {
            let uri: http::Uri = url
                .parse()
                .with_context(|| format!("edge.public_urls: {url:?} is no URL"))?;
            let good = matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.authority().is_some_and(|a| !a.as_str().contains('@'))
                && matches!(uri.path(), "" | "/")
                && uri.query().is_none();
            anyhow::ensure!(
                good,
                "edge.public_urls: {url:?} must be http(s)://HOST[:PORT]"
            );
            Ok(url.trim_end_matches('/').to_owned())
        })
        .collect()
}

/// Hosts and origins that this edge answers to.
fn guard(public_urls: &[String], allowed_origins: &[String]) -> Guard {
    let hosts = public_urls
        .iter()
        .filter_map(|url| url.parse::<http::Uri>().ok())
        .filter_map(|uri| uri.authority().map(|a| a.as_str().to_ascii_lowercase()))
        .collect();
    let origins = public_urls.iter().chain(allowed_origins);
    Guard {
        hosts,
        origins: origins.map(|o| o.to_ascii_lowercase()).collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn public_urls_are_origins() {
        let of = |urls: &[&str]| {
            let settings = Settings {
                public_urls: urls.iter().map(ToString::to_string).collect(),
                ..Settings::default()
            };
            public_urls(&settings, "127.0.0.1:7800".parse().unwrap())
        };
        assert_eq!(of(&[]).unwrap(), ["http://127.0.0.1:7800"]);
        assert_eq!(
            of(&["https://mcp.example.com/"]).unwrap(),
            ["https://mcp.example.com"]
        );
        for bad in [
            "mcp.example.com",
            "https://a@b",
            "https://a/x",
            "ftp://a",
            "https://a/?x",
        ] {
            assert!(of(&[bad]).is_err(), "{bad}");
        }
        let guard = guard(&of(&["https://MCP.example.com:8443"]).unwrap(), &[]);
        assert_eq!(guard.hosts, ["mcp.example.com:8443"]);
        assert_eq!(guard.origins, ["https://mcp.example.com:8443"]);
    }
}
