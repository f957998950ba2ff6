#![allow(clippy::unwrap_used, reason = "tests")]
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::envelope::{Limits, scan};
use crate::method::{self, ListKind};
use crate::revision::Revision;

fn out(message: &Value, method: &str) -> Value {
    let bytes = serde_json::to_vec(message).unwrap();
    let envelope = scan(&bytes, &Limits::RESPONSE).unwrap();
    let changed = outward::message(&bytes, &envelope, method, "time").unwrap();
    serde_json::from_slice(&changed.unwrap_or(bytes)).unwrap()
}

#[test]
fn uris_say_whose_they_are() {
    for (own, exposed) in [
        ("file:///a", "gh.time+file:///a"),
        ("ui://clock/face.html", "ui://gh.time/clock/face.html"),
        ("gh.a+file:///a", "gh.time+gh.a+file:///a"),
        ("x{?y}", "gh.time+x{?y}"),
        ("", "gh.time+"),
    ] {
        assert_eq!(uri::exposed("time", own), exposed);
        assert_eq!(uri::own(exposed), Some(("time", own.into())));
    }
    for none in [
        "file:///a",
        "gh.time",
        "ui://time/x",
        "ui://gh.time",
        "gh.time+ui://x",
    ] {
        assert_eq!(uri::own(none), None, "{none}");
    }
}

#[test]
fn uris_in_results_are_the_clients() {
    let result = |result: Value| json!({"jsonrpc": "2.0", "id": 1, "result": result});
    assert_eq!(
        out(
            &result(
                json!({"contents": [{"uri": "u:1", "text": "u:1"}, {"uri": "u:2", "blob": ""}]})
            ),
            method::RESOURCES_READ
        ),
        result(
            json!({"contents": [{"uri": "gh.time+u:1", "text": "u:1"}, {"uri": "gh.time+u:2", "blob": ""}]})
        )
    );
    let blocks = |a: &str, b: &str| {
        json!([{"type": "text", "text": "u:1", "uri": "u:1"}, {"type": "resource_link", "uri": a, "name": "n"},
            {"type": "resource", "resource": {"uri": b, "text": "t"}}])
    };
    assert_eq!(
        out(
            &result(json!({"content": blocks("u:1", "ui://x")})),
            method::TOOLS_CALL
        ),
        result(json!({"content": blocks("gh.time+u:1", "ui://gh.time/x")}))
    );
    let prompt =
        |uri: &str| result(json!({"messages": [{"role": "user", "content": blocks(uri, uri)[2]}]}));
    assert_eq!(
        out(&prompt("u:1"), method::PROMPTS_GET),
        prompt("gh.time+u:1")
    );
    let completed = result(json!({"completion": {"values": ["u:1"]}}));
    assert_eq!(out(&completed, method::COMPLETION_COMPLETE), completed);
    let error = |uri: &str| json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32002, "message": "", "data": {"uri": uri}}});
    assert_eq!(
        out(&error("u:1"), method::RESOURCES_READ),
        error("gh.time+u:1")
    );
}

#[test]
fn what_a_member_asks_and_tells_says_whose_it_is() {
    let asks =
        json!({"jsonrpc": "2.0", "id": "a\"b", "method": "sampling/createMessage", "params": {}});
    let asked = out(&asks, method::TOOLS_CALL);
    let id = asked["id"].as_str().unwrap();
    assert_eq!(asked_by(id), Some(("time", r#""a\"b""#)));
    let number = json!({"jsonrpc": "2.0", "id": 7, "method": "ping"});
    assert_eq!(out(&number, "")["id"], "time:7");
    let updated = |uri: &str| json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri}});
    assert_eq!(out(&updated("u:1"), ""), updated("gh.time+u:1"));
    let taken_back = |id: Value| json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
    assert_eq!(out(&taken_back(json!(7)), ""), taken_back(json!("time:7")));
    let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": 1}});
    assert_eq!(out(&progress, ""), progress);
}

fn page(result: &Value, kind: ListKind) -> lists::Page {
    let bytes = serde_json::to_vec(&json!({"jsonrpc": "2.0", "id": 1, "result": result})).unwrap();
    let envelope = scan(&bytes, &Limits::RESPONSE).unwrap();
    let mut rename = |own: &str| (own != "hidden").then(|| format!("t_{own}"));
    lists::page(&bytes, &envelope, kind, "time", &mut rename).unwrap()
}

