//! Rules with conditions: what may be called is listed, what is refused for its arguments is refused as such, at both
//! hops alike; and rules that only observe.

use serde_json::{Value, json};
use tests::catalog;
use tests::mesh::{Mesh, Running};
use tests::rpc::{Modern, Session, id_of};

const REFUSED: i64 = -31010;
const INVALID_PARAMS: i64 = -32602;

fn rule(name: &str, spec: Value) -> Value {
    catalog::resource("AccessRule", name, &spec)
}

/// The server `everything`, labelled, and these rules.
fn mesh(rules: &[Value]) -> Running {
    let mut everything = catalog::everything();
    everything["metadata"]["labels"] = json!({"team": "platform"});
    let resources = [&[everything], rules].concat();
    Mesh::new().with(&resources).start()
}

#[test]
fn a_call_is_refused_for_its_arguments_and_its_tool_stays_in_the_list() {
    let mesh = mesh(&[
        catalog::allow("engineers", "engineering", &["everything"]),
        rule(
            "no-env",
            json!({"effect": "deny", "everyone": true, "servers": ["everything"], "tools": ["get-env"]}),
        ),
    ]);
    let example = tests::place::file("deploy/examples/no-secrets.yaml");
    let example = example.to_str().expect("its path is text").to_owned();
    mesh.gatehouse(&["apply", "-f", &example, "--wait"]).good();
    let (url, key) = (
        mesh.url(0, "everything"),
        mesh.key("ana@example.com", &["engineering"]).text,
    );
    let modern = Modern::new(&url, &key);
    let session = Session::begin(&url, &key);
    for tools in [modern.tools(), session.tools()] {
        assert!(tools.contains(&"echo".to_owned()), "{tools:?}");
        assert!(!tools.contains(&"get-env".to_owned()), "{tools:?}");
    }
    assert!(
        modern
            .call("echo", json!({"message": "hi"}))
            .text()
            .contains("Echo: hi")
    );
    let call = modern.calling("echo", json!({"message": "a secret"}));
    let id = id_of(&call);
    for refused in [
        call.send(),
        session.call("echo", json!({"message": "a secret"})),
    ] {
        assert_eq!(
            (refused.status, refused.error_code()),
            (200, REFUSED),
            "{refused}"
        );
        let data = &refused.error()["data"];
        assert_eq!(
            *data,
            json!({"reason": "rule", "rule": "no-secrets", "decision": "deny"})
        );
    }
    // The same text, written otherwise.
    let escaped = call.text().replace("a secret", "a s\\u0065cret");
    assert_eq!(call.body(escaped).send().error_code(), REFUSED);
    // Of what it cannot be told, it is refused; what is hidden stays unknown.
    assert_eq!(
        modern.call("echo", json!({"message": 7})).error_code(),
        REFUSED
    );
    assert_eq!(
        modern.call("get-env", json!({})).error_code(),
        INVALID_PARAMS
    );
    let row = mesh.recorded(&["--user", "ana@example.com"], |row| {
        row["request_id"] == id
    });
    assert_eq!(
        (&row["decision"], &row["rule"]),
        (&json!("deny"), &json!("no-secrets")),
        "{row}"
    );

    let explain = |args: &str| {
        let words = [
            "explain",
            "--user",
            "ana@example.com",
            "--group",
            "engineering",
            "--server",
            "everything",
        ];
        let call = ["--tool", "echo", "--args", args, "-o", "json"];
        mesh.gatehouse(&[&words[..], &call].concat()).json()
    };
    let why = explain(r#"{"message":"a secret"}"#);
    assert_eq!(
        (&why["decision"], &why["rule"]),
        (&json!("deny"), &json!("no-secrets")),
        "{why}"
    );
    assert_eq!(explain(r#"{"message":"hi"}"#)["decision"], "allow");
}

#[test]
fn conditions_ask_for_groups_labels_and_addresses_at_both_hops() {
    let here = r#"cidr("127.0.0.0/8").containsIP(client_address)"#;
    let mesh = mesh(&[
        rule(
            "by-label",
            json!({"effect": "allow", "subjects": [{"group": "platform"}],
            "servers": [{"labels": {"team": "platform"}}], "tools": ["echo"], "when": here}),
        ),
        rule(
            "by-group",
            json!({"effect": "allow", "everyone": true, "servers": ["*"], "tools": ["get-sum"],
            "when": r#""finance" in principal.groups && args.a < 1000"#}),
        ),
        rule(
            "elsewhere",
            json!({"effect": "allow", "subjects": [{"group": "platform"}],
            "servers": [{"labels": {"team": "other"}}], "tools": ["get-env"]}),
        ),
        rule(
            "no-strangers",
            json!({"effect": "deny", "everyone": true, "servers": ["*"], "when": format!("!({here})")}),
        ),
    ]);
    let url = mesh.url(0, "everything");
    let of = |user: &str, groups: &[&str]| Modern::new(&url, &mesh.key(user, groups).text);
    // The sidecar decides by the address that the edge states, not by the edge's own.
    let pam = of("pam", &["platform"]);
    assert_eq!(pam.tools(), ["echo"]);
    assert!(
        pam.call("echo", json!({"message": "hi"}))
            .text()
            .contains("Echo: hi")
    );
    let fin = of("fin", &["finance"]);
    assert_eq!(fin.tools(), ["get-sum"]);
    assert!(
        fin.call("get-sum", json!({"a": 1, "b": 2}))
            .text()
            .contains('3')
    );
    let much = fin.call("get-sum", json!({"a": 1000, "b": 2}));
    assert_eq!(much.error_code(), REFUSED, "{much}");
    assert_eq!(
        much.error()["data"],
        json!({"reason": "no_rule", "decision": "deny"})
    );
    // Who is in neither group can use nothing here, whatever the arguments: there is no server.
    assert_eq!(of("eve", &["sales"]).call("echo", json!({})).status, 404);
}

#[test]
fn a_rule_that_observes_refuses_nothing_and_is_on_record() {
    let mesh = mesh(&[
        catalog::allow("engineers", "engineering", &["everything"]),
        rule(
            "trial",
            json!({"effect": "deny", "everyone": true, "servers": ["everything"], "tools": ["echo"],
            "when": r#"args.message.contains("secret")"#, "mode": "observe"}),
        ),
    ]);
    let client = Modern::new(
        &mesh.url(0, "everything"),
        &mesh.key("ana@example.com", &["engineering"]).text,
    );
    let would = client.calling("echo", json!({"message": "a secret"}));
    assert!(would.send().text().contains("Echo: a secret"));
    let fine = client.calling("echo", json!({"message": "hi"}));
    assert!(fine.send().text().contains("Echo: hi"));
    let row = |id: Value| {
        mesh.recorded(&["--user", "ana@example.com"], move |row| {
            row["request_id"] == id
        })
    };
    let (would, fine) = (row(json!(id_of(&would))), row(json!(id_of(&fine))));
    assert_eq!(
        (&would["decision"], &would["observed"]),
        (&json!("allow"), &json!("deny by trial")),
        "{would}"
    );
    assert_eq!(
        (&fine["decision"], &fine["observed"]),
        (&json!("allow"), &Value::Null),
        "{fine}"
    );
}

#[test]
fn a_condition_that_could_never_hold_is_refused_with_its_place() {
    let mesh = mesh(&[]);
    let file = mesh.file(
        "rules.yaml",
        "apiVersion: gatehouse.dev/v1\nkind: AccessRule\nmetadata: {name: engineers}\nspec:\n  effect: allow\n  \
         everyone: true\n  servers: [\"*\"]\n  when: 'principal.group == \"eng\"'\n",
    );
    for command in ["apply", "validate"] {
        let refused = mesh.gatehouse(&[command, "-f", &file]);
        assert_eq!(refused.status, Some(1), "{refused}");
        let said = &refused.stderr;
        for part in [
            "GH2004",
            "principal has no field `group`",
            "rules.yaml:8:",
            "did you mean `groups`?",
        ] {
            assert!(said.contains(part), "{command}: {part}: {said}");
        }
    }
}

#[test]
fn who_is_in_a_group_by_membership_is_in_it_everywhere() {
    let group =
        |name: &str, members: Value| catalog::resource("Group", name, &json!({"members": members}));
    let mesh = mesh(&[
        group(
            "finance",
            json!([{"user": "ana@example.com"}, {"group": "accounting"}]),
        ),
        group("staff", json!([{"group": "finance"}])),
        rule(
            "staff-only",
            json!({"effect": "allow", "subjects": [{"group": "staff"}], "servers": ["everything"],
            "tools": ["echo"], "when": r#""finance" in principal.groups"#}),
        ),
    ]);
    let url = mesh.url(0, "everything");
    for (user, groups) in [
        ("ana@example.com", &[][..]),
        ("bob@example.com", &["accounting"]),
    ] {
        let client = Modern::new(&url, &mesh.key(user, groups).text);
        assert_eq!(client.tools(), ["echo"], "{user}");
        let call = client.calling("echo", json!({"message": "hi"}));
        assert!(call.send().text().contains("Echo: hi"), "{user}");
        let id = id_of(&call);
        let row = mesh.recorded(&["--user", user], |row| row["request_id"] == id);
        let groups = row["groups"].as_array().expect("a list");
        assert!(groups.contains(&json!("staff")), "{row}");
    }
    let who = mesh.gatehouse(&[
        "explain",
        "--server",
        "everything",
        "--tool",
        "echo",
        "--who",
        "-o",
        "json",
    ]);
    let who = who.json();
    let names: Vec<_> = who["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| &item["who"])
        .collect();
    // Who is in staff and not in finance is kept out by the condition.
    assert!(!names.contains(&&json!("group staff")), "{who}");
    assert!(
        names
            .iter()
            .any(|name| name.to_string().ends_with("of bob@example.com\"")),
        "{who}"
    );
    let what = mesh
        .gatehouse(&[
            "explain",
            "--user",
            "ana@example.com",
            "--what",
            "-o",
            "json",
        ])
        .json();
    let expected = json!([{"server": "everything", "kind": "tools", "pattern": "echo", "decision": "allow",
        "rule": "staff-only", "when": r#""finance" in principal.groups"#}]);
    assert_eq!(what["items"], expected, "{what}");
    let circle = group("accounting", json!([{"group": "staff"}]));
    let file = mesh.file("circle.json", &circle.to_string());
    let refused = mesh.gatehouse(&["apply", "-f", &file]);
    assert!(
        refused.stderr.contains("GH2004") && refused.stderr.contains("is in itself"),
        "{refused}"
    );
}
