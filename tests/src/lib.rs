//! Harness of the behaviour tests: the built binary as real processes, real sockets, real clients.
//!
//! ```text
//! test -> Mesh::new().command("slow", …).edges(2).start() -> Running
//!           |                                                  .edge_url(0, "slow")   http::, rpc::, sdk::
//!           `-- gatehouse up --data TEMPDIR …                  .gatehouse(&["audit", "list"])
//!                 control plane, edges, sidecars, servers      .kill9()  .restart()
//! ```
//!
//! Start from [`mesh::Mesh`]. It knows Gatehouse by its face alone: commands, addresses, files, wire formats. A
//! harness that used our own crates to speak to our own processes would share their mistakes.
//!
//! Everything here fails by panicking with what is known, as it runs inside tests only.

pub mod by_hand;
pub mod catalog;
pub mod cluster;
pub mod etcd;
pub mod fixture_server;
pub mod gate;
pub mod http;
pub mod leftovers;
pub mod listener;
pub mod matrix;
pub mod mesh;
pub mod otlp;
pub mod place;
pub mod ports;
pub mod process;
pub mod redis;
mod relay;
pub mod remote;
pub mod report;
pub mod rpc;
pub mod scenes;
pub mod sdk;
pub mod shared;
pub mod wait;
