//! The composition root: reads from top to bottom as a control plane starts. Store and services meet here only.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use proto::v1::admin_server::AdminServer;
use proto::v1::audit_server::AuditServer;
use proto::v1::node_server::NodeServer;
use runtime::admin;
use runtime::disk;
use runtime::drain::Drain;
use runtime::metrics::Metrics;
use runtime::net;
use runtime::readiness::Readiness;
use runtime::tls::{self, ClientAuth};
use serde_json::json;
use tokio::sync::oneshot;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;

pub use crate::settings::Settings;

use crate::access::Access;
use crate::backoff::Backoff;
use crate::ca::{self, Ca};
use crate::catalog::{self, Catalog};
use crate::clock;
use crate::endpoints::Endpoints;
use crate::join::Desk;
use crate::keys;
use crate::nodes::Nodes;
use crate::publish::Publisher;
use crate::records::{self, Records};
use crate::service::admin::AdminService;
use crate::service::audit::AuditService;
use crate::service::node::NodeService;
use crate::serving::Serving;
use crate::settings::StoreChoice;
use crate::store::embedded::Embedded;
use crate::store::etcd::Etcd;
use crate::store::seal::{Sealer, make_private};
use crate::store::{self, Store};

/// What `/readyz` waits for.
const STORE: &str = "store";
const LISTENERS: &str = "listeners";
/// Largest message that the admin API takes: an apply of many files.
const ADMIN_MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Largest message that a node may send: a hello that names everything it has.
const NODE_MESSAGE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// A connection that is silent so long is asked whether it lives, and given up without an answer.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));
/// Calls under way on one connection.
const STREAMS_MAX: u32 = 256;
/// First and longest pause while the store is away at start.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// How long a start waits for the process before it to let go of the data folder.
const PREDECESSOR_MAX: Duration = Duration::from_secs(10);

/// What a control plane serves, once it does.
#[derive(Debug, Clone)]
pub struct Started {
    /// Admin and node API.
    pub listen: SocketAddr,
    /// Receiver of audit records.
    pub otlp_listen: SocketAddr,
    /// `/livez`, `/readyz`, `/metrics`, `/config`.
    pub admin_listen: SocketAddr,
    /// The root that its certificate comes from, PEM.
    pub ca_file: PathBuf,
    /// Administrators' tokens.
    pub admin_token_file: PathBuf,
}

/// Runs a control plane until `drain` starts.
///
/// # Errors
/// What keeps it from starting, or from going on.
pub async fn run(settings: Settings, drain: Drain) -> anyhow::Result<()> {
    let (started, _) = oneshot::channel();
    run_reporting(settings, drain, started).await
}

/// As [`run`]; says through `started` where it listens once it is ready, so that port 0 can be asked for.
///
/// # Errors
/// As [`run`].
pub async fn run_reporting(
    settings: Settings,
    drain: Drain,
    started: oneshot::Sender<Started>,
) -> anyhow::Result<()> {
    tls::install_default();
    disk::create_private_dir(&settings.data_dir)
        .with_context(|| format!("data_dir {}", settings.data_dir.display()))?;
    let readiness = Readiness::new(&[STORE, LISTENERS]);
    let shown = Arc::new(OnceLock::new());
    let sources = sources(readiness.clone(), shown.clone());
    let admin_listen =
        admin::serve(&settings.admin_listen, "admin_listen", sources, &drain).await?;

    let master_key_file = secret_file(&settings.data_dir, &settings.master_key_file, "master.key")?;
    let admin_token_file = secret_file(
        &settings.data_dir,
        &settings.admin_token_file,
        "admin.token",
    )?;
    let sealer = Arc::new(Sealer::read(&master_key_file)?);
    let access = Access::read(&admin_token_file)?;

    let Some(Opened { store, ca, catalog }) = open(&settings, &sealer, &readiness, &drain).await?
    else {
        return Ok(());
    };
    let ca_file = settings.data_dir.join("ca.pem");
    disk::replace(&ca_file, ca.root_pem().as_bytes(), disk::PUBLIC)
        .with_context(|| ca_file.display().to_string())?;
    readiness.done(STORE);

    let nodes = Arc::new(Nodes::default());
    let endpoints = Endpoints::new(store.clone());
    let publisher = Publisher::new(&catalog);
    let desk = Arc::new(Desk::new(store, ca.clone()));
    let serving = Serving::new(ca, &settings.tls.hosts)?;
    let records = Records::open_with(records::Settings {
        dir: settings.data_dir.join("records"),
        calls_max: settings.records.calls_max,
    })?;
    // Read by the admin port from now on; set once.
    let _ = shown.set(Shown {
        catalog: catalog.clone(),
        nodes: nodes.clone(),
    });

    drain.spawn("follow the store", catalog.clone().follow(drain.clone()));
    drain.spawn("follow endpoints", endpoints.clone().follow(drain.clone()));
    drain.spawn(
        "follow the head",
        follow_head(catalog.clone(), nodes.clone(), drain.clone()),
    );
    drain.spawn("renew certificate", serving.clone().renew(drain.clone()));

    let control = net::listen(&settings.listen, "listen").await?;
    let otlp = net::listen(&settings.otlp_listen, "otlp_listen").await?;
    let (listen, otlp_listen) = (control.local_addr()?, otlp.local_addr()?);

    let admin = AdminServer::new(AdminService {
        catalog,
        nodes: nodes.clone(),
        desk: desk.clone(),
        drain: drain.clone(),
    })
    .max_decoding_message_size(ADMIN_MESSAGE_BYTES_MAX)
    .max_encoding_message_size(usize::MAX);
    let audit = AuditServer::new(AuditService::new(records.clone(), drain.clone()));
    let node = NodeServer::new(NodeService {
        desk,
        publisher,
        endpoints,
        nodes,
        drain: drain.clone(),
    })
    .max_decoding_message_size(NODE_MESSAGE_BYTES_MAX)
    .max_encoding_message_size(usize::MAX);
    // A node that joins and an administrator have no certificate; a node's stream asks for it.
    let api = server()
        .add_service(InterceptedService::new(admin, access.clone().lenient()))
        .add_service(InterceptedService::new(audit, access.strict()))
        .add_service(node)
        .serve_with_incoming_shutdown(
            net::tls_incoming(control, serving.config(ClientAuth::Optional)?, &drain),
            signaled(drain.clone()),
        );
    let receiver = server()
        .add_service(records.receiver())
        .serve_with_incoming_shutdown(
            net::tls_incoming(otlp, serving.config(ClientAuth::Required)?, &drain),
            signaled(drain.clone()),
        );

    readiness.done(LISTENERS);
    tracing::info!(%listen, %otlp_listen, %admin_listen, store = settings.store, "control plane ready");
    // Nobody may have asked.
    let _ = started.send(Started {
        listen,
        otlp_listen,
        admin_listen,
        ca_file,
        admin_token_file,
    });
    tokio::try_join!(api, receiver).context("a listener failed")?;
    Ok(())
}

