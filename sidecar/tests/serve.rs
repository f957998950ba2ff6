//! The sidecar's part of the pipeline before real servers: many callers, both eras, one session.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dataplane::config::live::Config;
use dataplane::deliver::{Message, Reply};
use dataplane::refusal::Fault;
use mcp::envelope::Kind;
use mcp::revision::Revision;
use model::decision::Reason;
use model::snapshot::Snapshot;
use runtime::drain::Drain;
use serde_json::{Value, json};
use sidecar::serve::Sidecar;
use tokio::task::JoinSet;

use support::{DEADLINE, Supervised, python, server};

const LEGACY: Revision = Revision::V2025_11_25;
const MODERN: Revision = Revision::V2026_07_28;

/// A hop before a running server, and the configuration that it is called with.
struct Served {
    hop: Arc<Sidecar>,
    config: Arc<Config>,
    supervised: Supervised,
    drain: Drain,
}

async fn serve(argv: Vec<String>, limit: Duration) -> Served {
    let mut server = server(argv);
    server.limits.call = limit;
    let mut supervised = Supervised::new(server.clone());
    let ready = tokio::time::timeout(DEADLINE, supervised.upstream.is_ready()).await;
    assert!(ready.unwrap_or_else(|_| panic!("not ready: {:#?}", supervised.status.borrow())));
    let drain = Drain::new();
    let hop = Arc::new(Sidecar::new(
        server.name.clone(),
        "s1".into(),
        supervised.upstream.clone(),
        drain.clone(),
    ));
    let mut snapshot = Snapshot::default();
    snapshot
        .servers
        .insert(server.name.clone(), Arc::new(server));
    let config = Arc::new(Config::compile(Arc::new(snapshot)).unwrap());
    Served {
        hop,
        config,
        supervised,
        drain,
    }
}

impl Served {
    async fn end(self) {
        assert!(
            self.drain.finish(DEADLINE).await,
            "a reply is still being written"
        );
        self.supervised.stop().await;
    }

    async fn call(&self, revision: Revision, message: &Value) -> Result<Reply, Fault> {
        deliver(&self.hop, &self.config, revision, Some("s1.a"), message).await
    }
}

async fn deliver(
    hop: &Sidecar,
    config: &Arc<Config>,
    revision: Revision,
    session: Option<&str>,
    message: &Value,
) -> Result<Reply, Fault> {
    let body = Bytes::from(serde_json::to_vec_pretty(message).unwrap());
    let spoken = (revision, session.filter(|_| revision != MODERN));
    support::deliver(hop, config, "ana", spoken, body).await
}

fn request(id: Value, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

fn modern(id: Value, method: &str, mut params: Value) -> Value {
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = MODERN.as_str().into();
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({"elicitation": {}});
    request(id, method, params)
}

fn whole(reply: Result<Reply, Fault>) -> (Value, Message) {
    match reply {
        Ok(Reply::Whole(message)) => (serde_json::from_slice(&message.body).unwrap(), message),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn two_hundred_callers_with_one_id_each_get_their_own_answer() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pids").to_str().unwrap().to_owned();
    let served = serve(python("forker.py", &[&file]), DEADLINE).await;
    let mut callers = JoinSet::new();
    for n in 0..200 {
        let (hop, config) = (served.hop.clone(), served.config.clone());
        callers.spawn(async move {
            let session = format!("s1.{}", n % 7);
            let params = json!({"name": "echo", "arguments": {"message": n.to_string()}});
            let (revision, message) = if n % 2 == 0 {
                (LEGACY, request(json!(1), "tools/call", params))
            } else {
                (MODERN, modern(json!(1), "tools/call", params))
            };
            let reply = deliver(&hop, &config, revision, Some(&session), &message).await;
            let (answer, _) = whole(reply);
            assert_eq!(answer["id"], 1);
            assert_eq!(answer["result"]["content"][0]["text"], format!("Echo: {n}"));
            assert_eq!(
                answer["result"].get("resultType").is_some(),
                revision == MODERN
            );
        });
    }
    while let Some(done) = callers.join_next().await {
        done.unwrap();
    }
    served.end().await;
}

#[tokio::test]
async fn both_eras_are_served_by_a_legacy_server() {
    let served = serve(python("slow.py", &[]), DEADLINE).await;
    let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {"roots": {}},
        "clientInfo": {"name": "c", "version": "1"}});
    let reply = served
        .call(
            Revision::V2025_06_18,
            &request(json!("a"), "initialize", hello),
        )
        .await;
    let (answer, message) = whole(reply);
    assert_eq!(answer["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(answer["result"]["serverInfo"]["name"], "slow");
    let handle = message.session.unwrap();
    assert!(
        handle.starts_with("s1.") && handle.len() == 3 + 22,
        "{handle}"
    );
    let (answer, _) = whole(
        served
            .call(LEGACY, &request(json!(7), "ping", json!({})))
            .await,
    );
    assert_eq!(answer, json!({"jsonrpc": "2.0", "id": 7, "result": {}}));
    let (answer, _) = whole(
        served
            .call(
                MODERN,
                &modern(json!("d\u{e9}"), "server/discover", json!({})),
            )
            .await,
    );
    assert_eq!(answer["id"], "d\u{e9}");
    let versions = answer["result"]["supportedVersions"].as_array().unwrap();
    assert_eq!(versions.len(), 5);
    let list = modern(
        json!(2),
        "tools/list",
        json!({"_meta": {"progressToken": "x"}}),
    );
    let (answer, _) = whole(served.call(MODERN, &list).await);
    assert_eq!(answer["result"]["tools"][0]["name"], "sleep");
    assert_eq!(answer["result"]["cacheScope"], "private");
    let unknown = modern(json!(3), "prompts/list", json!({}));
    let (answer, message) = whole(served.call(MODERN, &unknown).await);
    assert_eq!(
        (answer["error"]["code"].as_i64(), message.status),
        (Some(-32601), 404)
    );
    assert_eq!(message.error_code, -32601);
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert!(matches!(
        served.call(LEGACY, &initialized).await,
        Ok(Reply::Accepted)
    ));
    served.end().await;
}

#[tokio::test]
async fn both_eras_are_served_by_a_modern_server() {
    let served = serve(python("modern_only.py", &[]), DEADLINE).await;
    let params = json!({"name": "echo", "arguments": {"message": "hi"}});
    let reply = served
        .call(MODERN, &modern(json!(1), "tools/call", params.clone()))
        .await;
    assert_eq!(whole(reply).0["result"]["content"][0]["text"], "Echo: hi");
    let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "c", "version": "1"}});
    let (answer, _) = whole(
        served
            .call(LEGACY, &request(json!(1), "initialize", hello))
            .await,
    );
    assert_eq!(answer["result"]["protocolVersion"], "2025-11-25");
    let (answer, _) = whole(
        served
            .call(LEGACY, &request(json!(1), "tools/call", params))
            .await,
    );
    assert_eq!(answer["result"]["content"][0]["text"], "Echo: hi");
    assert_eq!(answer["result"].get("resultType"), None);
    served.end().await;
}

