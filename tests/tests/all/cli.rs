//! The command line as scripts see it: exit codes, and one JSON document or nothing on standard output.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tests::process::Output;

use crate::stage;

fn members(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .unwrap_or_else(|| panic!("{value} is no object"))
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn usage_is_2_refusal_is_1_and_done_is_0() {
    let mesh = stage::workshop();
    mesh.gatehouse(&["get", "Server"]).good();
    mesh.gatehouse(&["--help"]).good();
    for usage in [
        &["no-such-command"][..],
        &["get"],
        &["apply", "--no-such-flag"],
        &["key", "create"],
    ] {
        let output = mesh.gatehouse(usage).ended_with(2);
        assert_eq!(output.stdout, "", "{output}");
        assert!(!output.stderr.is_empty(), "{output}");
    }
    mesh.gatehouse(&["get", "Server", "no-such-server"])
        .ended_with(1);
    mesh.gatehouse(&["apply", "-f", "/no/such/file.yaml"])
        .ended_with(1);
}

#[test]
fn the_exit_code_is_the_same_in_every_format() {
    let mesh = stage::workshop();
    let commands = [
        &["get", "Server", "no-such-server"][..],
        &["get", "Server", "slow"],
        &["get", "no-such-kind"],
    ];
    for command in commands {
        let codes: Vec<_> = ["table", "wide", "yaml", "json", "name"]
            .iter()
            .map(|format| mesh.gatehouse(&[command, &["-o", format]].concat()).status)
            .collect();
        assert!(
            codes.iter().all(|code| code == &codes[0]),
            "{command:?}: {codes:?}"
        );
    }
}

#[test]
fn nothing_is_a_list_of_nothing() {
    let mesh = stage::workshop();
    let output = mesh
        .gatehouse(&[
            "audit",
            "list",
            "--user",
            "nobody@example.com",
            "-o",
            "json",
        ])
        .good();
    assert_eq!(output.items(), Vec::<Value>::new());
    let people = mesh
        .gatehouse(&["audit", "list", "--user", "nobody@example.com"])
        .good();
    assert!(
        people.stderr.contains("nobody@example.com"),
        "the filter that emptied it is named: {people}"
    );
}

#[test]
fn lists_are_items() {
    let mesh = stage::workshop();
    let lists: [&[&str]; 6] = [
        &["get", "Server"],
        &["get", "AccessRule"],
        &["nodes"],
        &["server", "status"],
        &["key", "list"],
        &["audit", "list"],
    ];
    for words in lists {
        let output = mesh.gatehouse(&[words, &["-o", "json"]].concat()).good();
        assert!(output.json()["items"].is_array(), "{output}");
    }
    let servers = mesh
        .gatehouse(&["get", "Server", "-o", "json"])
        .good()
        .items();
    let names: Vec<_> = servers
        .iter()
        .filter_map(|server| server["metadata"]["name"].as_str())
        .collect();
    assert_eq!(names, ["everything", "hacker", "modern-only", "slow"]);
}

#[test]
fn a_key_is_made_as_id_and_key() {
    let mesh = stage::workshop();
    let made = mesh
        .gatehouse(&["key", "create", "--user", "ana@example.com", "-o", "json"])
        .good()
        .json();
    assert_eq!(members(&made), BTreeSet::from(["id", "key"]));
}

#[test]
fn explain_says_decision_reason_rule_and_filters() {
    let mesh = stage::workshop();
    let explain = |group: &str, tool: &str| {
        let words = [
            "explain",
            "--user",
            "x@example.com",
            "--group",
            group,
            "--server",
            "slow",
            "--tool",
            tool,
        ];
        mesh.gatehouse(&[&words[..], &["-o", "json"]].concat())
            .json()
    };
    let allowed = explain("engineering", "sleep");
    let expected = json!({"decision": "allow", "reason": null, "rule": "engineers", "filters": ["no-hacking"]});
    for (member, value) in expected.as_object().expect("it is an object") {
        assert_eq!(&allowed[member], value, "{member}: {allowed}");
    }
    let denied = explain("engineering", "cancelled");
    assert_eq!(
        (&denied["decision"], &denied["reason"], &denied["rule"]),
        (&json!("deny"), &json!("rule"), &json!("no-counting"))
    );
    let unknown = explain("nobody", "sleep");
    assert_eq!(
        (&unknown["decision"], &unknown["reason"], &unknown["rule"]),
        (&json!("deny"), &json!("no_rule"), &Value::Null)
    );
}

#[test]
fn an_error_in_json_goes_to_standard_error_with_code_and_fix() {
    let mesh = stage::workshop();
    let output = mesh
        .gatehouse(&["get", "Server", "slwo", "-o", "json"])
        .ended_with(1);
    assert_eq!(output.stdout, "", "{output}");
    let error = output.errors().remove(0);
    assert_eq!(
        members(&error),
        BTreeSet::from(["code", "message", "where", "why", "fix", "retryable"])
    );
    assert!(
        error.to_string().contains("slow"),
        "the nearest name is offered: {error}"
    );
}

#[test]
fn nobody_there_is_said_with_the_address_and_what_to_start() {
    let address = tests::ports::address();
    let mesh = stage::workshop();
    let output = mesh
        .gatehouse(&["--address", &format!("https://{address}"), "nodes"])
        .ended_with(1);
    for part in ["GH3001", address.as_str(), "gatehouse up"] {
        assert!(output.stderr.contains(part), "no {part:?}: {output}");
    }
}

#[test]
fn a_wrong_token_is_refused() {
    let mesh = stage::workshop();
    let output = mesh
        .gatehouse(&["--token", "not-the-token", "get", "Server"])
        .ended_with(1);
    assert!(output.stderr.contains("GH3003"), "{output}");
}

#[test]
fn call_prints_the_text_and_fails_where_the_call_is_refused_or_the_tool_fails() {
    let mesh = stage::workshop();
    let call = |words: &[&str]| -> Output { mesh.gatehouse(&[&["call"], words].concat()) };
    let said = call(&["everything", "echo", "--args", r#"{"message":"hi"}"#]).good();
    assert_eq!(said.stdout, "Echo: hi\n");
    let result = call(&[
        "everything",
        "echo",
        "--args",
        r#"{"message":"hi"}"#,
        "-o",
        "json",
    ])
    .good()
    .json();
    assert_eq!(result["content"][0]["text"], "Echo: hi");

    let refused = call(&["everything", "echo", "--args", r#"{"message":"hacking"}"#]).ended_with(1);
    assert_eq!(refused.stdout, "", "{refused}");
    for part in [
        "refused by filter no-hacking",
        "gatehouse explain --user admin",
    ] {
        assert!(refused.stderr.contains(part), "no {part:?}: {refused}");
    }
    call(&["everything", "get-sum", "--args", r#"{"a":"x"}"#]).ended_with(1);
    call(&["slow", "no-such-tool"]).ended_with(1);
    let none = call(&["everythin", "echo"]).ended_with(1);
    assert!(none.stderr.contains("did you mean everything?"), "{none}");
    call(&["everything", "echo", "--args", "{"]).ended_with(2);
}

#[test]
fn tools_lists_what_the_caller_may_call() {
    let mesh = stage::workshop();
    let output = mesh.gatehouse(&["tools", "slow", "-o", "json"]).good();
    let names: Vec<_> = output
        .items()
        .iter()
        .map(|tool| tool["name"].clone())
        .collect();
    assert_eq!(names, [json!("sleep"), json!("cancelled")], "{output}");
    let table = mesh.gatehouse(&["tools", "slow"]).good();
    assert!(
        table.stdout.contains("sleep") && table.stdout.contains("cancelled"),
        "{table}"
    );
}

#[test]
fn connect_prints_a_config_that_names_the_url() {
    let mesh = stage::workshop();
    let url = mesh.url(0, "slow");
    let plain = mesh.gatehouse(&["connect", "slow"]).good();
    assert!(plain.stdout.contains(&url), "{plain}");
    let cursor = mesh
        .gatehouse(&["connect", "slow", "--client", "cursor"])
        .good();
    assert!(
        cursor.stdout.contains(&url) && cursor.stdout.contains("mcpServers"),
        "{cursor}"
    );
}

#[test]
fn nodes_shows_every_edge_and_sidecar_at_the_head_revision() {
    let mesh = stage::workshop();
    let nodes = mesh.gatehouse(&["nodes", "-o", "json"]).good();
    let count = |kind: &str| {
        nodes
            .items()
            .iter()
            .filter(|node| node["kind"] == kind)
            .count()
    };
    assert_eq!((count("edge"), count("sidecar")), (2, 4), "{nodes}");
    assert!(
        nodes.items().iter().all(|node| node["live"] == true),
        "{nodes}"
    );
}

#[test]
fn get_prints_what_apply_takes() {
    let mesh = stage::workshop();
    let yaml = mesh
        .gatehouse(&["get", "AccessRule", "no-counting", "-o", "yaml"])
        .good();
    let file = mesh.file("again.yaml", &yaml.stdout);
    let again = mesh.gatehouse(&["apply", "-f", &file, "--dry-run"]).good();
    assert!(again.stdout.contains("unchanged"), "{again}");
}

#[test]
fn a_dry_run_stores_nothing() {
    let mesh = stage::workshop();
    let rule = tests::catalog::allow("dry", "nobody", &["slow"]);
    let file = mesh.file("dry.yaml", &tests::catalog::file(&[rule]));
    let dry = mesh.gatehouse(&["apply", "-f", &file, "--dry-run"]).good();
    assert!(dry.stdout.contains("AccessRule/dry"), "{dry}");
    mesh.gatehouse(&["get", "AccessRule", "dry"]).ended_with(1);
}

#[test]
fn no_colour_and_no_in_place_progress_on_a_pipe() {
    let mesh = stage::workshop();
    for words in [
        &["nodes"][..],
        &["get", "Server"],
        &["get", "Server", "slwo"],
        &["server", "status"],
    ] {
        let output = mesh.gatehouse(words);
        let all = format!("{}{}", output.stdout, output.stderr);
        assert!(!all.contains('\u{1b}') && !all.contains('\r'), "{output}");
    }
}
