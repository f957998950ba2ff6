//! The composition root: reads from top to bottom as a control plane starts. Store and services meet here only.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use proto::v1::admin_server::AdminServer;
use proto::v1::approval_desk_server::ApprovalDeskServer;
use proto::v1::approvals_server::ApprovalsServer;
use proto::v1::audit_server::AuditServer;
use proto::v1::node_server::NodeServer;
use runtime::admin;
use runtime::disk;
use runtime::drain::Drain;
use runtime::metrics::Metrics;
use runtime::net;
use runtime::readiness::Readiness;
use runtime::tls::{self, ClientAuth};
use tokio::sync::{mpsc, oneshot};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::transport::server::Router;

pub use crate::settings::Settings;

use crate::access::Access;
use crate::approvals::Approvals;
use crate::approvals::notify::News;
use crate::ca::{self, Ca};
use crate::catalog::{self, Catalog, Standing};
use crate::endpoints::Endpoints;
use crate::join::Desk;
use crate::keys;
use crate::logs::Logs;
use crate::nodes::Nodes;
use crate::pins::Inbox;
use crate::publish::Publisher;
use crate::records::{self, Records};
use crate::replicas::{Peers, Replicas, cut_off};
use crate::service::admin::AdminService;
use crate::service::approvals::{DeskService, PeopleService};
use crate::service::audit::AuditService;
use crate::service::calls::Calls;
use crate::service::node::NodeService;
use crate::serving::Serving;
use crate::settings::StoreChoice;
use crate::shown::{self, Shown};
use crate::stager::Stager;
use crate::store::embedded::Embedded;
use crate::store::etcd::Etcd;
use crate::store::seal::{Sealer, make_private};
use crate::store::{self, Store};
use crate::web::{self, Pages};
use runtime::backoff::Backoff;

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
    let metrics = Metrics::new();
    let sources = shown::sources(readiness.clone(), &metrics, shown.clone());
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

    let Some(opened) = open(&settings, &sealer, &readiness, &drain).await? else {
        return Ok(());
    };
    let ca_file = settings.data_dir.join("ca.pem");
    disk::replace(&ca_file, opened.ca.root_pem().as_bytes(), disk::PUBLIC)
        .with_context(|| ca_file.display().to_string())?;
    readiness.done(STORE);

    let control = net::listen(&settings.listen, "listen").await?;
    let otlp = net::listen(&settings.otlp_listen, "otlp_listen").await?;
    let (listen, otlp_listen) = (control.local_addr()?, otlp.local_addr()?);
    let address = settings.advertise(listen)?;
    let news = match settings.approvals.receiver(&settings.web)? {
        Some(receiver) => Some(receiver.start(&drain)?),
        None => None,
    };
    let parts = Parts::new(&settings, &address, (opened, news), &metrics)?;
    // Read by the admin port from now on; set once.
    let _ = shown.set(parts.shown());
    parts.spawn(&drain);
    web::serve(&settings.web, parts.pages(), &drain).await?;

    // A node that joins and an administrator have no certificate; a node's stream asks for it.
    let with_or_without = parts.serving.config(ClientAuth::Optional)?;
    let nodes_only = parts.serving.config(ClientAuth::Required)?;
    let api = parts.api(access, &drain).serve_with_incoming_shutdown(
        net::tls_incoming(control, with_or_without, &drain),
        signaled(drain.clone()),
    );
    let receiver = server()
        .add_service(parts.records.receiver())
        .serve_with_incoming_shutdown(
            net::tls_incoming(otlp, nodes_only, &drain),
            signaled(drain.clone()),
        );

    readiness.done(LISTENERS);
    let store = &settings.store;
    tracing::info!(%listen, %otlp_listen, %admin_listen, store, "control plane ready");
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

/// Everything between the store and the listeners.
struct Parts {
    catalog: Arc<Catalog>,
    nodes: Arc<Nodes>,
    replicas: Arc<Replicas>,
    peers: Arc<Peers>,
    endpoints: Arc<Endpoints>,
    publisher: Arc<Publisher>,
    desk: Arc<Desk>,
    serving: Arc<Serving>,
    records: Records,
    logs: Logs,
    approvals: Arc<Approvals>,
}

impl Parts {
    /// `address` is where the other replicas reach this one.
    fn new(
        settings: &Settings,
        address: &str,
        (opened, news): (Opened, Option<mpsc::Sender<News>>),
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        let Opened {
            store,
            ca,
            catalog,
            endpoints,
        } = opened;
        let name = replica_name(&settings.data_dir)?;
        let nodes = Arc::new(Nodes::new(metrics));
        let serving = Serving::new(ca.clone(), &name, &settings.tls.hosts)?;
        let replicas = Replicas::new(store.clone(), nodes.clone(), &name, address);
        let lasts = settings.approvals.lasts()?;
        let approvals = Approvals::new(store.clone(), catalog.clone(), lasts, news, metrics);
        Ok(Self {
            approvals,
            peers: Peers::new(replicas.clone(), serving.clone()),
            replicas,
            nodes,
            endpoints,
            publisher: Publisher::new(&catalog),
            desk: Arc::new(Desk::new(store, ca)),
            serving,
            records: Records::open_with(records::Settings {
                dir: settings.data_dir.join("records"),
                calls_max: settings.records.calls_max,
            })?,
            catalog,
            logs: Logs::default(),
        })
    }

