//! Who may do what: the rules of a snapshot, indexed.
//!
//! * A rule is *about* a call where one of its subjects is the principal (all given parts match) and one of its servers
//!   is the server.
//! * Of such a rule, [`model::access::Targets::All`] matches everything; [`model::access::Targets::Some`] matches where its `methods` match the method
//!   **or** its list of the target's kind matches the target.
//! * Base methods ([`crate::action::BASE_METHODS`]) are also matched by every allow or approve rule that is about the
//!   call, whatever its targets: who may use a server may get to know it. They never wait for a person.
//! * Anything else (`completion/complete`, `tasks/*`, methods of extensions) has to be allowed by `methods` or by a rule
//!   without targets.
//! * A rule with a condition matches where the rest of it does and the condition holds. Where the condition cannot be
//!   evaluated, an allow rule does not match, a deny rule and an approve rule do. Where it depends on what is not known
//!   ([`Facts`]), an allow or approve rule counts as matching and a deny rule does not: what may be allowed is shown.
//! * A rule with annotations matches where the rest of it does, what is called is a tool, and that is as the rule wants
//!   it (`annotations`). It is always known what a tool is taken for.
//! * What no allow or approve rule matches is denied; what a deny rule matches is denied whatever allows it; what an
//!   approve rule matches waits for a person whatever allows it. The order of rules never matters. The rule that is named
//!   is the first by name of those that decide.
//! * A rule that only observes decides nothing. Where it would have changed the effect, [`Verdict::observed`] says so.
//!
//! [`crate::reference`] says the same without an index; tests hold the two together.

use model::access::{Effect, Mode};
use model::decision::Reason;
use model::name::{RuleName, ServerName};
use model::principal::Principal;
use model::snapshot::Snapshot;

use self::rules::{Ask, Found, Reach, Rules};
use crate::action::Action;
use crate::compile::Fault;
use crate::condition::{Condition, Facts, Outcome, Scope};

pub(crate) mod annotations;
pub(crate) mod conditions;
pub(crate) mod labels;
mod rules;

use conditions::Conditions;

/// What was decided, and by which rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict<'e> {
    /// Whether it may go on.
    pub effect: Effect,
    /// Why not. `None` where it may.
    pub reason: Option<Reason>,
    /// The deciding rule: the first deny rule by name that matches, or else the first allow rule. `None` where no rule
    /// matches.
    pub rule: Option<&'e RuleName>,
    /// What would have been decided, had the rules that only observe decided, too. `None` where that is the same.
    pub observed: Option<Observed<'e>>,
}

/// What rules that only observe would have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed<'e> {
    /// What would have been decided.
    pub effect: Effect,
    /// By which rule.
    pub rule: Option<&'e RuleName>,
}

impl std::fmt::Display for Observed<'_> {
    /// `deny by no-secrets`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.effect.as_str())?;
        self.rule.map_or(Ok(()), |rule| write!(f, " by {rule}"))
    }
}

impl Verdict<'_> {
    /// Whether it may go on as it is.
    pub fn is_allowed(&self) -> bool {
        self.effect == Effect::Allow
    }

    /// Whether it may go on, be it only once a person has agreed.
    pub fn is_possible(&self) -> bool {
        self.effect != Effect::Deny
    }
}

/// Whether a rule with this effect matches where its condition comes out so: see the module's words.
pub(crate) fn applies(effect: Effect, outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Holds => true,
        Outcome::Fails => false,
        Outcome::Unknown => effect != Effect::Deny,
        Outcome::Error(_) => effect != Effect::Allow,
    }
}

/// The compiled rules.
#[derive(Debug, Default)]
pub(crate) struct Access {
    /// By name; the indexes hold positions in here, so that the lowest position is the first name.
    names: Vec<RuleName>,
    conditions: Conditions,
    enforced: Rules,
    observed: Option<Rules>,
}