#[tokio::test]
async fn progress_makes_a_stream_and_a_client_may_take_its_call_back() {
    let served = serve(python("slow.py", &[]), DEADLINE).await;
    let sleep = |id: Value, seconds: f64, steps: u32| {
        json!({"name": "sleep", "arguments": {"seconds": seconds, "steps": steps},
            "_meta": {"progressToken": id}})
    };
    let token = json!("tok\"en");
    let reply = served
        .call(
            LEGACY,
            &request(json!(1), "tools/call", sleep(token.clone(), 0.3, 2)),
        )
        .await;
    let Ok(Reply::Events(mut events)) = reply else {
        panic!("{reply:?}")
    };
    let mut messages = vec![events.first];
    while let Some(message) = events.rest.recv().await {
        messages.push(message);
    }
    let [first, second, last] = messages.as_slice() else {
        panic!("{messages:?}")
    };
    for progress in [first, second] {
        let message: Value = serde_json::from_slice(&progress.body).unwrap();
        assert_eq!(message["params"]["progressToken"], token);
    }
    assert_eq!(last.kind, Kind::Response);
    assert_eq!(
        serde_json::from_slice::<Value>(&last.body).unwrap()["id"],
        1
    );

    // A stream that has begun is taken back by its session and id.
    let long = request(json!(5), "tools/call", sleep(json!(9), 60.0, 300));
    let Ok(Reply::Events(mut events)) = served.call(LEGACY, &long).await else {
        panic!("no stream")
    };
    let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": {"requestId": 5}});
    let other = deliver(
        &served.hop,
        &served.config,
        LEGACY,
        Some("s1.b"),
        &cancelled,
    )
    .await;
    assert!(matches!(other, Ok(Reply::Accepted)));
    let count = request(json!(6), "tools/call", json!({"name": "cancelled"}));
    let counted = |answer: Value| answer["result"]["content"][0]["text"].clone();
    assert_eq!(
        counted(whole(served.call(LEGACY, &count).await).0),
        "0",
        "another session's"
    );
    assert!(matches!(
        served.call(LEGACY, &cancelled).await,
        Ok(Reply::Accepted)
    ));
    let mut last = None;
    while let Some(message) = events.rest.recv().await {
        last = Some(message);
    }
    let last: Value = serde_json::from_slice(&last.unwrap().body).unwrap();
    assert_eq!(last["error"]["data"]["reason"], "cancelled");
    assert_eq!(counted(whole(served.call(LEGACY, &count).await).0), "1");

    // A modern client that leaves its stream has cancelled by that.
    let long = modern(json!(5), "tools/call", sleep(json!(9), 60.0, 300));
    let Ok(Reply::Events(events)) = served.call(MODERN, &long).await else {
        panic!("no stream")
    };
    drop(events);
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while counted(whole(served.call(LEGACY, &count).await).0) != "2" {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the server was not told"
        );
    }
    served.end().await;
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_a_timeout() {
    let served = serve(python("slow.py", &[]), Duration::from_millis(100)).await;
    let params = json!({"name": "sleep", "arguments": {"seconds": 600}});
    let fault = served
        .call(LEGACY, &request(json!(1), "tools/call", params))
        .await
        .unwrap_err();
    assert_eq!(fault.reason, Reason::Timeout);
    served.end().await;
}
