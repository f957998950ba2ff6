//! What checks found: verdicts, one cause to one red line, and their count.
//!
//! Pure: `draw` shows it.

use std::time::Duration;

use super::table::{self, CHECKS, Group};

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Good.
    Ok,
    /// Works, and wants a look.
    Warn,
    /// Does not work.
    Fail,
    /// Could not be tried, because of another that failed.
    Skip,
}

impl Verdict {
    /// As it is shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skip => "skip",
        }
    }
}

/// One line of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The check.
    pub id: &'static str,
    /// How it came out.
    pub verdict: Verdict,
    /// What it is about, where the check looks at several things: a node, a server.
    pub subject: Option<String>,
    /// What was found, in a sentence.
    pub message: String,
    /// The cause, where it is not plain.
    pub why: Option<String>,
    /// One command or edit that mends it, known to apply.
    pub fix: Option<String>,
    /// The check that this one could not be tried for.
    pub because: Option<&'static str>,
    /// Whether it passes by itself: `--wait` waits for that.
    pub passing: bool,
    /// How long the check took.
    pub duration: Duration,
}

impl Finding {
    fn new(id: &'static str, verdict: Verdict, message: impl Into<String>) -> Self {
        Self {
            id,
            verdict,
            subject: None,
            message: message.into(),
            why: None,
            fix: None,
            because: None,
            passing: false,
            duration: Duration::ZERO,
        }
    }

    /// Good.
    pub fn ok(id: &'static str, message: impl Into<String>) -> Self {
        Self::new(id, Verdict::Ok, message)
    }

    /// Wants a look.
    pub fn warn(id: &'static str, message: impl Into<String>) -> Self {
        Self::new(id, Verdict::Warn, message)
    }

    /// Does not work.
    pub fn fail(id: &'static str, message: impl Into<String>) -> Self {
        Self::new(id, Verdict::Fail, message)
    }

    /// Could not be tried.
    pub fn skip(id: &'static str, because: &'static str) -> Self {
        Self {
            because: Some(because),
            ..Self::new(id, Verdict::Skip, format!("(because {because})"))
        }
    }

    /// A fault, as a failure.
    pub fn fault(id: &'static str, fault: crate::fault::Fault) -> Self {
        Self {
            why: fault.why.map(String::from),
            fix: fault.fix.map(String::from),
            ..Self::fail(id, fault.message)
        }
    }

    /// What nobody answered, so that it may be good or bad: wants a look.
    pub fn unanswered(
        id: &'static str,
        message: impl Into<String>,
        failure: crate::fault::Failure,
    ) -> Self {
        let fault = failure.faults.into_iter().next().unwrap_or_default();
        Self {
            why: Some(fault.message),
            fix: fault.fix.map(String::from),
            ..Self::warn(id, message)
        }
    }

    /// The same about one thing of several.
    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// The same with its cause. An empty one is none.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into()).filter(|why| !why.is_empty());
        self
    }

    /// The same with what mends it.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// The same as one that passes by itself.
    #[must_use]
    pub fn passing(mut self) -> Self {
        self.passing = true;
        self
    }
}

/// All that was found so far.
#[derive(Debug, Clone, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Adds what one check found in so much time.
    pub fn add(&mut self, found: impl IntoIterator<Item = Finding>, duration: Duration) {
        self.0.extend(found.into_iter().map(|finding| Finding {
            duration,
            ..finding
        }));
    }

    /// The check that has to be mended before `needed` can be relied on: the root of it, where that was skipped
    /// itself. What is wrong with one thing of several is no hindrance to the others.
    pub fn cause(&self, needed: &[&'static str]) -> Option<&'static str> {
        let of = |id: &'static str| {
            let mut whole = self.0.iter().filter(|f| f.id == id && f.subject.is_none());
            whole.find_map(|finding| match finding.verdict {
                Verdict::Fail => Some(id),
                Verdict::Skip => finding.because,
                Verdict::Ok | Verdict::Warn => None,
            })
        };
        needed.iter().find_map(|id| of(id))
    }

    /// Whether `id` was found to fail for `subject`.
    pub fn failed_for(&self, id: &str, subject: &str) -> bool {
        let about = |finding: &&Finding| finding.subject.as_deref() == Some(subject);
        let mut of = self.0.iter().filter(|finding| finding.id == id);
        of.any(|finding| finding.verdict == Verdict::Fail && about(&finding))
    }

    /// The check for which `id` could not be tried for `subject`.
    pub fn because(&self, id: &str, subject: &str) -> Option<&'static str> {
        let about = |finding: &&Finding| finding.subject.as_deref() == Some(subject);
        let mut of = self.0.iter().filter(|finding| finding.id == id);
        of.find(about).and_then(|finding| finding.because)
    }

    /// The report: of one group only where that is asked for, and then with what fails elsewhere and stands in its
    /// way. Sorted as the table is.
    pub fn report(mut self, only: Option<Group>, duration: Duration) -> Report {
        let place = |id: &str| CHECKS.iter().position(|known| known.id == id);
        self.0.sort_by_key(|finding| place(finding.id));
        let group = |id: &str| table::look_up(id).map(|known| known.group);
        self.0.retain(|finding| {
            only.is_none_or(|only| {
                group(finding.id) == Some(only) || finding.verdict == Verdict::Fail
            })
        });
        Report {
            findings: self.0,
            duration,
        }
    }
}

