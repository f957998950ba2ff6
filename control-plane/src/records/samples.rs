//! Records for tests.

use proto::v1::{AuditPhase, AuditRecord};

use super::join::HopRecord;

/// The edge's record of call `n`: allowed, answered by the edge itself.
pub(super) fn edge(n: u64) -> AuditRecord {
    let mut call_id = vec![7; 16];
    call_id[8..].copy_from_slice(&n.to_be_bytes());
    AuditRecord {
        seq: n * 2,
        phase: AuditPhase::Close.into(),
        call_id,
        time_unix_ns: 1_000_000 + n as i64,
        node: "edge-1".to_owned(),
        user: "ana@example.com".to_owned(),
        groups: vec!["engineering".to_owned(), "ops".to_owned()],
        client: "cursor".to_owned(),
        server: "everything".to_owned(),
        method: "tools/call".to_owned(),
        name: "echo".to_owned(),
        decision: "allow".to_owned(),
        rule: "engineers".to_owned(),
        revision: 3,
        trace_id: vec![1; 16],
        span_id: n.to_be_bytes().to_vec(),
        hop: "edge".to_owned(),
        ..AuditRecord::default()
    }
}

/// The sidecar's record of call `n`, a little later.
pub(super) fn sidecar(n: u64) -> AuditRecord {
    let record = edge(n);
    AuditRecord {
        node: "sidecar-1".to_owned(),
        hop: "sidecar".to_owned(),
        time_unix_ns: record.time_unix_ns + 10,
        ..record
    }
}

pub(super) fn hop(record: AuditRecord) -> HopRecord {
    HopRecord {
        hash: vec![record.seq as u8; 32],
        record,
    }
}
