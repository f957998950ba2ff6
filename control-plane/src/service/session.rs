//! One node's stream, from hello to its end.
//!
//! ```text
//! hello -> known to nodes and endpoints -> push what it lacks
//! ack, nack, heartbeat, server status  -> noted;   new state, new endpoints -> pushed
//! silence, another stream of the node, drain, end of the connection -> end
//! ```

use std::time::Duration;

use proto::v1 as pb;
use proto::v1::control_message::Kind as Control;
use proto::v1::node_message::Kind as Said;
use runtime::tls::Peer;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tonic::{Code, Status, Streaming};

use super::node::NodeService;
use super::status;
use crate::clock;
use crate::endpoints::is_address;
use crate::nodes::{Arrival, Connection};
use crate::publish::{Acked, Lane, Next, Scope};

/// Longest that a node may take to say hello.
const HELLO_MAX: Duration = Duration::from_secs(10);
/// Longest that a node may be silent; heartbeats come every 5 s.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Longest that a message may wait for a node to take it.
const SEND_MAX: Duration = Duration::from_secs(30);
/// Most addresses of a node, most bytes of one.
const ADDRESSES_MAX: (usize, usize) = (16, 512);
/// Most engine features that a node may name.
const FEATURES_MAX: usize = 1000;

/// A stream that is open.
pub(super) struct Session {
    pub(super) service: NodeService,
    pub(super) peer: Peer,
    pub(super) certificate_ends_unix_ms: i64,
    pub(super) inbound: Streaming<pb::NodeMessage>,
    pub(super) outbound: mpsc::Sender<Result<pb::ControlMessage, Status>>,
}

/// A node that has said hello. Dropped, however the stream ends: then it is noted that it has.
struct Present {
    service: NodeService,
    connection: Connection,
}

impl Drop for Present {
    fn drop(&mut self) {
        self.service.nodes.disconnect(&self.connection);
        self.service
            .endpoints
            .left(&self.connection.node, self.connection.stream);
        self.service.logs.gone(&self.connection.node);
    }
}

impl Session {
    /// Serves the node to the end of its stream.
    pub(super) async fn run(mut self) {
        let node = self.peer.node().to_owned();
        match self.serve().await {
            Ok(()) => tracing::debug!(node, "the node's stream has ended"),
            Err(status) => {
                tracing::info!(node, why = status.message(), "the node's stream was ended");
                // Nobody may be left to read it.
                let _ = self.outbound.try_send(Err(status));
            }
        }
    }

    async fn serve(&mut self) -> Result<(), Status> {
        let hello = self.hello().await?;
        check(&hello, &self.peer)?;
        let mut cut_off = self.service.cut_off.clone();
        if *cut_off.borrow() {
            return Err(cut_off_from_store());
        }
        let scope = scope_of(&self.peer);
        let mut lane = Lane::new(&hello);
        let mut present = self.welcome(&hello)?;
        let catalog = &self.service.catalog;
        if hello.revision > catalog.state().revision() {
            catalog.heard_of(hello.revision).await;
        }
        let mut states = self.service.publisher.watch();
        let mut table = self.service.endpoints.watch();
        // Edges are told where sidecars are, sidecars never: and before the first configuration, with which an edge
        // is ready to serve.
        let routes = scope == Scope::Edge;
        if routes {
            self.route(&mut table).await?;
        }
        let mut heard_by = Instant::now() + SILENCE_MAX;
        let certified_ms = self.certificate_ends_unix_ms - clock::now_ms();
        let certified = Duration::from_millis(u64::try_from(certified_ms).unwrap_or(0));
        let certificate_ends = Instant::now() + certified;
        loop {
            states.mark_unchanged();
            self.pump(&present, &mut lane, &scope).await?;
            tokio::select! {
                () = self.service.drain.signaled() => return Err(draining()),
                () = present.connection.replaced.cancelled() => return Err(replaced()),
                () = is_true(&mut cut_off) => return Err(cut_off_from_store()),
                () = sleep_until(certificate_ends) => return Err(certificate_over()),
                message = timeout_at(heard_by, self.inbound.message()) => {
                    let Some(message) = message.map_err(|_| silent())?? else { return Ok(()) };
                    heard_by = Instant::now() + SILENCE_MAX;
                    self.hear(&present, &mut lane, message)?;
                }
                Some(order) = present.connection.orders.recv() => self.send(order).await?,
                Ok(()) = states.changed() => {}
                Ok(()) = table.changed(), if routes => self.route(&mut table).await?,
                else => return Ok(()),
            }
        }
    }

