//! The laws of access, and the index against its naive twin, in a small world where rules and calls meet often.

use std::sync::Arc;

use model::access::{AccessRule, Effect, Recorded, Subject, Subjects, Targets};
use model::name::{Glob, RuleName, ServerName};
use model::principal::Principal;
use proptest::prelude::*;
use proptest::sample::select;

use super::{engine, snapshot};
use crate::{Action, Engine, reference};

fn any_glob(of: &'static [&'static str]) -> impl Strategy<Value = Glob> {
    select(of).prop_map(|text| Glob::new(text).unwrap())
}

fn any_globs(of: &'static [&'static str]) -> impl Strategy<Value = Vec<Glob>> {
    prop::collection::vec(any_glob(of), 0..3)
}

fn any_subject() -> impl Strategy<Value = Subject> {
    let part = |of: &'static [&'static str]| prop::option::of(select(of).prop_map(str::to_owned));
    (
        part(&["ana", "bob"]),
        part(&["eng", "ops", "hr"]),
        part(&["cursor", "cli"]),
    )
        .prop_map(|(user, group, client)| Subject {
            user,
            group,
            client,
        })
}

fn any_targets() -> impl Strategy<Value = Targets> {
    const NAMES: &[&str] = &["a", "b", "a*", "?", "*", ""];
    const METHODS: &[&str] = &[
        "tools/call",
        "tools/*",
        "ping",
        "completion/complete",
        "*",
        "resources/?ead",
    ];
    let named = || any_globs(&NAMES[..5]);
    prop_oneof![
        1 => Just(Targets::All),
        3 => (named(), named(), named(), any_globs(METHODS)).prop_map(|(tools, prompts, resources, methods)| {
            Targets::Some { tools, prompts, resources, methods }
        }),
    ]
}

fn any_rule() -> impl Strategy<Value = AccessRule> {
    let subjects = prop_oneof![
        1 => Just(Subjects::Everyone),
        3 => prop::collection::vec(any_subject(), 1..3).prop_map(Subjects::Any),
    ];
    let servers = prop::collection::vec(
        any_glob(&["time", "docs", "docs-*", "*", "?ime", "d*"]),
        1..3,
    );
    let effect =
        prop_oneof![3 => Just(Effect::Allow), 1 => Just(Effect::Deny), 1 => Just(Effect::Approve)];
    ("[a-z]{1,3}", effect, subjects, servers, any_targets()).prop_map(
        |(name, effect, subjects, servers, targets)| AccessRule {
            name: RuleName::new(&name).unwrap(),
            effect,
            subjects,
            servers,
            targets,
            record: Recorded::default(),
        },
    )
}

fn any_rules() -> impl Strategy<Value = Vec<AccessRule>> {
    prop::collection::vec(any_rule(), 0..10)
}

fn any_principal() -> impl Strategy<Value = Principal> {
    let groups = prop::sample::subsequence(vec!["eng", "ops", "hr"], 0..=3);
    (
        select(&["ana", "bob", "eve"][..]),
        groups,
        prop::option::of(select(&["cursor", "cli"][..])),
    )
        .prop_map(|(user, groups, client)| Principal::new(user, &groups, client, "k"))
}

type Call = (Principal, ServerName, &'static str, Option<&'static str>);

