//! What the client is told: every refusal and fault as an HTTP response, in one place.
//!
//! The rows are those of CONTRACT section 4 and PROTOCOL 2.5; codes and statuses come from `mcp::error`.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use mcp::error::RpcError;

use crate::body::ReplyBody;
use crate::refusal::{Fault, Refused};
use crate::stage::limit::Limited;

/// A refusal as a response. The body is a JSON-RPC error without an id, as no message was read.
pub fn refused(refused: &Refused) -> Response<ReplyBody> {
    let error = RpcError {
        http_status: refused.status.as_u16(),
        ..RpcError::invalid_request(&*refused.message)
    };
    let mut response = rpc(&error, None);
    if let Some(challenge) = &refused.challenge
        && let Ok(value) = HeaderValue::from_str(challenge)
    {
        response.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
    if refused.status == StatusCode::METHOD_NOT_ALLOWED {
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("POST"));
    }
    response
}

/// A JSON response.
pub fn json(status: StatusCode, body: Bytes) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::full(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A JSON-RPC error as a response to the request with this id.
pub fn rpc(error: &RpcError, id: Option<&[u8]>) -> Response<ReplyBody> {
    let status = StatusCode::from_u16(error.http_status).unwrap_or(StatusCode::BAD_REQUEST);
    json(status, Bytes::from(error.body(id)))
}

/// A fault of delivery as a response.
pub fn fault(fault: &Fault, id: Option<&[u8]>) -> Response<ReplyBody> {
    let response = rpc(&rpc_of(fault), id);
    match fault.retry_after_s {
        Some(seconds) => retry_after(response, seconds.into()),
        None => response,
    }
}

/// A call that is over a limit as a response.
pub fn limited(limited: &Limited, id: Option<&[u8]>) -> Response<ReplyBody> {
    retry_after(rpc(&limited.error(), id), limited.after_s())
}

fn retry_after(mut response: Response<ReplyBody>, seconds: u64) -> Response<ReplyBody> {
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// The JSON-RPC error of a fault.
pub fn rpc_of(fault: &Fault) -> RpcError {
    match &fault.rpc {
        Some(error) => error.clone(),
        None => RpcError::unavailable(fault.reason.as_str(), &*fault.message),
    }
}
