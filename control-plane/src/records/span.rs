//! A span back into the record that it carries: the counterpart of what the exporter writes.
//!
//! Pure. It believes the span's own word; who may say what is checked by `receive`.

use model::decision::{Decision, Reason};
use model::record::{CallId, Hop};
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use proto::v1::{AuditPhase, AuditRecord};
use runtime::audit::attribute;

use super::join::HopRecord;

const NS_PER_MS: f64 = 1e6;
/// Bytes of a record's hash.
const HASH_BYTES: usize = 32;

/// Why a span that carries a record carries none that can be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("audit record {seq}: {attribute} is missing or not as it should be")]
pub(super) struct Fault {
    seq: u64,
    attribute: &'static str,
}

/// The record in `span`. `None`: it carries none, as it is no audit span.
pub(super) fn read(span: Span) -> Option<Result<HopRecord, Fault>> {
    let seq = span.attributes.iter().find(|a| a.key == attribute::SEQ)?;
    let seq = int(seq.value.as_ref()).unwrap_or_default().cast_unsigned();
    Some(record(seq, span))
}

fn record(seq: u64, span: Span) -> Result<HopRecord, Fault> {
    let mut record = AuditRecord {
        seq,
        phase: phase(span.kind).into(),
        time_unix_ns: span.start_time_unix_nano.cast_signed(),
        duration_ns: span
            .end_time_unix_nano
            .saturating_sub(span.start_time_unix_nano),
        trace_id: span.trace_id,
        span_id: span.span_id,
        parent_span_id: span.parent_span_id,
        ..AuditRecord::default()
    };
    let mut hash = Vec::new();
    for entry in span.attributes {
        set(&mut record, &mut hash, &entry.key, entry.value)
            .map_err(|attribute| Fault { seq, attribute })?;
    }
    let fault = |attribute| Err(Fault { seq, attribute });
    if seq == 0 {
        return fault(attribute::SEQ);
    }
    if record.call_id.is_empty() {
        return fault(attribute::CALL_ID);
    }
    if hash.len() != HASH_BYTES {
        return fault(attribute::HASH);
    }
    if Decision::parse(&record.decision).is_none() {
        return fault(attribute::DECISION);
    }
    if !record.reason.is_empty() && Reason::parse(&record.reason).is_none() {
        return fault(attribute::REASON);
    }
    if ![Hop::Edge.as_str(), Hop::Sidecar.as_str()].contains(&record.hop.as_str()) {
        return fault(attribute::HOP);
    }
    Ok(HopRecord { record, hash })
}

/// A call's own span is a server's; what was found out about it later is inside of that.
fn phase(kind: i32) -> AuditPhase {
    if kind == SpanKind::Internal as i32 {
        AuditPhase::Note
    } else {
        AuditPhase::Close
    }
}

/// Takes one attribute over; those of other owners are passed over.
fn set(
    record: &mut AuditRecord,
    hash: &mut Vec<u8>,
    key: &str,
    value: Option<AnyValue>,
) -> Result<(), &'static str> {
    match key {
        attribute::CALL_ID => {
            let id = CallId::parse(&text(value)).ok_or(attribute::CALL_ID)?;
            record.call_id = id.0.to_vec();
        }
        attribute::HASH => *hash = bytes(value, attribute::HASH)?,
        attribute::NODE => record.node = text(value),
        attribute::HOP => record.hop = text(value),
        attribute::SERVER => record.server = text(value),
        attribute::USER => record.user = text(value),
        attribute::GROUPS => record.groups = texts(value),
        attribute::CLIENT => record.client = text(value),
        attribute::CREDENTIAL => record.credential = text(value),
        attribute::NAME => record.name = text(value),
        attribute::DECISION => record.decision = text(value),
        attribute::REASON => record.reason = text(value),
        attribute::RULE => record.rule = text(value),
        attribute::OBSERVED => record.observed = text(value),
        attribute::FILTERS => record.filters = texts(value),
        attribute::LIMIT => record.limit = text(value),
        attribute::FINDINGS => record.findings = texts(value),
        attribute::REQUEST_SHA256 => {
            record.request_sha256 = bytes(value, attribute::REQUEST_SHA256)?;
        }
        attribute::REQUEST_CHANGED_SHA256 => {
            record.request_changed_sha256 = bytes(value, attribute::REQUEST_CHANGED_SHA256)?;
        }
        attribute::RESPONSE_SHA256 => {
            record.response_sha256 = bytes(value, attribute::RESPONSE_SHA256)?;
        }
        attribute::RESPONSE_CHANGED_SHA256 => {
            record.response_changed_sha256 = bytes(value, attribute::RESPONSE_CHANGED_SHA256)?;
        }
        attribute::REVISION => {
            record.revision = number(value, attribute::REVISION)?.cast_unsigned()
        }
        attribute::UPSTREAM_MS => record.upstream_ns = nanoseconds(value),
        attribute::ERROR_CODE => record.error_code = number(value, attribute::ERROR_CODE)?,
        attribute::TOOL_ERROR => record.tool_error = is_true(value),
        attribute::HTTP_STATUS => {
            record.http_status = number(value, attribute::HTTP_STATUS)?
                .try_into()
                .map_err(|_| attribute::HTTP_STATUS)?;
        }
        attribute::METHOD => record.method = text(value),
        attribute::REQUEST_ID => record.request_id = text(value),
        attribute::MCP_REVISION => record.mcp_revision = text(value),
        attribute::DIRECT => record.direct = is_true(value),
        attribute::APPROVAL => record.approval = text(value),
        attribute::APPROVER => record.approver = text(value),
        attribute::CLIENT_ADDRESS => record.client_address = text(value),
        attribute::TOOL_ARGUMENTS | attribute::ARGUMENTS => record.arguments = text(value),
        attribute::TOOL_RESULT | attribute::RESULT => record.result = text(value),
        attribute::ARGUMENTS_CUT => record.arguments_cut = is_true(value),
        attribute::ARGUMENTS_REDACTED => record.arguments_redacted = is_true(value),
        attribute::RESULT_CUT => record.result_cut = is_true(value),
        _ => {}
    }
    Ok(())
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|any| any.value) {
        Some(Value::StringValue(text)) => text,
        _ => String::new(),
    }
}

