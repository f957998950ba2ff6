//! What filters did to a call's messages, or would have done, in a few words each: for the call's record.
//!
//! Whoever only looks is never waited for. What comes after the call's record was closed goes into a note, which the
//! reader of records joins to the call.

use std::sync::Arc;

use model::decision::Decision;
use model::record::{Phase, Record};
use parking_lot::Mutex;
use runtime::audit::Log;
use runtime::clock::now_unix_ns;

use crate::call;

/// Findings that a call's record keeps; further ones are counted in metrics only.
const FINDINGS_MAX: usize = 32;

/// The findings of one call. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Findings(Arc<Mutex<Inner>>);

/// Locked for a push, or to take what there is.
#[derive(Debug, Default)]
struct Inner {
    said: Vec<Arc<str>>,
    /// Looks that are still being taken.
    awaited: usize,
    /// The call's record, closed while some were awaited.
    closed: Option<Closed>,
}

#[derive(Debug)]
struct Closed {
    log: Log,
    record: Box<Record>,
}

/// One look that is being taken. The last of them writes the note, where one is needed.
#[derive(Debug)]
pub struct Awaited(Findings);

impl Findings {
    /// Adds one; the same is not said twice.
    pub fn add(&self, finding: &str) {
        let mut inner = self.0.lock();
        let is_known = inner.said.iter().any(|said| &**said == finding);
        if !is_known && inner.said.len() < FINDINGS_MAX {
            inner.said.push(finding.into());
        }
    }

    /// One more look is being taken.
    pub fn awaited(&self) -> Awaited {
        self.0.lock().awaited += 1;
        Awaited(self.clone())
    }

    /// Puts what was found into the record, which is closed now.
    pub(super) fn close(&self, log: &Log, record: &mut Record) {
        let mut inner = self.0.lock();
        record.findings = std::mem::take(&mut inner.said);
        if inner.awaited > 0 && record.findings.len() < FINDINGS_MAX {
            inner.closed = Some(Closed {
                log: log.clone(),
                record: Box::new(record.clone()),
            });
        }
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        let mut inner = self.0.0.lock();
        inner.awaited = inner.awaited.saturating_sub(1);
        if inner.awaited > 0 || inner.said.is_empty() {
            return;
        }
        let Some(closed) = inner.closed.take() else {
            return;
        };
        let said = std::mem::take(&mut inner.said);
        drop(inner);
        note(closed, said);
    }
}

/// Writes what was found too late for the call's own record.
fn note(Closed { log, mut record }: Closed, said: Vec<Arc<str>>) {
    let known = std::mem::take(&mut record.findings);
    record.findings = said;
    record.findings.retain(|finding| !known.contains(finding));
    record.findings.truncate(FINDINGS_MAX - known.len());
    if record.findings.is_empty() {
        return;
    }
    record.time_unix_ns = now_unix_ns();
    // It is a span of its own, inside of the call's.
    record.trace = call::inside(&record.trace);
    (record.decision, record.reason) = (Decision::Allow, None);
    (record.duration_ns, record.upstream_ns) = (0, 0);
    (record.error_code, record.tool_error, record.http_status) = (0, false, 0);
    (record.request_change, record.response_change) = (None, None);
    if let Err(error) = log.append(Phase::Note, &record) {
        tracing::warn!(%error, call_id = %record.call_id, "what filters found later is not on record");
    }
}

#[cfg(test)]
mod tests;
