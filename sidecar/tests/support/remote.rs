//! An MCP server over HTTP, in this process, that remembers what it was told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The server, while it is held.
pub(crate) struct Remote {
    pub(crate) url: String,
    pub(crate) said: Arc<Mutex<Said>>,
    _tasks: JoinSet<()>,
}

/// What it knows and was told.
#[derive(Default)]
pub(crate) struct Said {
    /// Speaks 2026-07-28 only.
    pub(crate) modern: bool,
    /// Live sessions: how often each has called.
    pub(crate) sessions: BTreeMap<String, u32>,
    /// Sessions that were begun.
    pub(crate) begun: u32,
    /// Methods, in their order.
    pub(crate) heard: Vec<String>,
    /// Headers of the last request.
    pub(crate) headers: BTreeMap<String, String>,
    /// Every answer is this status instead.
    pub(crate) status: Option<u16>,
}

impl Remote {
    pub(crate) async fn new(modern: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let said = Arc::new(Mutex::new(Said {
            modern,
            ..Said::default()
        }));
        let mut tasks = JoinSet::new();
        let shared = said.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let said = shared.clone();
                connections.spawn(async move {
                    let service = service_fn(|request| serve(request, said.clone()));
                    let builder = Builder::new(TokioExecutor::new());
                    let _ = builder
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            url,
            said,
            _tasks: tasks,
        }
    }
}

type Answer = Response<Full<Bytes>>;

async fn serve(
    request: Request<Incoming>,
    said: Arc<Mutex<Said>>,
) -> Result<Answer, std::convert::Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let header = |name: &str| {
        let value = parts.headers.get(name);
        value.map(|value| value.to_str().unwrap().to_owned())
    };
    let session = header("mcp-session-id");
    if parts.method == Method::DELETE {
        let mut said = said.lock();
        said.heard.push("DELETE".to_owned());
        said.sessions.remove(&session.unwrap_or_default());
        return Ok(answer(StatusCode::OK, None));
    }
    let message: Value = serde_json::from_slice(&body).unwrap();
    let method = message["method"].as_str().unwrap_or_default().to_owned();
    let seconds = message["params"]["arguments"]["sleep"].as_f64();
    {
        let mut said = said.lock();
        said.heard.push(method.clone());
        let names = parts.headers.keys().map(ToString::to_string);
        said.headers = names
            .map(|name| (name.clone(), header(&name).unwrap()))
            .collect();
        if let Some(status) = said.status {
            return Ok(answer(StatusCode::from_u16(status).unwrap(), None));
        }
    }
    if let Some(seconds) = seconds {
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    }
    let mut said = said.lock();
    Ok(if said.modern {
        modern(&message, &method)
    } else {
        legacy(&mut said, &message, &method, session)
    })
}

fn modern(message: &Value, method: &str) -> Answer {
    let result = match method {
        "server/discover" => json!({"resultType": "complete", "supportedVersions": ["2026-07-28"],
            "capabilities": {"tools": {}},
            "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "new", "version": "1"}}}),
        _ => json!({"resultType": "complete", "content": [{"type": "text", "text": "modern"}]}),
    };
    result_of(message, result)
}

fn legacy(said: &mut Said, message: &Value, method: &str, session: Option<String>) -> Answer {
    if method == "initialize" {
        said.begun += 1;
        let id = format!("s{}", said.begun);
        said.sessions.insert(id.clone(), 0);
        let result = json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
            "serverInfo": {"name": "old", "version": "2"}});
        let mut answer = result_of(message, result);
        answer
            .headers_mut()
            .insert("mcp-session-id", id.parse().unwrap());
        return answer;
    }
    if method == "server/discover" {
        let error = json!({"code": -32000, "message": "no session"});
        let body = json!({"jsonrpc": "2.0", "id": null, "error": error});
        return answer(StatusCode::BAD_REQUEST, Some(&body));
    }
    let Some(calls) = session.as_ref().and_then(|id| said.sessions.get_mut(id)) else {
        return answer(StatusCode::NOT_FOUND, None);
    };
    if message.get("id").is_none() {
        return answer(StatusCode::ACCEPTED, None);
    }
    *calls += 1;
    let text = format!("call {calls} of {}", session.unwrap());
    let result = json!({"content": [{"type": "text", "text": text}]});
    let token = &message["params"]["_meta"]["progressToken"];
    if message["params"]["arguments"]["stream"].is_null() {
        return result_of(message, result);
    }
    let response = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
    let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress",
        "params": {"progressToken": token, "progress": 1}});
    let ping = json!({"jsonrpc": "2.0", "id": "p", "method": "ping"});
    let body = format!("id: 1\ndata:\n\ndata: {ping}\n\ndata: {progress}\n\ndata: {response}\n\n");
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    let kind = "text/event-stream".parse().unwrap();
    answer.headers_mut().insert("content-type", kind);
    answer
}

fn result_of(message: &Value, result: Value) -> Answer {
    let body = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
    answer(StatusCode::OK, Some(&body))
}

fn answer(status: StatusCode, body: Option<&Value>) -> Answer {
    let text = body.map(Value::to_string).unwrap_or_default();
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    if body.is_some() {
        let kind = "application/json".parse().unwrap();
        answer.headers_mut().insert("content-type", kind);
    }
    answer
}