#[test]
fn lists_are_named_anew() {
    let tools = page(
        &json!({"tools": [{"name": "hidden"}, {"name": "a", "_meta": {"ui": {"resourceUri": "ui://a"}, "ui/resourceUri": "ui://b"}},
            {"name": "hidden"}, {"name": "b"}], "nextCursor": "c", "ttlMs": 5}),
        ListKind::Tools,
    );
    let items: Value = serde_json::from_slice(&[b"[", &tools.items[..], b"]"].concat()).unwrap();
    assert_eq!(
        items,
        json!([{"name": "t_a", "_meta": {"ui": {"resourceUri": "ui://gh.time/a"}, "ui/resourceUri": "ui://gh.time/b"}},
            {"name": "t_b"}])
    );
    assert_eq!(
        (tools.cursor.as_deref(), tools.ttl_ms),
        (Some("c"), Some(5))
    );
    let none = page(&json!({"tools": [ {"name": "hidden"} ]}), ListKind::Tools);
    assert_eq!(none, lists::Page::default());
    let resources = page(
        &json!({"resources": [{"uri": "u:1", "name": "x"}]}),
        ListKind::Resources,
    );
    assert_eq!(resources.items, br#"{"name":"x","uri":"gh.time+u:1"}"#);
}

#[test]
fn a_request_for_a_list_goes_on_where_it_is_told() {
    let of = |params: Value, cursor: Option<&str>| {
        let bytes = serde_json::to_vec(
            &json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": params}),
        )
        .unwrap();
        let envelope = scan(&bytes, &Limits::REQUEST).unwrap();
        let placed = lists::at_place(&bytes, &envelope, cursor).unwrap();
        serde_json::from_slice::<Value>(&placed).unwrap()["params"].clone()
    };
    assert_eq!(of(json!({}), Some("a")), json!({"cursor": "a"}));
    assert_eq!(
        of(json!({"cursor": "x", "_meta": {}}), Some("a")),
        json!({"cursor": "a", "_meta": {}})
    );
    assert_eq!(
        of(json!({"cursor": "x", "_meta": {}}), None),
        json!({"_meta": {}})
    );
}

#[test]
fn a_request_is_aimed_at_what_a_member_knows() {
    let of = |message: Value, target: &str| {
        let bytes = serde_json::to_vec(&message).unwrap();
        let envelope = scan(&bytes, &Limits::REQUEST).unwrap();
        serde_json::from_slice::<Value>(&aimed_at(&bytes, &envelope, target).unwrap()).unwrap()
    };
    let call = |name: &str| json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": {"name": "x"}}});
    assert_eq!(of(call("all_echo"), "echo"), call("echo"));
    let complete = |uri: &str| {
        json!({"jsonrpc": "2.0", "id": 1, "method": "completion/complete",
        "params": {"ref": {"type": "ref/resource", "uri": uri}, "argument": {"name": "a", "value": ""}}})
    };
    assert_eq!(of(complete("gh.time+u:{a}"), "u:{a}"), complete("u:{a}"));
}

#[test]
fn members_are_one_server() {
    let meta = || serde_json::Map::new();
    let members = [
        (
            "time",
            json!({"capabilities": {"tools": {"listChanged": true}}, "ttlMs": 9, "instructions": "Ask."}),
        ),
        (
            "docs",
            json!({"capabilities": {"tools": {}, "resources": {"subscribe": true}, "acme": {}}, "ttlMs": 4}),
        ),
    ];
    let identity = hello::Identity {
        name: "desk",
        title: "Desk",
        version: "1",
    };
    let info = json!({"name": "desk", "title": "Desk", "version": "1"});
    let capabilities = json!({"tools": {"listChanged": true}, "resources": {"subscribe": true}});
    assert_eq!(
        hello::discover_result(&members, identity, &[Revision::LATEST], meta()),
        json!({"resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": capabilities, "ttlMs": 4,
            "cacheScope": "private", "instructions": "## time\n\nAsk.",
            "_meta": {"io.modelcontextprotocol/serverInfo": info}})
    );
    let begun =
        hello::initialize_result(&members, identity, Revision::V2025_06_18, meta()).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&begun).unwrap(),
        json!({"protocolVersion": "2025-06-18", "capabilities": capabilities, "serverInfo": info,
            "instructions": "## time\n\nAsk."})
    );
}

