//! The edge: the client-facing hop. Thin: wiring, and what only this hop does — API keys, sealed session
//! ids, the choice of a sidecar.
//!
//! An edge holds nothing that the next request may need: any edge serves any request. Start from
//! [`app::run`]; a call's way is `dataplane::pipeline::handle`, with [`hop::Edge`] for this hop's part.

pub mod app;
pub mod authenticate;
pub mod entry;
pub mod hop;
mod named;
mod outgoing;
mod pages;
pub mod route;
pub mod session;
pub mod waiting;
