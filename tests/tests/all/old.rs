//! Clients and servers of 2024-11-05: HTTP+SSE, through any edge.

use serde_json::{Value, json};
use tests::catalog;
use tests::http::{Open, Request};
use tests::mesh::Mesh;

/// A client that hears everything on one stream.
struct Old {
    stream: Open,
    /// Where it posts, on the edge that it posts to.
    endpoint: String,
    key: String,
}

fn by(request: Request, key: &str) -> Request {
    request.with("authorization", &format!("Bearer {key}"))
}

impl Old {
    fn connect(edge: &str, post_to: &str, server: &str, key: &str) -> Self {
        let get = by(Request::get(&format!("{edge}/sse/{server}")), key);
        let mut stream = get.with("accept", "text/event-stream").open();
        assert_eq!(stream.status(), 200);
        let path = stream.endpoint();
        assert!(path.starts_with(&format!("/sse/{server}?")), "{path}");
        Self {
            stream,
            endpoint: format!("{post_to}{path}"),
            key: key.to_owned(),
        }
    }

    fn post(&self, message: &Value) -> Request {
        let post = by(Request::post(&self.endpoint), &self.key);
        post.with("content-type", "application/json")
            .body(message.to_string())
    }

    /// The so many-th message on the stream, after a request was posted.
    fn asks(&mut self, count: usize, id: u64, method: &str, params: &Value) -> Value {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.post(&message).send().expect_status(202);
        let said = self.stream.messages(count).pop().expect("a message");
        assert_eq!(said["id"], json!(id), "{said:#}");
        said
    }
}

#[test]
fn a_client_of_2024_hears_all_answers_on_its_stream_whichever_edge_it_posts_to() {
    let mesh = Mesh::new()
        .with(&[
            catalog::fixture("slow", &[]),
            catalog::allow("all", "engineering", &["*"]),
            catalog::deny_tool("no-count", "engineering", "slow", "cancelled"),
        ])
        .edges(2)
        .start();
    let key = mesh.key("ana@example.com", &["engineering"]).text;
    let sam = mesh.key("sam@example.com", &["engineering"]).text;
    let mut client = Old::connect(mesh.edge(0), mesh.edge(1), "slow", &key);
    let hello = json!({"protocolVersion": "2024-11-05", "capabilities": {},
        "clientInfo": {"name": "old", "version": "1"}});
    let begun = client.asks(1, 1, "initialize", &hello);
    assert_eq!(begun["result"]["protocolVersion"], "2024-11-05");
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    client.post(&initialized).send().expect_status(202);
    let listed = client.asks(2, 2, "tools/list", &json!({}));
    let tools = listed["result"]["tools"].to_string();
    assert!(
        tools.contains("\"sleep\"") && !tools.contains("\"cancelled\""),
        "{tools}"
    );
    // What the edge itself refuses comes on the stream, too.
    let denied = client.asks(
        3,
        3,
        "tools/call",
        &json!({"name": "cancelled", "arguments": {}}),
    );
    assert_eq!(denied["error"]["code"], -32602);
    let called = client.asks(
        4,
        4,
        "tools/call",
        &json!({"name": "sleep", "arguments": {"seconds": 0.01}}),
    );
    assert!(called.get("result").is_some(), "{called:#}");
    // The address is worth nothing to others, and a session id of another kind is none here.
    let ping = json!({"jsonrpc": "2.0", "id": 9, "method": "ping"});
    by(client.post(&ping).without("authorization"), &sam)
        .send()
        .expect_status(404);
    by(
        Request::post(&format!("{}/sse/slow?session=x", mesh.edge(0))),
        &key,
    )
    .with("content-type", "application/json")
    .body(ping.to_string())
    .send()
    .expect_status(404);
    by(Request::get(&format!("{}/sse/nowhere", mesh.edge(0))), &key)
        .send()
        .expect_status(404);
}
