//! The servers of the catalog: what runs, and what they list.

use std::collections::{BTreeMap, BTreeSet};

use proto::v1::resource::Spec;
use proto::v1::runtime::Kind;
use proto::v1::{Resource, ServerStatus, ServerTools};

use super::edge::{Asked, Outcome};
use super::report::{Finding, Findings, Verdict};
use super::table::{CALL, NODES_LIVE, NPX, SERVER_STARTED, SERVER_TOOLS, UVX};
use crate::fault::Failure;
use crate::show::shell_word;
use crate::source::plural;
use crate::when;

/// Last words of a server that are shown.
const WORDS_MAX: usize = 3;

/// What runs each server: `npx`, `uvx`, or nothing of interest here.
pub(crate) fn runners(resources: &[Resource]) -> BTreeMap<String, Option<&'static str>> {
    let runner = |resource: &Resource| {
        let Some(Spec::Server(server)) = &resource.spec else {
            return None;
        };
        match server.runtime.as_ref()?.kind.as_ref()? {
            Kind::Npx(_) => Some(NPX),
            Kind::Uvx(_) => Some(UVX),
            _ => None,
        }
    };
    let name = |resource: &Resource| Some(resource.metadata.as_ref()?.name.clone());
    resources
        .iter()
        .filter_map(|resource| Some((name(resource)?, runner(resource))))
        .collect()
}

/// What runs, where `statuses` has one for each server and `findings` what was found before: that a program that runs
/// servers is missing, that a sidecar is silent.
pub(crate) fn started(
    statuses: &[ServerStatus],
    runners: &BTreeMap<String, Option<&'static str>>,
    findings: &Findings,
) -> Vec<Finding> {
    if statuses.is_empty() {
        let message = "there is no Server in the catalog yet: gatehouse apply -f FILE";
        return vec![Finding::warn(SERVER_STARTED, message)];
    }
    let mut found = Vec::new();
    for status in statuses {
        let runner = runners.get(&status.server).copied().flatten();
        let root = cause(status, runner, findings);
        found.extend(match root {
            Some(id) => Some(Finding::skip(SERVER_STARTED, id).about(&status.server)),
            None => of(status),
        });
    }
    if found.is_empty() {
        let names: Vec<&str> = statuses.iter().map(|s| s.server.as_str()).collect();
        found.push(Finding::ok(SERVER_STARTED, names.join(", ")));
    }
    found
}

/// What was found before and explains that a server does not run.
fn cause(
    status: &ServerStatus,
    runner: Option<&'static str>,
    findings: &Findings,
) -> Option<&'static str> {
    match status.state.as_str() {
        "failed" | "backoff" => runner.filter(|id| findings.cause(&[id]).is_some()),
        "absent" => {
            let silent = findings.failed_for(NODES_LIVE, &format!("sidecar/{}", status.server));
            silent.then_some(NODES_LIVE)
        }
        _ => None,
    }
}

fn of(status: &ServerStatus) -> Option<Finding> {
    let age = when::age(status.since_unix_ms);
    let told = |word: &str| {
        let message = status.message.replace('\n', " ");
        if message.is_empty() || message == status.state {
            word.to_owned()
        } else {
            format!("{word}: {message}")
        }
    };
    let finding = match status.state.as_str() {
        "ready" | "stopped" => return None,
        "installing" | "starting" => {
            Finding::warn(SERVER_STARTED, told(&format!("{} for {age}", status.state))).passing()
        }
        "backoff" => {
            let again = match status.next_start_unix_ms {
                0 => String::new(),
                next => format!(", next try in {}", when::until(next)),
            };
            let restarts = plural(status.restarts as usize, "restart");
            let message = told(&format!("ended ({restarts}{again})"));
            Finding::fail(SERVER_STARTED, message)
        }
        "absent" => Finding::fail(SERVER_STARTED, status.message.clone()),
        other => Finding::fail(SERVER_STARTED, told(other)),
    };
    let words = &status.stderr[status.stderr.len().saturating_sub(WORDS_MAX)..];
    let finding = finding.about(&status.server).why(words.join("\n"));
    Some(match status.state.as_str() {
        "absent" => {
            let server = shell_word(&status.server);
            finding.fix(format!("gatehouse describe Server {server}"))
        }
        _ if finding.verdict == Verdict::Fail => {
            let server = shell_word(&status.server);
            finding.fix(format!("gatehouse server status {server}"))
        }
        _ => finding,
    })
}

