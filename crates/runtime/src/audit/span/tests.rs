//! Spans, read back by the generated types.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use model::decision::{Decision, Reason};
use model::record::{Phase, Record};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use super::*;
use crate::audit::samples::record;

fn export(records: &[Record]) -> ExportTraceServiceRequest {
    let mut batch = Batch::default();
    for (seq, record) in (1..).zip(records) {
        let mut payload = Vec::new();
        record.encode(seq, Phase::Close, "edge-1", &mut payload);
        batch.push(&RecordView::parse(&payload).unwrap(), &[seq as u8; 32]);
    }
    assert_eq!(batch.records, records.len());
    let request = ExportTraceServiceRequest::decode(batch.take()).unwrap();
    assert_eq!((batch.records, batch.bytes()), (0, 0));
    request
}

fn span(record: Record) -> (Span, BTreeMap<String, String>) {
    let mut request = export(&[record]);
    let span = request.resource_spans[0].scope_spans[0].spans.remove(0);
    let attributes = texts(&span.attributes);
    (span, attributes)
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::ArrayValue(array) => format!("{} values", array.values.len()),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        Value::BoolValue(truth) => truth.to_string(),
        other => panic!("unexpected {other:?}"),
    };
    attributes
        .iter()
        .map(|a| {
            (
                a.key.clone(),
                text(a.value.as_ref().unwrap().value.as_ref().unwrap()),
            )
        })
        .collect()
}

#[test]
fn a_batch_says_who_sends_it() {
    let request = export(&[record(1), record(2), record(3)]);
    let spans = &request.resource_spans[0];
    assert_eq!(spans.scope_spans[0].spans.len(), 3);
    assert_eq!(
        spans.scope_spans[0].scope.as_ref().unwrap().name,
        "gatehouse.audit"
    );
    let resource = texts(&spans.resource.as_ref().unwrap().attributes);
    assert_eq!(resource["service.name"], "gatehouse-edge");
    assert_eq!(resource["service.instance.id"], "edge-1");
    assert_eq!(resource["gatehouse.node"], "edge-1");
}

#[test]
fn a_refused_tool_call_keeps_what_the_record_says() {
    let (span, attributes) = span(record(1));
    assert_eq!(span.name, "tools/call echo");
    assert_eq!(span.kind, 2);
    assert_eq!(span.trace_id, [1; 16]);
    assert!(span.parent_span_id.is_empty());
    assert_eq!(
        span.end_time_unix_nano - span.start_time_unix_nano,
        1_500_000
    );
    assert_eq!(span.status.unwrap().code, 2);
    for (key, value) in [
        ("mcp.method.name", "tools/call"),
        ("gen_ai.tool.name", "echo"),
        ("gen_ai.operation.name", "execute_tool"),
        ("jsonrpc.request.id", "1"),
        ("mcp.protocol.version", "2026-07-28"),
        ("rpc.response.status_code", "-31010"),
        ("error.type", "-31010"),
        ("client.address", "127.0.0.1"),
        ("gatehouse.call_id", "07070707-0707-0707-0000-000000000001"),
        ("gatehouse.server", "everything"),
        ("gatehouse.user", "ana@example.com"),
        ("gatehouse.groups", "2 values"),
        ("gatehouse.decision", "deny"),
        ("gatehouse.reason", "filter"),
        ("gatehouse.rule", "engineers"),
        ("gatehouse.filters", "1 values"),
        ("gatehouse.revision", "300"),
        ("gatehouse.node", "edge-1"),
        ("gatehouse.seq", "1"),
        ("gatehouse.duration_ms", "1.5"),
        ("gatehouse.upstream_ms", "0.25"),
        ("gatehouse.hop", "edge"),
        ("gatehouse.name", "echo"),
        ("gatehouse.error_code", "-31010"),
        ("gatehouse.http_status", "200"),
        ("gatehouse.approval", "3f9c2a10-7be1d0c4-9a0b1c2d"),
        ("gatehouse.approver", "bo@example.com"),
    ] {
        assert_eq!(
            attributes.get(key).map(String::as_str),
            Some(value),
            "{key}"
        );
    }
    assert_eq!(attributes["gatehouse.hash"], "01".repeat(32));
    assert_eq!(attributes["gatehouse.findings"], "1 values");
    assert_eq!(attributes["gatehouse.response_sha256"], "04".repeat(32));
    assert_eq!(
        attributes["gatehouse.response_changed_sha256"],
        "05".repeat(32)
    );
    assert!(!attributes.contains_key("gatehouse.request_sha256"));
}

#[test]
fn errors_are_what_the_conventions_call_errors() {
    let plain = |change: &dyn Fn(&mut Record)| {
        let mut record = record(1);
        (record.decision, record.reason, record.error_code) = (Decision::Allow, None, 0);
        change(&mut record);
        let (span, attributes) = span(record);
        assert_eq!(span.status.is_some(), attributes.contains_key("error.type"));
        attributes.get("error.type").cloned()
    };
    assert_eq!(plain(&|_| {}), None);
    assert_eq!(plain(&|record| record.error_code = -32602), None);
    assert_eq!(
        plain(&|record| record.error_code = -32020).as_deref(),
        Some("-32020")
    );
    assert_eq!(
        plain(&|record| record.tool_error = true).as_deref(),
        Some("tool_error")
    );
    let timeout = plain(&|record| {
        (record.decision, record.reason) = (Decision::Error, Some(Reason::Timeout));
    });
    assert_eq!(timeout.as_deref(), Some("timeout"));
}

#[test]
fn names_of_spans_hold_no_uris() {
    let mut read = record(1);
    (read.method, read.name) = ("resources/read".into(), "file:///etc/passwd".into());
    let (span, attributes) = span(read);
    assert_eq!(span.name, "resources/read");
    assert_eq!(attributes["mcp.resource.uri"], "file:///etc/passwd");
    assert!(!attributes.contains_key("gen_ai.tool.name"));
}

#[test]
fn what_was_said_goes_under_the_names_of_the_conventions_where_there_are_some() {
    let said = model::record::Said {
        arguments: r#"{"a":1}"#.to_owned(),
        arguments_redacted: true,
        result: "{".to_owned(),
        result_cut: true,
        ..Default::default()
    };
    let with = |method: &str| {
        let record = Record {
            method: method.into(),
            said: Some(Box::new(said.clone())),
            ..record(1)
        };
        span(record).1
    };
    let tool = with("tools/call");
    assert_eq!(tool["gen_ai.tool.call.arguments"], r#"{"a":1}"#);
    assert_eq!(tool["gen_ai.tool.call.result"], "{");
    assert_eq!(tool["gatehouse.arguments_redacted"], "true");
    assert_eq!(tool["gatehouse.result_cut"], "true");
    assert!(!tool.contains_key("gatehouse.arguments_cut"));
    let prompt = with("prompts/get");
    assert_eq!(prompt["gatehouse.arguments"], r#"{"a":1}"#);
    assert!(!prompt.contains_key("gen_ai.tool.call.arguments"));
    let without = span(record(1)).1;
    assert!(without.keys().all(|key| !key.contains("arguments")));
}
