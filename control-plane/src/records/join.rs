//! What the hops of one call say together (CONTRACT section 7). Pure.
//!
//! The row is the edge's, completed with filters, upstream time and any stricter decision, with its reason
//! and rule, from the sidecar's; it is the sidecar's alone where no edge stood before it.

use model::decision::Decision;
use model::record::{CallId, Hop};
use proto::v1::{AuditPhase, AuditRecord, Call};

/// A hop's record and its hash.
#[derive(Debug, Clone)]
pub(super) struct HopRecord {
    pub(super) record: AuditRecord,
    pub(super) hash: Vec<u8>,
}

/// A call, and whether more is to be expected of it.
#[derive(Debug, Clone)]
pub(super) struct Joined {
    pub(super) call: Call,
    /// Every hop that the call went through has been heard.
    pub(super) complete: bool,
}

/// Joins all records of one call. `None` if there are none.
pub(super) fn join(mut hops: Vec<HopRecord>) -> Option<Joined> {
    // The edge's first, and notes last; among equals the earlier; one order, whichever came first.
    hops.sort_by(|a, b| {
        let key = |hop: &HopRecord| {
            let record = &hop.record;
            (
                is_note(record),
                !is_edge(record),
                record.time_unix_ns,
                record.node.clone(),
                record.seq,
            )
        };
        key(a).cmp(&key(b))
    });
    let mut rows = hops.into_iter().map(row);
    let mut call = rows.next()?;
    rows.for_each(|behind| complete(&mut call, behind));
    Some(Joined {
        complete: call.complete,
        call,
    })
}

/// Joins what several replicas say of one call; each may have heard of some of its hops only. `None` for none.
pub(super) fn merge(mut calls: Vec<Call>) -> Option<Call> {
    calls.sort_by_key(|call| (call.hop != Hop::Edge.as_str(), call.time_unix_ns));
    let mut calls = calls.into_iter();
    let mut call = calls.next()?;
    calls.for_each(|behind| complete(&mut call, behind));
    Some(call)
}

fn is_edge(record: &AuditRecord) -> bool {
    record.hop == Hop::Edge.as_str()
}

/// Whether it only adds to what another record says.
fn is_note(record: &AuditRecord) -> bool {
    record.phase() == AuditPhase::Note
}

/// The row that stands on one record.
fn row(hop: HopRecord) -> Call {
    let HopRecord { record, hash } = hop;
    // What the edge did not hand on has no other hop.
    let complete =
        is_edge(&record) && !is_note(&record) && (record.upstream_ns == 0 || record.direct);
    Call {
        call_id: call_id_text(&record.call_id),
        time_unix_ns: record.time_unix_ns,
        seq: record.seq,
        node: record.node,
        user: record.user,
        groups: record.groups,
        client: record.client,
        server: record.server,
        method: record.method,
        name: record.name,
        decision: record.decision,
        reason: record.reason,
        rule: record.rule,
        filters: record.filters,
        revision: record.revision,
        duration_ns: record.duration_ns,
        upstream_ns: record.upstream_ns,
        trace_id: hex::encode(record.trace_id),
        request_id: record.request_id,
        hash: hex::encode(hash),
        error_code: record.error_code,
        tool_error: record.tool_error,
        mcp_revision: record.mcp_revision,
        hop: record.hop,
        complete,
        limit: record.limit,
        findings: record.findings,
        request_sha256: hex::encode(record.request_sha256),
        request_changed_sha256: hex::encode(record.request_changed_sha256),
        response_sha256: hex::encode(record.response_sha256),
        response_changed_sha256: hex::encode(record.response_changed_sha256),
        approval: record.approval,
        approver: record.approver,
        arguments: record.arguments,
        arguments_cut: record.arguments_cut,
        arguments_redacted: record.arguments_redacted,
        result: record.result,
        result_cut: record.result_cut,
        client_address: record.client_address,
        credential: record.credential,
        observed: record.observed,
    }
}

/// Adds what a hop behind the row's own knows better. A sidecar speaks for its own server only.
fn complete(call: &mut Call, behind: Call) {
    if !behind.server.is_empty() && behind.server != call.server {
        return;
    }
    call.complete |= call.hop == Hop::Edge.as_str() && behind.hop != call.hop;
    if strictness(&behind.decision) > strictness(&call.decision) {
        call.decision = behind.decision;
        call.reason = behind.reason;
        call.rule = behind.rule;
    } else if behind.decision == call.decision {
        // The hop in front passes a refusal on and may not know why it was made.
        fill(&mut call.reason, behind.reason);
        fill(&mut call.rule, behind.rule);
    }
    fill(&mut call.observed, behind.observed);
    fill(&mut call.limit, behind.limit);
    add(&mut call.filters, behind.filters);
    add(&mut call.findings, behind.findings);
    // Messages are changed at one hop only.
    fill(&mut call.request_sha256, behind.request_sha256);
    fill(
        &mut call.request_changed_sha256,
        behind.request_changed_sha256,
    );
    fill(&mut call.response_sha256, behind.response_sha256);
    fill(
        &mut call.response_changed_sha256,
        behind.response_changed_sha256,
    );
    if behind.upstream_ns > 0 {
        call.upstream_ns = behind.upstream_ns;
    }
    if call.error_code == 0 {
        call.error_code = behind.error_code;
    }
    call.tool_error |= behind.tool_error;
    fill(&mut call.approval, behind.approval);
    fill(&mut call.approver, behind.approver);
}

