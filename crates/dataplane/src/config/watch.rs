//! The node's stream to the control plane: takes pushes, answers each with ACK or NACK, and comes back
//! after every loss, with what it has.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::name::ServerName;
use proto::v1 as pb;
use proto::v1::node_client::NodeClient;
use proto::v1::node_message::Kind;
use runtime::backoff::Backoff;
use runtime::drain::Drain;
use runtime::metrics::Metrics;
use runtime::net::ClientTls;
use runtime::tls::{self, Identity, LiveIdentity};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use super::disk::{self, Disk};
use super::endpoints::Endpoints;
use super::held::Held;
use super::live::{Config, Live};
use super::logs::{LogSource, Readers};
use super::meter::ConfigMeter;
use super::node::{PAUSES, control_plane_name};
use super::sightings::Told;
use crate::meter::Totals;

/// The node says that it lives so often; after three times it counts as silent.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Messages on their way to the control plane. The sender waits where it is full: it is one task.
const OUTBOX: usize = 16;
/// The names of the two files.
const CONFIG_FILE: &str = "config";
const ENDPOINTS_FILE: &str = "endpoints";
/// Endpoints have no revision: any of their states may be the newest.
const ENDPOINTS_REVISION: u64 = 0;

/// What a node is, and where it belongs.
#[derive(Debug)]
pub struct Node {
    /// Edge or sidecar.
    pub kind: pb::NodeKind,
    /// The server that a sidecar stands before.
    pub server: Option<ServerName>,
    /// Where it can be reached.
    pub addresses: Vec<String>,
    /// Who it is.
    pub identity: LiveIdentity,
    /// Control planes, `host:port`, tried in turn.
    pub control: Vec<String>,
    /// Where its last good configuration lies.
    pub data_dir: PathBuf,
    /// Where what becomes of pushes is shown.
    pub metrics: Metrics,
    /// The log of the server that a sidecar stands before.
    pub logs: Option<Arc<dyn LogSource>>,
    /// What its calls add up to.
    pub totals: Totals,
    /// Tool definitions that the control plane is to hear of.
    pub sightings: Told,
}

/// Takes a sidecar's status for the control plane. Only the latest one is kept.
#[derive(Debug, Clone)]
pub struct StatusSender(watch::Sender<Option<pb::ServerStatus>>);

impl StatusSender {
    /// Replaces the status.
    pub fn send(&self, status: pb::ServerStatus) {
        self.0.send_replace(Some(status));
    }
}

/// Loads the last good configuration and keeps the stream from then on, in a task that ends with `drain`.
///
/// # Errors
/// Where the identity cannot be used.
pub fn start(node: Node, drain: &Drain) -> Result<(Live, StatusSender), tls::Error> {
    let tls = ClientTls {
        config: node.identity.client_config(&[tls::H2])?,
        server_name: control_plane_name(),
    };
    let disk = match Disk::open(&node.data_dir) {
        Ok(disk) => Some(Arc::new(disk)),
        Err(error) => {
            tracing::error!(%error, "no snapshot is kept on disk");
            None
        }
    };
    let live = Live::default();
    let (status, statuses) = watch::channel(None);
    let renewed = node.identity.changed();
    let meter = ConfigMeter::new(&node.metrics, &live);
    let mut link = Link {
        node,
        meter,
        tls,
        disk,
        live: live.clone(),
        held: Held::default(),
        statuses,
        renewed,
    };
    link.load();
    let draining = drain.clone();
    drain.spawn("config stream", async move {
        tokio::select! {
            () = link.run() => {}
            () = draining.signaled() => {}
        }
    });
    Ok((live, StatusSender(status)))
}

/// The one task that takes pushes, and what it knows.
struct Link {
    node: Node,
    meter: ConfigMeter,
    tls: ClientTls,
    disk: Option<Arc<Disk>>,
    live: Live,
    held: Held,
    statuses: watch::Receiver<Option<pb::ServerStatus>>,
    renewed: watch::Receiver<Arc<Identity>>,
}

