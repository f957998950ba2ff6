//! The configuration that a node decides by: how it comes, how it is checked, how it outlives a restart.
//!
//! ```text
//! control plane --stream--> watch -> held (apply the delta, prove the hash) -> compile aside
//!                             |                                                    |
//!                             +--- ack / nack <---- disk (last good) <---- live (swap)
//! ```
//!
//! A push that is wrong in any way changes nothing: the node keeps what it had and says why. Calls read
//! [`live::Live`] and never wait for anything in here.

pub mod disk;
pub mod endpoints;
pub mod held;
pub mod live;
pub mod logs;
mod meter;
pub mod node;
pub mod renew;
pub mod sightings;
pub mod watch;
