//! The audit record: what is known of one call at one hop, and its encoding.
//!
//! The encoding is the protobuf message `gatehouse.v1.AuditRecord`, written by hand straight into a
//! buffer: two records a call and hop are on the hot path, and nothing is allocated for them.

use std::fmt;
use std::sync::Arc;

use crate::decision::{Decision, Reason};
use crate::name::{LimitName, RuleName, ServerName};
use crate::snapshot::Revision;

/// The same at every hop of a call: a UUID of version 7.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallId(pub [u8; 16]);

impl CallId {
    /// Reads 32 hex digits or a hyphenated UUID.
    pub fn parse(text: &str) -> Option<Self> {
        uuid::Uuid::try_parse(text)
            .ok()
            .map(|id| Self(id.into_bytes()))
    }

    /// A new one.
    pub fn new() -> Self {
        Self(uuid::Uuid::now_v7().into_bytes())
    }
}

impl Default for CallId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).fmt(f)
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which half of a call a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Before the call goes on.
    Open,
    /// Before the last byte of the reply.
    Close,
    /// After that: what was still being found out then.
    Note,
}

/// Which hop wrote a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hop {
    /// The client-facing proxy.
    Edge,
    /// The hop before the server.
    Sidecar,
}

impl Hop {
    /// As written in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Sidecar => "sidecar",
        }
    }
}

/// W3C trace context of a call at one hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// 16 bytes, never all zero.
    pub trace_id: [u8; 16],
    /// This hop's span.
    pub span_id: [u8; 8],
    /// The span above. `None`: the trace begins here.
    pub parent: Option<[u8; 8]>,
    /// The sampled flag, passed on.
    pub sampled: bool,
}

/// A message that filters changed: SHA-256 of what it was and of what it became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// As it came.
    pub before: [u8; 32],
    /// As it went on.
    pub after: [u8; 32],
}

/// What is known of one call at one hop. Field meanings are those of `gatehouse.v1.AuditRecord`; the log
/// adds `seq`, `phase` and `node`.
#[derive(Debug, Clone)]
#[expect(
    missing_docs,
    reason = "documented one by one in proto/gatehouse/v1/audit.proto"
)]
pub struct Record {
    pub call_id: CallId,
    pub time_unix_ns: i64,
    pub hop: Hop,
    pub user: Arc<str>,
    pub groups: Arc<[Arc<str>]>,
    pub client: Arc<str>,
    pub credential: Arc<str>,
    pub server: Option<ServerName>,
    pub method: Arc<str>,
    pub name: Arc<str>,
    pub request_id: Arc<str>,
    pub mcp_revision: &'static str,
    pub decision: Decision,
    pub reason: Option<Reason>,
    pub rule: Option<RuleName>,
    pub filters: Vec<Arc<str>>,
    pub revision: Revision,
    pub duration_ns: u64,
    pub upstream_ns: u64,
    pub trace: Trace,
    pub error_code: i64,
    pub tool_error: bool,
    pub http_status: u16,
    pub client_address: Arc<str>,
    pub direct: bool,
    pub limit: Option<LimitName>,
    pub findings: Vec<Arc<str>>,
    pub request_change: Option<Change>,
    pub response_change: Option<Change>,
    pub approval: Arc<str>,
    pub approver: Arc<str>,
    pub said: Option<Box<Said>>,
    pub observed: Arc<str>,
}

/// What was said in a call, where a rule asks for it. Field meanings are those of `gatehouse.v1.AuditRecord`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "documented one by one in proto/gatehouse/v1/audit.proto"
)]
pub struct Said {
    pub arguments: String,
    pub arguments_cut: bool,
    pub arguments_redacted: bool,
    pub result: String,
    pub result_cut: bool,
}

impl Record {
    /// Appends the message `gatehouse.v1.AuditRecord` to `out`.
    pub fn encode(&self, seq: u64, phase: Phase, node: &str, out: &mut Vec<u8>) {
        let mut w = Writer(out);
        w.number(1, seq);
        w.number(
            2,
            match phase {
                Phase::Open => 1,
                Phase::Close => 2,
                Phase::Note => 3,
            },
        );
        w.bytes(3, &self.call_id.0);
        w.signed(4, self.time_unix_ns);
        w.text(5, node);
        w.text(6, &self.user);
        for group in self.groups.iter() {
            w.always(7, group.as_bytes());
        }
        w.text(8, &self.client);
        w.text(9, &self.credential);
        w.text(10, self.server.as_ref().map_or("", ServerName::as_str));
        w.text(11, &self.method);
        w.text(12, &self.name);
        w.text(13, &self.request_id);
        w.text(14, self.mcp_revision);
        w.text(15, self.decision.as_str());
        w.text(16, self.reason.map_or("", Reason::as_str));
        w.text(17, self.rule.as_ref().map_or("", RuleName::as_str));
        for filter in &self.filters {
            w.always(18, filter.as_bytes());
        }
        w.number(19, self.revision.0);
        w.number(20, self.duration_ns);
        w.number(21, self.upstream_ns);
        w.bytes(22, &self.trace.trace_id);
        w.bytes(23, &self.trace.span_id);
        if let Some(parent) = &self.trace.parent {
            w.bytes(24, parent);
        }
        w.signed(25, self.error_code);
        w.number(26, u64::from(self.tool_error));
        w.number(27, u64::from(self.http_status));
        w.text(28, self.hop.as_str());
        w.text(29, &self.client_address);
        w.number(30, u64::from(self.direct));
        w.text(38, self.limit.as_ref().map_or("", LimitName::as_str));
        w.text(39, &self.observed);
        for finding in &self.findings {
            w.always(40, finding.as_bytes());
        }
        w.change(41, self.request_change.as_ref());
        w.change(43, self.response_change.as_ref());
        w.text(45, &self.approval);
        w.text(46, &self.approver);
        // Once a call is enough.
        if let (Phase::Close, Some(said)) = (phase, &self.said) {
            w.text(50, &said.arguments);
            w.number(51, u64::from(said.arguments_cut));
            w.number(52, u64::from(said.arguments_redacted));
            w.text(53, &said.result);
            w.number(54, u64::from(said.result_cut));
        }
    }
}

