//! Explanations of small installations.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

const FILES: &str = r#"
apiVersion: gatehouse.dev/v1
kind: Server
metadata: {name: everything}
spec: {runtime: {npx: {package: "x", version: "1.0.0"}}}
---
apiVersion: gatehouse.dev/v1
kind: AccessRule
metadata: {name: engineers}
spec: {effect: allow, subjects: [{group: engineering}], servers: [everything]}
---
apiVersion: gatehouse.dev/v1
kind: AccessRule
metadata: {name: no-env}
spec: {effect: deny, subjects: [{group: engineering}], servers: [everything], tools: [get-env]}
---
apiVersion: gatehouse.dev/v1
kind: Filter
metadata: {name: no-hacking}
spec: {match: {servers: ["*"], methods: [tools/call]}, keywords: {words: [hacking], fold: true}}
"#;

fn ask(group: &str, tool: &str, args: Option<&str>) -> Answer {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("all.yaml"), FILES).unwrap();
    let sources = Sources::read(&[dir.path().to_owned()]).unwrap();
    let snapshot = validate::snapshot(&sources).unwrap();
    let args = Args {
        topic: None,
        recursive: false,
        who: false,
        what: false,
        user: Some("ana".to_owned()),
        group: vec![group.to_owned()],
        client: None,
        server: Some("everything".to_owned()),
        tool: Some(tool.to_owned()),
        args: args.map(str::to_owned),
        address: None,
        at: None,
        file: Vec::new(),
    };
    let question = question(&args, &snapshot).unwrap();
    let mut answer = question.ask(&Engine::compile(snapshot.into()).unwrap());
    answer.place = answer.place(&sources);
    answer
}

#[test]
fn the_deciding_rule_is_named() {
    let answer = ask("engineering", "echo", None);
    assert_eq!(
        (answer.decision, answer.rule.as_deref()),
        ("allow", Some("engineers"))
    );
    assert_eq!(answer.filters, ["no-hacking"]);
    let answer = ask("engineering", "get-env", None);
    assert_eq!(
        (answer.decision, answer.reason, answer.rule.as_deref()),
        ("deny", Some("rule"), Some("no-env"))
    );
    let answer = ask("support", "echo", None);
    assert_eq!(
        (answer.decision, answer.reason, answer.rule),
        ("deny", Some("no_rule"), None)
    );
}

#[test]
fn filters_are_asked_where_arguments_are_given() {
    let answer = ask(
        "engineering",
        "echo",
        Some(r#"{"message":"about HACKING"}"#),
    );
    assert_eq!((answer.decision, answer.reason), ("deny", Some("filter")));
    assert_eq!(answer.filter.as_deref(), Some("no-hacking"));
    let answer = ask("engineering", "echo", Some(r#"{"message":"hi"}"#));
    assert_eq!((answer.decision, answer.asked), ("allow", Asked::Passed));
}

#[test]
fn json_begins_with_the_contracts_fields() {
    let text = serde_json::to_string(&ask("engineering", "echo", None)).unwrap();
    assert!(
        text.starts_with(
            r#"{"decision":"allow","reason":null,"rule":"engineers","filters":["no-hacking"]"#
        ),
        "{text}"
    );
}

#[test]
fn a_rule_of_a_file_is_told_with_its_line() {
    let place = |group, tool| ask(group, tool, None).place;
    assert!(
        place("engineering", "echo")
            .unwrap()
            .ends_with("all.yaml:7")
    );
    assert!(
        place("engineering", "get-env")
            .unwrap()
            .ends_with("all.yaml:12")
    );
    assert_eq!(place("support", "echo"), None);
}
