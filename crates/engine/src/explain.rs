//! A decision with its grounds, for `gatehouse explain`. Takes its time: it walks all rules.

use model::access::{AccessRule, Effect};
use model::filter::Direction;
use model::name::{FilterName, LimitName, RuleName, ServerName};
use model::principal::Principal;

use crate::access::Verdict;
use crate::action::{Action, Target};
use crate::condition::{Facts, Outcome, Scope};
use crate::{Engine, trace};

/// Most rules that an explanation shows.
pub const EXPLAIN_RULES_MAX: usize = 20;

/// A decision with its grounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation<'e> {
    /// What was decided.
    pub verdict: Verdict<'e>,
    /// Rules that matched, then those that came near: all of subject, server, target and condition matched but one.
    /// Each sorted by name, together at most [`EXPLAIN_RULES_MAX`].
    pub rules: Vec<RuleTrace<'e>>,
    /// Filters that would look at the call or at its reply, in order.
    pub filters: Vec<FilterName>,
    /// Limits that would count the call, in the order in which they are asked.
    pub limits: Vec<LimitName>,
}

/// What one rule has to do with the decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleTrace<'e> {
    /// Which.
    pub rule: &'e RuleName,
    /// What it does.
    pub effect: Effect,
    /// Whether it matched.
    pub matched: bool,
    /// Why it did not: `allows tools echo, get-*`. Empty where it did.
    pub why_not: String,
    /// Whether it only observes.
    pub observes: bool,
    /// Its condition, and what came of it.
    pub condition: Option<ConditionTrace<'e>>,
}

/// A condition, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionTrace<'e> {
    /// As it was written.
    pub text: &'e str,
    /// What came of it.
    pub outcome: Outcome,
}

pub(crate) fn explain<'e>(
    engine: &'e Engine,
    who: (&Principal, &ServerName),
    action: &Action<'_>,
    facts: &Facts<'_>,
) -> Explanation<'e> {
    let (principal, server) = who;
    let (mut rules, mut near) = (Vec::new(), Vec::new());
    for (position, rule) in engine.snapshot().rules.values().enumerate() {
        let mut misses = trace::misses(rule, principal, (server, engine.snapshot()), action);
        if misses.len() > 1 {
            continue;
        }
        let condition = asked(engine, position, rule, who, action, facts);
        let miss = |asked: &ConditionTrace<'_>| trace::condition(rule.effect, &asked.outcome);
        misses.extend(condition.as_ref().and_then(miss));
        let trace = |why_not: String| RuleTrace {
            rule: &rule.name,
            effect: rule.effect,
            matched: why_not.is_empty(),
            why_not,
            observes: !rule.is_enforced(),
            condition,
        };
        match misses.len() {
            0 if rules.len() < EXPLAIN_RULES_MAX => rules.push(trace(String::new())),
            1 if near.len() < EXPLAIN_RULES_MAX => near.push(trace(misses.remove(0))),
            _ => {}
        }
    }
    rules.extend(near);
    rules.truncate(EXPLAIN_RULES_MAX);
    Explanation {
        verdict: engine.decide_with(principal, server, action, facts),
        rules,
        filters: filters(engine, server, action),
        limits: limits(engine, principal, server, action),
    }
}

fn limits(
    engine: &Engine,
    principal: &Principal,
    server: &ServerName,
    action: &Action<'_>,
) -> Vec<LimitName> {
    let limits = engine.limits();
    let selected = limits.select(principal, server, action.method, tool(action));
    selected.iter().map(|limit| limit.name.clone()).collect()
}

fn tool<'a>(action: &Action<'a>) -> Option<&'a str> {
    match action.target {
        Target::Tool(name) => Some(name),
        _ => None,
    }
}

fn asked<'e>(
    engine: &'e Engine,
    position: usize,
    rule: &AccessRule,
    who: (&Principal, &ServerName),
    action: &Action<'_>,
    facts: &Facts<'_>,
) -> Option<ConditionTrace<'e>> {
    let condition = engine.access.condition(position)?;
    let scope = if rule.effect != Effect::Deny && action.is_base() {
        Scope::of_use(engine.snapshot(), who)
    } else {
        Scope::of_call(engine.snapshot(), who, action, facts)
    };
    Some(ConditionTrace {
        text: condition.text(),
        outcome: condition.evaluate(&scope),
    })
}

fn filters(engine: &Engine, server: &ServerName, action: &Action<'_>) -> Vec<FilterName> {
    let tool = tool(action);
    let select = |way| engine.filters().select(server, action.method, tool, way);
    let (request, response) = (select(Direction::Request), select(Direction::Response));
    let mut names: Vec<FilterName> = Vec::new();
    // Both are cut from one order, so a merge by place in the chain is a merge by that order.
    let mut merged: Vec<_> = request.entries().chain(response.entries()).collect();
    merged.sort_by_key(|entry| entry.0);
    for (_, name) in merged {
        if names.last() != Some(name) {
            names.push(name.clone());
        }
    }
    names
}