/// Writes protobuf fields; those that hold the default are left out, as proto3 has it.
struct Writer<'a>(&'a mut Vec<u8>);

impl Writer<'_> {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value as u8) | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(&mut self, field: u64, value: u64) {
        if value != 0 {
            self.varint(field << 3);
            self.varint(value);
        }
    }

    /// An `int64`: negative ones as two's complement in ten bytes.
    fn signed(&mut self, field: u64, value: i64) {
        self.number(field, value.cast_unsigned());
    }

    fn text(&mut self, field: u64, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        if !value.is_empty() {
            self.always(field, value);
        }
    }

    /// Both hashes, in this field and the next.
    fn change(&mut self, field: u64, change: Option<&Change>) {
        if let Some(change) = change {
            self.always(field, &change.before);
            self.always(field + 1, &change.after);
        }
    }

    fn always(&mut self, field: u64, value: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use prost::Message;

    use super::*;

    #[test]
    fn the_hand_written_encoding_is_the_generated_one() {
        let record = Record {
            call_id: CallId::new(),
            time_unix_ns: 1_790_000_000_123_456_789,
            hop: Hop::Sidecar,
            user: "ana@example.com".into(),
            groups: [Arc::from("engineering"), Arc::from("")].into(),
            client: "cursor".into(),
            credential: "k1".into(),
            server: Some(ServerName::new("everything").unwrap()),
            method: "tools/call".into(),
            name: "echo".into(),
            request_id: "7".into(),
            mcp_revision: "2026-07-28",
            decision: Decision::Deny,
            reason: Some(Reason::Filter),
            rule: Some(RuleName::new("engineers").unwrap()),
            filters: vec!["no-hacking".into()],
            revision: Revision(300),
            duration_ns: 1,
            upstream_ns: 0,
            trace: Trace {
                trace_id: [1; 16],
                span_id: [2; 8],
                parent: Some([3; 8]),
                sampled: true,
            },
            error_code: -31010,
            tool_error: true,
            http_status: 200,
            client_address: "127.0.0.1:1".into(),
            direct: true,
            limit: Some(LimitName::new("per-user").unwrap()),
            findings: vec!["look: observed deny".into()],
            request_change: Some(Change {
                before: [4; 32],
                after: [5; 32],
            }),
            response_change: None,
            approval: "3f9c2a10-7be1d0c4-9a0b1c2d".into(),
            approver: "bo@example.com".into(),
            said: Some(Box::new(Said {
                arguments: "{}".to_owned(),
                arguments_cut: true,
                arguments_redacted: true,
                result: "{\"a\":1}".to_owned(),
                result_cut: true,
            })),
            observed: "deny by no-secrets".into(),
        };
        let mut bytes = Vec::new();
        record.encode(9, Phase::Close, "sidecar-1", &mut bytes);
        let read = proto::v1::AuditRecord::decode(bytes.as_slice()).unwrap();
        assert_eq!(read.encode_to_vec(), bytes);
        assert_eq!((&read.arguments[..], &read.result[..]), ("{}", "{\"a\":1}"));
        bytes.clear();
        record.encode(8, Phase::Open, "sidecar-1", &mut bytes);
        let open = proto::v1::AuditRecord::decode(bytes.as_slice()).unwrap();
        assert_eq!(open.arguments, "", "once a call is enough");
        assert_eq!(read.seq, 9);
        assert_eq!(read.phase, proto::v1::AuditPhase::Close as i32);
        assert_eq!(read.groups, ["engineering", ""]);
        assert_eq!(read.error_code, -31010);
        assert_eq!(read.reason, "filter");
        assert_eq!(read.hop, "sidecar");
        assert_eq!(read.limit, "per-user");
        assert!(read.tool_error);
        assert_eq!(read.findings, ["look: observed deny"]);
        assert_eq!(read.request_changed_sha256, [5; 32]);
        assert!(read.response_sha256.is_empty());
    }
}
