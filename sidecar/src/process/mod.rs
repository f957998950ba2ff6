//! The server's process: what is run, how it is started, how it is ended with all that it left behind.
//!
//! ```text
//! sidecar --spawns--> shim --spawns--> shim, 2nd stage --becomes--> server --> whatever it starts
//!    |                  |                                              ^
//!    |--- lifeline ---->| its end: TERM, grace, KILL to all below      |
//!    '=================== stdin, stdout, stderr: straight through =====+
//! ```
//!
//! Knows processes, pipes and lines; must not know MCP, configuration streams or policy. Start from
//! [`child::spawn`].

pub mod child;
pub mod command;
pub mod installed;
pub mod lines;
pub mod shim;
mod stderr;
mod tree;
