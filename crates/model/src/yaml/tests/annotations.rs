//! Rules by annotations, and servers that are trusted: what is read, and what is refused.

use super::*;
use crate::access::Targets;
use crate::name::Glob;
use crate::wire::Item;

fn by(annotations: &str, more: &str) -> String {
    rule(&format!(
        "  effect: allow\n  everyone: true\n  servers: [\"*\"]\n  annotations: {annotations}\n{more}"
    ))
}

fn targets_of(text: &str) -> (Targets, String) {
    let resource = parse(&[source("f.yaml", text)]).unwrap().remove(0).resource;
    let Item::AccessRule(rule) = crate::wire::convert(&resource).unwrap() else {
        panic!("not a rule")
    };
    (rule.targets.clone(), rule.annotations.to_string())
}

fn of_tools(glob: &str) -> Targets {
    Targets::Some {
        tools: vec![Glob::new(glob).unwrap()],
        prompts: vec![],
        resources: vec![],
        methods: vec![],
    }
}

#[test]
fn a_rule_with_annotations_is_about_tools_alone() {
    assert_eq!(
        targets_of(&by("{readOnlyHint: true, openWorldHint: false}", "")),
        (
            of_tools("*"),
            "readOnlyHint: true, openWorldHint: false".to_owned()
        )
    );
    assert_eq!(
        targets_of(&by("{destructiveHint: true}", "  tools: [get-*]\n")),
        (of_tools("get-*"), "destructiveHint: true".to_owned())
    );
}

#[test]
fn what_can_never_match_is_refused() {
    let beside = "is given beside annotations, which tools alone have: it can never match; write a rule of its own";
    let more = "  tools: []\n  prompts: [p]\n  resources: []\n  methods: [tools/call]\n";
    assert_eq!(
        faults_of(&by("{readOnlyHint: true}", more)),
        [
            format!("GH2004 f.yaml:10:3 «prompts» spec.prompts {beside}"),
            format!("GH2004 f.yaml:11:3 «resources» spec.resources {beside}"),
            format!("GH2004 f.yaml:12:3 «methods» spec.methods {beside}"),
        ]
    );
    assert_eq!(
        faults_of(&by("{readOnlyHint: true}", "  tools: []\n")),
        [
            "GH2004 f.yaml:9:3 «tools» spec.tools is empty, and nothing else is given: the rule can never match"
        ]
    );
    assert_eq!(
        faults_of(&by("{}", "")),
        [
            "GH1003 f.yaml:8:3 «annotations» spec.annotations: names no annotation: give one of readOnlyHint, \
             destructiveHint, idempotentHint, openWorldHint"
        ]
    );
}

#[test]
fn an_unknown_hint_gets_the_nearest_name_and_no_fault_that_follows() {
    assert_eq!(
        faults_of(&by("{readonlyHint: true}", "")),
        [
            "GH1001 f.yaml:8:17 «readonlyHint» spec.annotations.readonlyHint is not a field of AccessRule \
             | did you mean `readOnlyHint`? \
             | fields here: readOnlyHint, destructiveHint, idempotentHint, openWorldHint"
        ]
    );
    assert_eq!(
        faults_of(&by("{readOnlyHint: yes}", "")).len(),
        1,
        "a word is not true"
    );
}

#[test]
fn who_approves_nothing_can_trust_nothing() {
    let tools = |policy: &str| format!("{SERVER}  tools: {policy}\n");
    assert_eq!(
        faults_of(&tools("{pin: off, trustAnnotations: true}")),
        [
            "GH1002 f.yaml:7:39 «true» spec.tools.trustAnnotations is true, and no definition is ever approved that \
             could be trusted: `pin: review` or `pin: auto` is wanted"
        ]
    );
    for policy in [
        "{trustAnnotations: false}",
        "{pin: auto, trustAnnotations: true}",
        "{pin: review, trustAnnotations: true}",
    ] {
        assert_eq!(parse(&[source("f.yaml", &tools(policy))]).unwrap().len(), 1);
    }
}
