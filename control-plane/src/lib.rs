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

mod access;
pub mod app;
#[cfg(test)]
mod app_tests;
mod approvals;
mod ca;
mod catalog;
mod clock;
pub mod command;
mod endpoints;
mod join;
mod keys;
mod logs;
mod nodes;
mod pins;
mod publish;
mod records;
mod replicas;
mod service;
mod serving;
mod settings;
mod shown;
mod stager;
mod store;
mod web;
