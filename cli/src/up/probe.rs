//! Asks a part's admin page whether it is ready, and which revision it runs.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How long one question may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Whether an edge answers clients by a revision that is at least `revision`.
pub(super) async fn runs(admin: SocketAddr, revision: u64) -> bool {
    let asked = async {
        let (status, _) = get(admin, "/readyz").await?;
        if status != StatusCode::OK {
            return None;
        }
        let (_, config) = get(admin, "/config").await?;
        let config: serde_json::Value = serde_json::from_slice(&config).ok()?;
        config["revision"].as_u64()
    };
    let runs = tokio::time::timeout(TIMEOUT, asked).await.ok().flatten();
    runs.is_some_and(|runs| runs >= revision)
}

async fn get(address: SocketAddr, path: &str) -> Option<(StatusCode, Bytes)> {
    let stream = TcpStream::connect(address).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let request = Request::builder()
        .uri(path)
        .header(http::header::HOST, address.to_string())
        .body(Empty::<Bytes>::new())
        .ok()?;
    let exchange = async {
        let response = sender.send_request(request).await.ok()?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await
            .ok()?;
        Some((status, body.to_bytes()))
    };
    tokio::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        // The connection may end with the answer already read.
        _ = connection => exchange.await,
    }
}
