//! Takes spans from nodes, over mutual TLS, and answers once their records are durable.
//!
//! A node speaks for itself only: its records carry the name in its certificate, an edge's are an edge's,
//! and a sidecar's are of its own server. It does not store.

use model::record::Hop;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::TraceService;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use proto::v1::AuditRecord;
use runtime::tls::{Peer, peer_of};
use tonic::{Request, Response, Status};

use super::join::HopRecord;
use super::{Error, Records, span};

/// Most spans in one request; exporters send a good tenth of it.
const SPANS_MAX: usize = 4096;

/// The OTLP trace service.
#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    records: Records,
}

impl Receiver {
    pub(super) fn new(records: Records) -> Self {
        Self { records }
    }
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let peer = peer(&request)?;
        let records = read(&peer, request.into_inner())?;
        if !records.is_empty() {
            self.records.store(records).await.map_err(|error| {
                if !matches!(error, Error::Busy) {
                    tracing::error!(node = peer.node(), %error, "audit records cannot be stored");
                }
                // Whatever it is, the node keeps its records and comes again.
                Status::unavailable(error.to_string())
            })?;
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// Who sends, by the certificate that TLS has checked.
fn peer<T>(request: &Request<T>) -> Result<Peer, Status> {
    let certificates = request.peer_certs();
    let leaf = certificates.as_ref().and_then(|chain| chain.first());
    let leaf = leaf.ok_or_else(|| Status::unauthenticated("a node's certificate is needed"))?;
    peer_of(leaf).map_err(|error| Status::permission_denied(error.to_string()))
}

/// All records in a request; all are good, or none is taken.
fn read(peer: &Peer, request: ExportTraceServiceRequest) -> Result<Vec<HopRecord>, Status> {
    let spans = request
        .resource_spans
        .into_iter()
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans);
    let mut records = Vec::new();
    for (count, found) in spans.map(span::read).enumerate() {
        if count >= SPANS_MAX {
            return Err(Status::invalid_argument(format!(
                "more than {SPANS_MAX} spans"
            )));
        }
        // Other spans of a node are telemetry: collectors take them, this store does not.
        let Some(found) = found else { continue };
        let found = found.map_err(|fault| Status::invalid_argument(fault.to_string()))?;
        if !speaks_for(peer, &found.record) {
            tracing::warn!(
                %peer, node = found.record.node, hop = found.record.hop, server = found.record.server,
                "a node sent another's audit record: all of them refused"
            );
            return Err(Status::permission_denied(format!(
                "audit record {} is not {peer}'s own",
                found.record.seq
            )));
        }
        records.push(found);
    }
    Ok(records)
}

/// Whether this record can be that node's own.
fn speaks_for(peer: &Peer, record: &AuditRecord) -> bool {
    let hop = match peer {
        Peer::Edge { .. } => Hop::Edge,
        Peer::Sidecar { server, .. } => {
            if !record.server.is_empty() && record.server != server.as_str() {
                return false;
            }
            Hop::Sidecar
        }
        Peer::ControlPlane { .. } => return false,
    };
    record.node == peer.node() && record.hop == hop.as_str()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use model::name::ServerName;

    use super::*;
    use crate::records::samples::{edge, sidecar};

    #[test]
    fn a_node_speaks_for_itself_only() {
        let everything = ServerName::new("everything").unwrap();
        let one_edge = Peer::edge("edge-1").unwrap();
        let one_sidecar = Peer::sidecar(everything, "sidecar-1").unwrap();
        assert!(speaks_for(&one_edge, &edge(1)));
        assert!(speaks_for(&one_sidecar, &sidecar(1)));

        assert!(!speaks_for(&Peer::edge("edge-2").unwrap(), &edge(1)));
        assert!(!speaks_for(&Peer::edge("sidecar-1").unwrap(), &sidecar(1)));
        assert!(!speaks_for(
            &Peer::control_plane("edge-1").unwrap(),
            &edge(1)
        ));
        let time = ServerName::new("time").unwrap();
        assert!(!speaks_for(
            &Peer::sidecar(time.clone(), "sidecar-1").unwrap(),
            &sidecar(1)
        ));
        let mut unknown = sidecar(1);
        unknown.server.clear();
        assert!(speaks_for(
            &Peer::sidecar(time, "sidecar-1").unwrap(),
            &unknown
        ));
    }
}
