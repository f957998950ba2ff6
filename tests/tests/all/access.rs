//! Who may do what: rules cut lists and refuse calls alike, filters see text as a reader does, and every attempt is on
//! record.

use serde_json::{Value, json};
use tests::http::Response;
use tests::rpc::{Modern, Session, id_of};
use tests::sdk::Sdk;
use tests::shared::Guest;

use crate::stage;

const INVALID_PARAMS: i64 = -32602;
const REFUSED: i64 = -31010;

#[test]
fn a_tool_that_rules_leave_out_is_in_no_list() {
    let mesh = stage::quickstart();
    let url = mesh.url(0, "everything");
    let ana = Modern::new(&url, &stage::ana(&mesh)).tools();
    assert!(
        ana.contains(&"echo".to_owned()) && !ana.contains(&"get-env".to_owned()),
        "{ana:?}"
    );
    assert!(
        ana.len() > 3,
        "one tool is denied, not all but one: {ana:?}"
    );
    let sam = stage::sam(&mesh);
    assert_eq!(Modern::new(&url, &sam).tools(), ["echo"]);
    assert_eq!(Session::begin(&url, &sam).tools(), ["echo"]);
    assert_eq!(
        Modern::new(&mesh.url(0, "time"), &sam).tools(),
        ["get_current_time"]
    );
}

#[test]
fn a_hidden_tool_is_answered_as_unknown_and_explained_to_the_operator() {
    let mesh = stage::quickstart();
    let url = mesh.url(0, "everything");
    let cases = [
        (
            "ana@example.com",
            "engineering",
            stage::ana(&mesh),
            "rule",
            json!("engineers-no-env"),
        ),
        (
            "sam@example.com",
            "support",
            stage::sam(&mesh),
            "no_rule",
            Value::Null,
        ),
    ];
    for (user, group, key, reason, rule) in cases {
        let call = Modern::new(&url, &key).calling("get-env", json!({}));
        let answer = call.send();
        assert_eq!(answer.error_code(), INVALID_PARAMS, "{answer}");
        assert!(
            !answer.text().contains("engineers-no-env"),
            "the caller learns no rule: {answer}"
        );

        let words = [
            "explain",
            "--user",
            user,
            "--group",
            group,
            "--server",
            "everything",
            "--tool",
            "get-env",
        ];
        let explained = mesh
            .gatehouse(&[&words[..], &["-o", "json"]].concat())
            .json();
        assert_eq!(explained["decision"], "deny", "{explained}");
        assert_eq!(explained["reason"], reason, "{explained}");
        assert_eq!(explained["rule"], rule, "{explained}");

        let row = row_of(&mesh, user, &id_of(&call));
        assert_eq!(row["decision"], "deny", "{row}");
        assert_eq!(row["reason"], reason, "{row}");
        assert_eq!(row["rule"], rule, "{row}");
        assert_eq!(
            (&row["server"], &row["name"]),
            (&json!("everything"), &json!("get-env")),
            "{row}"
        );
    }
}

#[test]
fn an_sdk_meets_a_hidden_tool_as_an_error_with_the_code_of_an_unknown_one() {
    let mesh = stage::quickstart();
    let answer = Sdk::PythonLegacy.call(
        &mesh.url(0, "everything"),
        &stage::sam(&mesh),
        "get-env",
        &json!({}),
    );
    assert_eq!(answer.error_code(), INVALID_PARAMS, "{answer:?}");
}

