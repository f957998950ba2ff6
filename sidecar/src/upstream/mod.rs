//! What a sidecar keeps up of its server, for all callers.
//!
//! ```text
//! session (what is wanted, started, ready, ended, tried again)
//!    |-- wanted: a server of the catalog, with its secrets filled in
//!    |-- handshake, greeting: which era, which revision
//!    '-- running -- stdio: one process -- link: many calls over one pair of pipes, ids kept apart
//!            |                              '-- ticket: one call, until its answer, deadline or end
//!            '-- http: somebody else's -- a session for each user -- exchange: one call, likewise
//! ```
//!
//! Knows MCP messages and the server; must not know callers' rights or how eras are bridged: what is sent comes ready from [`crate::bridge`] and what is received goes there. Start from
//! [`session::Upstream`].

pub mod backoff;
pub mod feed;
pub mod greeting;
pub mod handshake;
pub mod http;
pub mod level;
pub mod link;
pub mod noise;
mod pending;
pub mod response;
pub mod running;
pub mod seats;
pub mod session;
mod start;
pub mod status;
pub mod stdio;
pub mod ticket;
pub mod underway;
pub mod wanted;

use std::sync::Arc;
use std::time::Duration;

/// Why a call has no answer. All are the server's fault or the caller's wish, and none says whether the
/// server did what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The process is gone, or is on its way.
    #[error("{0}")]
    Gone(Arc<str>),
    /// Too many calls wait for an answer, or the server does not read what it is sent.
    #[error("{0}")]
    Overloaded(&'static str),
    /// No answer in time.
    #[error("the server did not answer within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    /// The caller took the call back.
    #[error("the call was cancelled by its client")]
    Cancelled,
    /// An answer came, and is none.
    #[error("the server's answer is not valid: {0}")]
    Invalid(String),
}
