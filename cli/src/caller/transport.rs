//! One HTTP exchange on a connection of its own, plain or TLS.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends a request to the host of `uri` and gives the head of the response; its body follows.
///
/// # Errors
/// A sentence that says what did not work.
pub(super) async fn send(
    uri: &Uri,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, String> {
    let host = uri
        .host()
        .ok_or("the address of the edge names no host")?
        .trim_matches(['[', ']']);
    let secure = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(format!("{uri} begins with neither http:// nor https://")),
    };
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect((host, port)))
        .await
        .map_err(|_| format!("{host}:{port} did not answer within 5 s"))?
        .map_err(|e| match e.kind() {
            std::io::ErrorKind::ConnectionRefused => format!("nothing listens on {host}:{port}"),
            _ => format!("{host}:{port}: {e}"),
        })?;
    if !secure {
        return exchange(TokioIo::new(stream), request).await;
    }
    let config =
        runtime::tls::web_client_config(None, &[runtime::tls::HTTP1]).map_err(|e| e.to_string())?;
    let name = ServerName::try_from(host.to_owned()).map_err(|e| format!("{host}: {e}"))?;
    let stream = TlsConnector::from(Arc::clone(&config))
        .connect(name, stream)
        .await;
    exchange(
        TokioIo::new(stream.map_err(|e| format!("no TLS connection to {host}:{port}: {e}"))?),
        request,
    )
    .await
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, String>
where
    S: Read + Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(stream).await.map_err(|e| e.to_string())?;
    // Moves the bytes; ends with the response's body, or when the command ends.
    tokio::spawn(async move {
        // What goes wrong here is what the reader of the body sees.
        let _ = connection.await;
    });
    sender
        .send_request(request)
        .await
        .map_err(|e| e.to_string())
}
