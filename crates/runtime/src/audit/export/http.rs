//! OTLP/HTTP with protobuf bodies.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;

use super::client::{Outcome, partial};
use super::{Destination, Error};
use crate::net::Dialer;

/// Most bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Most characters of a refusal that are kept.
const WHY_CHARS_MAX: usize = 300;
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(30);

pub(super) struct Http {
    client: Client<Dialer, Full<Bytes>>,
    uri: Uri,
    headers: HeaderMap,
}

impl Http {
    pub(super) fn new(destination: &Destination, address: &str, path: &str) -> Result<Self, Error> {
        let fault = |why: String| Error::Destination {
            name: destination.name.clone(),
            why,
        };
        // The connector does TLS; a URI that said https would have the client insist on doing it.
        let uri: Uri = format!("http://{address}{path}")
            .parse()
            .map_err(|_| fault(format!("{path:?} is no path")))?;
        let mut headers = HeaderMap::new();
        let host = HeaderValue::from_str(address).map_err(|_| fault("it is no host".to_owned()))?;
        headers.insert(HOST, host);
        let kind = HeaderValue::from_static("application/x-protobuf");
        headers.insert(CONTENT_TYPE, kind);
        for (key, value) in &destination.headers {
            let name = HeaderName::from_bytes(key.as_bytes())
                .map_err(|_| fault(format!("{key:?} is no name of a header")))?;
            // The value may be a secret: it is not shown.
            let mut value = HeaderValue::from_str(value.expose())
                .map_err(|_| fault(format!("the value of header {key:?} is not plain text")))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .set_host(false)
            .build(Dialer::new(address, destination.tls.clone()));
        Ok(Self {
            client,
            uri,
            headers,
        })
    }

    pub(super) async fn export(&mut self, body: Bytes) -> Outcome {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        match self.client.request(request).await {
            Ok(response) => answered(response).await,
            Err(error) => Outcome::Again {
                why: error.to_string(),
                after: None,
            },
        }
    }
}

async fn answered(response: Response<Incoming>) -> Outcome {
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let body = body.map(|body| body.to_bytes());
    if parts.status.is_success() {
        // An answer that cannot be read is a success all the same: the receiver has said so.
        let read = body
            .ok()
            .and_then(|b| ExportTraceServiceResponse::decode(b).ok());
        let part = read.and_then(|answer| answer.partial_success);
        return part.map_or(Outcome::Taken, |part| {
            partial(part.rejected_spans, &part.error_message)
        });
    }
    let text = body.unwrap_or_default();
    let text: String = String::from_utf8_lossy(&text)
        .chars()
        .filter(|c| !c.is_control())
        .take(WHY_CHARS_MAX)
        .collect();
    let why = format!("HTTP {}: {text}", parts.status);
    if may_be_retried(parts.status) {
        let after = retry_after(&parts.headers);
        Outcome::Again { why, after }
    } else {
        Outcome::Refused { spans: None, why }
    }
}

/// OTLP, "OTLP/HTTP Response", "Retryable Response Codes".
fn may_be_retried(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

/// In seconds; a date is as good as none, as clocks differ.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}
