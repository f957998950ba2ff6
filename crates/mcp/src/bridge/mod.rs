//! One era's form turned into the other's, where that can be done without loss of meaning.
//!
//! [`handshake`] answers for the handshake that one side lacks. A modern client on a legacy server: [`results`]; a legacy
//! client on a modern server: [`to_modern`]. What servers ask their clients in mid-call: [`inputs`], and what clients can
//! be asked: [`capabilities`]. Must not hold state: sessions, ids in flight and parked calls are the caller's.
//!
//! What cannot be turned over is said so ([`results::bridgeable`]), never guessed.

pub mod capabilities;
pub mod handshake;
pub mod inputs;
pub mod results;
mod schema;
pub mod to_modern;

pub use self::schema::{Mirror, mirrored};

/// A message of an upstream that cannot be turned over.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The result is not what the method gives.
    #[error("{what} is not {wanted}")]
    Shape {
        /// Which part.
        what: &'static str,
        /// What it must be.
        wanted: &'static str,
    },
    /// Not JSON; a scanned message always is.
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
}
