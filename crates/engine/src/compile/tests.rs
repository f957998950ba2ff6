#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
//! References between resources.

use std::sync::Arc;

use model::access::{AccessRule, Effect, Mode, ServerSelector, Subjects, Targets};
use model::filter::{Direction, Filter, Kind, Match, OnError};
use model::name::{FilterName, RuleName};

use super::*;
use crate::Engine;

fn snapshot(servers: &[&str], named: &[&str]) -> Snapshot {
    let globs: Vec<Glob> = named.iter().map(|text| Glob::new(text).unwrap()).collect();
    let mut snapshot = Snapshot::default();
    for name in servers {
        let server = crate::samples::server(name);
        let name = server.name.clone();
        snapshot.servers.insert(name, Arc::new(server));
    }
    let rule = AccessRule {
        name: RuleName::new("r").unwrap(),
        effect: Effect::Allow,
        subjects: Subjects::Everyone,
        servers: globs.iter().cloned().map(ServerSelector::Glob).collect(),
        targets: Targets::All,
        approvers: Vec::new(),
        record: Default::default(),
        annotations: Default::default(),
        when: None,
        mode: Mode::Enforce,
    };
    snapshot.rules.insert(rule.name.clone(), Arc::new(rule));
    let filter = Filter {
        name: FilterName::new("f").unwrap(),
        matches: Match {
            servers: globs,
            methods: vec![],
            tools: vec![],
            direction: Direction::Both,
        },
        kind: Kind::Keywords {
            words: vec!["x".to_owned()],
            fold: false,
        },
        on_error: OnError::Deny,
        may_change: false,
        order: 0,
        mode: model::filter::Mode::Enforce,
    };
    snapshot
        .filters
        .insert(filter.name.clone(), Arc::new(filter));
    snapshot
}

#[test]
fn a_name_of_no_server_is_a_fault_with_the_nearest_name() {
    let faults = check_references(&snapshot(
        &["everything", "time"],
        &["time", "evrything", "docs-*", "*"],
    ));
    let shown: Vec<String> = faults
        .iter()
        .map(|f| format!("{} {f} {:?}", f.code, f.fix.as_deref()))
        .collect();
    assert_eq!(
        shown,
        [
            "GH2001 AccessRule/r spec.servers[1]: no server is named \"evrything\" Some(\"did you mean `everything`?\")",
            "GH2001 Filter/f spec.match.servers[1]: no server is named \"evrything\" Some(\"did you mean `everything`?\")",
        ]
    );
}

#[test]
fn a_glob_that_matches_nothing_yet_is_a_warning() {
    let warnings = warnings(&snapshot(&["time"], &["t*", "docs-*", "*", "gone"]));
    let places: Vec<(String, &str)> = warnings
        .iter()
        .map(|w| (w.resource.to_string(), w.path.as_str()))
        .collect();
    assert_eq!(
        places,
        [
            ("AccessRule/r".to_owned(), "spec.servers[1]"),
            ("Filter/f".to_owned(), "spec.match.servers[1]")
        ]
    );
}

#[test]
fn annotations_that_no_trusted_server_could_give_are_a_warning() {
    use model::annotations::{Annotations, Hint};
    use model::server::{Pin, ToolPolicy};
    let warned = |wanted: (Hint, bool), trusted: bool| {
        let mut snapshot = snapshot(&["time"], &["*"]);
        let rule = Arc::make_mut(snapshot.rules.values_mut().next().unwrap());
        rule.annotations = Annotations::default().with(wanted.0, Some(wanted.1));
        let server = Arc::make_mut(snapshot.servers.values_mut().next().unwrap());
        server.tools = ToolPolicy {
            pin: Pin::Review,
            trust_annotations: trusted,
            ..Default::default()
        };
        let warnings = warnings(&snapshot);
        warnings.iter().any(|w| w.path == "spec.annotations")
    };
    assert!(warned((Hint::ReadOnly, true), false));
    assert!(!warned((Hint::ReadOnly, true), true));
    assert!(!warned((Hint::Destructive, true), false));
}

#[test]
fn a_snapshot_cut_to_one_server_compiles() {
    let cut = snapshot(&["time"], &["time", "everything"]);
    assert_eq!(check_references(&cut).len(), 2);
    let engine = Engine::compile(Arc::new(cut)).unwrap();
    assert!(engine.server("time").is_some() && engine.server("everything").is_none());
}

#[test]
fn too_many_words_are_a_fault_of_their_filter() {
    let mut big = snapshot(&[], &[]);
    let filter = Arc::make_mut(big.filters.values_mut().next().unwrap());
    filter.kind = Kind::Keywords {
        words: vec!["x".repeat(256); 2_000],
        fold: true,
    };
    let faults = Engine::compile(Arc::new(big)).unwrap_err();
    assert_eq!(
        (faults[0].code, faults[0].resource.to_string()),
        (TOO_MUCH, "Filter/f".to_owned())
    );
}