fn bytes(value: Option<AnyValue>, attribute: &'static str) -> Result<Vec<u8>, &'static str> {
    hex::decode(text(value)).map_err(|_| attribute)
}

fn texts(value: Option<AnyValue>) -> Vec<String> {
    match value.and_then(|any| any.value) {
        Some(Value::ArrayValue(array)) => array.values.into_iter().map(|v| text(Some(v))).collect(),
        _ => Vec::new(),
    }
}

fn int(value: Option<&AnyValue>) -> Option<i64> {
    match value.and_then(|any| any.value.as_ref()) {
        Some(Value::IntValue(number)) => Some(*number),
        _ => None,
    }
}

fn number(value: Option<AnyValue>, attribute: &'static str) -> Result<i64, &'static str> {
    int(value.as_ref()).ok_or(attribute)
}

fn nanoseconds(value: Option<AnyValue>) -> u64 {
    match value.and_then(|any| any.value) {
        // The cast saturates: negative and odd values become 0.
        Some(Value::DoubleValue(ms)) => (ms * NS_PER_MS).round() as u64,
        _ => 0,
    }
}

fn is_true(value: Option<AnyValue>) -> bool {
    matches!(
        value.and_then(|any| any.value),
        Some(Value::BoolValue(true))
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use opentelemetry_proto::tonic::common::v1::KeyValue;

    use super::*;

    fn span(attributes: &[(&str, Value)]) -> Span {
        let attribute = |(key, value): &(&str, Value)| KeyValue {
            key: (*key).to_owned(),
            value: Some(AnyValue {
                value: Some(value.clone()),
            }),
            ..KeyValue::default()
        };
        Span {
            attributes: attributes.iter().map(attribute).collect(),
            ..Span::default()
        }
    }

    fn whole() -> Vec<(&'static str, Value)> {
        let text = |text: &str| Value::StringValue(text.to_owned());
        vec![
            (attribute::SEQ, Value::IntValue(7)),
            (
                attribute::CALL_ID,
                text("07070707-0707-0707-0000-000000000001"),
            ),
            (attribute::HASH, text(&"ab".repeat(32))),
            (attribute::DECISION, text("allow")),
            (attribute::HOP, text("edge")),
            (attribute::UPSTREAM_MS, Value::DoubleValue(0.25)),
            ("someone.elses", Value::IntValue(1)),
        ]
    }

    #[test]
    fn a_span_without_a_number_is_none_of_ours() {
        assert!(read(span(&whole()[1..])).is_none());
        let record = read(span(&whole())).unwrap().unwrap();
        assert_eq!((record.record.seq, record.record.upstream_ns), (7, 250_000));
        assert_eq!(record.hash, [0xab; 32]);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for missing in 1..5 {
            let mut attributes = whole();
            let (name, _) = attributes.remove(missing);
            let fault = read(span(&attributes)).unwrap().unwrap_err();
            assert_eq!(
                fault,
                Fault {
                    seq: 7,
                    attribute: name
                }
            );
            attributes.push((name, Value::StringValue("nonsense".to_owned())));
            let fault = read(span(&attributes)).unwrap().unwrap_err();
            assert_eq!(fault.attribute, name);
        }
    }
}
