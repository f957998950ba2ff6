//! One export: sends encoded bytes to one of a destination's receivers, and says what the answer means.
//!
//! It does not try again; it only says whether that makes sense, and when. The rules are those of OTLP (section
//! "Failures"): what may be tried again is listed, everything else is refused for good, partial success is no reason
//! to send again.

use std::time::Duration;

use bytes::Bytes;

use super::grpc::Grpc;
use super::http::Http;
use super::{Destination, Error};
use crate::audit::export::Protocol;

/// Longest wait for an answer (OpenTelemetry's default for OTLP).
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The destination has it.
    Taken,
    /// Not now; it may be taken later.
    Again {
        why: String,
        /// When the destination wants to be asked again.
        after: Option<Duration>,
    },
    /// It will never be taken: all of it, or so many spans of it.
    Refused { spans: Option<u64>, why: String },
}

/// The way to one destination.
pub(super) struct Client {
    wires: Vec<Wire>,
    /// The receiver that is asked: the next one when it does not answer well.
    turn: usize,
}

enum Wire {
    Grpc(Grpc),
    Http(Box<Http>),
}

impl Client {
    pub(super) fn new(destination: &Destination) -> Result<Self, Error> {
        let wire = |address: &String| match &destination.protocol {
            Protocol::Grpc => Grpc::new(destination, address).map(Wire::Grpc),
            Protocol::Http(path) => {
                Http::new(destination, address, path).map(|http| Wire::Http(Box::new(http)))
            }
        };
        let wires: Result<Vec<Wire>, Error> = destination.addresses.iter().map(wire).collect();
        Ok(Self {
            wires: wires?,
            turn: 0,
        })
    }

    pub(super) async fn export(&mut self, request: Bytes) -> Outcome {
        let count = self.wires.len().max(1);
        let Some(wire) = self.wires.get_mut(self.turn % count) else {
            let why = "it has no address".to_owned();
            return Outcome::Again { why, after: None };
        };
        let answer = async {
            match wire {
                Wire::Grpc(grpc) => grpc.export(request).await,
                Wire::Http(http) => http.export(request).await,
            }
        };
        let outcome = match tokio::time::timeout(ANSWER_MAX, answer).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Again {
                why: "no answer in time".to_owned(),
                after: None,
            },
        };
        if matches!(outcome, Outcome::Again { .. }) {
            self.turn = (self.turn + 1) % count;
        }
        outcome
    }

    /// How many receivers there are: so many tries may follow each other without a pause.
    pub(super) fn receivers(&self) -> usize {
        self.wires.len()
    }
}

/// What a partial success means. One that rejects nothing is a whole one, perhaps with a warning.
pub(super) fn partial(rejected_spans: i64, message: &str) -> Outcome {
    match u64::try_from(rejected_spans) {
        Ok(spans @ 1..) => Outcome::Refused {
            spans: Some(spans),
            why: format!("partial success: {message}"),
        },
        _ => Outcome::Taken,
    }
}