impl Link {
    /// Puts in force what lies on disk, where it is whole and ours.
    fn load(&mut self) {
        let Some(disk) = &self.disk else { return };
        match disk.load::<pb::ConfigPush>(CONFIG_FILE) {
            Ok(Some(loaded)) => match self.prepare(&loaded.message) {
                Ok((held, config)) => {
                    warn_of(&loaded.refused);
                    tracing::info!(revision = %held.revision, "starting from the snapshot on disk");
                    self.held = held;
                    self.live.swap(config);
                }
                Err(faults) => tracing::error!(?faults, "the snapshot on disk is refused"),
            },
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "the snapshot on disk is refused"),
        }
        match disk.load::<pb::EndpointPush>(ENDPOINTS_FILE) {
            Ok(Some(loaded)) => {
                warn_of(&loaded.refused);
                self.live.swap_endpoints(Endpoints::of(&loaded.message));
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "the endpoints on disk are refused"),
        }
    }

    /// Connects again and again, to one control plane after the other.
    async fn run(&mut self) {
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        let control = self.node.control.clone();
        for address in control.iter().cycle() {
            let ended = self.stream(address, &mut backoff).await;
            self.meter.went();
            match ended {
                Ok(()) => tracing::info!(%address, "the control plane closed the stream"),
                Err(status) => {
                    tracing::warn!(%address, code = ?status.code(), message = status.message(),
                        "no stream to the control plane");
                }
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    async fn stream(&mut self, address: &str, backoff: &mut Backoff) -> Result<(), tonic::Status> {
        let channel = runtime::net::channel(address, Some(self.tls.clone()))
            .map_err(|error| tonic::Status::invalid_argument(error.to_string()))?;
        let mut client = NodeClient::new(channel).max_decoding_message_size(usize::MAX);
        let (outbox, messages) = mpsc::channel(OUTBOX);
        send(&outbox, Kind::Hello(self.hello())).await?;
        let mut inbox = client
            .sync(ReceiverStream::new(messages))
            .await?
            .into_inner();
        tracing::info!(%address, "connected to the control plane");
        self.meter.came();
        let mut readers = Readers::new(self.node.logs.clone());
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        self.statuses.mark_changed();
        self.renewed.mark_unchanged();
        self.node.sightings.begin();
        loop {
            tokio::select! {
                message = inbox.message() => match message? {
                    Some(message) => {
                        backoff.reset();
                        self.take(message, &mut readers, &outbox).await?;
                    }
                    None => return Ok(()),
                },
                _ = heartbeat.tick() => {
                    let revision = self.held.revision.0;
                    let (calls, failed) = self.node.totals.get();
                    let beat = pb::Heartbeat { revision, calls, failed };
                    send(&outbox, Kind::Heartbeat(beat)).await?;
                }
                // The control plane ends the stream with the certificate by which it was begun.
                Ok(()) = self.renewed.changed() => {
                    backoff.reset();
                    return Ok(());
                }
                Some(seen) = self.node.sightings.next() => {
                    send(&outbox, Kind::ToolSightings(seen)).await?;
                }
                // An edge has no server to tell of: its sender is gone from the start, and nothing comes here.
                Ok(()) = self.statuses.changed() => {
                    let status = self.statuses.borrow_and_update().clone();
                    if let Some(status) = status {
                        send(&outbox, Kind::ServerStatus(status)).await?;
                    }
                }
            }
        }
    }

    fn hello(&self) -> pb::Hello {
        pb::Hello {
            kind: self.node.kind.into(),
            server: self
                .node
                .server
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            features: engine::FEATURES.iter().map(ToString::to_string).collect(),
            revision: self.held.revision.0,
            sha256: self.held.hash.map(|h| h.0.to_vec()).unwrap_or_default(),
            known: self.held.known(),
            addresses: self.node.addresses.clone(),
        }
    }

    async fn take(
        &mut self,
        message: pb::ControlMessage,
        readers: &mut Readers,
        outbox: &mpsc::Sender<pb::NodeMessage>,
    ) -> Result<(), tonic::Status> {
        match message.kind {
            Some(pb::control_message::Kind::Config(push)) => {
                let answer = self.apply(push).await;
                let taken = matches!(answer, Kind::Ack(_));
                send(outbox, answer).await?;
                if taken {
                    let (revision, push) = (self.held.revision.0, self.held.to_push());
                    self.keep(move |disk| disk.save_again(CONFIG_FILE, revision, &push))
                        .await;
                }
                Ok(())
            }
            Some(pb::control_message::Kind::Endpoints(push)) => {
                self.live.swap_endpoints(Endpoints::of(&push));
                self.keep(move |disk| {
                    disk.save(ENDPOINTS_FILE, ENDPOINTS_REVISION, &push)?;
                    disk.save_again(ENDPOINTS_FILE, ENDPOINTS_REVISION, &push)
                })
                .await;
                Ok(())
            }
            Some(pb::control_message::Kind::LogRequest(request)) => {
                readers.take(request, outbox);
                Ok(())
            }
            // A later control plane may say more than we know; what it must not say so is configuration.
            None => Ok(()),
        }
    }

    /// Checks a push aside, puts it in force, keeps it on disk, and says so; or keeps what was and says why.
    async fn apply(&mut self, push: pb::ConfigPush) -> Kind {
        let (nonce, began) = (push.nonce, Instant::now());
        match self.prepare(&push) {
            Ok((held, config)) => {
                self.held = held;
                self.live.swap(config);
                let revision = self.held.revision;
                // Before the ACK: whoever waited for it may count on it after a restart, too.
                let kept = self.held.to_push();
                self.keep(move |disk| disk.save(CONFIG_FILE, revision.0, &kept))
                    .await;
                self.meter.taken(began.elapsed());
                tracing::info!(%revision, "configuration in force");
                let sha256 = self.held.hash.map(|h| h.0.to_vec()).unwrap_or_default();
                Kind::Ack(pb::Ack {
                    nonce,
                    revision: revision.0,
                    sha256,
                })
            }
            Err(faults) => {
                self.meter.refused();
                tracing::error!(revision = push.revision, ?faults, "configuration refused");
                Kind::Nack(pb::Nack {
                    nonce,
                    revision: self.held.revision.0,
                    faults,
                })
            }
        }
    }

    fn prepare(&self, push: &pb::ConfigPush) -> Result<(Held, Arc<Config>), Vec<String>> {
        let (held, snapshot) = self.held.after(push)?;
        let config = Config::compile(Arc::new(snapshot))
            .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        Ok((held, Arc::new(config)))
    }

    /// Keeps something on disk. A failure costs the next start its snapshot, not this node its work.
    async fn keep(&self, save: impl FnOnce(&Disk) -> Result<(), disk::Error> + Send + 'static) {
        let Some(disk) = self.disk.clone() else {
            return;
        };
        let saved = tokio::task::spawn_blocking(move || save(&disk)).await;
        match saved {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the snapshot is not kept on disk"),
            Err(error) => tracing::error!(%error, "the snapshot is not kept on disk"),
        }
    }
}

fn warn_of(refused: &[String]) {
    for why in refused {
        tracing::error!(%why, "a copy of the snapshot on disk is refused; the other is whole");
    }
}

async fn send(outbox: &mpsc::Sender<pb::NodeMessage>, kind: Kind) -> Result<(), tonic::Status> {
    outbox
        .send(pb::NodeMessage { kind: Some(kind) })
        .await
        .map_err(|_| tonic::Status::unavailable("the stream is gone"))
}
