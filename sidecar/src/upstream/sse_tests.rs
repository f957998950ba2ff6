#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use bytes::Bytes;
use dataplane::egress::EgressSettings;
use http_body_util::{Full, StreamBody};
use hyper::body::Frame;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::*;
use crate::talk::line::{CHORE, Line};

type Body = http_body_util::Either<
    Full<Bytes>,
    StreamBody<
        std::pin::Pin<
            Box<dyn futures_util::Stream<Item = Result<Frame<Bytes>, std::io::Error>> + Send>,
        >,
    >,
>;

#[test]
fn messages_are_posted_to_the_server_itself_and_nowhere_else() {
    let at = HttpUrl::parse("http://mcp.example.com:8080/sse?x=1").unwrap();
    let told = |said: &str| endpoint(&at, said).map(|url| url.to_string());
    let own = "http://mcp.example.com:8080/messages?id=7";
    assert_eq!(told("/messages?id=7").unwrap(), own);
    assert_eq!(told(own).unwrap(), own);
    for elsewhere in [
        "http://169.254.169.254/",
        "https://mcp.example.com:8080/messages",
        "http://mcp.example.com/messages",
        "//evil.test/x",
        "http://mcp.example.com:8080@evil.test/",
        "messages",
        "",
    ] {
        assert!(told(elsewhere).is_err(), "{elsewhere}");
    }
}

/// A server that begins well, and answers each message after that with the status of its method's name.
async fn moody() -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/sse", listener.local_addr().unwrap());
    let (says, said) = mpsc::channel::<String>(8);
    let said = Arc::new(parking_lot::Mutex::new(Some(said)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (says, said) = (says.clone(), said.clone());
            let service = service_fn(move |request: Request<Incoming>| {
                let (says, said) = (says.clone(), said.clone());
                async move { Ok::<_, std::io::Error>(answer(request, &says, &said).await) }
            });
            let served = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(served);
        }
    });
    let url = HttpUrl::parse(&url).unwrap();
    Upstream {
        url,
        headers: Vec::new(),
    }
}

async fn answer(
    request: Request<Incoming>,
    says: &mpsc::Sender<String>,
    said: &parking_lot::Mutex<Option<mpsc::Receiver<String>>>,
) -> Response<Body> {
    if request.method() == Method::GET {
        says.send("event: endpoint\ndata: /messages\n\n".to_owned())
            .await
            .unwrap();
        let said = said.lock().take().unwrap();
        let frames = futures_util::stream::unfold(said, |mut said| async move {
            let text = said.recv().await?;
            Some((Ok(Frame::data(Bytes::from(text))), said))
        });
        let body = Body::Right(StreamBody::new(Box::pin(frames)));
        return Response::builder()
            .header(CONTENT_TYPE, "text/event-stream")
            .body(body)
            .unwrap();
    }
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let message: Value = serde_json::from_slice(&body).unwrap();
    let status = match message["method"].as_str().unwrap() {
        "initialize" => {
            let result = json!({"protocolVersion": "2024-11-05", "capabilities": {},
                "serverInfo": {"name": "moody", "version": "1"}});
            let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
            says.send(format!("event: message\ndata: {answer}\n\n"))
                .await
                .unwrap();
            202
        }
        status => status.parse().unwrap_or(202),
    };
    let mut response = Response::new(Body::Left(Full::default()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

async fn reached() -> Running {
    let egress = Egress::new(&EgressSettings {
        allow_private: true,
        ca_file: None,
    });
    let who = Who::of("ana", "", "{}");
    let within = Duration::from_secs(5);
    let reached = Running::reach(&egress, &moody().await, &who, within, 1 << 20).await;
    reached.unwrap().0
}

#[tokio::test]
async fn a_request_that_is_not_taken_is_answered_at_once() {
    let running = reached().await;
    let line = Line::Process(running.link().clone(), None);
    let begun = Instant::now();
    for _ in 0..2 {
        // The server says 500, and the connection goes on.
        let refused = line.order("500", &json!({})).await.unwrap_err();
        assert!(
            matches!(refused, crate::upstream::Error::Invalid(_)),
            "{refused}"
        );
    }
    assert!(begun.elapsed() < CHORE / 2);
}

#[tokio::test]
async fn a_server_that_knows_the_session_no_more_has_ended_it() {
    let mut running = reached().await;
    let line = Line::Process(running.link().clone(), None);
    let params = json!({});
    let (refused, ended) = tokio::join!(
        line.order("404", &params),
        timeout(CHORE / 2, running.ended())
    );
    assert_eq!(ended.unwrap(), "has ended its stream");
    assert!(
        matches!(refused, Err(crate::upstream::Error::Gone(_))),
        "{refused:?}"
    );
}
