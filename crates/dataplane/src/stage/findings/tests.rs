#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
//! What is found in time is in the call's record, what is found later in a note, and nothing in both.

use model::name::ServerName;
use model::principal::Principal;
use model::record::{CallId, Hop};
use model::snapshot::Revision;
use prost::Message as _;
use proto::v1::{AuditPhase, AuditRecord};
use runtime::audit::LogSettings;
use runtime::metrics::Metrics;

use super::*;
use crate::meter::{Meter, Totals};
use crate::stage::record::Recording;

fn recording(log: &Log) -> Recording {
    let principal = Principal::new("ana", &[], None, "k1");
    let server = ServerName::new("crm").unwrap();
    let meter = Meter::new(&Metrics::new(), Totals::default()).of(Some(&server));
    let id = CallId::new();
    let who = (&principal, &server);
    Recording::begin(
        log,
        Hop::Sidecar,
        id,
        call::trace(None, id),
        who,
        Revision(1),
        meter,
    )
}

/// All records of the one segment of a log.
fn records(dir: &std::path::Path) -> Vec<AuditRecord> {
    let mut records = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        // A record is `length (u32) | hash (32 bytes) | message`: what else decodes as one is told apart by its call.
        let mut at = 0;
        while at + 36 < bytes.len() {
            let length = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
            let whole = bytes.get(at + 36..at + 36 + length);
            match whole.and_then(|bytes| AuditRecord::decode(bytes).ok()) {
                Some(record) if record.call_id.len() == 16 && record.seq > 0 => {
                    records.push(record);
                    at += 36 + length;
                }
                _ => at += 1,
            }
        }
    }
    records
}

#[test]
fn what_comes_after_the_close_is_a_note_and_nothing_is_said_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(LogSettings::new(dir.path().join("log"), "sidecar-1")).unwrap();
    let mut recording = recording(&log);
    let findings = recording.findings();
    recording.open().unwrap();
    findings.add("one: deny notification");
    findings.add("one: deny notification");
    let (first, second) = (findings.awaited(), findings.awaited());
    let in_time = findings.awaited();
    findings.add("two: observed change");
    drop(in_time);
    recording.close().unwrap();
    findings.add("three: observed deny");
    drop(first);
    findings.add("two: observed change");
    drop(second);
    // Nobody is awaited any more, and nothing is written again.
    findings.add("four: observed deny");
    drop(findings.awaited());
    drop((recording, findings, log));
    let records = records(&dir.path().join("log"));
    let phases: Vec<_> = records.iter().map(AuditRecord::phase).collect();
    let expected = [AuditPhase::Open, AuditPhase::Close, AuditPhase::Note];
    assert_eq!(phases, expected);
    assert_eq!(
        records[1].findings,
        ["one: deny notification", "two: observed change"]
    );
    assert_eq!(records[2].findings, ["three: observed deny"]);
    assert_eq!(records[2].call_id, records[1].call_id);
    assert_eq!(records[2].parent_span_id, records[1].span_id);
    assert_ne!(records[2].span_id, records[1].span_id);
    assert!(records[2].time_unix_ns >= records[1].time_unix_ns);
}

#[test]
fn findings_are_bounded() {
    let findings = Findings::default();
    for number in 0..2 * FINDINGS_MAX {
        findings.add(&format!("f{number}: deny notification"));
    }
    assert_eq!(findings.0.lock().said.len(), FINDINGS_MAX);
}
