//! The Model Context Protocol without I/O: what a message is, which revision it speaks, and how one era's form turns
//! into the other's.
//!
//! ```text
//! bytes --scan--> Envelope --era::classify--> Caller        (what came, who is calling)
//!          |          \--headers::check_modern              (headers say what the body says)
//!          |          \--list::cut, bridge::*, edit::Edits  (what goes on, changed in one pass)
//!          \--ScanError --error::RpcError                   (what the caller is told)
//! ```
//!
//! Everything borrows from the message's own bytes; no tree is built of it. The crate must not know sockets, tasks,
//! clocks, policy or configuration. Start from [`envelope::scan`].
//!
//! Facts of the protocol are those of the published schemas and pages of the five revisions in [`revision`]; comments
//! name the page where a rule is easily doubted.

pub mod bridge;
pub mod canonical;
pub mod edit;
pub mod envelope;
pub mod era;
pub mod error;
pub mod federate;
pub mod headers;
mod interpret;
pub mod list;
pub mod method;
pub mod revision;
mod scan;
mod span;
pub mod sse;
pub mod tasks;
pub mod walk;
