//! The control plane: stores catalog, policy and filters, pushes them to nodes, serves the admin API and keeps
//! the audit records that nodes send.
//!
//! ```text
//! cli ──▶ service::admin ──▶ catalog ──▶ store (embedded or etcd)
//!                               │ state
//! nodes ◀── service::node ◀── publish      nodes ──OTLP──▶ records ──▶ service::audit ──▶ cli
//! ```
//! Services do not know the store, nor the store the services: they meet in [`app`], where to start from.
//! Nothing here is on the path of a call.

pub mod access;
pub mod app;
#[cfg(test)]
mod app_tests;
mod backoff;
pub mod ca;
pub mod catalog;
mod clock;
pub mod command;
pub mod endpoints;
pub mod join;
pub mod keys;
pub mod nodes;
pub mod publish;
pub mod records;
pub mod service;
pub mod serving;
pub mod settings;
mod shown;
pub mod store;
