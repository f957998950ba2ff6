//! Who calls: API keys at the edge, statements between the hops, and the seal on session ids.

pub mod key;
pub mod seal;
pub mod statement;
