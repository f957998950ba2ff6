//! What an edge answers besides MCP: health for load balancers, and the metadata of protected resources.

use bytes::Bytes;
use dataplane::answer;
use dataplane::body::ReplyBody;
use dataplane::door::{self, Route};
use dataplane::pipeline::Shared;
use http::{Response, StatusCode};
use model::name::ServerName;
use serde_json::json;

use crate::hop::Edge;

/// One page.
pub(crate) fn page(shared: &Shared<Edge>, route: &Route) -> Response<ReplyBody> {
    match route {
        Route::ResourceMetadata(server) => metadata(shared, server),
        Route::Ready if !shared.is_ready() => {
            let body = json!({"ready": false}).to_string();
            answer::json(StatusCode::SERVICE_UNAVAILABLE, Bytes::from(body))
        }
        Route::Ready => answer::json(StatusCode::OK, Bytes::from_static(b"{\"ready\":true}")),
        Route::Live | Route::Mcp(_) | Route::Sse(_) => {
            answer::json(StatusCode::OK, Bytes::from_static(b"{\"live\":true}"))
        }
    }
}

/// RFC 9728, section 2. Served for every well-formed name, so that it tells nobody which servers there are.
fn metadata(shared: &Shared<Edge>, server: &ServerName) -> Response<ReplyBody> {
    let url = shared
        .hop
        .public_urls
        .first()
        .map(String::as_str)
        .unwrap_or_default();
    let body = json!({
        "resource": format!("{url}{}", door::path(server)),
        "resource_name": if server.is_all() { "gatehouse" } else { server.as_str() },
        "bearer_methods_supported": ["header"],
    });
    answer::json(StatusCode::OK, Bytes::from(body.to_string()))
}
