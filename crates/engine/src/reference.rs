//! The naive twin of [`crate::access`]: the same decisions by walking all rules, in the plainest words that could be
//! found. Tests compare the two; nothing else calls it.

use model::access::{AccessRule, Effect, Subject, Subjects, Targets};
use model::decision::Reason;
use model::name::{Glob, RuleName, ServerName};
use model::principal::Principal;
use model::snapshot::Snapshot;

use crate::access::Verdict;
use crate::action::{Action, Target};

/// What [`crate::Engine::decide`] decides.
pub fn decide<'s>(
    snapshot: &'s Snapshot,
    principal: &Principal,
    server: &ServerName,
    action: &Action<'_>,
) -> Verdict<'s> {
    let matching = |effect: Effect| -> Option<&'s RuleName> {
        let rules = snapshot.rules.values();
        rules
            .filter(|r| r.effect == effect)
            .find(|r| matches(r, principal, server, action))
            .map(|r| &r.name)
    };
    if let Some(rule) = matching(Effect::Deny) {
        return Verdict {
            effect: Effect::Deny,
            reason: Some(Reason::Rule),
            rule: Some(rule),
        };
    }
    let allowing = if action.is_base() {
        [matching(Effect::Allow), matching(Effect::Approve)]
            .into_iter()
            .flatten()
            .min()
    } else {
        if let Some(rule) = matching(Effect::Approve) {
            return Verdict {
                effect: Effect::Approve,
                reason: Some(Reason::Approval),
                rule: Some(rule),
            };
        }
        matching(Effect::Allow)
    };
    match allowing {
        Some(rule) => Verdict {
            effect: Effect::Allow,
            reason: None,
            rule: Some(rule),
        },
        None => Verdict {
            effect: Effect::Deny,
            reason: Some(Reason::NoRule),
            rule: None,
        },
    }
}

/// What [`crate::Engine::may_use`] decides.
pub fn may_use(snapshot: &Snapshot, principal: &Principal, server: &ServerName) -> bool {
    let about = |rule: &AccessRule| {
        is_subject(&rule.subjects, principal) && any(&rule.servers, server.as_str())
    };
    let rules = || snapshot.rules.values().filter(|rule| about(rule));
    rules().any(|rule| rule.effect != Effect::Deny)
        && !rules().any(|rule| rule.effect == Effect::Deny && rule.targets == Targets::All)
}

/// Whether a rule matches a call.
pub(crate) fn matches(
    rule: &AccessRule,
    principal: &Principal,
    server: &ServerName,
    action: &Action<'_>,
) -> bool {
    is_subject(&rule.subjects, principal)
        && any(&rule.servers, server.as_str())
        && is_target(rule, action)
}

/// Whether a rule's targets match, given that it is about principal and server.
pub(crate) fn is_target(rule: &AccessRule, action: &Action<'_>) -> bool {
    if rule.effect != Effect::Deny && action.is_base() {
        return true;
    }
    match &rule.targets {
        Targets::All => true,
        Targets::Some {
            tools,
            prompts,
            resources,
            methods,
        } => {
            any(methods, action.method)
                || match action.target {
                    Target::Tool(name) => any(tools, name),
                    Target::Prompt(name) => any(prompts, name),
                    Target::Resource(uri) => any(resources, uri),
                    Target::None => false,
                }
        }
    }
}

/// Whether one of the globs matches.
pub(crate) fn any(globs: &[Glob], text: &str) -> bool {
    globs.iter().any(|glob| glob.matches(text))
}

/// Whether a principal is among the subjects.
pub(crate) fn is_subject(subjects: &Subjects, principal: &Principal) -> bool {
    match subjects {
        Subjects::Everyone => true,
        Subjects::Any(subjects) => subjects.iter().any(|subject| is_one(subject, principal)),
    }
}

fn is_one(subject: &Subject, principal: &Principal) -> bool {
    let Subject {
        user,
        group,
        client,
    } = subject;
    if user.is_none() && group.is_none() && client.is_none() {
        return false;
    }
    user.as_deref().is_none_or(|user| *principal.user == *user)
        && group
            .as_deref()
            .is_none_or(|group| principal.groups.iter().any(|g| **g == *group))
        && client
            .as_deref()
            .is_none_or(|client| principal.client.as_deref() == Some(client))
}
