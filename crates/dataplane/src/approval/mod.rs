//! Calls that wait for a person: what exactly is agreed to, how an edge asks, and how it tells the sidecar.
//!
//! ```text
//! edge: binding (hash of the call) -> desk (asks the control plane, waits) -> used up -> statement --+
//!       state (sealed, for clients that come back)                                                   v
//! sidecar: statement believed -> binding made anew from what came -> the same? -> the call goes on
//! ```
//!
//! How a call walks by it is `pipeline::approve`'s. It must not know who may approve: that is the control plane's.
//! Start from [`binding::Binding`].

pub mod binding;
pub mod cancel;
pub mod desk;
pub mod shown;
pub mod state;
pub mod statement;

use std::sync::Arc;

use self::binding::Binding;

/// An approval that was granted and used up for one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved {
    /// Its id.
    pub id: Arc<str>,
    /// Who agreed; empty at the sidecar, which is not told.
    pub by: Arc<str>,
    /// What was agreed to.
    pub binding: Binding,
}
