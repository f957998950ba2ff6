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
kind: VirtualServer
metadata: {name: desk}
spec: {members: [{server: everything, prefix: all_}]}
---
apiVersion: gatehouse.dev/v1
kind: AccessRule
metadata: {name: no-desk}
spec: {effect: deny, subjects: [{group: guests}], servers: [desk]}
---
apiVersion: gatehouse.dev/v1
kind: Filter
metadata: {name: no-hacking}
spec: {match: {servers: ["*"], methods: [tools/call]}, keywords: {words: [hacking], fold: true}}
"#;

fn ask(group: &str, tool: &str, args: Option<&str>) -> Answer {
    ask_at("everything", group, tool, args).unwrap()
}

fn ask_at(server: &str, group: &str, tool: &str, args: Option<&str>) -> Result<Answer, Failure> {
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
        server: Some(server.to_owned()),
        tool: Some(tool.to_owned()),
        args: args.map(str::to_owned),
        address: None,
        at: None,
        file: Vec::new(),
    };
    let engine = Engine::compile(snapshot.into()).unwrap();
    let mut answer = question(&args, &engine)?.ask(&engine);
    answer.place = answer.place(&sources);
    Ok(answer)
}

#[test]
fn of_a_virtual_servers_tool_is_told_whose_it_is_and_what_its_rules_say() {
    let at_desk = |group, tool| ask_at("desk", group, tool, None);
    let answer = at_desk("engineering", "all_get-env").unwrap();
    assert_eq!(
        (answer.decision, answer.rule.as_deref()),
        ("deny", Some("no-env"))
    );
    let through = answer.through.unwrap();
    assert_eq!(
        (&*through.server, &*through.tool),
        ("everything", "get-env")
    );
    let unknown = at_desk("engineering", "get-env").unwrap_err();
    assert_eq!(unknown.faults[0].code, codes::NO_SUCH);
    // To whom the virtual server is refused, there is no member.
    let refused = at_desk("guests", "all_echo").unwrap();
    assert_eq!(
        (refused.decision, refused.rule.as_deref()),
        ("deny", Some("no-desk"))
    );
    assert!(refused.through.is_none());
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
