//! Streams of several members as one.

use serde_json::{Value, json};
use tests::catalog;
use tests::listener::{Answer, Listener};
use tests::mesh::Mesh;
use tests::rpc::Modern;

/// A modern server whose subscriptions grant this and then say that.
fn telling(granted: Value, then: Vec<Value>) -> Listener {
    Listener::start(move |heard| {
        let message = heard.json();
        let id = &message["id"];
        let subscription = json!({"io.modelcontextprotocol/subscriptionId": id});
        let said = |method: &str, mut params: Value| {
            params["_meta"] = subscription.clone();
            let message = json!({"jsonrpc": "2.0", "method": method, "params": params});
            format!("event: message\ndata: {message}\n\n")
        };
        let complete = |mut result: Value| {
            result["resultType"] = json!("complete");
            json!({"jsonrpc": "2.0", "id": id, "result": result})
        };
        match message["method"].as_str().unwrap_or_default() {
            "server/discover" => {
                Answer::json(&complete(json!({"supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {"listChanged": true}}, "ttlMs": 0, "cacheScope": "private"})))
            }
            "subscriptions/listen" => {
                let mut text = said(
                    "notifications/subscriptions/acknowledged",
                    json!({"notifications": granted}),
                );
                for word in &then {
                    text += &said(
                        word["method"].as_str().unwrap_or_default(),
                        word["params"].clone(),
                    );
                }
                text += &format!("data: {}\n\n", complete(json!({"_meta": subscription})));
                Answer::status(200)
                    .with("content-type", "text/event-stream")
                    .body(text)
            }
            "tools/call" => {
                let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress",
                    "params": {"progressToken": message["params"]["_meta"]["progressToken"], "progress": 1}});
                let link = json!({"type": "resource_link", "uri": "file:///a", "name": "a"});
                let last = complete(json!({"content": [link]}));
                let text = format!("data: {progress}\n\ndata: {last}\n\n");
                Answer::status(200)
                    .with("content-type", "text/event-stream")
                    .body(text)
            }
            _ => Answer::status(500),
        }
    })
}

#[test]
fn a_subscription_is_granted_by_all_members_together_and_each_is_heard_in_it() {
    let changed = json!({"method": "notifications/tools/list_changed", "params": {}});
    let updated =
        |uri: &str| json!({"method": "notifications/resources/updated", "params": {"uri": uri}});
    let a = telling(json!({"toolsListChanged": true}), vec![changed.clone()]);
    let b = telling(
        json!({"resourceSubscriptions": ["file:///a"]}),
        vec![updated("file:///a")],
    );
    let gone = Listener::start(|_| Answer::status(500));
    let mesh = Mesh::new()
        .with(&[
            catalog::remote("a", &a.url("/mcp")),
            catalog::remote("b", &b.url("/mcp")),
            catalog::remote("gone", &gone.url("/mcp")),
            catalog::virtual_server("desk", &[("a", "a_"), ("b", "b_"), ("gone", "g_")]),
            catalog::allow("all", "engineering", &["*"]),
        ])
        .start();
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let client = Modern::new(&mesh.url(0, "desk"), &key);
    let wanted = |uris: &[&str]| json!({"notifications": {"toolsListChanged": true, "resourceSubscriptions": uris}});
    let heard = client
        .request_with_id("mine", "subscriptions/listen", wanted(&["gh.b+file:///a"]))
        .send();
    let messages = heard.messages();
    let acknowledged = &messages[0]["params"];
    assert_eq!(
        acknowledged["notifications"],
        json!({"toolsListChanged": true, "resourceSubscriptions": ["gh.b+file:///a"]}),
        "{heard}"
    );
    assert_eq!(
        acknowledged["_meta"]["gatehouse.dev/unavailable"][0]["server"], "gone",
        "{heard}"
    );
    let id = |message: &Value| {
        message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].clone()
    };
    let (last, between) = messages[1..].split_last().expect("an end");
    assert_eq!(last["id"], "mine");
    assert_eq!(
        last["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"],
        "mine"
    );
    let mut methods: Vec<&str> = between
        .iter()
        .filter_map(|message| message["method"].as_str())
        .collect();
    methods.sort_unstable();
    assert_eq!(
        methods,
        [
            "notifications/resources/updated",
            "notifications/tools/list_changed"
        ],
        "{heard}"
    );
    assert!(
        messages[..messages.len() - 1]
            .iter()
            .all(|message| id(message) == "mine"),
        "{heard}"
    );
    assert!(
        heard.text().contains(r#""uri":"gh.b+file:///a""#),
        "{heard}"
    );
    // Each member was asked for its own.
    let asked = |listener: &Listener| {
        let heard = listener.take();
        let listens = heard
            .iter()
            .map(tests::listener::Heard::json)
            .filter(|m| m["method"] == "subscriptions/listen");
        listens
            .map(|m| m["params"]["notifications"]["resourceSubscriptions"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(asked(&a), [json!([])]);
    assert_eq!(asked(&b), [json!(["file:///a"])]);
    let unknown = client
        .request("subscriptions/listen", wanted(&["file:///a"]))
        .send();
    assert_eq!(unknown.error_code(), -32602, "{unknown}");
    mesh.recorded(&["--server", "desk"], |row| {
        row["method"] == "subscriptions/listen" && row["decision"] == "allow"
    });

    // A member's own stream says whose its resources are, and passes progress on.
    // What mirrors its name in a header says the member's own; what mirrors arguments is as it was sent.
    let call = client.calling_with_progress("b_any", json!({}));
    let call = call.with("mcp-param-region", "eu").send();
    let heard = b.take();
    let heard = heard.last().expect("it was called");
    assert_eq!(
        (heard.header("mcp-name"), heard.header("mcp-param-region")),
        ("any", "eu")
    );
    assert_eq!(
        call.messages()[0]["method"],
        "notifications/progress",
        "{call}"
    );
    assert_eq!(
        call.result()["content"][0]["uri"],
        "gh.b+file:///a",
        "{call}"
    );
}