    /// What pages are made from.
    fn pages(&self) -> Pages {
        Pages {
            approvals: self.approvals.clone(),
            catalog: self.catalog.clone(),
        }
    }

    /// What the admin port shows of it.
    fn shown(&self) -> Shown {
        Shown {
            catalog: self.catalog.clone(),
            nodes: self.nodes.clone(),
            replicas: self.replicas.clone(),
            endpoints: self.endpoints.clone(),
            records: self.records.clone(),
        }
    }

    /// Starts what runs by itself until the drain starts.
    fn spawn(&self, drain: &Drain) {
        let (catalog, endpoints) = (self.catalog.clone(), self.endpoints.clone());
        let head = follow_head(self.publisher.clone(), self.nodes.clone(), drain.clone());
        drain.spawn("follow the store", catalog.follow(drain.clone()));
        drain.spawn("follow endpoints", endpoints.follow(drain.clone()));
        drain.spawn("follow the head", head);
        let replicas = self.replicas.clone();
        drain.spawn("follow replicas", replicas.follow(drain.clone()));
        drain.spawn("staged rollouts", self.stager().follow(drain.clone()));
        let approvals = self.approvals.clone();
        drain.spawn("forget approvals", approvals.sweep(drain.clone()));
        let peers = self.peers.clone();
        drain.spawn("cut off or not", cut_off::follow(peers, drain.clone()));
        drain.spawn(
            "renew certificate",
            self.serving.clone().renew(drain.clone()),
        );
    }

    fn stager(&self) -> Stager {
        Stager {
            catalog: self.catalog.clone(),
            publisher: self.publisher.clone(),
            nodes: self.nodes.clone(),
            replicas: self.replicas.clone(),
        }
    }

    /// The admin, audit and node API.
    fn api(&self, access: Access, drain: &Drain) -> Router {
        let admin = AdminServer::new(AdminService {
            catalog: self.catalog.clone(),
            nodes: self.nodes.clone(),
            replicas: self.replicas.clone(),
            peers: self.peers.clone(),
            desk: self.desk.clone(),
            stager: self.stager(),
            logs: self.logs.clone(),
            calls: Calls::new(self.records.clone(), self.peers.clone()),
            drain: drain.clone(),
        })
        .max_decoding_message_size(ADMIN_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(usize::MAX);
        let audit = AuditServer::new(AuditService::new(
            self.records.clone(),
            self.peers.clone(),
            drain.clone(),
        ));
        let node = NodeServer::new(NodeService {
            catalog: self.catalog.clone(),
            desk: self.desk.clone(),
            publisher: self.publisher.clone(),
            endpoints: self.endpoints.clone(),
            nodes: self.nodes.clone(),
            tools: Inbox::start(self.catalog.clone(), drain),
            cut_off: self.replicas.watch_cut_off(),
            logs: self.logs.clone(),
            drain: drain.clone(),
        })
        .max_decoding_message_size(NODE_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(usize::MAX);
        let desk = ApprovalDeskServer::new(DeskService {
            approvals: self.approvals.clone(),
            drain: drain.clone(),
        });
        let people = ApprovalsServer::new(PeopleService {
            approvals: self.approvals.clone(),
            catalog: self.catalog.clone(),
            drain: drain.clone(),
        });
        let api_key_too = access.clone().or_api_key();
        server()
            .add_service(InterceptedService::new(admin, access.clone().lenient()))
            .add_service(InterceptedService::new(people, api_key_too))
            .add_service(InterceptedService::new(audit, access.strict()))
            .add_service(node)
            .add_service(desk)
    }
}

/// What must be read from the store before anything is served.
struct Opened {
    store: Arc<dyn Store>,
    ca: Arc<Ca>,
    catalog: Arc<Catalog>,
    endpoints: Arc<Endpoints>,
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
    catalog::must_not_be_empty(&*store, &settings.data_dir).await?;
    let terms = ca::Terms {
        reserved: settings.tls.hosts.clone(),
        lasts: settings.tls.certificate_lasts()?,
    };
    let ca = Ca::open(&*store, sealer, terms).await?;
    let catalog = Catalog::open(
        store.clone(),
        sealer.clone(),
        &settings.data_dir,
        settings.history.bounds()?,
    )
    .await?;
    if catalog.standing() == Standing::Firm {
        keys::ensure_ring(&catalog).await?;
    }
    let endpoints = Endpoints::open(store.clone()).await?;
    Ok(Opened {
        store,
        ca,
        catalog,
        endpoints,
    })
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

/// This replica's name, the same after every start.
fn replica_name(data_dir: &Path) -> anyhow::Result<String> {
    let path = data_dir.join("replica.name");
    if let Ok(name) = std::fs::read_to_string(&path) {
        return Ok(name.trim().to_owned());
    }
    let name = format!("cp-{}", hex::encode(&keys::random_bytes()[..4]));
    disk::replace(&path, name.as_bytes(), disk::PUBLIC)
        .with_context(|| path.display().to_string())?;
    Ok(name)
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
async fn follow_head(publisher: Arc<Publisher>, nodes: Arc<Nodes>, drain: Drain) {
    let mut states = publisher.watch();
    loop {
        states.mark_unchanged();
        let (head, members) = publisher.head();
        nodes.head_moved(head, members);
        tokio::select! {
            () = drain.signaled() => return,
            changed = states.changed() => if changed.is_err() { return },
        }
    }
}
