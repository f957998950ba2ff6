//! The node API: joining, and each node's stream.

use std::sync::Arc;

use proto::v1 as pb;
use proto::v1::node_server::Node;
use runtime::drain::Drain;
use runtime::tls::{Peer, not_after_of, peer_of};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};

use super::session::Session;
use super::status;
use crate::catalog::Catalog;
use crate::clock;
use crate::endpoints::Endpoints;
use crate::join::{Desk, Joined};
use crate::logs::Logs;
use crate::nodes::Nodes;
use crate::pins::Inbox;
use crate::publish::Publisher;

/// Messages to one node that wait for its connection. When full, its session waits, and what changes
/// meanwhile becomes one delta.
const OUTBOUND_MAX: usize = 4;

/// The service. `Join` is for whoever has a token; `Sync` for whoever has a certificate.
#[derive(Debug, Clone)]
pub(crate) struct NodeService {
    /// Who may join.
    pub desk: Arc<Desk>,
    /// Whether they may get it.
    pub catalog: Arc<Catalog>,
    /// What nodes get.
    pub publisher: Arc<Publisher>,
    /// Where sidecars are.
    pub endpoints: Arc<Endpoints>,
    /// What nodes say.
    pub nodes: Arc<Nodes>,
    /// What they say of tools.
    pub tools: Inbox,
    /// Whether this replica alone has lost the store: then nodes are to go to another one.
    pub cut_off: watch::Receiver<bool>,
    /// Who reads logs.
    pub logs: Logs,
    /// Owns the sessions, and ends them.
    pub drain: Drain,
}

#[tonic::async_trait]
impl Node for NodeService {
    async fn join(
        &self,
        request: Request<pb::JoinRequest>,
    ) -> Result<Response<pb::JoinResponse>, Status> {
        let pb::JoinRequest { token, csr, hosts } = request.into_inner();
        let joined = self
            .desk
            .join(&token, &csr, &hosts)
            .await
            .map_err(status::of_join)?;
        Ok(joined_as(joined))
    }

    async fn renew(
        &self,
        request: Request<pb::RenewRequest>,
    ) -> Result<Response<pb::JoinResponse>, Status> {
        let (peer, ends_unix_ms) = certified(&request)?;
        if ends_unix_ms <= clock::now_ms() {
            // The connection is older than the end of its certificate.
            let message = "the node's certificate is over: join anew";
            return Err(status::unauthenticated("GH3105", message));
        }
        if let Peer::Sidecar { server, .. } = &peer
            && !self.catalog.state().snapshot().servers.contains_key(server)
        {
            let message = format!("no Server named {server}: its sidecar is not needed");
            return Err(status::with_code(
                Code::PermissionDenied,
                "GH3106",
                &message,
            ));
        }
        let pb::RenewRequest { csr, hosts } = request.into_inner();
        let renewed = self.desk.renew(&peer, &csr, &hosts);
        renewed.map(joined_as).map_err(status::of_join)
    }

    type SyncStream = ReceiverStream<Result<pb::ControlMessage, Status>>;

    async fn sync(
        &self,
        request: Request<Streaming<pb::NodeMessage>>,
    ) -> Result<Response<Self::SyncStream>, Status> {
        let (peer, certificate_ends_unix_ms) = certified(&request)?;
        // From the session to the connection; the session ends when the connection drops its end.
        let (outbound, messages) = mpsc::channel(OUTBOUND_MAX);
        let session = Session {
            service: self.clone(),
            peer,
            certificate_ends_unix_ms,
            inbound: request.into_inner(),
            outbound,
        };
        self.drain.spawn("node stream", session.run());
        Ok(Response::new(ReceiverStream::new(messages)))
    }
}

fn joined_as(joined: Joined) -> Response<pb::JoinResponse> {
    Response::new(pb::JoinResponse {
        node: joined.node,
        chain: vec![joined.certificate.to_vec()],
        roots: vec![joined.root.to_vec()],
    })
}

/// Who is at the other end, by the certificate that TLS has verified, and when that ends.
pub(super) fn certified<T>(request: &Request<T>) -> Result<(Peer, i64), Status> {
    let certificates = request.peer_certs();
    let leaf = certificates
        .as_ref()
        .and_then(|chain| chain.first())
        .ok_or_else(|| {
            status::unauthenticated("GH3105", "this needs a node's certificate: join first")
        })?;
    let refuse = |e: runtime::tls::Error| status::unauthenticated("GH3105", &e.to_string());
    let ends_ms = not_after_of(leaf).map_err(refuse)?.saturating_mul(1000);
    match peer_of(leaf).map_err(refuse)? {
        Peer::ControlPlane { .. } => {
            let message = "a control plane is no node";
            Err(status::with_code(Code::PermissionDenied, "GH3106", message))
        }
        peer => Ok((peer, ends_ms)),
    }
}