/// The servers that can be asked for their tools; and why each other cannot.
pub(super) fn ready(statuses: &[ServerStatus], findings: &Findings) -> (Vec<String>, Vec<Finding>) {
    let mut ready = Vec::new();
    let mut skipped = Vec::new();
    for status in statuses {
        match status.state.as_str() {
            "ready" => ready.push(status.server.clone()),
            "stopped" => {}
            _ => {
                let root = root(findings, &status.server);
                skipped.push(Finding::skip(SERVER_TOOLS, root).about(&status.server));
            }
        }
    }
    (ready, skipped)
}

/// The check that tells why a server is not ready.
fn root(findings: &Findings, server: &str) -> &'static str {
    if findings.failed_for(SERVER_STARTED, server) {
        return SERVER_STARTED;
    }
    findings
        .because(SERVER_STARTED, server)
        .unwrap_or(SERVER_STARTED)
}

/// What servers answered when they were asked for their tools.
pub(super) fn tools(asked: &[Asked]) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut good = Vec::new();
    let mut others = BTreeSet::new();
    for Asked {
        server, outcome, ..
    } in asked
    {
        match outcome {
            Outcome::Tools(0) => {
                found.push(Finding::warn(SERVER_TOOLS, "lists no tool").about(server));
            }
            Outcome::Tools(count) => good.push(format!("{server} {count}")),
            Outcome::NotForKey => {
                others.insert(server.as_str());
            }
            // A key that is not accepted is one cause, told by `call`.
            Outcome::Key => return vec![Finding::skip(SERVER_TOOLS, CALL)],
            Outcome::Bad { message, why } => {
                let finding = Finding::fail(SERVER_TOOLS, message.clone()).about(server);
                let server = shell_word(server);
                found.push(
                    finding
                        .why(why.clone())
                        .fix(format!("gatehouse server status {server}")),
                );
            }
        }
    }
    if !good.is_empty() || (found.is_empty() && !others.is_empty()) {
        let mut parts = good;
        if !others.is_empty() {
            let word = plural(others.len(), "server");
            parts.push(format!("{word} not for this key"));
        }
        found.push(Finding::ok(SERVER_TOOLS, parts.join(", ")));
    }
    found
}

/// Servers of which definitions of tools wait for somebody to look at them, or that nobody says which those are.
pub(crate) fn held(states: Result<Vec<ServerTools>, Failure>) -> Vec<Finding> {
    match states {
        Ok(states) => waiting(&states),
        Err(failure) => {
            let message = "the control plane does not say which tools are held for review";
            vec![Finding::unanswered(SERVER_TOOLS, message, failure)]
        }
    }
}

