//! How near one rule came to one call, in words.

use std::collections::BTreeMap;

use model::access::{AccessRule, Effect, ServerSelector, Subject, Subjects, Targets};
use model::name::{Glob, ServerName};
use model::principal::Principal;

use crate::access::applies;
use crate::action::{Action, Target};
use crate::condition::Outcome;
use crate::reference::{is_subject, is_target};

/// Most entries of a list that are written out.
const SHOWN_MAX: usize = 5;

/// Why `rule` did not match: one line for each of subject, server and target that failed. Empty: it matched.
pub(crate) fn misses(
    rule: &AccessRule,
    principal: &Principal,
    (server, labels): (&ServerName, &BTreeMap<String, String>),
    action: &Action<'_>,
) -> Vec<String> {
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
    }
    misses
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
