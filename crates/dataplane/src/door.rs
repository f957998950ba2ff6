//! What is looked at before anything of a request is believed: path, `Host`, `Origin`, media types, and
//! headers that may stand only once.
//!
//! Host and Origin are checked on every request, as a page in somebody's browser may reach a listener that
//! was meant for local clients only (DNS rebinding; PROTOCOL section 6).

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use model::name::{ServerName, is_name};

use crate::deliver::Connection;
use crate::refusal::Refused;

/// Longest path that is read, in bytes.
const PATH_BYTES_MAX: usize = 8 * 1024;

/// Which hosts and origins a listener answers to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guard {
    /// Authorities (`host` or `host:port`) that `Host` may name, lower case. Empty: any, as on mTLS
    /// listeners, where the certificate says more than a header could.
    pub hosts: Vec<String>,
    /// Origins that `Origin` may name, lower case: those of the public URLs, and what the operator adds.
    pub origins: Vec<String>,
}

/// Where a request wants to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `/mcp/{server}`, or `/mcp`, which is [`ServerName::all`], with POST, GET or DELETE.
    Mcp(ServerName),
    /// `/sse/{server}`, with GET and POST.
    Sse(ServerName),
    /// `/.well-known/oauth-protected-resource/mcp/{server}`, and the same of `/mcp`.
    ResourceMetadata(ServerName),
    /// `/livez`.
    Live,
    /// `/readyz`.
    Ready,
}

/// Checks host and origin, and reads the path.
pub fn route(parts: &Parts, guard: &Guard, peer: &Connection) -> Result<Route, Refused> {
    check_host(parts, guard, peer)?;
    check_origin(&parts.headers, guard, peer)?;
    let path = parts.uri.path();
    if path.len() > PATH_BYTES_MAX {
        return Err(Refused::new(
            StatusCode::URI_TOO_LONG,
            "the path is too long",
        ));
    }
    let route = match path {
        "/livez" => Route::Live,
        "/readyz" => Route::Ready,
        "/mcp" => Route::Mcp(ServerName::all()),
        "/.well-known/oauth-protected-resource/mcp" => Route::ResourceMetadata(ServerName::all()),
        _ => match path.strip_prefix("/mcp/") {
            Some(name) => Route::Mcp(server(name)?),
            None if path.starts_with("/sse/") => Route::Sse(server(&path["/sse/".len()..])?),
            None => match path.strip_prefix("/.well-known/oauth-protected-resource/mcp/") {
                Some(name) => Route::ResourceMetadata(server(name)?),
                None => return Err(Refused::not_found()),
            },
        },
    };
    let allowed = match route {
        Route::Mcp(_) => matches!(parts.method, Method::POST | Method::GET | Method::DELETE),
        Route::Sse(_) => matches!(parts.method, Method::POST | Method::GET),
        _ => parts.method == Method::GET || parts.method == Method::HEAD,
    };
    if !allowed {
        let message = format!("{} is not served here", parts.method);
        return Err(Refused::new(StatusCode::METHOD_NOT_ALLOWED, message));
    }
    Ok(route)
}

/// Where clients find a server, or all of them.
pub fn path(server: &ServerName) -> String {
    if server.is_all() {
        return "/mcp".to_owned();
    }
    format!("/mcp/{server}")
}

/// The name is read as it stands: nothing is unescaped, so that no two readers can differ about it.
fn server(name: &str) -> Result<ServerName, Refused> {
    if !is_name(name) {
        return Err(Refused::not_found());
    }
    ServerName::new(name).map_err(|_| Refused::not_found())
}

/// Checks what a message's own headers must be.
pub fn media(headers: &HeaderMap) -> Result<(), Refused> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let is_json = types.next().is_some_and(|value| {
        let essence = value
            .as_bytes()
            .split(|b| *b == b';')
            .next()
            .unwrap_or_default();
        essence
            .trim_ascii()
            .eq_ignore_ascii_case(b"application/json")
    });
    if !is_json || types.next().is_some() {
        return Err(Refused::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the message must be sent as Content-Type: application/json",
        ));
    }
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(Refused::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "a message must not be compressed",
        ));
    }
    Ok(())
}

/// Exactly one host, the same wherever it stands, and one that we answer to.
fn check_host(parts: &Parts, guard: &Guard, peer: &Connection) -> Result<(), Refused> {
    let bad = |what: &str| Refused::new(StatusCode::BAD_REQUEST, what);
    let mut headers = parts.headers.get_all(HOST).iter();
    let header = headers.next().map(|h| h.to_str()).transpose();
    let header = header.map_err(|_| bad("the Host header is not text"))?;
    if headers.next().is_some() {
        return Err(bad("there is more than one Host header"));
    }
    let target = parts.uri.authority().map(http::uri::Authority::as_str);
    let host = match (header, target) {
        (Some(a), Some(b)) if !a.eq_ignore_ascii_case(b) => {
            return Err(bad(
                "the Host header and the request target name different hosts",
            ));
        }
        (Some(host), _) | (None, Some(host)) => host,
        (None, None) => return Err(bad("the Host header is missing")),
    };
    if guard.hosts.is_empty() || guard.hosts.iter().any(|h| h.eq_ignore_ascii_case(host)) {
        return Ok(());
    }
    if peer.on_loopback && is_loopback_authority(host) {
        return Ok(());
    }
    Err(Refused::new(
        StatusCode::FORBIDDEN,
        "this host is not one that the edge serves: see edge.public_urls",
    ))
}

