//! The admin port of a process: `/livez`, `/readyz`, `/metrics`, `/config`.
//!
//! For operators and their machines, on loopback unless set otherwise; it changes nothing and shows no
//! secret. Who names it by anything but `localhost` or an IP address is refused: a web page must not be
//! able to read it through a name that it points here. It does not know what the process does.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::drain::Drain;
use crate::net;
use crate::readiness::Readiness;

/// What the port shows.
#[derive(Clone)]
pub struct Sources {
    /// What `/readyz` tells.
    pub readiness: Readiness,
    /// What `/metrics` tells: Prometheus text.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// What `/config` tells: revision, hash, age.
    pub config: Arc<dyn Fn() -> Value + Send + Sync>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("readiness", &self.readiness)
            .finish_non_exhaustive()
    }
}

/// Serves the admin port until `drain` starts, and returns the address that was taken.
///
/// # Errors
/// If `address` cannot be listened on; `setting` is named then.
pub async fn serve(
    address: &str,
    setting: &str,
    sources: Sources,
    drain: &Drain,
) -> Result<SocketAddr, net::Error> {
    let listener = net::listen(address, setting).await?;
    let taken = listener.local_addr().map_err(|source| net::Error::Listen {
        address: address.to_owned(),
        setting: setting.to_owned(),
        source,
    })?;
    let stop = drain.clone();
    net::serve_pages(listener, "admin port", drain, move |request| {
        let (method, path) = (request.method(), request.uri().path());
        std::future::ready(answer(method, path, request.headers(), &sources, &stop))
    });
    Ok(taken)
}

fn answer(
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    sources: &Sources,
    drain: &Drain,
) -> Response<Full<Bytes>> {
    if !is_named_by_address(headers) {
        return text(
            StatusCode::FORBIDDEN,
            "use localhost or an IP address\n".to_owned(),
        );
    }
    if method != Method::GET && method != Method::HEAD {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
    }
    match path {
        "/livez" => text(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => readyz(&sources.readiness, drain.is_leaving()),
        "/metrics" => text(StatusCode::OK, (sources.metrics)()),
        "/config" => json_body(StatusCode::OK, &(sources.config)()),
        _ => text(
            StatusCode::NOT_FOUND,
            "/livez /readyz /metrics /config\n".to_owned(),
        ),
    }
}

fn readyz(readiness: &Readiness, draining: bool) -> Response<Full<Bytes>> {
    let awaited = readiness.awaited();
    let ready = awaited.is_empty() && !draining;
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    json_body(
        status,
        &json!({"ready": ready, "draining": draining, "awaited": awaited}),
    )
}

/// Whether the request names this host by an address or as `localhost`.
fn is_named_by_address(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let Ok(host) = host.to_str() else {
        return false;
    };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(name, _)| name),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    response(status, "text/plain; version=0.0.4; charset=utf-8", body)
}

fn json_body(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    response(status, "application/json", format!("{body}\n"))
}

fn response(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static(content_type),
    );
    headers.insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-store"),
    );
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn get(address: SocketAddr, host: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn it_tells_what_is_awaited_and_only_to_those_who_use_an_address() {
        let drain = Drain::new();
        let readiness = Readiness::new(&["snapshot"]);
        let sources = Sources {
            readiness: readiness.clone(),
            metrics: Arc::new(|| "calls_total 1\n".to_owned()),
            config: Arc::new(|| json!({"revision": 7})),
        };
        let address = serve("127.0.0.1:0", "edge.admin_listen", sources, &drain)
            .await
            .unwrap();
        let waiting = get(address, "localhost", "/readyz").await;
        assert!(
            waiting.starts_with("HTTP/1.1 503") && waiting.contains("snapshot"),
            "{waiting}"
        );
        readiness.done("snapshot");
        assert!(
            get(address, "[::1]:7809", "/readyz")
                .await
                .starts_with("HTTP/1.1 200")
        );
        assert!(
            get(address, "127.0.0.1:7809", "/metrics")
                .await
                .contains("calls_total 1")
        );
        assert!(
            get(address, "127.0.0.1", "/config")
                .await
                .contains("{\"revision\":7}")
        );
        assert!(
            get(address, "localhost", "/livez")
                .await
                .starts_with("HTTP/1.1 200")
        );
        assert!(
            get(address, "localhost", "/")
                .await
                .starts_with("HTTP/1.1 404")
        );
        assert!(
            get(address, "evil.example", "/config")
                .await
                .starts_with("HTTP/1.1 403")
        );
        assert!(drain.finish(Duration::from_secs(5)).await);
    }
}