#[test]
fn a_subscription_is_shared_out_and_granted_as_one() {
    let request = |uris: &[&str]| {
        serde_json::to_vec(
            &json!({"jsonrpc": "2.0", "id": "s", "method": "subscriptions/listen", "params":
            {"notifications": {"toolsListChanged": false, "resourceSubscriptions": uris}}}),
        )
        .unwrap()
    };
    let bytes = request(&["gh.time+u:1", "ui://gh.docs/x"]);
    let envelope = scan(&bytes, &Limits::REQUEST).unwrap();
    let wanted = listen::Wanted::of(&bytes, &envelope).unwrap();
    assert!(!wanted.lists && wanted.concerns("time") && !wanted.concerns("crm"));
    assert_eq!(
        wanted.of_member(&bytes, "docs").unwrap(),
        request(&["ui://x"])
    );
    let bad = request(&["u:1"]);
    assert!(listen::Wanted::of(&bad, &scan(&bad, &Limits::REQUEST).unwrap()).is_err());

    let mut granted = listen::Granted::default();
    let mut add = |server, notifications: Value| {
        let ack = serde_json::to_vec(
            &json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
            "params": {"notifications": notifications}}),
        )
        .unwrap();
        assert!(granted.add(&ack, &scan(&ack, &Limits::RESPONSE).unwrap(), server));
    };
    add(
        "time",
        json!({"toolsListChanged": true, "resourceSubscriptions": ["u:1"]}),
    );
    add("docs", json!({"promptsListChanged": false}));
    let ack: Value =
        serde_json::from_slice(&granted.acknowledgement(br#""s""#, serde_json::Map::new()))
            .unwrap();
    assert_eq!(
        ack["params"],
        json!({"notifications": {"toolsListChanged": true, "resourceSubscriptions": ["gh.time+u:1"]},
            "_meta": {"io.modelcontextprotocol/subscriptionId": "s"}})
    );
    let end = listen::ended(b"7");
    assert_eq!(
        serde_json::from_slice::<Value>(&end).unwrap()["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"],
        7
    );
}

proptest! {
    #[test]
    fn uris_are_reversible(server in "[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?", own in "(ui://|gh\\.|gh\\.a\\+|ui://gh\\.a/|)\\PC{0,20}") {
        let exposed = uri::exposed(&server, &own);
        let (whose, back) = uri::own(&exposed).unwrap();
        prop_assert_eq!((whose, &*back), (&*server, &*own));
    }

    #[test]
    fn what_looks_like_ours_is_exactly_one_members(text in "(ui://|)(gh\\.|)[a-z+/:.]{0,12}") {
        if let Some((server, own)) = uri::own(&text) {
            prop_assert_eq!(uri::exposed(server, &own), text);
        }
    }

    #[test]
    fn cursors_come_back(places in proptest::collection::vec(("[a-z]{1,5}", "\\PC{0,10}"), 1..5)) {
        let cursor = cursor::encode(ListKind::Tools, &places).0.unwrap();
        prop_assert_eq!(cursor::decode(ListKind::Tools, &cursor), Some(places));
        prop_assert_eq!(cursor::decode(ListKind::Prompts, &cursor), None);
    }

    #[test]
    fn a_cursor_is_never_too_long_to_come_back(sizes in proptest::collection::vec(0..cursor::BYTES_MAX, 1..8)) {
        let places: Vec<_> = sizes.iter().map(|n| (format!("m{n}"), "\"".repeat(*n))).collect();
        let (made, left) = cursor::encode(ListKind::Tools, &places);
        let back = made.map_or_else(Vec::new, |made| cursor::decode(ListKind::Tools, &made).unwrap());
        prop_assert_eq!(back.len() + left.len(), places.len());
        let held: Vec<_> = places.iter().filter(|(server, _)| !left.contains(&server.as_str())).collect();
        prop_assert_eq!(back.iter().collect::<Vec<_>>(), held);
    }

    #[test]
    fn what_is_no_cursor_is_told(text in "\\PC{0,40}") {
        prop_assert_eq!(cursor::decode(ListKind::Tools, &text), None);
    }

    #[test]
    fn ids_of_what_is_asked_come_back(server in "[a-z0-9-]{1,8}", id in "\\PC{0,12}") {
        let raw = quoted(&id);
        let asked = asked_id(&server, &raw);
        let text: String = serde_json::from_slice(&asked).unwrap();
        let (whose, back) = asked_by(&text).unwrap();
        prop_assert_eq!((whose, back.as_bytes()), (&*server, &raw[..]));
    }
}

#[test]
fn tasks_say_whose_they_are() {
    let begun = |id: &str| json!({"jsonrpc": "2.0", "id": 1, "result": {"resultType": "task", "taskId": id}});
    assert_eq!(out(&begun("t"), method::TOOLS_CALL), begun("time:t"));
    let link = |uri: &str| json!({"content": [{"type": "resource_link", "uri": uri, "name": "n"}]});
    let got = |id: &str, uri: &str| json!({"jsonrpc": "2.0", "id": 1, "result": {"taskId": id, "result": link(uri)}});
    assert_eq!(
        out(&got("t", "u:1"), method::TASKS_GET),
        got("time:t", "gh.time+u:1")
    );
    let told = |id: &str, uri: &str| json!({"jsonrpc": "2.0", "method": method::TASKS_CHANGED, "params": {"taskId": id, "result": link(uri)}});
    assert_eq!(out(&told("t", "u:1"), ""), told("time:t", "gh.time+u:1"));
    let read = json!({"jsonrpc": "2.0", "id": 1, "result": {"contents": [], "taskId": "t"}});
    assert_eq!(out(&read, method::RESOURCES_READ), read, "it names none");
    let asked =
        json!({"jsonrpc": "2.0", "id": 7, "method": "tasks/get", "params": {"taskId": "t"}});
    assert_eq!(
        out(&asked, "")["params"],
        asked["params"],
        "the client's own"
    );
    assert_eq!(crate::tasks::own("time:a:b"), Some(("time", "a:b")));
    assert_eq!(crate::tasks::own("t"), None);
}

#[test]
fn a_subscription_names_tasks_of_members() {
    let request = |ids: &[&str]| {
        let params = json!({"notifications": {"taskIds": ids}});
        let message = json!({"jsonrpc": "2.0", "id": "s", "method": "subscriptions/listen", "params": params});
        serde_json::to_vec(&message).unwrap()
    };
    let bytes = request(&["time:a", "docs:b"]);
    let wanted = listen::Wanted::of(&bytes, &scan(&bytes, &Limits::REQUEST).unwrap()).unwrap();
    assert!(wanted.concerns("time") && !wanted.concerns("crm") && !wanted.lists);
    assert_eq!(wanted.of_member(&bytes, "docs").unwrap(), request(&["b"]));
    let bad = request(&["a"]);
    let bad = listen::Wanted::of(&bad, &scan(&bad, &Limits::REQUEST).unwrap());
    assert_eq!(bad, Err(listen::BadResources::UnknownTask("a".to_owned())));
    let mut granted = listen::Granted::default();
    let ack = json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
        "params": {"notifications": {"taskIds": ["b"]}}});
    let ack = serde_json::to_vec(&ack).unwrap();
    assert!(granted.add(&ack, &scan(&ack, &Limits::RESPONSE).unwrap(), "docs"));
    let whole = granted.acknowledgement(br#""s""#, serde_json::Map::new());
    let whole: Value = serde_json::from_slice(&whole).unwrap();
    assert_eq!(
        whole["params"]["notifications"],
        json!({"taskIds": ["docs:b"]})
    );
}