fn any_call() -> impl Strategy<Value = Call> {
    const METHODS: &[&str] = &[
        "tools/call",
        "prompts/get",
        "resources/read",
        "resources/subscribe",
        "tools/list",
        "ping",
        "initialize",
        "completion/complete",
        "tasks/get",
        "notifications/cancelled",
        "acme/x",
    ];
    let target = prop::option::of(select(&["a", "b", "ab", "c"][..]));
    (
        any_principal(),
        select(&["time", "docs", "docs-eu", "dime"][..]),
        select(METHODS),
        target,
    )
        .prop_map(|(principal, name, method, target)| {
            (principal, ServerName::new(name).unwrap(), method, target)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_500))]

    /// Ten calls for each set of rules: 25 000 comparisons.
    #[test]
    fn the_index_decides_as_its_naive_twin(rules in any_rules(), calls in prop::collection::vec(any_call(), 10)) {
        let snapshot = Arc::new(snapshot(rules));
        let engine = Engine::compile(Arc::clone(&snapshot)).unwrap();
        for (principal, server, method, target) in &calls {
            let action = Action::of(method, *target);
            let expected = reference::decide(&snapshot, principal, server, &action);
            prop_assert_eq!(engine.decide(principal, server, &action), expected);
            prop_assert_eq!(engine.may_use(principal, server), reference::may_use(&snapshot, principal, server));
            let explained = engine.explain(principal, server, &action);
            prop_assert_eq!(explained.verdict, expected);
            prop_assert_eq!(explained.rules.iter().any(|r| r.matched), expected.rule.is_some());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn deny_beats_allow(rules in any_rules(), call in any_call()) {
        let (principal, server, method, target) = call;
        let action = Action::of(method, target);
        // Of rules with one name the last is kept.
        let kept = snapshot(rules);
        let denies = |r: &Arc<AccessRule>| r.effect == Effect::Deny && reference::matches(r, &principal, &server, &action);
        let denies = kept.rules.values().any(denies);
        let allowed = Engine::compile(Arc::new(kept)).unwrap().decide(&principal, &server, &action).is_allowed();
        prop_assert!(!(denies && allowed));
    }

    #[test]
    fn one_more_allow_takes_nothing_away(rules in any_rules(), more in any_rule(), call in any_call()) {
        let (principal, server, method, target) = call;
        let action = Action::of(method, target);
        let before = engine(rules.clone());
        // A name of its own, so that it takes no other's place.
        let more = AccessRule { name: RuleName::new("0-more").unwrap(), effect: Effect::Allow, ..more };
        let after = engine(rules.into_iter().chain([more]));
        let allowed = |engine: &Engine| engine.decide(&principal, &server, &action).is_allowed();
        prop_assert!(!allowed(&before) || allowed(&after));
        prop_assert!(!before.may_use(&principal, &server) || after.may_use(&principal, &server));
    }

    #[test]
    fn one_more_deny_gives_nothing(rules in any_rules(), more in any_rule(), call in any_call()) {
        let (principal, server, method, target) = call;
        let action = Action::of(method, target);
        let before = engine(rules.clone());
        let more = AccessRule { name: RuleName::new("0-more").unwrap(), effect: Effect::Deny, ..more };
        let after = engine(rules.into_iter().chain([more]));
        let allowed = |engine: &Engine| engine.decide(&principal, &server, &action).is_allowed();
        prop_assert!(allowed(&before) || !allowed(&after));
    }

    #[test]
    fn the_order_of_rules_never_matters(rules in any_rules(), call in any_call()) {
        let (principal, server, method, target) = call;
        let action = Action::of(method, target);
        let renamed = |turned: bool| {
            let last = rules.len();
            engine(rules.clone().into_iter().enumerate().map(|(i, rule)| {
                let place = if turned { last - i } else { i };
                AccessRule { name: RuleName::new(&format!("r{place}")).unwrap(), ..rule }
            }))
        };
        let (forward, backward) = (renamed(false), renamed(true));
        let effect = |engine: &Engine| engine.decide(&principal, &server, &action).effect;
        prop_assert_eq!(effect(&forward), effect(&backward));
        prop_assert_eq!(forward.may_use(&principal, &server), backward.may_use(&principal, &server));
    }

    #[test]
    fn what_is_not_allowed_is_not_visible_and_what_is_allowed_is_on_a_server_that_may_be_used(
        rules in any_rules(),
        call in any_call(),
    ) {
        let (principal, server, method, target) = call;
        let action = Action::of(method, target);
        let engine = engine(rules);
        let allowed = engine.decide(&principal, &server, &action).is_possible();
        prop_assert_eq!(engine.visible(&principal, &server, &action), allowed);
        prop_assert!(!allowed || engine.may_use(&principal, &server));
    }
}
