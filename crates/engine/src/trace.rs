//! How near one rule came to one call, in words.

use model::access::{AccessRule, Effect, ServerSelector, Subject, Subjects, Targets};
use model::name::{Glob, ServerName};
use model::principal::Principal;
use model::snapshot::Snapshot;

use crate::access::annotations::{self, Known};
use crate::access::applies;
use crate::action::{Action, Target};
use crate::condition::{Outcome, labels};
use crate::reference::{is_subject, is_target};

/// Most entries of a list that are written out.
const SHOWN_MAX: usize = 5;

/// Why `rule` did not match: one line for each of subject, server and target that failed. Empty: it matched.
pub(crate) fn misses(
    rule: &AccessRule,
    principal: &Principal,
    (server, snapshot): (&ServerName, &Snapshot),
    action: &Action<'_>,
) -> Vec<String> {
    let labels = labels(snapshot, server.as_str());
    let mut misses = Vec::new();
    if !is_subject(&rule.subjects, principal) {
        misses.push(format!("is about {}", subjects(&rule.subjects)));
    }
    if !rule.selects(server.as_str(), labels) {
        let servers = rule.servers.iter().map(ServerSelector::to_string);
        let servers = cut(servers, rule.servers.len(), ", ");
        misses.push(format!("is about servers {servers}"));
    }
    if !is_target(rule, action) {
        misses.push(target(rule, action));
    } else {
        misses.extend(annotations(rule, (server, snapshot), action));
    }
    misses
}

/// Why a rule that is about a tool's name is not about the tool: it is not as the rule wants it.
fn annotations(
    rule: &AccessRule,
    (server, snapshot): (&ServerName, &Snapshot),
    action: &Action<'_>,
) -> Option<String> {
    let wanted = &rule.annotations;
    if wanted.is_empty() || (rule.effect != Effect::Deny && action.is_base()) {
        return None;
    }
    let Target::Tool(tool) = action.target else {
        return Some("is about tools alone".to_owned());
    };
    let known = annotations::of(snapshot, server, tool);
    if wanted.hold(&known.hints()) {
        return None;
    }
    Some(match known {
        Known::Untrusted => {
            format!("wants {wanted}, and annotations of server {server} are not trusted")
        }
        Known::NotApproved => {
            format!("wants {wanted}, and no definition of the tool is approved yet")
        }
        Known::Says(_) => {
            format!("wants {wanted}, and the tool's approved definition does not say so")
        }
    })
}

/// Why a condition keeps a rule with this effect from matching. `None`: it does not.
pub(crate) fn condition(effect: Effect, outcome: &Outcome) -> Option<String> {
    if applies(effect, outcome) {
        return None;
    }
    Some(match outcome {
        Outcome::Unknown => "its condition asks for what is not known here".to_owned(),
        Outcome::Error(why) => format!("its condition cannot be evaluated: {why}"),
        Outcome::Fails | Outcome::Holds => "its condition does not hold".to_owned(),
    })
}

fn target(rule: &AccessRule, action: &Action<'_>) -> String {
    let verb = match rule.effect {
        Effect::Allow => "allows",
        Effect::Deny => "denies",
        Effect::Approve => "lets people approve",
    };
    let Targets::Some {
        tools,
        prompts,
        resources,
        methods,
    } = &rule.targets
    else {
        return format!("{verb} everything");
    };
    let (kind, globs) = match action.target {
        Target::Tool(_) => ("tools", tools),
        Target::Prompt(_) => ("prompts", prompts),
        Target::Resource(_) => ("resources", resources),
        Target::None => ("methods", methods),
    };
    if globs.is_empty() {
        format!("names no {kind}")
    } else {
        format!("{verb} {kind} {}", list(globs))
    }
}

fn subjects(subjects: &Subjects) -> String {
    let Subjects::Any(subjects) = subjects else {
        return "everyone".to_owned();
    };
    cut(
        subjects.iter().map(Subject::to_string),
        subjects.len(),
        "; ",
    )
}

fn list(globs: &[Glob]) -> String {
    cut(globs.iter().map(Glob::to_string), globs.len(), ", ")
}

fn cut(entries: impl Iterator<Item = String>, length: usize, between: &str) -> String {
    let mut shown = entries.take(SHOWN_MAX).collect::<Vec<_>>().join(between);
    if length > SHOWN_MAX {
        shown.push_str(&format!(" and {} more", length - SHOWN_MAX));
    }
    shown
}
