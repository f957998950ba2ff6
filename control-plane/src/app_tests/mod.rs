//! A whole control plane in this process, with real sockets and real certificates; nodes are played.

mod admin;
mod harness;
mod nodes;
