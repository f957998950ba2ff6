//! Rules by annotations: of what is trusted and approved, and of nothing else.

use std::collections::BTreeMap;

use model::annotations::{Annotations, Hint, Hints};
use model::pins::{Era, Hashes, ToolPins};
use model::server::{Pin, ToolPolicy};
use model::snapshot::Sha256;

use super::*;
use crate::reference::Naive;

fn said(given: &[(Hint, bool)]) -> Annotations {
    let add = |all: Annotations, (hint, value): &(Hint, bool)| all.with(*hint, Some(*value));
    given.iter().fold(Annotations::default(), add)
}

fn by(name: &str, effect: Effect, given: &[(Hint, bool)]) -> AccessRule {
    AccessRule {
        annotations: said(given),
        ..rule(name, effect, None, &["docs"], tools(&["*"]))
    }
}

/// Approved definitions of no tool.
pub(super) fn nothing(server: &ServerName) -> ToolPins {
    ToolPins {
        server: server.clone(),
        version: 1,
        tools: Default::default(),
        hints: Default::default(),
        unread: Default::default(),
    }
}

/// What is approved: `read` says that it reads only, `write` that it writes, `mute` nothing.
fn pins() -> ToolPins {
    let hash = Sha256::of(b"");
    let hashes = Hashes {
        whole: hash,
        plain: hash,
    };
    let approved = |tool: &str| (tool.to_owned(), BTreeMap::from([(Era::Legacy, hashes)]));
    let reads = Hints::of(&said(&[(Hint::ReadOnly, true)]));
    let adds = Hints::of(&said(&[(Hint::Destructive, false)]));
    ToolPins {
        tools: ["read", "write", "mute"].map(approved).into(),
        hints: [("read".to_owned(), reads), ("write".to_owned(), adds)].into(),
        ..nothing(&server("docs"))
    }
}

fn world(policy: ToolPolicy, rules: impl IntoIterator<Item = AccessRule>) -> Snapshot {
    let mut snapshot = snapshot(rules);
    let mut docs = crate::samples::server("docs");
    docs.tools = policy;
    snapshot.tool_pins.insert(server("docs"), Arc::new(pins()));
    snapshot.servers.insert(server("docs"), Arc::new(docs));
    snapshot
}

const TRUSTED: ToolPolicy = ToolPolicy {
    pin: Pin::Review,
    check: std::time::Duration::ZERO,
    trust_annotations: true,
};

/// The tools that may be called: as the engine, its lists and its twin say.
fn called(world: Snapshot) -> Vec<&'static str> {
    let naive = world.clone();
    let naive = Naive::of(&naive).unwrap();
    let engine = Engine::compile(Arc::new(world)).unwrap();
    let (ana, docs) = (ana(), server("docs"));
    let is_called = |tool: &&str| {
        let action = Action::tool(tool);
        let verdict = engine.decide(&ana, &docs, &action);
        assert_eq!(
            engine.list(&ana, &docs).shows(&action),
            verdict.is_possible()
        );
        assert_eq!(
            naive.decide((&ana, &docs), &action, &Facts::default()),
            verdict
        );
        verdict.is_allowed()
    };
    let mut tools = vec!["read", "write", "mute", "new"];
    tools.retain(|tool| is_called(tool));
    tools
}

#[test]
fn a_tool_is_what_its_approved_definition_says_where_its_server_is_trusted() {
    let allowing = |given: &[(Hint, bool)]| called(world(TRUSTED, [by("r", Effect::Allow, given)]));
    assert_eq!(allowing(&[(Hint::ReadOnly, true)]), ["read"]);
    assert_eq!(allowing(&[(Hint::Destructive, false)]), ["read", "write"]);
    assert_eq!(
        allowing(&[(Hint::Destructive, false), (Hint::ReadOnly, false)]),
        ["write"]
    );
    assert_eq!(allowing(&[(Hint::Destructive, true)]), ["mute", "new"]);
    assert_eq!(allowing(&[(Hint::OpenWorld, false)]), [""; 0]);
    let named = AccessRule {
        targets: tools(&["w*", "mute"]),
        ..by("r", Effect::Allow, &[(Hint::Destructive, false)])
    };
    assert_eq!(called(world(TRUSTED, [named])), ["write"]);
}

