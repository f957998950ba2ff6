#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::time::Duration;

use http_body_util::BodyExt as _;
use serde_json::json;

use super::*;

/// A member's stream that says these and is over.
fn saying(server: &str, messages: &[Value]) -> (ServerName, ReplyBody) {
    let events = messages
        .iter()
        .map(|message| sse::encode(message.to_string().as_bytes()));
    let text: Vec<u8> = events.flat_map(|event| event.to_vec()).collect();
    (
        ServerName::new(server).unwrap(),
        ReplyBody::full(text.into()),
    )
}

/// What the client hears.
async fn heard(body: FederatedBody) -> Vec<Value> {
    let whole = ReplyBody::from(body).collect().await.unwrap().to_bytes();
    let mut decoder = sse::Decoder::default();
    decoder.push(&whole);
    let mut messages = Vec::new();
    while let Some(event) = decoder.next_event() {
        messages.push(serde_json::from_slice(&event.unwrap().data).unwrap());
    }
    messages
}

fn acknowledging(granted: Value) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
        "params": {"notifications": granted}})
}

fn updated(uri: &str) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri}})
}

fn subscription() -> Subscription {
    let until = Instant::now() + Duration::from_secs(5);
    Subscription::new(br#""s""#.to_vec(), Map::new(), None, until)
}

#[tokio::test]
async fn what_a_member_asks_in_a_call_says_whose_it_is_and_the_response_ends_it() {
    let asks = json!({"jsonrpc": "2.0", "id": 3, "method": "sampling/createMessage", "params": {}});
    let link = json!({"content": [{"type": "resource_link", "uri": "u:1"}]});
    let done = json!({"jsonrpc": "2.0", "id": 1, "result": link});
    let (server, stream) = saying("a", &[asks, done]);
    let heard = heard(FederatedBody::of_request(server, "tools/call", stream)).await;
    assert_eq!(heard[0]["id"], "a:3");
    assert_eq!(heard[1]["result"]["content"][0]["uri"], "gh.a+u:1");
    assert_eq!((heard.len(), &heard[1]["id"]), (2, &json!(1)));
}

#[tokio::test]
async fn nothing_is_heard_of_a_subscription_before_all_have_acknowledged() {
    let end = json!({"jsonrpc": "2.0", "id": "s", "result": {}});
    let parts = vec![
        saying(
            "a",
            &[
                acknowledging(json!({"toolsListChanged": true})),
                updated("u:1"),
                end.clone(),
            ],
        ),
        saying(
            "b",
            &[
                acknowledging(json!({"promptsListChanged": true})),
                updated("u:1"),
                end,
            ],
        ),
    ];
    let heard = heard(FederatedBody::of_subscription(parts, subscription())).await;
    let granted = json!({"toolsListChanged": true, "promptsListChanged": true});
    assert_eq!(heard[0]["params"]["notifications"], granted);
    let uris: Vec<_> = heard[1..]
        .iter()
        .map(|m| m["params"]["uri"].clone())
        .collect();
    assert_eq!(uris, ["gh.a+u:1", "gh.b+u:1"]);
}

#[tokio::test]
async fn what_members_say_by_themselves_is_heard_and_responses_are_not() {
    let done = json!({"jsonrpc": "2.0", "id": 1, "result": {}});
    let parts = vec![
        saying("a", &[updated("u:1"), done, updated("u:2")]),
        saying("b", &[updated("u:3")]),
    ];
    let heard = heard(FederatedBody::of_standing(parts)).await;
    let all = [
        updated("gh.a+u:1"),
        updated("gh.a+u:2"),
        updated("gh.b+u:3"),
    ];
    assert_eq!(heard, all);
}
