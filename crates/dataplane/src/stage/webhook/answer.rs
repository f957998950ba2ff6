//! What a receiver answers: exactly a verdict, or nothing that counts.

use std::time::Duration;

use bytes::Bytes;
use engine::filter::Hook;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use runtime::clock::now_unix_s;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Error, sign};

/// Most bytes of an answer: a message of the greatest size, and what stands around it.
const BODY_BYTES_MAX: usize = (4 << 20) + 4096;
/// Most bytes of a refusal in Obot's form that are read for its reason.
const OBOT_REASON_BYTES_MAX: usize = 4096;
/// How long that reason is waited for.
const OBOT_REASON: Duration = Duration::from_millis(50);
/// Most characters of a receiver's reason that are kept.
const REASON_CHARS_MAX: usize = 300;

/// What a receiver says of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may go on as it is.
    Allow,
    /// It is refused, for this reason, which may be empty.
    Deny(String),
    /// It goes on as this.
    Change(Bytes),
}

#[derive(Deserialize)]
struct Answer<'a> {
    verdict: &'a str,
    #[serde(default)]
    reason: Option<String>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
}

/// Reads the answer of one of our own receivers to the question `id`.
pub(super) async fn standard(
    response: Response<Incoming>,
    hook: &Hook,
    id: &str,
) -> Result<Verdict, Error> {
    let none = |why: String| Error::Answer(why);
    if response.status() != StatusCode::OK {
        return Err(none(format!("HTTP {}", response.status())));
    }
    let (parts, body) = response.into_parts();
    if parts.headers.contains_key(CONTENT_ENCODING) {
        return Err(none("it is encoded, which was not asked for".to_owned()));
    }
    let kind = parts.headers.get(CONTENT_TYPE);
    if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json")) {
        return Err(none("it is no application/json".to_owned()));
    }
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let body = body.map_err(|error| none(error.to_string()))?.to_bytes();
    if hook.signed_answer && !is_signed(&parts.headers, hook, id, &body) {
        return Err(none(
            "it is not signed, or not for this question".to_owned(),
        ));
    }
    read(&body)
}

fn read(body: &[u8]) -> Result<Verdict, Error> {
    let answer: Answer<'_> =
        serde_json::from_slice(body).map_err(|error| Error::Answer(error.to_string()))?;
    match (answer.verdict, answer.message) {
        ("allow", None) => Ok(Verdict::Allow),
        ("deny", None) => {
            let reason = answer.reason.unwrap_or_default();
            Ok(Verdict::Deny(plain(&reason)))
        }
        ("change", Some(message)) => Ok(Verdict::Change(Bytes::copy_from_slice(
            message.get().as_bytes(),
        ))),
        ("change", None) => Err(Error::Answer("a change without a message".to_owned())),
        ("allow" | "deny", Some(_)) => Err(Error::Answer(
            "a message beside another verdict than change".to_owned(),
        )),
        (other, _) => Err(Error::Answer(format!("{other:?} is no verdict"))),
    }
}

/// Reads the answer of a receiver made for Obot: 200 accepts, whatever else it says; the body of another says why.
pub(super) async fn obot(response: Response<Incoming>) -> Result<Verdict, Error> {
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(Verdict::Allow);
    }
    let body = Limited::new(response.into_body(), OBOT_REASON_BYTES_MAX);
    // A reason that cannot be read is none: the refusal stands.
    let why = tokio::time::timeout(OBOT_REASON, body.collect()).await;
    let why = why.map(|body| body.map(|body| body.to_bytes()).unwrap_or_default());
    let why = why.unwrap_or_default();
    let reason = format!("HTTP {status}: {}", String::from_utf8_lossy(&why));
    Ok(Verdict::Deny(plain(&reason)))
}

/// A receiver's reason as it may be logged.
fn plain(reason: &str) -> String {
    let plain = reason.chars().filter(|c| !c.is_control());
    plain.take(REASON_CHARS_MAX).collect()
}

fn is_signed(headers: &HeaderMap, hook: &Hook, id: &str, body: &[u8]) -> bool {
    let single = |name: &str| {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    };
    let (Some(its_id), Some(timestamp), Some(signatures)) = (
        single(sign::ID),
        single(sign::TIMESTAMP),
        single(sign::SIGNATURE),
    ) else {
        return false;
    };
    let (Ok(timestamp), Ok(key)) = (timestamp.parse(), sign::standard_key(&hook.key)) else {
        return false;
    };
    its_id == id && sign::is_standard(&key, id, timestamp, body, signatures, now_unix_s())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn only_the_exact_form_is_a_verdict() {
        let of = |text: &str| read(text.as_bytes());
        assert_eq!(of(r#"{"verdict": "allow"}"#).unwrap(), Verdict::Allow);
        assert_eq!(
            of(r#"{"verdict":"allow","note":1}"#).unwrap(),
            Verdict::Allow
        );
        assert_eq!(
            of(r#"{"verdict":"deny","reason":"no\u0007 way"}"#).unwrap(),
            Verdict::Deny("no way".to_owned())
        );
        assert_eq!(
            of(r#"{"verdict":"change","message":{"a": 1}}"#).unwrap(),
            Verdict::Change(Bytes::from_static(br#"{"a": 1}"#))
        );
        for bad in [
            "",
            "allow",
            "{}",
            "[]",
            r#"{"verdict":"Allow"}"#,
            r#"{"verdict":true}"#,
            r#"{"verdict":"allow","verdict":"deny"}"#,
            r#"{"verdict":"change"}"#,
            r#"{"verdict":"allow","message":{}}"#,
            r#"{"verdict":"allow"} {"verdict":"deny"}"#,
            "<html>allow</html>",
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
