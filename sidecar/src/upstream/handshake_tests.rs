#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use mcp::bridge::handshake::SERVER_INFO_KEY;
use mcp::revision::Revision;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::*;

const LIMIT: Duration = Duration::from_secs(30);

/// Greets a server that answers each method as `answers` says: with a result, or else with an error.
/// Returns the outcome and the methods that it heard.
async fn greeted(era: Era, answers: &[(&str, Value)]) -> (Result<Outcome, Error>, Vec<String>) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let (near_out, near_in) = tokio::io::split(near);
    let (far_out, mut far_in) = tokio::io::split(far);
    let (link, writing, reading) = Link::new(near_in, near_out, 1 << 20, false);
    let mut heard = Vec::new();
    let serving = async {
        let mut lines = BufReader::new(far_out).lines();
        while let Some(line) = lines.next_line().await.unwrap() {
            let message: Value = serde_json::from_str(&line).unwrap();
            let method = message["method"].as_str().unwrap().to_owned();
            let result = answers
                .iter()
                .find(|(name, _)| *name == method)
                .map(|(_, result)| result);
            heard.push(method);
            let Some(id) = message.get("id") else {
                continue;
            };
            let answer = match result {
                Some(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
                None => json!({"jsonrpc": "2.0", "id": id,
                    "error": {"code": -32601, "message": "Method not found"}}),
            };
            far_in
                .write_all(format!("{answer}\n").as_bytes())
                .await
                .unwrap();
        }
        far_in.shutdown().await.unwrap();
    };
    let greeting = async {
        let outcome = greet(&link, era, &Who::default(), LIMIT).await;
        // What is queued is still written before the end.
        tokio::task::yield_now().await;
        link.close("over");
        outcome
    };
    let (outcome, ..) = tokio::join!(greeting, serving, writing, reading);
    (outcome, heard)
}

fn legacy(version: &str) -> (&'static str, Value) {
    (
        "initialize",
        json!({"protocolVersion": version, "capabilities": {"tools": {}},
        "serverInfo": {"name": "time", "version": "1.0"}}),
    )
}

fn modern(version: &str) -> (&'static str, Value) {
    (
        "server/discover",
        json!({"supportedVersions": [version], "capabilities": {"tools": {}},
        "resultType": "complete", "_meta": {SERVER_INFO_KEY: {"name": "new", "version": "2"}}}),
    )
}

#[tokio::test]
async fn a_legacy_server_is_initialized() {
    let (outcome, heard) = greeted(Era::Legacy, &[legacy("2025-06-18")]).await;
    let Ok(Outcome::Ready(greeting)) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(greeting.revision, Revision::V2025_06_18);
    assert_eq!(greeting.shown, "time 1.0");
    assert_eq!(heard, ["initialize", "notifications/initialized"]);
}

#[tokio::test]
async fn a_server_that_speaks_both_is_taken_for_a_legacy_one() {
    let both = [legacy("2025-11-25"), modern("2026-07-28")];
    let (outcome, _) = greeted(Era::Legacy, &both).await;
    let Ok(Outcome::Ready(greeting)) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(greeting.revision, Revision::V2025_11_25);
}

#[tokio::test]
async fn a_modern_server_is_asked_after_it_refused() {
    let (outcome, heard) = greeted(Era::Legacy, &[modern("2026-07-28")]).await;
    let Ok(Outcome::Ready(greeting)) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (greeting.revision, greeting.shown.as_str()),
        (Revision::LATEST, "new 2")
    );
    assert_eq!(heard, ["initialize", "server/discover"]);
    let (outcome, heard) = greeted(Era::Modern, &[modern("2026-07-28")]).await;
    assert!(matches!(outcome, Ok(Outcome::Ready(_))));
    assert_eq!(heard, ["server/discover"]);
}

#[tokio::test]
async fn a_server_that_refuses_both_gets_another_process() {
    let (outcome, _) = greeted(Era::Legacy, &[]).await;
    assert!(matches!(outcome, Ok(Outcome::Restart)), "{outcome:?}");
    let (outcome, _) = greeted(Era::Modern, &[]).await;
    assert!(matches!(outcome, Err(Error::Refused { .. })), "{outcome:?}");
}

#[tokio::test]
async fn what_we_do_not_speak_is_said() {
    let (outcome, _) = greeted(Era::Legacy, &[legacy("2031-01-01")]).await;
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("2031-01-01"), "{error}");
    let (outcome, _) = greeted(Era::Modern, &[modern("2031-01-01")]).await;
    let error = outcome.unwrap_err().to_string();
    assert!(
        error.contains("does not name the protocol version 2026-07-28"),
        "{error}"
    );
    let nothing = ("initialize", json!({"protocolVersion": "2025-11-25"}));
    let (outcome, _) = greeted(Era::Legacy, &[nothing]).await;
    assert!(outcome.unwrap_err().to_string().contains("no capabilities"));
}