    async fn hello(&mut self) -> Result<pb::Hello, Status> {
        let first = timeout(HELLO_MAX, self.inbound.message())
            .await
            .map_err(|_| silent())??;
        match first.and_then(|message| message.kind) {
            Some(Said::Hello(hello)) => Ok(hello),
            _ => Err(Status::invalid_argument(
                "the first message of a stream is hello",
            )),
        }
    }

    /// Notes that the node is there.
    fn welcome(&self, hello: &pb::Hello) -> Result<Present, Status> {
        let arrival = Arrival {
            peer: self.peer.clone(),
            certificate_ends_unix_ms: self.certificate_ends_unix_ms,
            version: hello.version.clone(),
            revision: hello.revision,
            addresses: hello.addresses.clone(),
        };
        let connection = self.service.nodes.connect(arrival).map_err(|full| {
            status::with_code(Code::ResourceExhausted, "GH5102", &full.to_string())
        })?;
        tracing::info!(
            node = connection.node,
            version = hello.version,
            "node connected"
        );
        if let (Peer::Sidecar { server, .. }, Some(address)) = (&self.peer, hello.addresses.first())
        {
            let (node, stream) = (&connection.node, connection.stream);
            self.service
                .endpoints
                .arrived(node, stream, server, address);
        }
        Ok(Present {
            service: self.service.clone(),
            connection,
        })
    }

    fn hear(
        &self,
        present: &Present,
        lane: &mut Lane,
        message: pb::NodeMessage,
    ) -> Result<(), Status> {
        let (nodes, connection) = (&self.service.nodes, &present.connection);
        match message.kind {
            Some(Said::Ack(ack)) => match lane.ack(&ack) {
                Acked::Runs(revision) => nodes.acknowledged(connection, revision),
                Acked::Differs => {
                    let (node, revision) = (&connection.node, ack.revision);
                    tracing::warn!(
                        node,
                        revision,
                        "the node has something else than was sent; sending all"
                    );
                }
                Acked::Stray => {}
            },
            Some(Said::Nack(nack)) => {
                if let Some(revision) = lane.nack(&nack) {
                    let (node, faults) = (&connection.node, &nack.faults);
                    tracing::warn!(node, revision, ?faults, "the node rejected a revision");
                    nodes.rejected(connection, revision, nack.faults);
                }
            }
            Some(Said::Heartbeat(beat)) => nodes.heartbeat(connection, &beat),
            Some(Said::ServerStatus(status)) => nodes.server_status(connection, status),
            Some(Said::LogLines(lines)) => self.service.logs.heard(&connection.node, lines),
            Some(Said::ToolSightings(seen)) => {
                let state = self.service.catalog.state();
                let heard = self.service.tools.heard(&state, &self.peer, seen);
                heard.map_err(|full| Status::unavailable(full.to_string()))?;
            }
            Some(Said::Hello(_)) => {
                return Err(Status::invalid_argument("hello is said once"));
            }
            // From a newer node; it does without an answer.
            None => {}
        }
        Ok(())
    }

    /// Sends the node what it lacks, if it is its turn.
    async fn pump(&self, present: &Present, lane: &mut Lane, scope: &Scope) -> Result<(), Status> {
        if !self.service.catalog.may_be_published() {
            return Ok(());
        }
        let Some(view) = self.service.publisher.view(scope, self.peer.node()) else {
            return Ok(());
        };
        match lane.next(&view) {
            Next::Nothing => Ok(()),
            Next::Push(push) => self.send(Control::Config(push)).await,
            Next::Withhold { revision, faults } => {
                let node = &present.connection.node;
                tracing::warn!(
                    node,
                    revision,
                    ?faults,
                    "revision withheld from a node that is too old"
                );
                self.service
                    .nodes
                    .rejected(&present.connection, revision, faults);
                Ok(())
            }
        }
    }

    async fn route(
        &self,
        table: &mut watch::Receiver<std::sync::Arc<Vec<pb::Endpoint>>>,
    ) -> Result<(), Status> {
        let endpoints = table.borrow_and_update().to_vec();
        self.send(Control::Endpoints(pb::EndpointPush { endpoints }))
            .await
    }