/// What must be read from the store before anything is served.
struct Opened {
    store: Arc<dyn Store>,
    ca: Arc<Ca>,
    catalog: Arc<Catalog>,
}

/// Opens the store and reads what is needed, again and again while it is away. `None`: `drain` started first.
async fn open(
    settings: &Settings,
    sealer: &Arc<Sealer>,
    readiness: &Readiness,
    drain: &Drain,
) -> anyhow::Result<Option<Opened>> {
    let choice = settings.store_choice()?;
    let begun = tokio::time::Instant::now();
    let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
    loop {
        let error = match open_once(settings, &choice, sealer, drain).await {
            Ok(opened) => return Ok(Some(opened)),
            Err(error) => error,
        };
        let may_end = match store_error(&error) {
            Some(store::Error::InUse { .. }) => begun.elapsed() < PREDECESSOR_MAX,
            Some(other) => other.may_be_retried(),
            None => false,
        };
        if !may_end {
            return Err(error);
        }
        tracing::warn!(%error, "waiting for the store");
        readiness.fail(STORE, error.to_string());
        tokio::select! {
            () = drain.signaled() => return Ok(None),
            () = tokio::time::sleep(backoff.pause()) => {}
        }
    }
}

async fn open_once(
    settings: &Settings,
    choice: &StoreChoice,
    sealer: &Arc<Sealer>,
    drain: &Drain,
) -> anyhow::Result<Opened> {
    let store: Arc<dyn Store> = match choice {
        StoreChoice::Embedded => Arc::new(Embedded::open(&settings.data_dir)?),
        StoreChoice::Etcd(options) => Arc::new(Etcd::connect(options, drain).await?),
    };
    let ca = Ca::open(&*store, sealer, &settings.tls.hosts).await?;
    let catalog = Catalog::open(store.clone(), sealer.clone()).await?;
    keys::ensure_ring(&catalog).await?;
    Ok(Opened { store, ca, catalog })
}

/// What the store said, whoever passed it on.
fn store_error(error: &anyhow::Error) -> Option<&store::Error> {
    if let Some(error) = error.downcast_ref() {
        return Some(error);
    }
    match (error.downcast_ref(), error.downcast_ref()) {
        (Some(ca::Error::Store(error)), _) | (_, Some(catalog::Error::Store(error))) => Some(error),
        _ => None,
    }
}

/// The file that a setting names, or the one in `data_dir`, which is made where it is missing.
fn secret_file(data_dir: &Path, set: &Option<PathBuf>, name: &str) -> anyhow::Result<PathBuf> {
    match set {
        Some(path) => Ok(path.clone()),
        None => {
            let path = data_dir.join(name);
            make_private(&path)?;
            Ok(path)
        }
    }
}

fn server() -> Server {
    Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE.0))
        .http2_keepalive_timeout(Some(KEEP_ALIVE.1))
        .max_concurrent_streams(STREAMS_MAX)
}

async fn signaled(drain: Drain) {
    drain.signaled().await;
}

/// Tells the node table whenever the head moves.
async fn follow_head(catalog: Arc<Catalog>, nodes: Arc<Nodes>, drain: Drain) {
    let mut states = catalog.watch();
    loop {
        let revision = states.borrow_and_update().revision();
        nodes.head_moved(revision);
        tokio::select! {
            () = drain.signaled() => return,
            changed = states.changed() => if changed.is_err() { return },
        }
    }
}

/// What the admin port shows once the store is loaded.
struct Shown {
    catalog: Arc<Catalog>,
    nodes: Arc<Nodes>,
}

fn sources(readiness: Readiness, shown: Arc<OnceLock<Shown>>) -> admin::Sources {
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