/// What is shown in the end.
#[derive(Debug, Clone)]
pub struct Report {
    /// Sorted.
    pub findings: Vec<Finding>,
    /// How long all took.
    pub duration: Duration,
}

impl Report {
    /// How many came out so.
    pub fn count(&self, verdict: Verdict) -> usize {
        let same = |finding: &&Finding| finding.verdict == verdict;
        self.findings.iter().filter(same).count()
    }

    /// Whether nothing fails.
    pub fn is_good(&self) -> bool {
        self.count(Verdict::Fail) == 0
    }

    /// What `--wait` still waits for: failures, and what is on its way.
    pub fn awaited(&self) -> Vec<&Finding> {
        let open = |finding: &&Finding| finding.verdict == Verdict::Fail || finding.passing;
        self.findings.iter().filter(open).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::table::{CALL, CP_REACHABLE, CP_TOKEN, NODES_LIVE, SERVER_STARTED};
    use super::*;

    fn all(found: Vec<Finding>) -> Findings {
        let mut findings = Findings::default();
        findings.add(found, Duration::ZERO);
        findings
    }

    #[test]
    fn a_skip_names_the_root_and_not_the_skip_before_it() {
        let findings = all(vec![
            Finding::fail(CP_REACHABLE, "nothing listens"),
            Finding::skip(CP_TOKEN, CP_REACHABLE),
            Finding::skip(NODES_LIVE, CP_REACHABLE),
        ]);
        assert_eq!(findings.cause(&[CP_TOKEN]), Some(CP_REACHABLE));
        assert_eq!(findings.cause(&[NODES_LIVE, CP_TOKEN]), Some(CP_REACHABLE));
        assert_eq!(findings.cause(&[CALL]), None);
    }

    #[test]
    fn one_bad_server_is_no_hindrance_to_the_others() {
        let findings = all(vec![Finding::fail(SERVER_STARTED, "failed").about("time")]);
        assert_eq!(findings.cause(&[SERVER_STARTED]), None);
        assert!(findings.failed_for(SERVER_STARTED, "time"));
        assert!(!findings.failed_for(SERVER_STARTED, "docs"));
    }

    #[test]
    fn a_report_of_one_group_keeps_what_stands_in_its_way() {
        let findings = all(vec![
            Finding::skip(NODES_LIVE, CP_REACHABLE),
            Finding::fail(CP_REACHABLE, "nothing listens"),
            Finding::skip(CP_TOKEN, CP_REACHABLE),
        ]);
        let report = findings.report(Some(Group::Nodes), Duration::ZERO);
        let ids: Vec<_> = report.findings.iter().map(|finding| finding.id).collect();
        assert_eq!(ids, [CP_REACHABLE, NODES_LIVE]);
        assert!(!report.is_good());
    }

    #[test]
    fn what_passes_by_itself_is_waited_for_and_no_failure() {
        let found = vec![
            Finding::warn(SERVER_STARTED, "installing")
                .about("time")
                .passing(),
            Finding::warn(NODES_LIVE, "silent").about("edge-2"),
        ];
        let report = all(found).report(None, Duration::ZERO);
        assert!(report.is_good());
        assert_eq!(report.awaited().len(), 1);
    }

    #[test]
    fn ids_are_unique_and_groups_stand_together() {
        let mut ids: Vec<_> = CHECKS.iter().map(|known| known.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), CHECKS.len());
        assert!(CHECKS.is_sorted_by_key(|known| known.group));
    }
}