fn check_origin(headers: &HeaderMap, guard: &Guard, peer: &Connection) -> Result<(), Refused> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else {
        return Ok(());
    };
    let refused = || {
        Refused::new(
            StatusCode::FORBIDDEN,
            "requests from this origin are not served",
        )
    };
    let origin = origin.to_str().map_err(|_| refused())?;
    if origins.next().is_some() {
        return Err(refused());
    }
    if guard.origins.iter().any(|o| o.eq_ignore_ascii_case(origin)) {
        return Ok(());
    }
    let authority = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    if peer.on_loopback && authority.is_some_and(is_loopback_authority) {
        return Ok(());
    }
    Err(refused())
}

/// Whether `host` or `host:port` is one of the three loopback names, to the letter.
fn is_loopback_authority(authority: &str) -> bool {
    let host = match authority.strip_prefix("[::1]") {
        Some("") => return true,
        Some(rest) => return rest.strip_prefix(':').is_some_and(is_port),
        None => authority,
    };
    let (host, port) = match host.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (host, None),
    };
    (host.eq_ignore_ascii_case("localhost") || host == "127.0.0.1") && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use http::Request;

    use super::*;

    fn peer(on_loopback: bool) -> Connection {
        Connection {
            remote: "127.0.0.1:9".parse().unwrap(),
            on_loopback,
            identity: None,
        }
    }

    fn guard() -> Guard {
        Guard {
            hosts: vec!["mcp.example.com".into()],
            origins: vec!["https://mcp.example.com".into()],
        }
    }

    fn status(request: http::request::Builder, on_loopback: bool) -> u16 {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        match route(&parts, &guard(), &peer(on_loopback)) {
            Ok(_) => 200,
            Err(refused) => refused.status.as_u16(),
        }
    }

    fn post(path: &str) -> http::request::Builder {
        Request::post(path)
    }

    #[test]
    fn hosts_are_those_of_the_listener() {
        let cases = [
            ("mcp.example.com", false, 200),
            ("MCP.example.com", false, 200),
            ("localhost:7800", false, 403),
            ("localhost:7800", true, 200),
            ("127.0.0.1", true, 200),
            ("[::1]:7800", true, 200),
            ("evil.test", true, 403),
            ("127.0.0.1.evil.test", true, 403),
            ("localhost.", true, 403),
            ("localhost:x", true, 403),
            ("a/b?x=", true, 403),
            ("mcp.example.com#", true, 403),
        ];
        for (host, on_loopback, expected) in cases {
            assert_eq!(
                status(post("/mcp/a").header("host", host), on_loopback),
                expected,
                "{host}"
            );
        }
        assert_eq!(status(post("/mcp/a"), true), 400);
        let two = post("/mcp/a")
            .header("host", "localhost")
            .header("host", "localhost");
        assert_eq!(status(two, true), 400);
        let differs = post("http://localhost/mcp/a").header("host", "evil.test");
        assert_eq!(status(differs, true), 400);
    }

    #[test]
    fn origins_are_those_of_the_listener() {
        let cases = [
            ("https://mcp.example.com", false, 200),
            ("https://mcp.example.com.evil.test", false, 403),
            ("null", true, 403),
            ("http://localhost:6274", true, 200),
            ("http://localhost:6274", false, 403),
            ("http://localhost@evil.test", true, 403),
            ("file://localhost", true, 403),
        ];
        for (origin, on_loopback, expected) in cases {
            let request = post("/mcp/a")
                .header("host", "mcp.example.com")
                .header("origin", origin);
            assert_eq!(status(request, on_loopback), expected, "{origin}");
        }
    }

    #[test]
    fn paths_are_read_to_the_letter() {
        let host = |r: http::request::Builder| r.header("host", "mcp.example.com");
        assert_eq!(status(host(post("/mcp/a?x=1")), false), 200);
        for path in [
            "/mcp/",
            "/mcp/A",
            "/mcp/a/",
            "/mcp/%61",
            "/mcp/a//b",
            "/MCP/a",
            "/",
            "/mcp/*",
        ] {
            assert_eq!(status(host(post(path)), false), 404, "{path}");
        }
        assert_eq!(status(host(post("/mcp")), false), 200);
        assert_eq!(status(host(Request::get("/sse/a")), false), 200);
        assert_eq!(status(host(Request::delete("/sse/a")), false), 405);
        assert_eq!(status(host(Request::get("/sse/a/b")), false), 404);
        assert_eq!(status(host(Request::get("/mcp/a")), false), 200);
        assert_eq!(status(host(Request::delete("/mcp/a")), false), 200);
        assert_eq!(status(host(Request::put("/mcp/a")), false), 405);
        assert_eq!(status(host(Request::get("/livez")), false), 200);
    }

    #[test]
    fn messages_are_plain_json() {
        let check = |pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, value.parse().unwrap());
            }
            media(&headers).is_ok()
        };
        assert!(check(&[("content-type", "application/json")]));
        assert!(check(&[(
            "content-type",
            "Application/JSON; charset=utf-8"
        )]));
        assert!(!check(&[]));
        assert!(!check(&[("content-type", "text/plain")]));
        assert!(!check(&[("content-type", "application/jsonx")]));
        assert!(!check(&[
            ("content-type", "application/json"),
            ("content-encoding", "gzip")
        ]));
        assert!(!check(&[
            ("content-type", "application/json"),
            ("content-type", "text/plain")
        ]));
    }
}
