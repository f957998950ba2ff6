//! Spans, as far as tests ask.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

/// A span, as far as tests ask.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Its name.
    pub name: String,
    /// Whether it is a SERVER span.
    pub is_server: bool,
    /// The trace, hex.
    pub trace_id: String,
    /// Itself, hex.
    pub span_id: String,
    /// Its parent, hex; empty where there is none.
    pub parent_id: String,
    /// `service.name` of the process that sent it.
    pub service: String,
    /// Its attributes, as JSON.
    pub attributes: BTreeMap<String, serde_json::Value>,
}

impl Span {
    /// An attribute as text; empty where there is none.
    pub fn text(&self, key: &str) -> &str {
        self.attributes
            .get(key)
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
    }

    /// An attribute as a number.
    pub fn number(&self, key: &str) -> Option<i64> {
        self.attributes.get(key).and_then(serde_json::Value::as_i64)
    }
}

/// All spans of a request, with the attributes that are kept.
pub(super) fn all(request: ExportTraceServiceRequest, keeps: &[String]) -> Vec<Span> {
    let mut spans = Vec::new();
    for of_resource in request.resource_spans {
        let resource = attributes(of_resource.resource.unwrap_or_default().attributes);
        let service = text(&resource, "service.name");
        let scopes = of_resource.scope_spans.into_iter();
        for span in scopes.flat_map(|scope| scope.spans) {
            let mut attributes = attributes(span.attributes);
            if !keeps.is_empty() {
                attributes.retain(|name, _| keeps.contains(name));
            }
            spans.push(Span {
                is_server: span.kind == SpanKind::Server as i32,
                name: span.name,
                trace_id: hex::encode(span.trace_id),
                span_id: hex::encode(span.span_id),
                parent_id: hex::encode(span.parent_span_id),
                service: service.clone(),
                attributes,
            });
        }
    }
    spans
}

/// The node that sent a request.
pub(super) fn node(request: &ExportTraceServiceRequest) -> String {
    let resource = request
        .resource_spans
        .first()
        .and_then(|of| of.resource.clone());
    let resource = attributes(resource.unwrap_or_default().attributes);
    text(&resource, "service.instance.id")
}

fn text(attributes: &BTreeMap<String, serde_json::Value>, key: &str) -> String {
    let value = attributes.get(key).and_then(|value| value.as_str());
    value.unwrap_or_default().to_owned()
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, serde_json::Value> {
    pairs
        .into_iter()
        .map(|pair| (pair.key, json(pair.value)))
        .collect()
}

fn json(value: Option<AnyValue>) -> serde_json::Value {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text.into(),
        Some(Value::BoolValue(flag)) => flag.into(),
        Some(Value::IntValue(number)) => number.into(),
        Some(Value::DoubleValue(number)) => number.into(),
        Some(Value::ArrayValue(array)) => array
            .values
            .into_iter()
            .map(|each| json(Some(each)))
            .collect(),
        Some(Value::BytesValue(bytes)) => hex::encode(bytes).into(),
        _ => serde_json::Value::Null,
    }
}
