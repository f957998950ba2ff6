//! `gatehouse describe` and `gatehouse explain`: what is known of one thing, and what words mean.

use serde_json::{Value, json};
use tests::place;

use crate::stage;

#[test]
fn a_server_is_described_with_who_may_use_it_and_by_which_rule() {
    let mesh = stage::workshop();
    mesh.gatehouse(&["call", "slow", "sleep", "--args", r#"{"seconds":0}"#])
        .good();
    mesh.recorded(&["--server", "slow"], |row| row["name"] == "sleep");
    let sheet = mesh
        .gatehouse(&["describe", "Server", "slow", "-o", "json"])
        .good()
        .json();
    assert_eq!(
        (&sheet["kind"], &sheet["name"]),
        (&json!("Server"), &json!("slow"))
    );
    assert_eq!(sheet["problems"], json!([]), "{sheet:#}");
    assert_eq!(sheet["resource"]["metadata"]["name"], "slow");
    assert_eq!(sheet["runs"][0]["state"], "ready", "{sheet:#}");
    assert_eq!(sheet["nodes"][0]["server"], "slow", "{sheet:#}");
    let engineers = json!({"who": "group engineering", "may_use": true, "rules": [
        {"name": "engineers", "effect": "allow", "targets": "everything"},
        {"name": "no-counting", "effect": "deny", "targets": "tools:cancelled"},
    ]});
    let callers = sheet["callers"].as_array().expect("it is a list");
    assert!(callers.contains(&engineers), "{callers:#?}");
    assert!(
        !callers
            .iter()
            .any(|caller| caller["who"] == "group support"),
        "no rule about it names support: {callers:#?}"
    );
    assert_eq!(sheet["filters"][0]["name"], "no-hacking");
    assert!(
        sheet["calls"]
            .as_array()
            .is_some_and(|calls| (1..=5).contains(&calls.len())),
        "{sheet:#}"
    );
    let people = mesh.gatehouse(&["describe", "server", "slow"]).good();
    for part in [
        "Server slow",
        "problems   none",
        "who may use it",
        "last calls",
    ] {
        assert!(people.stdout.contains(part), "no {part:?}: {people}");
    }
}

#[test]
fn what_is_wrong_stands_first() {
    let mesh = stage::infirmary();
    mesh.server_in("missing", "backoff");
    let people = mesh.gatehouse(&["describe", "Server", "missing"]).good();
    let mut lines = people.stdout.lines().skip(2);
    assert_eq!(lines.next(), Some("problems"), "{people}");
    let first = lines.next().unwrap_or_default();
    assert!(
        first.contains("missing") && !first.contains("none"),
        "{people}"
    );
}

#[test]
fn rules_filters_and_nodes_are_described_too() {
    let mesh = stage::workshop();
    let describe = |kind: &str, name: &str| {
        mesh.gatehouse(&["describe", kind, name, "-o", "json"])
            .good()
            .json()
    };
    let rule = describe("AccessRule", "support");
    assert_eq!(rule["servers"], json!(["hacker"]), "{rule:#}");
    assert_eq!(
        rule["changes"][0]["changes"][0]["action"], "created",
        "{rule:#}"
    );
    assert_eq!(rule["in_force"]["live"], 6, "{rule:#}");
    let filter = describe("Filter", "no-hacking");
    assert!(
        filter["servers"]
            .as_array()
            .is_some_and(|servers| servers.contains(&json!("slow"))),
        "{filter:#}"
    );
    assert!(
        filter["order"]
            .as_array()
            .is_some_and(|order| order.contains(&json!("no-hacking"))),
        "{filter:#}"
    );
    let nodes = mesh.gatehouse(&["nodes", "-o", "json"]).good().items();
    for node in nodes {
        let name = node["name"].as_str().expect("it is text");
        let sheet = describe("node", name);
        assert_eq!(sheet["node"]["name"], name, "{sheet:#}");
        let is_sidecar = node["kind"] == "sidecar";
        assert_eq!(sheet["server"].is_object(), is_sidecar, "{sheet:#}");
    }
}

#[test]
fn names_that_there_are_not_are_met_with_the_nearest() {
    let mesh = stage::workshop();
    let near = |words: &[&str], status: i32, says: &str| {
        let output = mesh.gatehouse(words).ended_with(status);
        assert_eq!(output.stdout, "", "{output}");
        assert!(output.stderr.contains(says), "no {says:?}: {output}");
    };
    near(&["describe", "Server", "slwo"], 1, "did you mean slow?");
    near(
        &["describe", "Filter", "no-hackin"],
        1,
        "did you mean no-hacking?",
    );
    near(&["describe", "node", "no-such-node"], 1, "there is no node");
    near(&["describe", "Sever", "slow"], 2, "did you mean Server?");
    near(&["get", "nodes"], 2, "gatehouse nodes");
    near(&["wait", "Sever", "slow"], 2, "did you mean Server?");
    near(
        &["key", "create", "--user", "x", "--server", "slwo"],
        1,
        "did you mean slow?",
    );
    near(
        &[
            "node", "token", "create", "--kind", "sidecar", "--server", "slwo",
        ],
        1,
        "did you mean slow?",
    );
    near(
        &["audit", "list", "--server", "slwo"],
        0,
        "did you mean slow?",
    );
    let error = mesh
        .gatehouse(&["describe", "Server", "slwo", "-o", "json"])
        .ended_with(1)
        .errors()
        .remove(0);
    assert_eq!(error["code"], "GH4001", "{error}");
}

#[test]
fn fields_are_explained_with_type_default_values_and_example() {
    let mesh = stage::workshop();
    let explain = |words: &[&str]| mesh.gatehouse(&[&["explain"], words].concat());
    let tenancy = explain(&["Server.spec.tenancy", "-o", "json"])
        .good()
        .json();
    assert_eq!(tenancy["default"], "shared", "{tenancy:#}");
    assert_eq!(tenancy["values"][0]["value"], "shared", "{tenancy:#}");
    assert_eq!(tenancy["example"], "tenancy: shared", "{tenancy:#}");
    let direct = explain(&["Server.spec", "-o", "json"]).good().items();
    let all = explain(&["Server.spec", "--recursive", "-o", "json"])
        .good()
        .items();
    assert!(
        all.len() > direct.len() + 20,
        "{} {}",
        all.len(),
        direct.len()
    );
    let people = explain(&["Server.spec.runtime"]).good();
    for part in ["npx", "required", "example   runtime:"] {
        assert!(people.stdout.contains(part), "no {part:?}: {people}");
    }
    let slip = explain(&["Server.spec.limits.idel"]).ended_with(2);
    assert!(
        slip.stderr
            .contains("gatehouse explain Server.spec.limits.idle"),
        "{slip}"
    );
    explain(&["GH0000"]).ended_with(2);
    explain(&["Nothing.spec"]).ended_with(2);
}

#[test]
fn a_code_is_explained_as_the_page_has_it() {
    let mesh = stage::workshop();
    let page = std::fs::read_to_string(place::file("docs/errors.md")).expect("the page is there");
    for code in ["GH1001", "gh2005", "GH5004", "GH6101"] {
        let told = mesh
            .gatehouse(&["explain", code, "-o", "json"])
            .good()
            .json();
        let text = told["text"].as_str().expect("it is text");
        let anchor = format!("<a id=\"{}\"></a>", code.to_ascii_lowercase());
        assert!(page.contains(text) && page.contains(&anchor), "{code}");
    }
}

#[test]
fn rules_that_came_near_are_told_with_why_they_did_not_match() {
    let mesh = stage::workshop();
    let words = ["explain", "--user", "sam@example.com", "--group", "support"];
    let rest = ["--server", "slow", "--tool", "sleep", "-o", "json"];
    let answer = mesh.gatehouse(&[&words[..], &rest].concat()).good().json();
    let rules = answer["rules"].as_array().expect("it is a list");
    let near = rules.iter().find(|rule| rule["name"] == "support");
    let why = near.map_or(&Value::Null, |rule| &rule["why_not"]);
    assert_eq!(why, "is about servers hacker", "{answer:#}");
}
