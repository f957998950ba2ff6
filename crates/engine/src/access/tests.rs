#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
//! Cases that show how rules are read.

use std::sync::Arc;

use model::access::{
    AccessRule, Effect, Mode, Recorded, ServerSelector, Subject, Subjects, Targets,
};
use model::decision::Reason;
use model::name::{Glob, RuleName, ServerName};
use model::principal::Principal;
use model::snapshot::Snapshot;

use crate::{Action, Engine, Facts};

mod annotations;
mod laws;

fn globs(texts: &[&str]) -> Vec<Glob> {
    texts.iter().map(|text| Glob::new(text).unwrap()).collect()
}

fn rule(
    name: &str,
    effect: Effect,
    group: Option<&str>,
    servers: &[&str],
    targets: Targets,
) -> AccessRule {
    let subject = |group: &str| Subject {
        user: None,
        group: Some(group.to_owned()),
        client: None,
    };
    AccessRule {
        name: RuleName::new(name).unwrap(),
        effect,
        subjects: group.map_or(Subjects::Everyone, |group| {
            Subjects::Any(vec![subject(group)])
        }),
        servers: globs(servers)
            .into_iter()
            .map(ServerSelector::Glob)
            .collect(),
        targets,
        approvers: Vec::new(),
        record: Recorded::default(),
        annotations: Default::default(),
        when: None,
        mode: Mode::Enforce,
    }
}

fn tools(names: &[&str]) -> Targets {
    Targets::Some {
        tools: globs(names),
        prompts: vec![],
        resources: vec![],
        methods: vec![],
    }
}

fn methods(names: &[&str]) -> Targets {
    Targets::Some {
        tools: vec![],
        prompts: vec![],
        resources: vec![],
        methods: globs(names),
    }
}

fn snapshot(rules: impl IntoIterator<Item = AccessRule>) -> Snapshot {
    let rules = rules
        .into_iter()
        .map(|rule| (rule.name.clone(), Arc::new(rule)))
        .collect();
    Snapshot {
        rules,
        ..Default::default()
    }
}

fn engine(rules: impl IntoIterator<Item = AccessRule>) -> Engine {
    Engine::compile(Arc::new(snapshot(rules))).unwrap()
}

fn server(name: &str) -> ServerName {
    ServerName::new(name).unwrap()
}

fn ana() -> Principal {
    Principal::new("ana", &["eng", "ops"], Some("cursor"), "k1")
}

#[test]
fn nothing_is_allowed_that_no_rule_allows() {
    let engine = engine([]);
    let verdict = engine.decide(&ana(), &server("time"), &Action::of("ping", None));
    assert_eq!(
        (verdict.effect, verdict.reason, verdict.rule),
        (Effect::Deny, Some(Reason::NoRule), None)
    );
    assert!(!engine.may_use(&ana(), &server("time")));
}

#[test]
fn a_rule_for_one_tool_allows_it_and_the_base_and_nothing_else() {
    let engine = engine([rule(
        "r",
        Effect::Allow,
        Some("eng"),
        &["time"],
        tools(&["get_*"]),
    )]);
    let allowed = |method: &str, target: Option<&str>| {
        engine
            .decide(&ana(), &server("time"), &Action::of(method, target))
            .is_allowed()
    };
    assert!(allowed("tools/call", Some("get_current_time")));
    assert!(
        allowed("initialize", None)
            && allowed("tools/list", None)
            && allowed("logging/setLevel", None)
    );
    assert!(!allowed("tools/call", Some("set_time")) && !allowed("tools/call", None));
    assert!(!allowed("prompts/get", Some("get_x")) && !allowed("resources/read", Some("get_x")));
    assert!(
        !allowed("completion/complete", None)
            && !allowed("tasks/get", Some("get_x"))
            && !allowed("acme/x", None)
    );
    assert!(!engine.may_use(&ana(), &server("other")));
    assert!(!engine.may_use(
        &Principal::new("bob", &["sales"], None, "k2"),
        &server("time")
    ));
}

#[test]
fn methods_and_targets_are_a_union() {
    let engine = engine([rule(
        "r",
        Effect::Allow,
        None,
        &["*"],
        methods(&["tools/call", "completion/*"]),
    )]);
    let allowed = |action: Action<'_>| engine.decide(&ana(), &server("a"), &action).is_allowed();
    assert!(allowed(Action::tool("anything")) && allowed(Action::of("completion/complete", None)));
    assert!(!allowed(Action::prompt("p")));
}

#[test]
fn a_denied_method_is_denied_even_where_it_is_base() {
    let engine = engine([
        rule("all", Effect::Allow, None, &["*"], Targets::All),
        rule(
            "quiet",
            Effect::Deny,
            Some("ops"),
            &["*"],
            methods(&["logging/*"]),
        ),
    ]);
    let verdict = engine.decide(&ana(), &server("a"), &Action::of("logging/setLevel", None));
    assert_eq!(
        (verdict.reason, verdict.rule.unwrap().as_str()),
        (Some(Reason::Rule), "quiet")
    );
    assert!(engine.may_use(&ana(), &server("a")));
}

