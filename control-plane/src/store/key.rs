//! The layout of the store: every key that is ever written, and who reads it.
//!
//! ```text
//! /gatehouse/v1/head                              the state in force
//! /gatehouse/v1/log/00000000000000000012          what revision 12 did: change id, chunks, hash, author, time
//! /gatehouse/v1/change/ID/000000                  its chunks, staged before the flip, never changed
//! /gatehouse/v1/checkpoint/00000000000000000256/0 a whole state, so that a start reads few logs
//! /gatehouse/v1/checkpoint-latest                 which of them is complete
//! /gatehouse/v1/base/00000000000000000040/0       the state that history begins with, likewise
//! /gatehouse/v1/base-latest                       which of them is complete
//! /gatehouse/v1/side/ca                           what is no configuration: CA, join tokens, endpoints, replicas, approvals
//! ```
//!
//! Revisions are padded so that keys sort as the numbers do.

/// The state in force.
pub(crate) const HEAD: &str = "/gatehouse/v1/head";
/// All logs.
pub(crate) const LOGS: &str = "/gatehouse/v1/log/";
/// All chunks of all changes.
pub(crate) const CHANGES: &str = "/gatehouse/v1/change/";
/// All chunks of all checkpoints.
pub(crate) const CHECKPOINTS: &str = "/gatehouse/v1/checkpoint/";
/// Names the newest complete checkpoint.
pub(crate) const CHECKPOINT_LATEST: &str = "/gatehouse/v1/checkpoint-latest";
/// All chunks of the states that history began with.
pub(crate) const BASES: &str = "/gatehouse/v1/base/";
/// Names the state that history begins with.
pub(crate) const BASE_LATEST: &str = "/gatehouse/v1/base-latest";
/// The certificate authority.
pub(crate) const CA: &str = "/gatehouse/v1/side/ca";
/// Join tokens, by hash.
pub(crate) const JOIN_TOKENS: &str = "/gatehouse/v1/side/join/";
/// Where sidecars are, by node.
pub(crate) const ENDPOINTS: &str = "/gatehouse/v1/side/endpoint/";
/// What each replica says of itself while it lives.
pub(crate) const REPLICAS: &str = "/gatehouse/v1/side/replica/";
/// Calls that wait for a person, by caller and what is asked for.
pub(crate) const APPROVALS: &str = "/gatehouse/v1/side/approval/";
/// Everything; what a watch of the store covers.
pub(crate) const ALL: &str = "/gatehouse/v1/";

/// The log of one revision.
pub(crate) fn log(revision: u64) -> String {
    format!("{LOGS}{revision:020}")
}

/// The revision that a log's key names.
#[cfg(test)]
pub(crate) fn revision_of_log(key: &str) -> Option<u64> {
    key.strip_prefix(LOGS)?.parse().ok()
}

/// All chunks of one change.
pub(crate) fn change(id: &str) -> String {
    format!("{CHANGES}{id}/")
}

/// One chunk of a change.
pub(crate) fn change_chunk(id: &str, n: usize) -> String {
    format!("{CHANGES}{id}/{n:06}")
}

/// The change that a chunk's key belongs to.
pub(crate) fn change_of_chunk(key: &str) -> Option<&str> {
    key.strip_prefix(CHANGES)?.split('/').next()
}

/// All chunks of one checkpoint.
pub(crate) fn checkpoint(revision: u64) -> String {
    format!("{CHECKPOINTS}{revision:020}/")
}

/// One chunk of a checkpoint.
pub(crate) fn checkpoint_chunk(revision: u64, n: usize) -> String {
    format!("{CHECKPOINTS}{revision:020}/{n:06}")
}

/// The revision that a checkpoint chunk's key names.
pub(crate) fn revision_of_checkpoint(key: &str) -> Option<u64> {
    key.strip_prefix(CHECKPOINTS)?
        .split('/')
        .next()?
        .parse()
        .ok()
}

/// All chunks of the state at `revision` with which history begins.
pub(crate) fn base(revision: u64) -> String {
    format!("{BASES}{revision:020}/")
}

/// One chunk of a state that history begins with.
pub(crate) fn base_chunk(revision: u64, n: usize) -> String {
    format!("{BASES}{revision:020}/{n:06}")
}

/// The revision that a chunk's key names.
pub(crate) fn revision_of_base(key: &str) -> Option<u64> {
    key.strip_prefix(BASES)?.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn what_is_put_into_a_key_is_read_from_it() {
        assert_eq!(revision_of_log(&log(42)), Some(42));
        assert_eq!(change_of_chunk(&change_chunk("abc", 3)), Some("abc"));
        assert_eq!(revision_of_checkpoint(&checkpoint_chunk(256, 0)), Some(256));
        assert_eq!(revision_of_base(&base_chunk(40, 1)), Some(40));
        assert!(base_chunk(40, 1).starts_with(&base(40)));
        assert!(change_chunk("abc", 3).starts_with(&change("abc")));
        assert!(checkpoint_chunk(256, 1).starts_with(&checkpoint(256)));
    }

    #[test]
    fn keys_sort_as_their_numbers() {
        assert!(log(9) < log(10));
        assert!(change_chunk("a", 9) < change_chunk("a", 10));
    }

    #[test]
    fn the_pointer_is_no_checkpoint() {
        assert!(!CHECKPOINT_LATEST.starts_with(CHECKPOINTS));
        assert!(!BASE_LATEST.starts_with(BASES));
    }
}
