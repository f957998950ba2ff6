//! The nouns of Gatehouse: what is configured, who calls, what was decided, what is recorded.
//!
//! Pure data. This crate knows the wire contract in [`wire`] only, and YAML in [`yaml`] only; it knows no
//! sockets, no clock and no store. Start from [`snapshot::Snapshot`]: all configuration at one revision.

pub mod access;
pub mod annotations;
pub mod decision;
pub mod fault;
pub mod filter;
pub mod group;
pub mod key;
pub mod limit;
pub mod name;
pub mod pins;
pub mod principal;
mod quantity;
pub mod record;
pub mod secret;
pub mod server;
pub mod snapshot;
pub mod template;
pub mod text;
pub mod url;
pub mod virtual_server;
pub mod wire;
pub mod yaml;
