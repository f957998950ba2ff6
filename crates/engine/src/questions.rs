//! Questions over many callers or many tools: who can call this, and what can she call? They take their time, and answer
//! by the decisions that calls get; where a condition asks for what only a call knows, by what some call could do.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::access::{AccessRule, Effect, Subject, Subjects, Targets};
use model::annotations::Annotations;
use model::name::{RuleName, ServerName};
use model::principal::Principal;

use crate::Engine;
use crate::access::Verdict;
use crate::action::Action;
use crate::condition::labels;
use crate::reference::is_subject;

/// Somebody who was asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked<'e> {
    /// `group engineering`, `user ana and client cursor`, `everyone`, `key k1 of ana`.
    pub who: String,
    /// What is decided of them.
    pub verdict: Verdict<'e>,
    /// The condition of the rule that decides, where it has one.
    pub condition: Option<&'e str>,
}

/// Something that rules say of one caller on one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said<'e> {
    /// `tools`, `prompts`, `resources` or `methods`; `everything` where a rule names nothing.
    pub kind: &'static str,
    /// The names or the glob, as the rule has it; `*` for everything.
    pub pattern: &'e str,
    /// What is done: of a tool by its name, what is decided; else what the rule does.
    pub effect: Effect,
    /// The rule: of a tool by its name, the one that decides. `None`: none allows it.
    pub rule: Option<&'e RuleName>,
    /// What tools have to say of themselves for the rule to be about them; of a tool by its name that is decided.
    pub annotations: Annotations,
    /// That rule's condition.
    pub condition: Option<&'e str>,
}

impl Engine {
    /// What is decided of everyone whom rules about the server name, each as exactly that, and of these callers (those of
    /// API keys). Sorted by who.
    pub fn who(
        &self,
        server: &ServerName,
        action: &Action<'_>,
        callers: impl IntoIterator<Item = (String, Arc<Principal>)>,
    ) -> Vec<Asked<'_>> {
        let mut all: BTreeMap<String, Arc<Principal>> = callers.into_iter().collect();
        for rule in self.rules_about(server) {
            match &rule.subjects {
                Subjects::Everyone => {
                    all.insert("everyone".to_owned(), principal(None));
                }
                Subjects::Any(subjects) => {
                    let named = subjects.iter();
                    all.extend(
                        named.map(|subject| (subject.to_string(), principal(Some(subject)))),
                    );
                }
            }
        }
        let asked = all.into_iter().map(|(who, principal)| {
            let verdict = self.decide(&self.with_groups(&principal), server, action);
            Asked {
                who,
                verdict,
                condition: verdict.rule.and_then(|rule| self.condition(rule)),
            }
        });
        asked.collect()
    }

    /// What rules say of a caller (see [`Self::with_groups`]) on a server; nothing where it may not use that at all.
    pub fn what(&self, principal: &Principal, server: &ServerName) -> Vec<Said<'_>> {
        if !self.may_use(principal, server) {
            return Vec::new();
        }
        let mut said = Vec::new();
        for rule in self.rules_about(server) {
            if is_subject(&rule.subjects, principal) {
                self.say(rule, principal, server, &mut said);
            }
        }
        said.sort_by_key(|s| (s.kind, s.pattern, s.effect as u8, s.rule));
        said.dedup();
        said
    }

    fn say<'e>(
        &'e self,
        rule: &'e AccessRule,
        principal: &Principal,
        server: &ServerName,
        said: &mut Vec<Said<'e>>,
    ) {
        let by_rule = |kind, pattern| Said {
            kind,
            pattern,
            effect: rule.effect,
            rule: Some(&rule.name),
            annotations: rule.annotations,
            condition: rule.when.as_deref(),
        };
        let Targets::Some {
            tools,
            prompts,
            resources,
            methods,
        } = &rule.targets
        else {
            said.push(by_rule("everything", "*"));
            return;
        };
        for glob in tools {
            if !glob.is_literal() {
                said.push(by_rule("tools", glob.as_str()));
                continue;
            }
            let verdict = self.decide(principal, server, &Action::tool(glob.as_str()));
            said.push(Said {
                kind: "tools",
                pattern: glob.as_str(),
                effect: verdict.effect,
                rule: verdict.rule,
                annotations: Annotations::default(),
                condition: verdict.rule.and_then(|rule| self.condition(rule)),
            });
        }
        for (kind, globs) in [
            ("prompts", prompts),
            ("resources", resources),
            ("methods", methods),
        ] {
            said.extend(globs.iter().map(|glob| by_rule(kind, glob.as_str())));
        }
    }

    fn rules_about(&self, server: &ServerName) -> impl Iterator<Item = &AccessRule> {
        let labels = labels(self.snapshot(), server.as_str());
        let rules = self.snapshot().rules.values().map(|rule| &**rule);
        rules.filter(move |rule| rule.is_enforced() && rule.selects(server.as_str(), labels))
    }
}

/// A caller who is exactly what a subject says.
fn principal(subject: Option<&Subject>) -> Arc<Principal> {
    let user = subject.and_then(|s| s.user.as_deref()).unwrap_or_default();
    let group = subject.and_then(|s| s.group.as_deref());
    let groups: Vec<&str> = group.into_iter().collect();
    let client = subject.and_then(|s| s.client.as_deref());
    Principal::new(user, &groups, client, "asked").into()
}
