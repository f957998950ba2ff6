//! What a process says of itself: log lines on standard error, and spans for whoever collects them.
//!
//! Audit records do not pass here: they are sent from the log on disk ([`crate::audit`]), as here what
//! cannot be sent is dropped. Spans are those of target [`SPANS`] only, and cost nothing where no collector
//! is set. It does not know what is logged.

use std::io::IsTerminal;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::settings;

/// Target of `tracing` spans that become OpenTelemetry spans: CLIENT and filter spans.
pub const SPANS: &str = "otel";
/// Crates of ours, which log at info level; others at warn.
const OURS: [&str; 10] = [
    "runtime",
    "dataplane",
    "engine",
    "mcp",
    "model",
    "edge",
    "sidecar",
    "control_plane",
    "cli",
    "gatehouse",
];

/// Why telemetry cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `GATEHOUSE_LOG` or `RUST_LOG` is no filter.
    #[error("log filter {filter:?}: {why}")]
    Filter {
        /// What was set.
        filter: String,
        /// What is wrong with it.
        why: String,
    },
    /// A collector that spans cannot be sent to.
    #[error("cannot send spans to {endpoint}: {why}")]
    Endpoint {
        /// Its URL.
        endpoint: String,
        /// What is wrong with it.
        why: String,
    },
    /// It has begun already.
    #[error("telemetry has begun already in this process")]
    Twice,
}

/// Sends what is left when dropped. Keep it to the end of the process.
#[derive(Debug)]
#[must_use = "spans are sent only while this lives"]
pub struct Guard(Option<SdkTracerProvider>);

/// Begins to log, and to send spans to `endpoints` (URLs of OTLP/gRPC collectors, `http://host:4317`).
///
/// `verbosity` is the number of `-v`: 0 info, 1 debug, 2 trace, for our crates; `GATEHOUSE_LOG` or
/// `RUST_LOG` overrides it. With endpoints, call it inside a tokio runtime.
///
/// # Errors
/// [`Error::Filter`], [`Error::Endpoint`], [`Error::Twice`].
pub fn init(process: &'static str, verbosity: u8, endpoints: &[String]) -> Result<Guard, Error> {
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && settings::env("NO_COLOR").is_none())
        .with_filter(filter(verbosity)?);
    let provider = provider(process, endpoints)?;
    let spans = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer(process))
            .with_filter(Targets::new().with_target(SPANS, LevelFilter::TRACE))
    });
    tracing_subscriber::registry()
        .with(lines)
        .with(spans)
        .try_init()
        .map_err(|_| Error::Twice)?;
    Ok(Guard(provider))
}

fn filter(verbosity: u8) -> Result<EnvFilter, Error> {
    let set = settings::env("GATEHOUSE_LOG").or_else(|| settings::env("RUST_LOG"));
    let filter = set.unwrap_or_else(|| default_filter(verbosity));
    EnvFilter::try_new(&filter).map_err(|error| Error::Filter {
        filter,
        why: error.to_string(),
    })
}

fn default_filter(verbosity: u8) -> String {
    let ours = match verbosity {
        0 => "info",
        1 => "debug",
        _ => "trace",
    };
    let mut filter = format!("warn,{SPANS}=off");
    for name in OURS {
        filter.push_str(&format!(",{name}={ours}"));
    }
    filter
}

fn provider(
    process: &'static str,
    endpoints: &[String],
) -> Result<Option<SdkTracerProvider>, Error> {
    // A URL with a path is OTLP/HTTP, which only records are sent over.
    let is_grpc = |url: &&String| url.parse().is_ok_and(|u: http::Uri| u.path().len() <= 1);
    let endpoints: Vec<&String> = endpoints.iter().filter(is_grpc).collect();
    if endpoints.is_empty() {
        return Ok(None);
    }
    let resource = Resource::builder_empty()
        .with_attribute(KeyValue::new("service.name", process))
        .build();
    let mut provider = SdkTracerProvider::builder().with_resource(resource);
    for endpoint in endpoints {
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .build()
            .map_err(|error| Error::Endpoint {
                endpoint: endpoint.clone(),
                why: error.to_string(),
            })?;
        // Bounded by the SDK: 2048 spans wait, further ones are dropped. Records are never among them.
        provider = provider.with_batch_exporter(exporter);
    }
    Ok(Some(provider.build()))
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(provider) = self.0.take()
            && let Err(error) = provider.shutdown()
        {
            tracing::debug!(%error, "spans were left unsent");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::time::Duration;

    use opentelemetry::trace::{SpanKind, Tracer};
    use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
        TraceService, TraceServiceServer,
    };
    use opentelemetry_proto::tonic::collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
    };
    use tokio::sync::mpsc;
    use tonic::transport::Server;
    use tonic::transport::server::TcpIncoming;
    use tonic::{Request, Response, Status};

    use super::*;
    use crate::drain::Drain;

    struct Collector(mpsc::Sender<ExportTraceServiceRequest>);

    #[tonic::async_trait]
    impl TraceService for Collector {
        async fn export(
            &self,
            request: Request<ExportTraceServiceRequest>,
        ) -> Result<Response<ExportTraceServiceResponse>, Status> {
            self.0.send(request.into_inner()).await.unwrap();
            Ok(Response::new(ExportTraceServiceResponse::default()))
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn spans_are_sent_at_the_latest_when_the_guard_goes() {
        let (sent, mut received) = mpsc::channel(8);
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let endpoint = format!("http://{}", incoming.local_addr().unwrap());
        let drain = Drain::new();
        let service = TraceServiceServer::new(Collector(sent));
        let server = Server::builder()
            .add_service(service)
            .serve_with_incoming(incoming);
        drain.spawn("collector", server);

        let provider = provider("gatehouse-edge", &[endpoint]).unwrap().unwrap();
        let tracer = provider.tracer("test");
        drop(
            tracer
                .span_builder("tools/call echo")
                .with_kind(SpanKind::Client)
                .start(&tracer),
        );
        let guard = Guard(Some(provider));
        tokio::task::spawn_blocking(move || drop(guard))
            .await
            .unwrap();
        let request = tokio::time::timeout(Duration::from_secs(10), received.recv()).await;
        let spans = request.unwrap().unwrap().resource_spans.remove(0);
        assert_eq!(spans.scope_spans[0].spans[0].name, "tools/call echo");
        drain.finish(Duration::ZERO).await;
    }

    #[test]
    fn the_default_filters_are_filters() {
        for verbosity in 0..4 {
            EnvFilter::try_new(default_filter(verbosity)).unwrap();
        }
        assert!(default_filter(1).contains("runtime=debug"));
    }
}