    async fn send(&self, kind: Control) -> Result<(), Status> {
        let message = pb::ControlMessage { kind: Some(kind) };
        match timeout(SEND_MAX, self.outbound.send(Ok(message))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Status::cancelled("the connection has ended")),
            Err(_) => Err(Status::deadline_exceeded(
                "the node does not take what it is sent",
            )),
        }
    }
}

/// Ends once it is true.
async fn is_true(watched: &mut watch::Receiver<bool>) {
    if watched.wait_for(|is| *is).await.is_err() {
        // Nobody is left to say so.
        std::future::pending().await
    }
}

/// What a node says of itself must be what its certificate says, and within bounds.
fn check(hello: &pb::Hello, peer: &Peer) -> Result<(), Status> {
    let (kind, server) = match peer {
        Peer::Sidecar { server, .. } => (pb::NodeKind::Sidecar, server.as_str()),
        Peer::Edge { .. } | Peer::ControlPlane { .. } => (pb::NodeKind::Edge, ""),
    };
    if hello.kind() != kind || hello.server != server {
        let message = "the node says that it is another than its certificate says";
        return Err(status::with_code(Code::PermissionDenied, "GH3106", message));
    }
    let (addresses, bytes) = ADDRESSES_MAX;
    let is_bounded = hello.addresses.len() <= addresses
        && hello
            .addresses
            .iter()
            .all(|a| a.len() <= bytes && !a.chars().any(char::is_control))
        && hello.features.len() <= FEATURES_MAX;
    if !is_bounded {
        return Err(Status::invalid_argument(
            "hello has too many or too long addresses or features",
        ));
    }
    let is_reachable = hello.addresses.first().is_some_and(|a| is_address(a));
    if kind == pb::NodeKind::Sidecar && !is_reachable {
        return Err(Status::invalid_argument(
            "a sidecar must say where it is: host:port",
        ));
    }
    Ok(())
}

fn scope_of(peer: &Peer) -> Scope {
    match peer {
        Peer::Sidecar { server, .. } => Scope::Sidecar(server.clone()),
        Peer::Edge { .. } | Peer::ControlPlane { .. } => Scope::Edge,
    }
}

fn draining() -> Status {
    Status::unavailable("the control plane is ending")
}

fn cut_off_from_store() -> Status {
    Status::unavailable("this replica is cut off from the store, and another one is not")
}

fn replaced() -> Status {
    Status::aborted("the node has opened another stream")
}

fn certificate_over() -> Status {
    let message = "the node's certificate is over: it has to be renewed";
    status::unauthenticated("GH3105", message)
}

fn silent() -> Status {
    Status::deadline_exceeded("the node is silent")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use model::name::ServerName;

    fn sidecar() -> Peer {
        Peer::sidecar(ServerName::new("everything").unwrap(), "everything-1").unwrap()
    }

    fn hello() -> pb::Hello {
        pb::Hello {
            kind: pb::NodeKind::Sidecar.into(),
            server: "everything".to_owned(),
            addresses: vec!["127.0.0.1:7900".to_owned()],
            ..Default::default()
        }
    }

    #[test]
    fn a_node_is_what_its_certificate_says() {
        check(&hello(), &sidecar()).unwrap();
        let other = pb::Hello {
            server: "time".to_owned(),
            ..hello()
        };
        assert_eq!(
            check(&other, &sidecar()).unwrap_err().code(),
            Code::PermissionDenied
        );
        let edge = pb::Hello {
            kind: pb::NodeKind::Edge.into(),
            server: String::new(),
            ..hello()
        };
        assert_eq!(
            check(&edge, &sidecar()).unwrap_err().code(),
            Code::PermissionDenied
        );
        check(&edge, &Peer::edge("edge-1").unwrap()).unwrap();
    }

    #[test]
    fn a_sidecar_says_where_it_is() {
        let nowhere = pb::Hello {
            addresses: Vec::new(),
            ..hello()
        };
        assert_eq!(
            check(&nowhere, &sidecar()).unwrap_err().code(),
            Code::InvalidArgument
        );
        let many = pb::Hello {
            addresses: vec!["h:1".to_owned(); 17],
            ..hello()
        };
        assert_eq!(
            check(&many, &sidecar()).unwrap_err().code(),
            Code::InvalidArgument
        );
    }
}
