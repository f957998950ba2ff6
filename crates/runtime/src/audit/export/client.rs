//! One OTLP/gRPC export: sends encoded bytes, and says what the answer means.
//!
//! It does not try again; it only says whether that makes sense.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{Ascii, MetadataKey, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::{Destination, Error};
use crate::net;

/// Longest wait for an answer (OpenTelemetry's default for OTLP).
const ANSWER_MAX: Duration = Duration::from_secs(10);
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// What became of a batch.
pub(super) enum Outcome {
    /// The destination has it.
    Taken,
    /// Not now; it may be taken later.
    Again(Status),
    /// It will never be taken: all of it, or so many spans of it.
    Refused { spans: Option<u64>, why: String },
}

pub(super) struct Client {
    grpc: Grpc<Channel>,
    headers: Vec<(MetadataKey<Ascii>, MetadataValue<Ascii>)>,
}

impl Client {
    pub(super) fn new(destination: Destination) -> Result<Self, Error> {
        let fault = |why: String| Error::Destination {
            name: destination.name.clone(),
            why,
        };
        let channel = net::channel(&destination.address, destination.tls.clone())
            .map_err(|error| fault(error.to_string()))?;
        let mut headers = Vec::new();
        for (key, value) in &destination.headers {
            let key = key.to_ascii_lowercase();
            let name = MetadataKey::from_bytes(key.as_bytes())
                .map_err(|_| fault(format!("{key:?} is no name of a header")))?;
            // The value may be a secret: it is not shown.
            let mut value: MetadataValue<Ascii> = value
                .expose()
                .parse()
                .map_err(|_| fault(format!("the value of header {key:?} is not plain text")))?;
            value.set_sensitive(true);
            headers.push((name, value));
        }
        Ok(Self {
            grpc: Grpc::new(channel),
            headers,
        })
    }

    pub(super) async fn export(&mut self, request: Bytes) -> Outcome {
        match tokio::time::timeout(ANSWER_MAX, self.call(request)).await {
            Ok(Ok(response)) => match response.partial_success {
                Some(part) if part.rejected_spans > 0 => Outcome::Refused {
                    spans: Some(part.rejected_spans.cast_unsigned()),
                    why: part.error_message,
                },
                _ => Outcome::Taken,
            },
            Ok(Err(status)) if is_final(status.code()) => Outcome::Refused {
                spans: None,
                why: format!("{:?}: {}", status.code(), status.message()),
            },
            Ok(Err(status)) => Outcome::Again(status),
            Err(_) => Outcome::Again(Status::deadline_exceeded("no answer in time")),
        }
    }

    async fn call(&mut self, bytes: Bytes) -> Result<ExportTraceServiceResponse, Status> {
        self.grpc
            .ready()
            .await
            .map_err(|error| Status::unavailable(chain(&error)))?;
        let mut request = Request::new(bytes);
        request.set_timeout(ANSWER_MAX);
        for (name, value) in &self.headers {
            request.metadata_mut().insert(name.clone(), value.clone());
        }
        let path = PathAndQuery::from_static(EXPORT);
        Ok(self.grpc.unary(request, path, Encoded).await?.into_inner())
    }
}

/// Answers that the same bytes will get again. Everything else is tried again: also a missing permission or
/// a failure within the destination, as those are mended without us, and until then nothing may be lost.
fn is_final(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument
            | Code::Unimplemented
            | Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
    )
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Requests that are bytes already.
struct Encoded;

impl Codec for Encoded {
    type Encode = Bytes;
    type Decode = ExportTraceServiceResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.reserve(item.len());
        out.put(item);
        Ok(())
    }
}

impl Decoder for Encoded {
    type Item = ExportTraceServiceResponse;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        let bytes = bytes.copy_to_bytes(bytes.remaining());
        ExportTraceServiceResponse::decode(bytes)
            .map(Some)
            .map_err(|error| Status::internal(format!("the answer cannot be read: {error}")))
    }
}
