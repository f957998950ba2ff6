//! Records for tests.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use model::decision::{Decision, Reason};
use model::name::{RuleName, ServerName};
use model::record::{CallId, Change, Hop, Record, Trace};
use model::snapshot::Revision;

/// A refused tool call whose ids and times are made of `n`.
pub(crate) fn record(n: u64) -> Record {
    let mut id = [7; 16];
    id[8..].copy_from_slice(&n.to_be_bytes());
    Record {
        call_id: CallId(id),
        time_unix_ns: 1_790_000_000_000_000_000 + n as i64,
        hop: Hop::Edge,
        user: "ana@example.com".into(),
        groups: [Arc::from("engineering"), Arc::from("ops")].into(),
        client: "cursor".into(),
        credential: "k1".into(),
        server: Some(ServerName::new("everything").unwrap()),
        method: "tools/call".into(),
        name: "echo".into(),
        request_id: n.to_string().into(),
        mcp_revision: "2026-07-28",
        decision: Decision::Deny,
        reason: Some(Reason::Filter),
        rule: Some(RuleName::new("engineers").unwrap()),
        filters: vec!["no-hacking".into()],
        revision: Revision(300),
        duration_ns: 1_500_000,
        upstream_ns: 250_000,
        trace: Trace {
            trace_id: [1; 16],
            span_id: n.to_be_bytes(),
            parent: None,
            sampled: true,
        },
        error_code: -31010,
        tool_error: false,
        http_status: 200,
        client_address: "127.0.0.1".into(),
        direct: true,
        limit: None,
        findings: vec!["look: observed deny".into()],
        request_change: None,
        response_change: Some(Change {
            before: [4; 32],
            after: [5; 32],
        }),
        approval: "3f9c2a10-7be1d0c4-9a0b1c2d".into(),
        approver: "bo@example.com".into(),
        said: None,
        observed: "deny by no-secrets".into(),
    }
}
