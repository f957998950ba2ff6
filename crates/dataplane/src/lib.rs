//! What edge and sidecar share: the pipeline that a call walks, its stages, and the configuration by which
//! they decide.
//!
//! ```text
//! listen -> door -> pipeline ------------------------------------------------> deliver (the hop's own)
//!                     | decode, admit, authorize, filter, record (open)             |
//!                     | record (close), list, filter  <-----------------------------+
//! control plane -> config::watch -> config::live (compile aside, swap, ack) -> config::disk
//! ```
//!
//! Start from [`pipeline::handle`], which reads like the life of a request. This crate must not know which
//! of the two hops it serves beyond the trait [`deliver::Hop`], and it never asks anybody while a call
//! waits, but where a rule wants a person to agree: every decision is made from memory, on one snapshot per call.

pub mod answer;
pub mod approval;
pub mod auth;
pub mod body;
pub mod budget;
pub mod call;
pub mod config;
pub mod deliver;
pub mod door;
pub mod egress;
pub mod frame;
pub mod listen;
pub mod meter;
pub mod pipeline;
pub mod refusal;
pub mod stage;