#[test]
fn who_is_denied_everything_may_not_use_the_server() {
    let engine = engine([
        rule("all", Effect::Allow, None, &["*"], Targets::All),
        rule("no", Effect::Deny, Some("ops"), &["docs-?"], Targets::All),
    ]);
    assert!(!engine.may_use(&ana(), &server("docs-a")) && engine.may_use(&ana(), &server("docs")));
}

#[test]
fn the_first_rule_by_name_is_named() {
    let engine = engine([
        rule("b", Effect::Allow, Some("eng"), &["time"], tools(&["x"])),
        rule("a", Effect::Allow, Some("ops"), &["t*"], tools(&["*"])),
        rule("z", Effect::Deny, None, &["*"], tools(&["bad"])),
        rule("y", Effect::Deny, Some("eng"), &["time"], tools(&["b*"])),
    ]);
    let named = |tool: &str| {
        engine
            .decide(&ana(), &server("time"), &Action::tool(tool))
            .rule
            .unwrap()
            .to_string()
    };
    assert_eq!((named("x"), named("bad")), ("a".to_owned(), "y".to_owned()));
}

#[test]
fn parts_of_a_subject_are_anded() {
    let subject = |user: &str, group: &str, client: &str| {
        let part = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Subject {
            user: part(user),
            group: part(group),
            client: part(client),
        }
    };
    let allows = |subjects: Vec<Subject>| {
        let rule = AccessRule {
            subjects: Subjects::Any(subjects),
            ..rule("r", Effect::Allow, None, &["a"], Targets::All)
        };
        engine([rule]).may_use(&ana(), &server("a"))
    };
    assert!(allows(vec![subject("ana", "eng", "cursor")]));
    assert!(allows(vec![
        subject("bob", "", ""),
        subject("", "ops", "cursor")
    ]));
    assert!(!allows(vec![
        subject("ana", "sales", ""),
        subject("", "eng", "other"),
        subject("bob", "eng", "cursor")
    ]));
    assert!(!allows(vec![subject("", "", "")]));
}

#[test]
fn an_explanation_names_matches_and_near_misses() {
    let engine = engine([
        rule(
            "engineers",
            Effect::Allow,
            Some("eng"),
            &["time"],
            tools(&["get_*"]),
        ),
        rule("far", Effect::Allow, Some("sales"), &["crm"], Targets::All),
        rule("sales", Effect::Allow, Some("sales"), &["*"], Targets::All),
        rule(
            "other",
            Effect::Deny,
            Some("eng"),
            &["docs-*"],
            Targets::All,
        ),
    ]);
    let explanation = engine.explain(
        &ana(),
        &server("time"),
        &Action::tool("set_time"),
        &Facts::default(),
    );
    assert_eq!(explanation.verdict.reason, Some(Reason::NoRule));
    let lines: Vec<(String, bool, &str)> = explanation
        .rules
        .iter()
        .map(|r| (r.rule.to_string(), r.matched, r.why_not.as_str()))
        .collect();
    assert_eq!(
        lines,
        [
            ("engineers".to_owned(), false, "allows tools get_*"),
            ("other".to_owned(), false, "is about servers docs-*"),
            ("sales".to_owned(), false, "is about group sales"),
        ]
    );
    let allowed = engine.explain(
        &ana(),
        &server("time"),
        &Action::tool("get_time"),
        &Facts::default(),
    );
    assert!(allowed.verdict.is_allowed() && allowed.rules[0].matched);
}

#[test]
fn who_can_call_and_what_can_she_call() {
    let conditional = AccessRule {
        when: Some("args.n < 3".into()),
        ..rule(
            "some",
            Effect::Allow,
            Some("ops"),
            &["time"],
            tools(&["set_time"]),
        )
    };
    let engine = engine([
        rule(
            "engineers",
            Effect::Allow,
            Some("eng"),
            &["time"],
            tools(&["get_*", "set_time"]),
        ),
        rule(
            "no-setting",
            Effect::Deny,
            Some("eng"),
            &["*"],
            tools(&["set_time"]),
        ),
        rule("admins", Effect::Allow, Some("admin"), &["*"], Targets::All),
        rule(
            "elsewhere",
            Effect::Allow,
            Some("sales"),
            &["crm"],
            Targets::All,
        ),
        conditional,
    ]);
    let eve = Principal::new("eve", &["ops"], None, "k9");
    let asked = engine.who(
        &server("time"),
        &Action::tool("set_time"),
        [("key k9 of eve".to_owned(), Arc::new(eve))],
    );
    let asked: Vec<_> = asked
        .iter()
        .map(|a| (a.who.as_str(), a.verdict.effect, a.condition))
        .collect();
    assert_eq!(
        asked,
        [
            ("group admin", Effect::Allow, None),
            ("group eng", Effect::Deny, None),
            ("group ops", Effect::Allow, Some("args.n < 3")),
            ("key k9 of eve", Effect::Allow, Some("args.n < 3")),
        ]
    );
    let what = engine.what(&ana(), &server("time"));
    let what: Vec<_> = what
        .iter()
        .map(|s| (s.kind, s.pattern, s.effect, s.rule.unwrap().as_str()))
        .collect();
    assert_eq!(
        what,
        [
            ("tools", "get_*", Effect::Allow, "engineers"),
            ("tools", "set_time", Effect::Deny, "no-setting"),
        ]
    );
    assert!(engine.what(&ana(), &server("crm")).is_empty());
}
