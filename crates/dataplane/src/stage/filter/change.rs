//! What a filter may make of a message, and what the record says of it.

use bytes::Bytes;
use mcp::envelope::{self, Kind, Limits};
use model::record::Change;
use model::snapshot::Sha256;

/// A changed message must still be what it was: the same kind, for the same request, of the same method. What else it
/// says is decided on again.
pub(super) fn check(before: &[u8], after: &[u8]) -> Result<(), &'static str> {
    let was = envelope::scan(before, &Limits::RESPONSE).map_err(|_| "the message was none")?;
    let limits = match was.kind {
        Kind::Request => Limits::REQUEST,
        _ => Limits::RESPONSE,
    };
    let is = envelope::scan(after, &limits).map_err(|_| "what it makes of the message is none")?;
    if is.kind != was.kind || is.raw_id() != was.raw_id() {
        return Err("what it makes of the message is for another request");
    }
    if is.method != was.method {
        return Err("what it makes of the message has another method");
    }
    if was.kind == Kind::Request && is.target != was.target {
        // Which filters see a message was settled by what it is aimed at.
        return Err("what it makes of the message is aimed at another tool, prompt or resource");
    }
    Ok(())
}

/// Both messages for the record. `None`: they are the same.
pub(super) fn of(before: &Bytes, after: &Bytes) -> Option<Change> {
    (before != after).then(|| Change {
        before: Sha256::of(before).0,
        after: Sha256::of(after).0,
    })
}
