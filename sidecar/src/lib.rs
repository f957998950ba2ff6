//! The sidecar: the hop before one MCP server. Thin: wiring, and what only this hop does: it runs the
//! server, keeps the one session with it, and holds all state that the session and a bridge between eras
//! need.
//!
//! ```text
//! edge --mTLS--> dataplane::listen -> pipeline (decides again, filters, records)
//!                                        | deliver
//!                     peer (who may call), serve (what is asked) -> bridge (which era)
//!                                                                     |
//!                     upstream (one session for all callers) -> process (shim, server)
//! ```
//!
//! Imports run downwards only. Start from [`app::run`]; a call's way is `dataplane::pipeline::handle`,
//! with [`serve::Sidecar`] for this hop's part.

pub mod app;
pub mod bridge;
pub mod client;
pub mod entry;
pub mod logs;
pub mod peer;
pub mod process;
mod report;
pub mod serve;
pub mod talk;
pub mod upstream;
