//! A report as people and programs read it.

use serde::Serialize;

use super::report::{Finding, Report, Verdict};
use super::table::{self, Group};
use crate::show::{Meaning, Show};

/// Column at which messages begin: after the verdict and the longest id.
const COLUMN: usize = 26;

const fn meaning(verdict: Verdict) -> Meaning {
    match verdict {
        Verdict::Ok => Meaning::Good,
        Verdict::Warn => Meaning::Look,
        Verdict::Fail => Meaning::Act,
        Verdict::Skip => Meaning::Plain,
    }
}

/// The report as lines. `short`: only what fails or wants a look.
pub(super) fn lines(show: &Show, report: &Report, short: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for group in Group::ALL {
        let of_group = |finding: &&Finding| {
            table::look_up(finding.id).is_some_and(|known| known.group == group)
        };
        let wanted =
            |finding: &&Finding| !short || matches!(finding.verdict, Verdict::Warn | Verdict::Fail);
        let found: Vec<&Finding> = report
            .findings
            .iter()
            .filter(of_group)
            .filter(wanted)
            .collect();
        if found.is_empty() {
            continue;
        }
        if !short {
            lines.push(group.title().to_owned());
        }
        for finding in found {
            lines.extend(of(show, finding));
        }
    }
    lines.push(summary(report));
    lines
}

/// `  fail  nodes-current     sidecar/time rejects …`, and below it why and what mends it.
fn of(show: &Show, finding: &Finding) -> Vec<String> {
    let verdict = show.paint(
        meaning(finding.verdict),
        &format!("{:4}", finding.verdict.as_str()),
    );
    let id = format!("{:width$}", finding.id, width = COLUMN - 8);
    let message = match &finding.subject {
        Some(subject) => format!(
            "{}: {}",
            show.paint(Meaning::Name, subject),
            tame(&finding.message)
        ),
        None => tame(&finding.message),
    };
    let mut lines = vec![format!("  {verdict}  {id}{message}")];
    let indent = " ".repeat(COLUMN);
    for (name, text) in [("why", &finding.why), ("fix", &finding.fix)] {
        let Some(text) = text else { continue };
        for (n, line) in text.lines().enumerate() {
            let head = if n == 0 { name } else { "   " };
            let colon = if n == 0 { ":" } else { " " };
            lines.push(format!("{indent}{head}{colon} {}", tame(line)));
        }
    }
    lines
}

/// What comes from elsewhere moves no cursor.
fn tame(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// `1 failed, 1 warning, 2 ok, 1 skipped in 0.8 s`.
fn summary(report: &Report) -> String {
    let warnings = if report.count(Verdict::Warn) == 1 {
        "warning"
    } else {
        "warnings"
    };
    let words = [
        (Verdict::Fail, "failed"),
        (Verdict::Warn, warnings),
        (Verdict::Ok, "ok"),
        (Verdict::Skip, "skipped"),
    ];
    let counts: Vec<String> = words
        .into_iter()
        .map(|(verdict, word)| (report.count(verdict), word))
        .filter(|(count, word)| *count > 0 || *word == "ok")
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    format!(
        "{} in {:.1} s",
        counts.join(", "),
        report.duration.as_secs_f64()
    )
}

/// The report as one document.
#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    verdict: &'static str,
    failed: usize,
    warnings: usize,
    ok: usize,
    skipped: usize,
    duration_ms: u64,
    items: Vec<Item<'a>>,
}

#[derive(Debug, Serialize)]
struct Item<'a> {
    id: &'static str,
    group: &'static str,
    verdict: &'static str,
    subject: Option<&'a str>,
    message: &'a str,
    why: Option<&'a str>,
    fix: Option<&'a str>,
    because: Option<&'static str>,
    duration_ms: u64,
    doc: String,
}

