//! The gRPC services, one file each: thin, from messages to the catalog and back.
//!
//! Nothing here knows the store, nor decides anything. Errors become statuses in `status` only.

pub(crate) mod admin;
pub(crate) mod approvals;
pub(crate) mod audit;
pub(crate) mod calls;
mod logs;
mod merge;
pub(crate) mod node;
mod replay;
mod rollout;
mod session;
pub(crate) mod status;
mod watch;
