//! A sidecar before a server that is reached over HTTP: whose session, whose call, and what becomes of it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;
#[path = "support/remote.rs"]
mod upstream;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use dataplane::config::live::Config;
use dataplane::deliver::Reply;
use dataplane::refusal::Fault;
use mcp::revision::Revision;
use model::server::{Runtime, Server, Value as Told};
use model::snapshot::Snapshot;
use runtime::drain::Drain;
use serde_json::{Value, json};
use sidecar::serve::Sidecar;
use sidecar::upstream::status::State;

use support::{DEADLINE, Supervised, eventually, server};
use upstream::Remote;

const LEGACY: Revision = Revision::V2025_11_25;
const MODERN: Revision = Revision::V2026_07_28;

struct Served {
    hop: Arc<Sidecar>,
    config: Arc<Config>,
    supervised: Supervised,
    remote: Remote,
}

fn catalog_entry(url: &str) -> Server {
    let key = ("x-key".to_owned(), Told::Plain("k1".to_owned()));
    Server {
        runtime: Runtime::Remote {
            url: url.to_owned(),
        },
        headers: BTreeMap::from([key]),
        ..server(Vec::new())
    }
}

async fn serve(modern: bool) -> Served {
    let remote = Remote::new(modern).await;
    let server = catalog_entry(&remote.url);
    let mut supervised = Supervised::new(server.clone());
    let ready = tokio::time::timeout(DEADLINE, supervised.upstream.is_ready()).await;
    assert!(ready.unwrap_or_else(|_| panic!("not ready: {:#?}", supervised.status.borrow())));
    let hop = Arc::new(Sidecar::new(
        server.name.clone(),
        "s1".into(),
        supervised.upstream.clone(),
        Drain::new(),
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
        remote,
    }
}

impl Served {
    async fn call(
        &self,
        user: &str,
        revision: Revision,
        session: Option<&str>,
        arguments: Value,
    ) -> Result<Reply, Fault> {
        let mut params = json!({"name": "t", "arguments": arguments});
        if revision == MODERN {
            params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": MODERN.as_str(),
                "io.modelcontextprotocol/clientCapabilities": {}, "progressToken": "mine"});
        }
        let message = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params});
        let body = Bytes::from(message.to_string());
        let spoken = (revision, session);
        support::deliver(&self.hop, &self.config, user, spoken, body).await
    }

    async fn text(&self, user: &str) -> String {
        match self.call(user, MODERN, None, json!({})).await.unwrap() {
            Reply::Whole(message) => {
                let answer: Value = serde_json::from_slice(&message.body).unwrap();
                assert_eq!(
                    (&answer["id"], &answer["result"]["resultType"]),
                    (&json!(5), &json!("complete"))
                );
                answer["result"]["content"][0]["text"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            }
            other => panic!("{other:?}"),
        }
    }

    fn heard(&self, method: &str) -> usize {
        let said = self.remote.said.lock();
        said.heard.iter().filter(|heard| *heard == method).count()
    }
}

#[tokio::test]
async fn modern_clients_have_a_legacy_session_for_each_user() {
    let mut served = serve(false).await;
    let status = served.supervised.status.borrow().clone();
    assert_eq!(
        (status.mcp_revision, &*status.server_info),
        ("2025-06-18", "old 2")
    );
    assert_eq!(served.text("ana").await, "call 1 of s2");
    assert_eq!(served.text("ben").await, "call 1 of s3");
    assert_eq!(served.text("ana").await, "call 2 of s2");
    let headers = served.remote.said.lock().headers.clone();
    assert_eq!(headers["mcp-protocol-version"], "2025-06-18");
    assert_eq!(headers["x-key"], "k1");
    // The session that was begun to look at the server is closed, and only that one.
    eventually("the end of the first session", || {
        served.heard("DELETE") == 1
    })
    .await;
    assert!(!served.remote.said.lock().sessions.contains_key("s1"));
    // A session that the server has lost is begun again, for this user alone.
    served.remote.said.lock().sessions.remove("s2");
    assert_eq!(served.text("ana").await, "call 1 of s4");
    assert_eq!(served.text("ben").await, "call 2 of s3");
    served
        .supervised
        .status("ready", |status| status.state == State::Ready)
        .await;
    let remote = served.remote;
    served.supervised.stop().await;
    assert!(
        remote.said.lock().sessions.is_empty(),
        "sessions are closed at the end"
    );
}

