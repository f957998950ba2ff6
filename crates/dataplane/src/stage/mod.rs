//! The stages of the pipeline, one file each. A stage decides or changes; only the pipeline orders them.

pub mod authorize;
pub mod filter;
pub mod findings;
pub mod limit;
pub mod list;
pub mod pins;
pub mod record;
pub mod said;
pub mod webhook;