impl Access {
    /// # Errors
    /// Conditions that cannot be compiled.
    pub(crate) fn compile(snapshot: &Snapshot) -> Result<Self, Vec<Fault>> {
        let rules = || snapshot.rules.values();
        let observes = rules().any(|rule| !rule.is_enforced());
        Ok(Self {
            names: rules().map(|rule| rule.name.clone()).collect(),
            conditions: Conditions::compile(snapshot)?,
            enforced: Rules::compile(snapshot, Mode::Enforce),
            observed: observes.then(|| Rules::compile(snapshot, Mode::Observe)),
        })
    }

    pub(crate) fn may_use(
        &self,
        snapshot: &Snapshot,
        principal: &Principal,
        server: &ServerName,
    ) -> bool {
        let scope = Scope::of_use(snapshot, (principal, server));
        self.enforced.is_usable(&self.conditions, &scope)
            && !self.enforced.is_denied(&self.conditions, &scope)
    }

    pub(crate) fn is_denied(
        &self,
        snapshot: &Snapshot,
        principal: &Principal,
        server: &ServerName,
    ) -> bool {
        let scope = Scope::of_use(snapshot, (principal, server));
        self.enforced.is_denied(&self.conditions, &scope)
    }

    pub(crate) fn decide(
        &self,
        snapshot: &Snapshot,
        who: (&Principal, &ServerName),
        action: &Action<'_>,
        facts: &Facts<'_>,
        worst: bool,
    ) -> Verdict<'_> {
        let call = Scope::of_call(snapshot, who, action, facts);
        let ask = Ask {
            action,
            call: call.counted(worst),
            server_use: Scope::of_use(snapshot, who),
            conditions: &self.conditions,
        };
        let found = self.enforced.find(&ask);
        let verdict = self.verdict(&found);
        let Some(observed) = &self.observed else {
            return verdict;
        };
        let would = self.verdict(&found.with(&observed.find(&ask)));
        let observed = (would.effect != verdict.effect).then_some(Observed {
            effect: would.effect,
            rule: would.rule,
        });
        Verdict {
            observed,
            ..verdict
        }
    }

    /// What rules say of one caller at one server, for many questions.
    pub(crate) fn list<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        who: (&'a Principal, &'a ServerName),
    ) -> Listed<'a> {
        Listed {
            reach: self.enforced.reach(who.0, who.1),
            conditions: &self.conditions,
            snapshot,
            who,
        }
    }

    /// The condition of the rule at a position.
    pub(crate) fn condition(&self, position: usize) -> Option<&Condition> {
        self.conditions.of(u32::try_from(position).ok()?)
    }

    fn verdict(&self, found: &Found) -> Verdict<'_> {
        let (effect, reason, position) = match (found.deny, found.approve, found.allow) {
            (Some(deny), _, _) => (Effect::Deny, Some(Reason::Rule), Some(deny)),
            (None, Some(approve), _) => (Effect::Approve, Some(Reason::Approval), Some(approve)),
            (None, None, Some(allow)) => (Effect::Allow, None, Some(allow)),
            (None, None, None) => (Effect::Deny, Some(Reason::NoRule), None),
        };
        Verdict {
            effect,
            reason,
            rule: position.and_then(|p| self.names.get(p as usize)),
            observed: None,
        }
    }
}

/// Who is to see what of one server's lists: the same as [`crate::Engine::decide`] with nothing known, but what is about the
/// caller and the server is looked up once for all items.
#[derive(Debug)]
pub struct Listed<'a> {
    reach: Reach<'a>,
    conditions: &'a Conditions,
    snapshot: &'a Snapshot,
    who: (&'a Principal, &'a ServerName),
}

impl Listed<'_> {
    /// Whether the action's target is to be seen in a list.
    pub fn shows(&self, action: &Action<'_>) -> bool {
        let found = self.reach.find(&Ask {
            action,
            call: Scope::of_call(self.snapshot, self.who, action, &Facts::default()),
            server_use: Scope::of_use(self.snapshot, self.who),
            conditions: self.conditions,
        });
        found.deny.is_none() && (found.approve.is_some() || found.allow.is_some())
    }
}

#[cfg(test)]
mod tests;