#[test]
fn hidden_prompts_and_resources_are_in_no_list_and_unknown_when_asked_for() {
    let mesh = stage::workshop();
    let rule = json!({
        "effect": "allow", "subjects": [{"group": "readers"}], "servers": ["everything"],
        "prompts": ["simple-*"], "resources": ["demo://resource/static/*architecture*"],
    });
    mesh.apply(&[tests::catalog::resource("AccessRule", "readers", &rule)]);
    let client = Modern::new(
        &mesh.url(0, "everything"),
        &mesh.key("rea@example.com", &["readers"]).text,
    );
    let listed = |method: &str, list: &str, name: &str| -> Vec<String> {
        let result = client.request(method, json!({})).send().result();
        let items = result[list]
            .as_array()
            .unwrap_or_else(|| panic!("no {list}: {result}"));
        items
            .iter()
            .filter_map(|item| item[name].as_str())
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(listed("tools/list", "tools", "name"), Vec::<String>::new());
    assert_eq!(listed("prompts/list", "prompts", "name"), ["simple-prompt"]);
    let resources = listed("resources/list", "resources", "uri");
    assert!(
        !resources.is_empty() && resources.iter().all(|uri| uri.contains("architecture")),
        "{resources:?}"
    );
    let unknown = [
        ("prompts/get", json!({"name": "args-prompt"})),
        ("resources/read", json!({"uri": "demo://x"})),
    ];
    for (method, params) in unknown {
        assert_eq!(
            client.request(method, params).send().error_code(),
            INVALID_PARAMS
        );
    }
    let read = client
        .request("resources/read", json!({"uri": resources[0]}))
        .send()
        .result();
    assert!(read["contents"][0]["text"].is_string(), "{read}");
    mesh.gatehouse(&["delete", "AccessRule", "readers", "--wait"])
        .good();
}

#[test]
fn a_word_of_the_filter_in_an_argument_is_refused_and_recorded() {
    let mesh = stage::quickstart();
    let client = Modern::new(&mesh.url(0, "everything"), &stage::ana(&mesh));
    for message in ["let us go hacking", "HACKING", "Hacking!"] {
        let call = client.calling("echo", json!({"message": message}));
        refused_by_filter(&call.send());
        // The filter ran at the sidecar: its word completes the row that the edge's began.
        let id = id_of(&call);
        let row = mesh.recorded(&["--user", "ana@example.com"], |row| {
            row["request_id"] == id && row["filters"] == json!(["no-hacking"])
        });
        assert_eq!(
            (&row["decision"], &row["reason"]),
            (&json!("deny"), &json!("filter")),
            "{row}"
        );
    }
}

#[test]
fn a_word_written_with_an_escape_is_the_same_word() {
    let mesh = stage::quickstart();
    let client = Modern::new(&mesh.url(0, "everything"), &stage::ana(&mesh));
    let plain = client.calling("echo", json!({"message": "hacking"}));
    let escaped = plain.text().replace("hacking", "ha\\u0063king");
    refused_by_filter(&plain.body(escaped).send());
}

#[test]
fn a_word_in_a_result_is_refused_in_both_eras_however_it_is_written() {
    let mesh = stage::workshop();
    let (url, key) = (mesh.url(0, "hacker"), stage::ana(&mesh));
    for escaped in [false, true] {
        refused_by_filter(&Modern::new(&url, &key).call("say", json!({"escaped": escaped})));
        refused_by_filter(&Session::begin(&url, &key).call("say", json!({"escaped": escaped})));
    }
    let row = mesh.recorded(
        &["--user", "ana@example.com", "--server", "hacker"],
        |row| row["name"] == "say" && row["filters"] != json!([]),
    );
    assert_eq!(
        (&row["decision"], &row["reason"]),
        (&json!("deny"), &json!("filter")),
        "{row}"
    );
}

#[test]
fn a_deny_beats_every_allow_from_the_moment_that_apply_returns() {
    let mesh = stage::workshop();
    let key = mesh.key("dee@example.com", &["engineering", "dee"]).text;
    let clients = [0, 1].map(|edge| Modern::new(&mesh.url(edge, "slow"), &key));
    for client in &clients {
        assert_eq!(
            client.call("sleep", json!({"seconds": 0})).content(),
            "slept 0 s"
        );
    }
    mesh.apply(&[tests::catalog::deny_tool(
        "dee-may-not-sleep",
        "dee",
        "slow",
        "sleep",
    )]);
    for client in &clients {
        assert_eq!(
            client.call("sleep", json!({"seconds": 0})).error_code(),
            INVALID_PARAMS
        );
        assert_eq!(client.tools(), Vec::<String>::new());
    }
    mesh.gatehouse(&["delete", "AccessRule", "dee-may-not-sleep", "--wait"])
        .good();
    for client in &clients {
        assert_eq!(
            client.call("sleep", json!({"seconds": 0})).content(),
            "slept 0 s"
        );
    }
}

#[test]
fn a_server_that_the_caller_may_not_use_does_not_exist_to_the_byte() {
    let mesh = stage::workshop();
    let key = stage::sam(&mesh);
    let ask = |server: &str| {
        let client = Modern::new(&mesh.url(0, server), &key);
        let mut response = client
            .request_with_id("same", "tools/list", json!({}))
            .send()
            .expect_status(404);
        response.headers.remove("date");
        (response.headers, response.body)
    };
    assert_eq!(ask("slow"), ask("no-such-server"));
}

#[test]
fn a_caller_without_a_good_key_learns_of_no_server() {
    let mesh = stage::workshop();
    let ask = |server: &str, key: &str| {
        let client = Modern::new(&mesh.url(0, server), key);
        let mut response = client
            .request_with_id("same", "tools/list", json!({}))
            .send()
            .expect_status(401);
        let challenge = response.header("www-authenticate").to_owned();
        let metadata = format!(
            "{}/.well-known/oauth-protected-resource/mcp/{server}",
            mesh.edge(0)
        );
        assert_eq!(
            challenge,
            format!("Bearer resource_metadata=\"{metadata}\"")
        );
        // Metadata is served for every well-formed name, so it tells nothing either.
        assert_eq!(
            tests::http::Request::get(&metadata).send().status,
            200,
            "{metadata}"
        );
        response.headers.remove("date");
        response.headers.remove("www-authenticate");
        (response.headers, response.body)
    };
    let absent = ask("slow", "");
    assert_eq!(
        absent,
        ask("slow", "gh_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
    );
    assert_eq!(absent, ask("slow", "no-key-at-all"));
    assert_eq!(absent, ask("no-such-server", ""));
}

#[track_caller]
fn refused_by_filter(answer: &Response) {
    assert_eq!(answer.status, 200, "{answer}");
    let error = answer.error();
    assert_eq!(error["code"], REFUSED, "{answer}");
    let expected = json!({"reason": "filter", "filter": "no-hacking", "decision": "deny"});
    assert_eq!(error["data"], expected, "{answer}");
    assert!(
        answer.reply()["result"].is_null(),
        "no word of the result comes through: {answer}"
    );
}

#[track_caller]
fn row_of(mesh: &Guest, user: &str, request_id: &str) -> Value {
    mesh.recorded(&["--user", user], |row| row["request_id"] == request_id)
}
