//! A decision with its grounds, for `gatehouse explain`. Takes its time: it walks all rules.

use model::access::Effect;
use model::filter::Direction;
use model::name::{FilterName, LimitName, RuleName, ServerName};
use model::principal::Principal;

use crate::access::Verdict;
use crate::action::{Action, Target};
use crate::{Engine, trace};

/// Most rules that an explanation shows.
pub const EXPLAIN_RULES_MAX: usize = 20;

/// A decision with its grounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation<'e> {
    /// What was decided.
    pub verdict: Verdict<'e>,
    /// Rules that matched, then those that came near: all of subject, server and target matched but one. Each
    /// sorted by name, together at most [`EXPLAIN_RULES_MAX`].
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
}

pub(crate) fn explain<'e>(
    engine: &'e Engine,
    principal: &Principal,
    server: &ServerName,
    action: &Action<'_>,
) -> Explanation<'e> {
    let (mut rules, mut near) = (Vec::new(), Vec::new());
    for rule in engine.snapshot().rules.values() {
        let mut misses = trace::misses(rule, principal, server, action);
        let trace = |why_not: String| RuleTrace {
            rule: &rule.name,
            effect: rule.effect,
            matched: why_not.is_empty(),
            why_not,
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
        verdict: engine.decide(principal, server, action),
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