impl<'a> Document<'a> {
    pub(super) fn of(report: &'a Report) -> Self {
        let worst = [Verdict::Fail, Verdict::Warn]
            .into_iter()
            .find(|verdict| report.count(*verdict) > 0);
        Self {
            verdict: worst.unwrap_or(Verdict::Ok).as_str(),
            failed: report.count(Verdict::Fail),
            warnings: report.count(Verdict::Warn),
            ok: report.count(Verdict::Ok),
            skipped: report.count(Verdict::Skip),
            duration_ms: ms(report.duration),
            items: report.findings.iter().map(Item::of).collect(),
        }
    }
}

impl<'a> Item<'a> {
    fn of(finding: &'a Finding) -> Self {
        Self {
            id: finding.id,
            group: table::look_up(finding.id).map_or("", |known| known.group.id()),
            verdict: finding.verdict.as_str(),
            subject: finding.subject.as_deref(),
            message: &finding.message,
            why: finding.why.as_deref(),
            fix: finding.fix.as_deref(),
            because: finding.because,
            duration_ms: ms(finding.duration),
            doc: format!("docs/checks.md#{}", finding.id),
        }
    }
}

fn ms(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::report::Findings;
    use super::super::table::{CALL, CP_REACHABLE, NODES_CURRENT, SERVER_TOOLS};
    use super::*;

    fn report() -> Report {
        let mut findings = Findings::default();
        let rejects = "rejects revision 14 and runs 13: GH2101 no tool \"get_tme\"";
        findings.add(
            [
                Finding::ok(
                    CP_REACHABLE,
                    "127.0.0.1:7700, 3 ms, certificate good for 21h",
                ),
                Finding::fail(NODES_CURRENT, rejects)
                    .about("sidecar/time")
                    .fix("gatehouse describe node time-1"),
                Finding::warn(SERVER_TOOLS, "lists no tool").about("docs"),
                Finding::skip(CALL, NODES_CURRENT),
            ],
            Duration::from_millis(3),
        );
        findings.report(None, Duration::from_millis(800))
    }

    #[test]
    fn a_report_reads_as_the_specification_shows_it() {
        assert_eq!(
            lines(&Show::plain(), &report(), false).join("\n"),
            "control plane\n\
             \x20 ok    cp-reachable      127.0.0.1:7700, 3 ms, certificate good for 21h\n\
             nodes\n\
             \x20 fail  nodes-current     sidecar/time: rejects revision 14 and runs 13: GH2101 no tool \"get_tme\"\n\
             \x20                         fix: gatehouse describe node time-1\n\
             servers\n\
             \x20 warn  server-tools      docs: lists no tool\n\
             end to end\n\
             \x20 skip  call              (because nodes-current)\n\
             1 failed, 1 warning, 1 ok, 1 skipped in 0.8 s"
        );
    }

    #[test]
    fn a_short_one_shows_what_wants_a_look() {
        let lines = lines(&Show::plain(), &report(), true);
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines[0].starts_with("  fail  nodes-current"));
    }

    #[test]
    fn the_document_has_a_form_that_stays() {
        let document = serde_json::to_value(Document::of(&report())).unwrap_or_default();
        let expected = serde_json::json!({
            "verdict": "fail", "failed": 1, "warnings": 1, "ok": 1, "skipped": 1, "duration_ms": 800,
        });
        for (name, value) in expected.as_object().into_iter().flatten() {
            assert_eq!(&document[name], value, "{name}");
        }
        assert_eq!(
            document["items"][3],
            serde_json::json!({
                "id": "call", "group": "end-to-end", "verdict": "skip", "subject": null,
                "message": "(because nodes-current)", "why": null, "fix": null, "because": "nodes-current",
                "duration_ms": 3, "doc": "docs/checks.md#call",
            })
        );
    }

    #[test]
    fn nothing_found_is_said_as_such() {
        let report = Findings::default().report(None, Duration::ZERO);
        assert_eq!(summary(&report), "0 ok in 0.0 s");
    }
}
