//! The naive twin of [`crate::access`]: the same decisions by walking all rules, in the plainest words that could be
//! found. Tests compare the two; nothing else calls it.

use model::access::{AccessRule, Effect, Mode, Subject, Subjects, Targets};
use model::decision::Reason;
use model::name::{Glob, RuleName, ServerName};
use model::principal::Principal;
use model::server::Pin;
use model::snapshot::Snapshot;

use crate::access::conditions::Conditions;
use crate::access::{Observed, Verdict, applies};
use crate::action::{Action, Target};
use crate::compile::Fault;
use crate::condition::{Facts, Outcome, Scope, labels};

/// Rules as they stand, and their conditions.
#[derive(Debug)]
pub struct Naive<'s> {
    snapshot: &'s Snapshot,
    conditions: Conditions,
}

impl<'s> Naive<'s> {
    /// # Errors
    /// Conditions that cannot be compiled.
    pub fn of(snapshot: &'s Snapshot) -> Result<Self, Vec<Fault>> {
        let conditions = Conditions::compile(snapshot)?;
        Ok(Self {
            snapshot,
            conditions,
        })
    }

    /// What [`crate::Engine::decide_with`] decides.
    pub fn decide(
        &self,
        who: (&Principal, &ServerName),
        action: &Action<'_>,
        facts: &Facts<'_>,
    ) -> Verdict<'s> {
        let enforced = self.among(&[Mode::Enforce], who, action, facts);
        let all = self.among(&[Mode::Enforce, Mode::Observe], who, action, facts);
        let observed = (all.effect != enforced.effect).then_some(Observed {
            effect: all.effect,
            rule: all.rule,
        });
        Verdict {
            observed,
            ..enforced
        }
    }

    fn among(
        &self,
        modes: &[Mode],
        who: (&Principal, &ServerName),
        action: &Action<'_>,
        facts: &Facts<'_>,
    ) -> Verdict<'s> {
        let matching = |effect: Effect| -> Option<&'s RuleName> {
            let mut rules = self.snapshot.rules.values().enumerate();
            rules
                .find(|(at, rule)| {
                    rule.effect == effect
                        && modes.contains(&rule.mode)
                        && self.matches(*at, rule, who, action, facts)
                })
                .map(|(_, rule)| &rule.name)
        };
        let verdict = |effect, reason, rule| Verdict {
            effect,
            reason,
            rule,
            observed: None,
        };
        if let Some(rule) = matching(Effect::Deny) {
            return verdict(Effect::Deny, Some(Reason::Rule), Some(rule));
        }
        let allowing = if action.is_base() {
            [matching(Effect::Allow), matching(Effect::Approve)]
                .into_iter()
                .flatten()
                .min()
        } else {
            if let Some(rule) = matching(Effect::Approve) {
                return verdict(Effect::Approve, Some(Reason::Approval), Some(rule));
            }
            matching(Effect::Allow)
        };
        match allowing {
            Some(rule) => verdict(Effect::Allow, None, Some(rule)),
            None => verdict(Effect::Deny, Some(Reason::NoRule), None),
        }
    }

    /// What [`crate::Engine::may_use`] decides.
    pub fn may_use(&self, principal: &Principal, server: &ServerName) -> bool {
        let scope = Scope::of_use(self.snapshot, (principal, server));
        let about = |(at, rule): &(usize, &AccessRule)| {
            rule.is_enforced()
                && is_subject(&rule.subjects, principal)
                && rule.selects(server.as_str(), labels(self.snapshot, server.as_str()))
                && applies(rule.effect, &self.outcome(*at, &scope))
        };
        let rules = || {
            let rules = self.snapshot.rules.values().map(|rule| &**rule);
            rules.enumerate().filter(about)
        };
        rules().any(|(_, rule)| rule.effect != Effect::Deny)
            && !rules().any(|(_, rule)| rule.effect == Effect::Deny && rule.targets == Targets::All)
    }

    /// Whether a rule that decides, with this effect, matches.
    pub fn is_matched(
        &self,
        effect: Effect,
        who: (&Principal, &ServerName),
        action: &Action<'_>,
        facts: &Facts<'_>,
    ) -> bool {
        let mut rules = self.snapshot.rules.values().enumerate();
        rules.any(|(at, rule)| {
            rule.effect == effect
                && rule.is_enforced()
                && self.matches(at, rule, who, action, facts)
        })
    }

    fn matches(
        &self,
        at: usize,
        rule: &AccessRule,
        who: (&Principal, &ServerName),
        action: &Action<'_>,
        facts: &Facts<'_>,
    ) -> bool {
        let (principal, server) = who;
        // Who may use a server by a rule may get to know it, whatever the rule wants of single calls.
        let scope = if rule.effect != Effect::Deny && action.is_base() {
            Scope::of_use(self.snapshot, who)
        } else {
            Scope::of_call(self.snapshot, who, action, facts)
        };
        is_subject(&rule.subjects, principal)
            && rule.selects(server.as_str(), labels(self.snapshot, server.as_str()))
            && is_target(rule, action)
            && self.is_annotated(rule, server, action)
            && applies(rule.effect, &self.outcome(at, &scope))
    }

    /// Whether a tool is as the rule wants it, given that it is about the tool.
    fn is_annotated(&self, rule: &AccessRule, server: &ServerName, action: &Action<'_>) -> bool {
        if rule.annotations.is_empty() || (rule.effect != Effect::Deny && action.is_base()) {
            return true;
        }
        let Target::Tool(tool) = action.target else {
            return false;
        };
        let of_server = self.snapshot.servers.get(server);
        let is_trusted =
            of_server.is_some_and(|s| s.tools.trust_annotations && s.tools.pin != Pin::Off);
        let pins = self.snapshot.tool_pins.get(server).filter(|_| is_trusted);
        let said = pins.and_then(|pins| pins.hints.get(tool));
        let hints = said.copied().unwrap_or_default();
        let mut wanted = rule.annotations.given();
        wanted.all(|(hint, value)| hints.get(hint) == value)
    }

    fn outcome(&self, at: usize, scope: &Scope<'_>) -> Outcome {
        let condition = u32::try_from(at).ok().and_then(|at| self.conditions.of(at));
        condition.map_or(Outcome::Holds, |condition| condition.evaluate(scope))
    }
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