fn add(ours: &mut Vec<String>, theirs: Vec<String>) {
    for text in theirs {
        if !ours.contains(&text) {
            ours.push(text);
        }
    }
}

fn fill(ours: &mut String, theirs: String) {
    if ours.is_empty() {
        *ours = theirs;
    }
}

fn strictness(decision: &str) -> u8 {
    Decision::parse(decision).map_or(0, Decision::strictness)
}

fn call_id_text(bytes: &[u8]) -> String {
    bytes
        .try_into()
        .map_or_else(|_| hex::encode(bytes), |id| CallId(id).to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::records::samples::{edge, hop, sidecar};

    #[test]
    fn the_edges_row_is_completed_by_the_sidecars() {
        let mut front = edge(1);
        (front.upstream_ns, front.duration_ns) = (900, 1000);
        let mut behind = sidecar(1);
        (behind.upstream_ns, behind.duration_ns) = (500, 700);
        behind.filters = vec!["no-hacking".to_owned()];
        (behind.decision, behind.reason, behind.rule) =
            ("deny".to_owned(), "filter".to_owned(), String::new());
        for hops in [[front.clone(), behind.clone()], [behind, front]] {
            let joined = join(hops.map(hop).to_vec()).unwrap();
            let call = joined.call;
            assert!(joined.complete);
            assert_eq!((call.node.as_str(), call.seq), ("edge-1", 2));
            assert_eq!((call.duration_ns, call.upstream_ns), (1000, 500));
            assert_eq!(call.filters, ["no-hacking"]);
            assert_eq!(
                (call.decision.as_str(), call.reason.as_str()),
                ("deny", "filter")
            );
            assert_eq!(
                call.rule, "",
                "a rule that allowed is not the reason of a refusal"
            );
        }
    }

    #[test]
    fn a_note_adds_what_was_found_and_is_no_hop_of_its_own() {
        let (mut front, mut behind) = (edge(1), sidecar(1));
        front.upstream_ns = 5;
        behind.findings = vec!["one: deny notification".to_owned()];
        behind.response_sha256 = vec![1; 32];
        let mut note = sidecar(1);
        (note.phase, note.seq, note.time_unix_ns) = (AuditPhase::Note.into(), 9, 0);
        note.findings = vec!["two: observed deny".to_owned()];
        let call = join([note.clone(), behind, front.clone()].map(hop).to_vec());
        let call = call.unwrap().call;
        assert_eq!(call.node, "edge-1");
        assert_eq!(
            call.findings,
            ["one: deny notification", "two: observed deny"]
        );
        assert_eq!(call.response_sha256, "01".repeat(32));
        note.hop = "edge".to_owned();
        let alone = join(vec![hop(note.clone())]).unwrap();
        assert!(!alone.complete, "its call's own record is still to come");
        let both = join([note, front].map(hop).to_vec()).unwrap();
        assert!(!both.complete, "the sidecar's is still to come");
        assert_eq!(both.call.upstream_ns, 5);
    }

    #[test]
    fn a_stricter_edge_is_not_overruled() {
        let mut front = edge(1);
        (front.decision, front.reason) = ("deny".to_owned(), "filter".to_owned());
        let joined = join(vec![hop(sidecar(1)), hop(front)]).unwrap();
        assert_eq!(
            (&joined.call.decision[..], &joined.call.reason[..]),
            ("deny", "filter")
        );
    }

    #[test]
    fn the_same_decision_keeps_the_edges_rule_and_learns_a_missing_reason() {
        let (mut front, mut behind) = (edge(1), sidecar(1));
        (front.decision, front.rule) = ("deny".to_owned(), String::new());
        (behind.decision, behind.reason, behind.rule) =
            ("deny".to_owned(), "rule".to_owned(), "no-echo".to_owned());
        let call = join(vec![hop(front), hop(behind)]).unwrap().call;
        assert_eq!((&call.reason[..], &call.rule[..]), ("rule", "no-echo"));
    }

    #[test]
    fn a_sidecar_alone_is_a_row_of_its_own_and_may_not_be_all() {
        let joined = join(vec![hop(sidecar(1))]).unwrap();
        assert_eq!(joined.call.node, "sidecar-1");
        assert!(!joined.complete);
        assert!(join(Vec::new()).is_none());
    }

    #[test]
    fn a_call_that_the_edge_did_not_forward_is_complete_without_a_sidecar() {
        let mut refused = edge(1);
        refused.upstream_ns = 0;
        assert!(join(vec![hop(refused)]).unwrap().complete);
        let mut forwarded = edge(1);
        forwarded.upstream_ns = 5;
        assert!(!join(vec![hop(forwarded)]).unwrap().complete);
    }

    #[test]
    fn a_sidecar_of_another_server_has_no_say() {
        let mut other = sidecar(1);
        (other.server, other.decision) = ("time".to_owned(), "deny".to_owned());
        let mut front = edge(1);
        front.upstream_ns = 5;
        let joined = join(vec![hop(front), hop(other)]).unwrap();
        assert_eq!(joined.call.decision, "allow");
        assert!(!joined.complete);
    }
}
