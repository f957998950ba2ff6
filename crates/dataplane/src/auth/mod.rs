//! Who calls: API keys at the edge, statements between the hops, and the seal on ids that clients carry.

pub mod key;
pub mod seal;
pub(crate) mod signed;
pub mod statement;
pub mod task;
