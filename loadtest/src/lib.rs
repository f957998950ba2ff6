//! The measuring instrument: a load generator, a server to be called, a bare proxy to be compared with, measures of
//! processes, and a bench that brings them together.
//!
//! ```text
//! Load ──▶ Target ──▶ what is measured ──▶ Fixture          library, for tests and for the bench
//!   │      (floor, nginx, Gatehouse)         │
//!   └──▶ Report: rate, latency, failures     └──▶ Stats: what really arrived
//!
//! bench ──▶ compare: rounds ABCABC… of Loads, with process::Usage around each ──▶ table, JSON
//! ```
//!
//! It knows Gatehouse by its face: commands, addresses, wire formats. Of our own crates it uses `mcp`, to read messages
//! cheaply and strictly, and [`nodes`] alone uses what nodes are made of; nothing but tests may depend on it. Start from
//! [`Load`] to make calls, from [`mod@bench`] to compare, from [`mod@bounds`] for what was promised.

pub mod bench;
mod body;
pub mod bounds;
mod client;
pub mod command;
pub mod compare;
pub mod failure;
pub mod fixture;
pub mod floor;
mod host;
pub mod latency;
pub mod load;
pub mod nodes;
mod pause;
pub mod process;
pub mod report;
pub mod scenario;
mod serve;
pub mod target;

pub use client::Connections;
pub use failure::{Failure, Failures};
pub use fixture::Fixture;
pub use floor::Floor;
pub use latency::Latency;
pub use load::{Load, Pace, Running};
pub use report::Report;
pub use scenario::Scenario;
pub use target::{Era, Target};
