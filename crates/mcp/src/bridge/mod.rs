//! One era's form turned into the other's, where that can be done without loss of meaning.
//!
//! A modern client on a legacy server: [`handshake`] answers for the missing handshake, [`results`] turns requests and
//! results over. Must not hold state: sessions, ids in flight and parked calls are the caller's.
//!
//! What cannot be turned over is said so ([`results::bridgeable`]), never guessed.

pub mod handshake;
pub mod results;
mod schema;

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