#[tokio::test]
async fn progress_goes_by_and_a_ping_on_the_way_is_answered() {
    let served = serve(false).await;
    let reply = served
        .call("ana", MODERN, None, json!({"stream": true}))
        .await;
    let Reply::Events(mut events) = reply.unwrap() else {
        panic!("no events");
    };
    let progress: Value = serde_json::from_slice(&events.first.body).unwrap();
    assert_eq!(
        progress["params"],
        json!({"progressToken": "mine", "progress": 1})
    );
    let last = events.rest.recv().await.unwrap();
    let last: Value = serde_json::from_slice(&last.body).unwrap();
    assert_eq!(last["id"], 5);
    assert!(events.rest.recv().await.is_none());
    // The answer to the ping is a message without a method.
    eventually("an answer to the ping", || served.heard("") == 1).await;
    served.supervised.stop().await;
}

#[tokio::test]
async fn a_modern_client_that_goes_takes_its_call_back() {
    let served = serve(false).await;
    let call = served.call("ana", MODERN, None, json!({"sleep": 30}));
    let gone = tokio::select! {
        reply = call => panic!("{reply:?}"),
        () = eventually("the call", || served.heard("tools/call") == 1) => true,
    };
    assert!(gone);
    eventually("its cancellation", || {
        served.heard("notifications/cancelled") == 1
    })
    .await;
    served.supervised.stop().await;
}

#[tokio::test]
async fn an_equal_era_goes_as_it_is_with_the_servers_own_session() {
    let served = serve(false).await;
    served
        .remote
        .said
        .lock()
        .sessions
        .insert("own".to_owned(), 0);
    let reply = served.call("ana", LEGACY, Some("s1.~own"), json!({})).await;
    assert!(matches!(reply, Ok(Reply::Direct(_))), "{reply:?}");
    let headers = served.remote.said.lock().headers.clone();
    assert_eq!(headers["mcp-session-id"], "own");
    let lost = served
        .call("ana", LEGACY, Some("s1.~lost"), json!({}))
        .await;
    let fault = lost.unwrap_err();
    assert_eq!(fault.message, Fault::session_ended().message);
    served.supervised.stop().await;
}

#[tokio::test]
async fn a_session_that_was_never_begun_is_over() {
    let served = serve(true).await;
    let lost = served.call("ana", LEGACY, Some("s1.x"), json!({})).await;
    assert!(lost.unwrap_err().is_session_ended());
    let reply = served.call("ana", MODERN, None, json!({})).await;
    assert!(matches!(reply, Ok(Reply::Direct(_))), "{reply:?}");
    served.supervised.stop().await;
}

#[tokio::test]
async fn a_server_that_refuses_is_told_of_and_one_that_comes_back_serves_again() {
    let mut served = serve(false).await;
    served.remote.said.lock().status = Some(401);
    let fault = served
        .call("ana", MODERN, None, json!({}))
        .await
        .unwrap_err();
    assert!(
        fault.message.contains("refuses the credential"),
        "{}",
        fault.message
    );
    let changed = catalog_entry(&served.remote.url.replace("/mcp", "/other"));
    served
        .supervised
        .wanted
        .send_replace(Some(support::wanted(&changed)));
    let status = served
        .supervised
        .status("backoff", |status| status.state == State::Backoff);
    let status = status.await;
    assert!(
        status.message.contains("refuses the credential"),
        "{}",
        status.message
    );
    served.remote.said.lock().status = None;
    served
        .supervised
        .status("ready", |status| status.state == State::Ready)
        .await;
    served.supervised.stop().await;
}
