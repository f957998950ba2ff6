//! A foreign OTLP/gRPC receiver: what `--otlp` sends, as anybody's collector would get it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use tonic::{Request, Response, Status};

use crate::http::runtime;
use crate::ports;

/// Spans kept; more than any test sends.
const SPANS_MAX: usize = 50_000;

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

/// A receiver that takes everything.
#[derive(Debug)]
pub struct Receiver {
    address: String,
    spans: Arc<Mutex<Vec<Span>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Receiver {
    /// Starts one on a free port.
    pub fn start() -> Self {
        let address = ports::address();
        let spans = Arc::new(Mutex::new(Vec::new()));
        let service = TraceServiceServer::new(Taker(spans.clone()));
        let listener = std::net::TcpListener::bind(&address).expect("the port is free");
        listener
            .set_nonblocking(true)
            .expect("a listener can be made so");
        let server = runtime().spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("it is non-blocking");
            let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
            let served = tonic::transport::Server::builder()
                .add_service(service)
                .serve_with_incoming(incoming);
            served
                .await
                .expect("the receiver goes on until it is dropped");
        });
        Self {
            address,
            spans,
            server,
        }
    }

    /// What `--otlp` takes.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All spans so far, in the order of coming.
    pub fn spans(&self) -> Vec<Span> {
        self.spans
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Taker(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Taker {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for of_resource in request.into_inner().resource_spans {
            let resource = attributes(of_resource.resource.unwrap_or_default().attributes);
            let service = resource
                .get("service.name")
                .and_then(|name| name.as_str())
                .unwrap_or_default()
                .to_owned();
            for span in of_resource
                .scope_spans
                .into_iter()
                .flat_map(|scope| scope.spans)
            {
                spans.push(Span {
                    is_server: span.kind == SpanKind::Server as i32,
                    name: span.name,
                    trace_id: hex::encode(span.trace_id),
                    span_id: hex::encode(span.span_id),
                    parent_id: hex::encode(span.parent_span_id),
                    service: service.clone(),
                    attributes: attributes(span.attributes),
                });
            }
        }
        if spans.len() > SPANS_MAX {
            return Err(Status::resource_exhausted("no test sends that much"));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
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