#[test]
fn what_is_not_trusted_is_the_worst_that_there_could_be() {
    let untrusted = ToolPolicy {
        trust_annotations: false,
        ..TRUSTED
    };
    let off = ToolPolicy {
        pin: Pin::Off,
        ..TRUSTED
    };
    for policy in [untrusted, off] {
        let reads = by("r", Effect::Allow, &[(Hint::ReadOnly, true)]);
        assert_eq!(called(world(policy, [reads])), [""; 0]);
        let all = rule("all", Effect::Allow, None, &["*"], Targets::All);
        let no = by("no", Effect::Deny, &[(Hint::Destructive, true)]);
        assert_eq!(called(world(policy, [all.clone(), no.clone()])), [""; 0]);
        assert_eq!(called(world(TRUSTED, [all, no])), ["read", "write"]);
    }
}

#[test]
fn annotations_are_of_tools_alone_and_no_reason_to_hide_a_server() {
    let reads = by("r", Effect::Allow, &[(Hint::ReadOnly, true)]);
    let no = by("no", Effect::Deny, &[(Hint::Destructive, true)]);
    let engine = Engine::compile(Arc::new(world(TRUSTED, [reads, no]))).unwrap();
    let allowed = |action: Action<'_>| engine.decide(&ana(), &server("docs"), &action).is_allowed();
    assert!(engine.may_use(&ana(), &server("docs")));
    assert!(!engine.is_denied(&ana(), &server("docs")));
    assert!(allowed(Action::of("tools/list", None)) && allowed(Action::of("initialize", None)));
    assert!(!allowed(Action::prompt("read")) && !allowed(Action::resource("read")));
    assert!(!allowed(Action::of("completion/complete", None)));
}

#[test]
fn a_condition_beside_annotations_must_hold_too() {
    let reads = AccessRule {
        when: Some("args.n < 3".into()),
        ..by("r", Effect::Allow, &[(Hint::ReadOnly, true)])
    };
    let world = world(TRUSTED, [reads]);
    assert_eq!(called(world.clone()), ["read"], "by some arguments");
    let engine = Engine::compile(Arc::new(world)).unwrap();
    let allowed = |tool: &str, args: &str| {
        let facts = Facts {
            args: Some(args.as_bytes()),
            ..Facts::default()
        };
        let action = Action::tool(tool);
        let verdict = engine.decide_with(&ana(), &server("docs"), &action, &facts);
        verdict.is_allowed()
    };
    assert!(allowed("read", r#"{"n":1}"#) && !allowed("read", r#"{"n":3}"#));
    assert!(!allowed("write", r#"{"n":1}"#));
}

#[test]
fn an_explanation_says_why_a_tool_is_not_as_it_is_wanted() {
    let why = |policy: ToolPolicy, tool: &str| {
        let reads = by("r", Effect::Allow, &[(Hint::ReadOnly, true)]);
        let engine = Engine::compile(Arc::new(world(policy, [reads]))).unwrap();
        let action = Action::tool(tool);
        let explained = engine.explain(&ana(), &server("docs"), &action, &Facts::default());
        explained.rules[0].why_not.clone()
    };
    assert_eq!(why(TRUSTED, "read"), "");
    assert_eq!(
        why(TRUSTED, "mute"),
        "wants readOnlyHint: true, and the tool's approved definition does not say so"
    );
    assert_eq!(
        why(TRUSTED, "new"),
        "wants readOnlyHint: true, and no definition of the tool is approved yet"
    );
    assert_eq!(
        why(ToolPolicy::default(), "read"),
        "wants readOnlyHint: true, and annotations of server docs are not trusted"
    );
}

#[test]
fn questions_are_answered_by_annotations() {
    let reads = by("r", Effect::Allow, &[(Hint::ReadOnly, true)]);
    let named = AccessRule {
        targets: tools(&["write", "read"]),
        ..by("s", Effect::Allow, &[(Hint::ReadOnly, true)])
    };
    let engine = Engine::compile(Arc::new(world(TRUSTED, [reads, named]))).unwrap();
    let who = |tool: &str| {
        let asked = engine.who(&server("docs"), &Action::tool(tool), []);
        asked[0].verdict.effect
    };
    assert_eq!((who("read"), who("write")), (Effect::Allow, Effect::Deny));
    let what = engine.what(&ana(), &server("docs"));
    let what: Vec<_> = what
        .iter()
        .map(|s| (s.pattern, s.effect, s.annotations.to_string()))
        .collect();
    assert_eq!(
        what,
        [
            ("*", Effect::Allow, "readOnlyHint: true".to_owned()),
            ("read", Effect::Allow, String::new()),
            ("write", Effect::Deny, String::new()),
        ]
    );
}