fn waiting(states: &[ServerTools]) -> Vec<Finding> {
    let waiting = states.iter().filter(|tools| !tools.pending.is_empty());
    let finding = |tools: &ServerTools| {
        let names: BTreeSet<&str> = tools.pending.iter().map(|waits| &*waits.tool).collect();
        let message = format!(
            "{} with a definition that nobody has approved, held for review",
            plural(names.len(), "tool")
        );
        let server = shell_word(&tools.server);
        Finding::warn(SERVER_TOOLS, message)
            .about(&tools.server)
            .fix(format!("gatehouse server tools {server} --diff"))
    };
    waiting.map(finding).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::codes;
    use crate::fault::Fault;

    fn status(server: &str, state: &str) -> ServerStatus {
        ServerStatus {
            server: server.to_owned(),
            state: state.to_owned(),
            message: "exited with status 1".to_owned(),
            stderr: ["one", "two", "three", "four"].map(str::to_owned).into(),
            restarts: 3,
            ..ServerStatus::default()
        }
    }

    fn before(found: Vec<Finding>) -> Findings {
        let mut findings = Findings::default();
        findings.add(found, Duration::ZERO);
        findings
    }

    #[test]
    fn tools_that_wait_are_counted_once_each() {
        let waits = |tool: &str| proto::v1::ToolSighting {
            tool: tool.to_owned(),
            ..Default::default()
        };
        let docs = ServerTools {
            server: "docs".to_owned(),
            pending: vec![waits("a"), waits("a"), waits("b")],
            ..ServerTools::default()
        };
        let found = held(Ok(vec![docs, ServerTools::default()]));
        assert_eq!(found.len(), 1);
        assert!(found[0].message.starts_with("2 tools "), "{found:?}");
        assert_eq!(found[0].verdict, Verdict::Warn);
    }

    #[test]
    fn tools_that_nobody_tells_of_are_not_taken_for_good() {
        let fault = Fault::new(codes::NO_ANSWER, "it did not answer in time").fix("try again");
        let found = held(Err(fault.into()));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].verdict, Verdict::Warn);
        assert_eq!(found[0].why.as_deref(), Some("it did not answer in time"));
        assert_eq!(found[0].fix.as_deref(), Some("try again"));
    }

    #[test]
    fn one_that_keeps_ending_is_a_failure_with_its_last_words() {
        let statuses = [status("time", "backoff"), status("docs", "ready")];
        let found = started(&statuses, &BTreeMap::new(), &Findings::default());
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].message, "ended (3 restarts): exited with status 1");
        assert_eq!(found[0].why.as_deref(), Some("two\nthree\nfour"));
        assert_eq!(
            found[0].fix.as_deref(),
            Some("gatehouse server status time")
        );
    }

    #[test]
    fn one_that_is_on_its_way_passes() {
        let found = started(
            &[status("time", "installing")],
            &BTreeMap::new(),
            &Findings::default(),
        );
        assert!(found[0].passing && found[0].verdict == Verdict::Warn);
    }

    #[test]
    fn what_was_found_before_is_not_said_again() {
        let findings = before(vec![
            Finding::fail(NPX, "is not installed"),
            Finding::fail(NODES_LIVE, "silent").about("sidecar/docs"),
        ]);
        let runners = [
            ("time".to_owned(), Some(NPX)),
            ("own".to_owned(), Some(UVX)),
        ];
        let statuses = [
            status("time", "failed"),
            status("docs", "absent"),
            status("own", "failed"),
        ];
        let found = started(&statuses, &runners.into(), &findings);
        let because: Vec<_> = found.iter().map(|finding| finding.because).collect();
        assert_eq!(because, [Some(NPX), Some(NODES_LIVE), None]);
        let mut findings = findings;
        findings.add(found, Duration::ZERO);
        let (ready, skipped) = ready(&statuses, &findings);
        assert!(ready.is_empty());
        let because: Vec<_> = skipped.iter().map(|finding| finding.because).collect();
        assert_eq!(because, [Some(NPX), Some(NODES_LIVE), Some(SERVER_STARTED)]);
    }

    #[test]
    fn tools_are_counted_and_bad_answers_told() {
        let asked = |server: &str, outcome| Asked {
            server: server.to_owned(),
            outcome,
            took: Duration::ZERO,
        };
        let bad = Outcome::Bad {
            message: "no answer within 15s".to_owned(),
            why: String::new(),
        };
        let found = tools(&[
            asked("everything", Outcome::Tools(13)),
            asked("docs", Outcome::Tools(0)),
            asked("other", Outcome::NotForKey),
            asked("slow", bad),
        ]);
        let verdicts: Vec<_> = found.iter().map(|finding| finding.verdict).collect();
        assert_eq!(verdicts, [Verdict::Warn, Verdict::Fail, Verdict::Ok]);
        assert_eq!(found[2].message, "everything 13, 1 server not for this key");
        let found = tools(&[asked("a", Outcome::Key), asked("b", Outcome::Key)]);
        assert_eq!(found[0].because, Some(CALL));
    }
}
