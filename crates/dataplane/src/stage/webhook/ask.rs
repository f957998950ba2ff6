//! What receivers are asked: the message, with what is known of its call; or, in Obot's form, the message alone.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::Full;
use mcp::envelope::{self, Kind, Limits};
use model::filter::Direction;
use runtime::clock::now_unix_s;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Error, Question as Asked, sign};

/// What receivers see of us.
const AGENT: &str = concat!("gatehouse/", env!("CARGO_PKG_VERSION"));
/// The server, for receivers made for Obot.
const OBOT_SERVER: HeaderName = HeaderName::from_static("x-obot-mcp-server-id");
/// The user, for receivers made for Obot.
const OBOT_USER: HeaderName = HeaderName::from_static("x-obot-user-id");

/// What our own receivers are asked (CONTRACT section 6).
#[derive(Serialize)]
struct Question<'a> {
    version: u32,
    id: &'a str,
    direction: &'static str,
    time: String,
    principal: Who<'a>,
    server: &'a str,
    method: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    revision: u64,
    message: &'a RawValue,
}

#[derive(Serialize)]
struct Who<'a> {
    user: &'a str,
    groups: &'a [Arc<str>],
    client: &'a str,
}

/// A request in our own form, under this id.
pub(super) fn standard(asked: Asked<'_>, id: &str) -> Result<Request<Full<Bytes>>, Error> {
    let Asked {
        hook,
        about,
        way,
        message,
        ..
    } = asked;
    let question = |error: &dyn std::fmt::Display| Error::Question(error.to_string());
    let text = std::str::from_utf8(message).map_err(|e| question(&e))?;
    let raw: &RawValue = serde_json::from_str(text).map_err(|e| question(&e))?;
    let body = serde_json::to_vec(&Question {
        version: 1,
        id,
        direction: match way {
            Direction::Response => "response",
            Direction::Request | Direction::Both => "request",
        },
        time: jiff::Timestamp::now().to_string(),
        principal: Who {
            user: &about.principal.user,
            groups: &about.principal.groups,
            client: &about.client,
        },
        server: about.server.as_str(),
        method: &about.method,
        name: &about.name,
        revision: about.revision.0,
        message: raw,
    });
    let body = body.map_err(|e| question(&e))?;
    let timestamp = now_unix_s();
    let key = sign::standard_key(&hook.key).map_err(Error::Question)?;
    let signature = sign::standard(&key, id, timestamp, &body);
    let mut request = post(body);
    let headers = request.headers_mut();
    for (name, value) in [
        (sign::ID, id),
        (sign::TIMESTAMP, &timestamp.to_string()),
        (sign::SIGNATURE, &signature),
    ] {
        let value = HeaderValue::from_str(value).map_err(|e| question(&e))?;
        headers.insert(name, value);
    }
    Ok(request)
}

/// A request as receivers made for Obot know it: the message alone, in which also a response says what method it answers.
pub(super) fn obot(asked: Asked<'_>) -> Result<Request<Full<Bytes>>, Error> {
    let question = |error: &dyn std::fmt::Display| Error::Question(error.to_string());
    let message = with_method(asked.message, &asked.about.method);
    let signature = sign::obot(asked.hook.key.expose().as_bytes(), &message);
    let mut request = post(message);
    let headers = request.headers_mut();
    let value = HeaderValue::from_str(&signature).map_err(|e| question(&e))?;
    headers.insert(sign::OBOT, value);
    for (name, text) in [
        (OBOT_SERVER, asked.about.server.as_str()),
        (OBOT_USER, &*asked.about.principal.user),
    ] {
        // A name that no header can say is left out: nobody decides by it.
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(name, value);
        }
    }
    Ok(request)
}

/// The message with its request's method, where it is a response that has none of its own.
fn with_method(message: &[u8], method: &str) -> Vec<u8> {
    let is_response = envelope::scan(message, &Limits::RESPONSE)
        .is_ok_and(|read| read.kind == Kind::Response && read.method.is_none());
    let open = message.iter().position(|byte| *byte == b'{');
    match open.filter(|_| is_response && !method.is_empty()) {
        None => message.to_vec(),
        Some(open) => {
            let (before, after) = message.split_at(open + 1);
            let name = mcp::edit::quoted(method);
            [before, b"\"method\":", &name, b",", after].concat()
        }
    }
}

fn post(body: Vec<u8>) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = Method::POST;
    let headers = request.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(CONTENT_TYPE, json.clone());
    headers.insert(ACCEPT, json);
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    request
}
