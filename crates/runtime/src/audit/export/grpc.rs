//! OTLP/gRPC.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tonic::client::Grpc as Unary;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{Ascii, MetadataKey, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use super::client::{ANSWER_MAX, Outcome, partial};
use super::{Destination, Error};
use crate::net;

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

pub(super) struct Grpc {
    unary: Unary<Channel>,
    headers: Vec<(MetadataKey<Ascii>, MetadataValue<Ascii>)>,
    is_own: bool,
}

impl Grpc {
    pub(super) fn new(destination: &Destination, address: &str) -> Result<Self, Error> {
        let fault = |why: String| Error::Destination {
            name: destination.name.clone(),
            why,
        };
        let channel = net::channel(address, destination.tls.clone())
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
            unary: Unary::new(channel),
            headers,
            is_own: destination.is_own,
        })
    }

    pub(super) async fn export(&mut self, request: Bytes) -> Outcome {
        match self.call(request).await {
            Ok(response) => response.partial_success.map_or(Outcome::Taken, |part| {
                partial(part.rejected_spans, &part.error_message)
            }),
            Err(status) => self.failed(&status),
        }
    }

    fn failed(&self, status: &Status) -> Outcome {
        let after = status
            .get_details_retry_info()
            .and_then(|info| info.retry_delay);
        let why = format!("{:?}: {}", status.code(), status.message());
        if may_be_retried(status.code(), after, self.is_own) {
            Outcome::Again { why, after }
        } else {
            Outcome::Refused { spans: None, why }
        }
    }

    async fn call(&mut self, bytes: Bytes) -> Result<ExportTraceServiceResponse, Status> {
        self.unary
            .ready()
            .await
            .map_err(|error| Status::unavailable(chain(&error)))?;
        let mut request = Request::new(bytes);
        request.set_timeout(ANSWER_MAX);
        for (name, value) in &self.headers {
            request.metadata_mut().insert(name.clone(), value.clone());
        }
        let path = PathAndQuery::from_static(EXPORT);
        Ok(self.unary.unary(request, path, Encoded).await?.into_inner())
    }
}

/// Whether the same bytes may be sent again (OTLP, "OTLP/gRPC Response", "Failures"). Our own store's refusals are
/// mended without the node, all but one: until then nothing may be lost.
fn may_be_retried(code: Code, after: Option<Duration>, is_own: bool) -> bool {
    match code {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        // Only where the receiver says that it will recover.
        Code::ResourceExhausted => after.is_some() || is_own,
        Code::InvalidArgument => false,
        // A transport that broke off in mid-answer has no code of the receiver's.
        Code::Unknown => true,
        _ => is_own,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_tried_again_is_what_otlp_says() {
        use Code::*;
        let again =
            |code, after: Option<u64>| may_be_retried(code, after.map(Duration::from_secs), false);
        for code in [
            Cancelled,
            DeadlineExceeded,
            Aborted,
            OutOfRange,
            Unavailable,
            DataLoss,
        ] {
            assert!(again(code, None), "{code:?}");
        }
        for code in [
            InvalidArgument,
            NotFound,
            PermissionDenied,
            Unauthenticated,
            Unimplemented,
            Internal,
        ] {
            assert!(!again(code, Some(1)), "{code:?}");
        }
        assert!(!again(ResourceExhausted, None) && again(ResourceExhausted, Some(1)));
        assert!(may_be_retried(PermissionDenied, None, true));
        assert!(!may_be_retried(InvalidArgument, None, true));
    }
}