#[test]
fn tasks_are_offered_where_a_member_has_them_but_no_list_of_them() {
    let identity = hello::Identity {
        name: "desk",
        title: "",
        version: "1",
    };
    let tasks = json!({"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}});
    let old = [
        (
            "time",
            json!({"capabilities": {"tools": {}, "tasks": tasks}}),
        ),
        ("docs", json!({"capabilities": {"tools": {}}})),
    ];
    let begun = |members: &[(&str, Value)], revision| {
        let begun = hello::initialize_result(members, identity, revision, serde_json::Map::new());
        serde_json::from_slice::<Value>(&begun.unwrap()).unwrap()["capabilities"]["tasks"].clone()
    };
    let offered = json!({"cancel": {}, "requests": {"tools": {"call": {}}}});
    assert_eq!(begun(&old, Revision::V2025_11_25), offered);
    assert_eq!(begun(&old, Revision::V2025_06_18), Value::Null);
    assert_eq!(begun(&old[1..], Revision::V2025_11_25), Value::Null);
    let extension = json!({"extensions": {crate::tasks::EXTENSION: {}}});
    let new = [("time", json!({ "capabilities": extension }))];
    let found = hello::discover_result(&new, identity, &[], serde_json::Map::new());
    assert_eq!(found["capabilities"], extension);
}
