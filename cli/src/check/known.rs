//! What a round of checks has come to know, and how one check is added: within its limit, or skipped for its root.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use proto::v1::{ListNodesResponse, Resource, ServerStatus};

use super::report::{Finding, Findings};
use super::table;

/// What is looked at now, for whoever waits.
#[derive(Debug)]
pub(super) struct Underway(Mutex<&'static str>);

impl Default for Underway {
    fn default() -> Self {
        Self(Mutex::new("this machine"))
    }
}

impl Underway {
    /// The id of a check.
    pub(super) fn get(&self) -> &'static str {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, id: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = id;
    }
}

/// What a round has come to know.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) findings: Findings,
    pub(super) nodes: ListNodesResponse,
    /// Servers of the catalog.
    pub(super) servers: Vec<Resource>,
    /// One for each of them.
    pub(super) statuses: Vec<ServerStatus>,
    /// How long npx and uvx took to answer.
    pub(super) tools_took: Duration,
}

impl Known {
    /// Adds what one check finds, within its limit.
    pub(super) async fn check<T>(
        &mut self,
        underway: &Underway,
        (id, limit): (&'static str, Duration),
        work: impl Future<Output = (Vec<Finding>, Option<T>)>,
    ) -> Option<T> {
        underway.set(id);
        let began = Instant::now();
        let (found, value) = tokio::time::timeout(limit, work)
            .await
            .unwrap_or_else(|_| (vec![late(id, limit)], None));
        self.findings.add(found, began.elapsed());
        value
    }

    /// Adds what took no time.
    pub(super) fn note(&mut self, found: impl IntoIterator<Item = Finding>) {
        self.findings.add(found, Duration::ZERO);
    }

    /// Skips `id` where one that it needs has failed; whether it did.
    pub(super) fn skips(&mut self, id: &'static str, needs: &[&'static str]) -> bool {
        let cause = self.findings.cause(needs);
        self.note(cause.map(|cause| Finding::skip(id, cause)));
        cause.is_some()
    }
}

/// A check that did not come to an end.
fn late(id: &'static str, limit: Duration) -> Finding {
    let title = table::look_up(id).map_or("", |known| known.title);
    let limit = crate::when::span(limit);
    let message = format!("did not come to an end within {limit}; awaited: {title}");
    Finding::fail(id, message)
}

#[cfg(test)]
mod tests {
    use super::super::report::Verdict;
    use super::super::table::{
        CP_AUDIT, CP_CONTEXT, CP_REACHABLE, CP_TOKEN, EDGE_REACHABLE, NODES_LIVE,
    };
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_check_that_hangs_says_what_it_awaited() {
        let mut known = Known::default();
        let underway = Underway::default();
        let work = std::future::pending::<(Vec<Finding>, Option<()>)>();
        known.check(&underway, (CP_AUDIT, LIMIT), work).await;
        assert_eq!(underway.get(), CP_AUDIT);
        let report = known.findings.report(None, Duration::ZERO);
        let finding = &report.findings[0];
        assert_eq!(finding.verdict, Verdict::Fail);
        assert_eq!(
            finding.message,
            "did not come to an end within 10s; awaited: the audit store answers"
        );
    }

    #[test]
    fn what_needs_a_failed_check_is_skipped_for_its_root() {
        let mut known = Known::default();
        known.note([Finding::fail(CP_REACHABLE, "nothing listens")]);
        assert!(known.skips(CP_TOKEN, &[CP_REACHABLE]));
        assert!(known.skips(NODES_LIVE, &[CP_TOKEN]));
        assert!(!known.skips(EDGE_REACHABLE, &[CP_CONTEXT]));
        let report = known.findings.report(None, Duration::ZERO);
        assert_eq!(report.count(Verdict::Fail), 1);
        let last = report.findings.last().and_then(|finding| finding.because);
        assert_eq!(last, Some(CP_REACHABLE));
    }
}
