//! What is asked of all rules beyond the index: conditions, compiled once, of which equal ones share what was compiled; and
//! annotations.

use std::collections::HashMap;
use std::sync::Arc;

use model::access::{AccessRule, Effect};
use model::annotations::Annotations;
use model::name::RuleName;
use model::snapshot::{ResourceKey, Snapshot};
use model::wire::ACCESS_RULE;

use super::applies;
use crate::compile::Fault;
use crate::condition::{Condition, Mistake, Outcome, Scope};
use crate::index::Lane;

/// By a rule's position; no further than the last rule that has one.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    when: Vec<Option<Arc<Condition>>>,
    annotations: Vec<Annotations>,
}

/// Whether a rule has to be asked at all.
pub(super) fn asks(rule: &AccessRule) -> bool {
    rule.when.is_some() || !rule.annotations.is_empty()
}

impl Conditions {
    /// # Errors
    /// Each that cannot be compiled.
    pub(crate) fn compile(snapshot: &Snapshot) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut known: HashMap<&str, Option<Arc<Condition>>> = HashMap::new();
        let (mut all, mut annotations) = (Vec::new(), Vec::new());
        for (position, rule) in snapshot.rules.values().enumerate() {
            if !rule.annotations.is_empty() {
                annotations.resize(position, Annotations::default());
                annotations.push(rule.annotations);
            }
            let Some(text) = rule.when.as_deref() else {
                continue;
            };
            let condition = match known.get(text) {
                // One that is refused is refused of every rule.
                Some(Some(condition)) => Some(Arc::clone(condition)),
                _ => match Condition::compile(text) {
                    Ok(condition) => Some(Arc::new(condition)),
                    Err(mistake) => {
                        faults.push(fault(&rule.name, mistake));
                        None
                    }
                },
            };
            known.insert(text, condition.clone());
            all.resize(position, None);
            all.push(condition);
        }
        if faults.is_empty() {
            Ok(Self {
                when: all,
                annotations,
            })
        } else {
            Err(faults)
        }
    }

    /// The condition of a rule.
    pub(crate) fn of(&self, rule: u32) -> Option<&Condition> {
        self.when.get(rule as usize)?.as_deref()
    }

    /// Whether a rule that asks ([`asks`]) matches, given that the rest of it does. Annotations first: they cost less.
    pub(super) fn applies(&self, rule: u32, effect: Effect, scope: &Scope<'_>) -> bool {
        let annotations = self.annotations.get(rule as usize);
        let annotations = annotations.filter(|wanted| !wanted.is_empty());
        if annotations.is_some_and(|wanted| !scope.is_annotated(wanted)) {
            return false;
        }
        let outcome = match self.of(rule) {
            Some(condition) => condition.evaluate(scope),
            None if annotations.is_some() => Outcome::Holds,
            None => Outcome::Error(String::new()),
        };
        if scope.worst && outcome == Outcome::Unknown {
            return effect == Effect::Deny;
        }
        applies(effect, &outcome)
    }

    /// Whether any rule of a lane matches.
    pub(super) fn any(&self, lane: &Lane, effect: Effect, scope: &Scope<'_>) -> bool {
        lane.first(effect, scope.principal).is_some()
            || lane
                .conditional(effect, scope.principal)
                .any(|rule| self.applies(rule, effect, scope))
    }
}

fn fault(rule: &RuleName, mistake: Mistake) -> Fault {
    Fault {
        resource: ResourceKey::new(ACCESS_RULE, rule.as_str()),
        path: "spec.when".to_owned(),
        code: mistake.code,
        message: mistake.message,
        fix: mistake.fix,
    }
}
