//! The client against a scripted edge.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const WAIT: Duration = Duration::from_secs(10);

/// An edge that takes one request, gives this answer, and hands back what it was sent.
async fn edge(answer: &'static str) -> (Caller, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let context = Context {
        edge: Some(format!("http://{}/", listener.local_addr().unwrap())),
        key: Some("gh_k".to_owned()),
        ..Context::default()
    };
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !is_whole(&request) {
            let mut chunk = [0; 4096];
            let read = stream.read(&mut chunk).await.unwrap();
            assert!(read > 0, "the client closed early");
            request.extend_from_slice(&chunk[..read]);
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap()
    });
    (Caller::new(&context).unwrap(), served)
}

/// Whether head and body of a request have come.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap();
    body.len() >= length.parse().unwrap()
}

fn call(name: &str) -> Message<'_> {
    Message {
        method: method::TOOLS_CALL,
        name: Some(name),
        params: json!({"name": name, "arguments": {}}),
    }
}

#[tokio::test]
async fn a_call_says_all_that_the_revision_asks_for() {
    let (caller, served) = edge(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n\
         {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[]}}",
    )
    .await;
    let answer = caller
        .request("everything", call("größe"), WAIT)
        .await
        .unwrap();
    assert_eq!(answer, Answer::Result(json!({"content": []})));
    let request = served.await.unwrap();
    assert!(
        request.starts_with("POST /mcp/everything HTTP/1.1\r\n"),
        "{request}"
    );
    for header in [
        "authorization: Bearer gh_k",
        "mcp-protocol-version: 2026-07-28",
        "mcp-method: tools/call",
        "mcp-name: =?base64?Z3LDtsOfZQ==?=",
        "accept: application/json, text/event-stream",
    ] {
        assert!(
            request.contains(&format!("{header}\r\n")),
            "{header} in {request}"
        );
    }
    let body: Value = serde_json::from_str(request.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let meta = &body["params"]["_meta"];
    assert_eq!(
        meta["io.modelcontextprotocol/protocolVersion"],
        "2026-07-28"
    );
    assert_eq!(
        meta["io.modelcontextprotocol/clientInfo"]["name"],
        "gatehouse"
    );
    assert!(meta["io.modelcontextprotocol/clientCapabilities"].is_object());
}

#[tokio::test]
async fn the_answer_is_found_at_the_end_of_a_stream() {
    let (caller, _served) = edge(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n\
         event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{}}\n\n\
         event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-31010,\"message\":\"no\"}}\n\n",
    )
    .await;
    let answer = caller
        .request("everything", call("echo"), WAIT)
        .await
        .unwrap();
    assert_eq!(
        answer,
        Answer::Error(json!({"code": -31010, "message": "no"}))
    );
}

#[tokio::test]
async fn a_stream_that_ends_early_is_no_answer() {
    let (caller, _served) = edge(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n: hi\n\n",
    )
    .await;
    let error = caller
        .request("everything", call("echo"), WAIT)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Connection(_)), "{error:?}");
}

#[tokio::test]
async fn refusals_by_status_are_told_apart() {
    let (caller, _served) = edge("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").await;
    assert!(matches!(
        caller.request("x", call("t"), WAIT).await,
        Err(Error::Key)
    ));
    let (caller, _served) =
        edge("HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\ncontent-length: 0\r\n\r\n")
            .await;
    assert_eq!(
        caller.request("x", call("t"), WAIT).await.unwrap(),
        Answer::NoServer
    );
    let (caller, _served) = edge(
        "HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n\
         {\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,\"message\":\"there is no such server\"}}",
    )
    .await;
    assert_eq!(
        caller.request("x", call("t"), WAIT).await.unwrap(),
        Answer::NoServer
    );
    let (caller, _served) = edge(
        "HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n\
         {\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32601,\"message\":\"unknown method\"}}",
    )
    .await;
    assert!(matches!(
        caller.request("x", call("t"), WAIT).await.unwrap(),
        Answer::Error(_)
    ));
}

#[tokio::test]
async fn what_is_not_mcp_is_said_to_be_none() {
    let (caller, _served) = edge(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n<html>\u{7}hello",
    )
    .await;
    match caller.request("x", call("t"), WAIT).await.unwrap_err() {
        Error::NotMcp(text) => assert_eq!(text, "HTTP 200: <html>hello"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_caller_needs_edge_and_key_and_shows_neither_key() {
    let context = Context {
        edge: Some("http://e".to_owned()),
        ..Context::default()
    };
    assert!(Caller::new(&context).unwrap_err().message.contains("`key`"));
    let context = Context {
        key: Some("gh_k".to_owned()),
        ..context
    };
    assert!(!format!("{:?}", Caller::new(&context).unwrap()).contains("gh_k"));
}
