//! What came back, held to what was asked. Reads each answer with the project's one strict scan.

use mcp::envelope::{Envelope, Kind, Limits, ResultType, scan};
use mcp::walk;

use crate::failure::{self, Fault};

/// Longest `error.data.reason` that is told apart, characters.
const REASON_CHARS_MAX: usize = 64;
/// How much of a strange answer is shown, characters.
const SHOWN_CHARS_MAX: usize = 200;

/// What an answer must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The id that it must repeat.
    pub(crate) id: u64,
    /// What its result must hold.
    pub(crate) content: Content,
}

/// What a result must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// Anything.
    Any,
    /// A text that holds this one.
    Text(String),
    /// Tools, at least so many.
    Tools(usize),
}

/// A message on the way to the answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// A notification: the answer is still to come.
    Notification,
    /// The answer, and it is good.
    Answer,
}

/// Looks at one message.
///
/// # Errors
/// [`Fault`]: it is an error, or not an answer to what was asked.
pub(crate) fn check(message: &[u8], asked: &Asked) -> Result<Message, Fault> {
    let envelope = scan(message, &Limits::RESPONSE)
        .map_err(|error| Fault::wrong(format_args!("{error}: {}", shown(message))))?;
    match envelope.kind {
        Kind::Notification => return Ok(Message::Notification),
        Kind::Request => return Err(Fault::wrong("the server asks something itself")),
        Kind::Response => {}
    }
    if let Some(code) = envelope.error_code {
        return Err(rpc_error(&envelope, code));
    }
    let id = asked.id.to_string();
    if envelope.raw_id() != Some(id.as_bytes()) {
        return Err(Fault::wrong(format_args!(
            "the answer is for {:?}, not for {id}",
            envelope.id
        )));
    }
    check_result(&envelope, asked)?;
    Ok(Message::Answer)
}

/// The error that a JSON-RPC message tells, if it is one.
pub(crate) fn error_of(message: &[u8]) -> Option<Fault> {
    let envelope = scan(message, &Limits::RESPONSE).ok()?;
    let code = envelope.error_code?;
    Some(rpc_error(&envelope, code))
}

/// Bytes for people.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * SHOWN_CHARS_MAX)]);
    let visible = text.chars().filter(|c| !c.is_control());
    visible.take(SHOWN_CHARS_MAX).collect()
}

fn rpc_error(envelope: &Envelope<'_>, code: i64) -> Fault {
    let bytes = envelope.bytes;
    let text = |span: mcp::envelope::Span| walk::text(span.of(bytes));
    let error = envelope.error.unwrap_or_default();
    let reason = walk::find(bytes, error, "data")
        .and_then(|data| walk::find(bytes, data, "reason"))
        .and_then(text)
        .map(|reason| reason.chars().take(REASON_CHARS_MAX).collect());
    let message = walk::find(bytes, error, "message").and_then(text);
    let kind = failure::Kind::Rpc { code, reason };
    Fault::new(kind, message.unwrap_or_default())
}

fn check_result(envelope: &Envelope<'_>, asked: &Asked) -> Result<(), Fault> {
    let whole = || shown(envelope.bytes);
    let Some(result) = envelope.result else {
        return Err(Fault::wrong("neither result nor error"));
    };
    if envelope.is_error {
        return Err(Fault::wrong(format_args!("the tool failed: {}", whole())));
    }
    if !matches!(envelope.result_type, None | Some(ResultType::Complete)) {
        return Err(Fault::wrong(format_args!("not complete: {}", whole())));
    }
    let list = |key| {
        let list = walk::find(envelope.bytes, result, key).unwrap_or_default();
        walk::elements(envelope.bytes, list)
    };
    let good = match &asked.content {
        Content::Any => true,
        Content::Tools(least) => list("tools").count() >= *least,
        Content::Text(expected) => list("content").any(|content| {
            let text = walk::find(envelope.bytes, content, "text");
            let text = text.and_then(|text| walk::text(text.of(envelope.bytes)));
            text.is_some_and(|text| holds(&text, expected))
        }),
    };
    if good {
        return Ok(());
    }
    Err(Fault::wrong(format_args!(
        "not what was asked for: {}",
        whole()
    )))
}

/// Equal in the usual case, which costs least to see; some servers add words of their own.
fn holds(text: &str, expected: &str) -> bool {
    text == expected || text.contains(expected)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::failure::Kind as Failed;

    fn asked(content: Content) -> Asked {
        Asked { id: 7, content }
    }

    fn judge(message: &str, content: Content) -> Result<Message, Failed> {
        check(message.as_bytes(), &asked(content)).map_err(|fault| fault.kind)
    }

    fn echo(text: &str) -> String {
        format!(
            r#"{{"jsonrpc":"2.0","id":7,"result":{{"content":[{{"type":"text","text":"{text}"}}]}}}}"#
        )
    }

    fn text(text: &str) -> Content {
        Content::Text(text.to_owned())
    }

    #[test]
    fn an_echo_is_good_however_it_is_spelt() {
        for spelt in ["abc", "Echo: abc", "\\u0061bc"] {
            assert_eq!(
                judge(&echo(spelt), text("abc")),
                Ok(Message::Answer),
                "{spelt}"
            );
        }
    }

    #[test]
    fn another_calls_answer_is_wrong() {
        assert_eq!(judge(&echo("abd"), text("abc")), Err(Failed::Wrong));
        let other = echo("abc").replace("\"id\":7", "\"id\":8");
        assert_eq!(judge(&other, text("abc")), Err(Failed::Wrong));
        let text_id = echo("abc").replace("\"id\":7", "\"id\":\"7\"");
        assert_eq!(judge(&text_id, text("abc")), Err(Failed::Wrong));
    }

    #[test]
    fn what_is_no_result_is_told_apart() {
        let rpc = |code, reason: Option<&str>| {
            let reason = reason.map(str::to_owned);
            Err(Failed::Rpc { code, reason })
        };
        let cases = [
            (
                r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"no"}}"#,
                rpc(-32602, None),
            ),
            (
                r#"{"jsonrpc":"2.0","id":7,"error":{"code":-31011,"message":"no","data":{"reason":"timeout"}}}"#,
                rpc(-31011, Some("timeout")),
            ),
            (
                r#"{"jsonrpc":"2.0","id":7,"result":{"content":[],"isError":true}}"#,
                Err(Failed::Wrong),
            ),
            (
                r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"input_required"}}"#,
                Err(Failed::Wrong),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
                Err(Failed::Wrong),
            ),
            (r#"{"jsonrpc":"2.0","id":7"#, Err(Failed::Wrong)),
            ("", Err(Failed::Wrong)),
            (
                r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#,
                Ok(Message::Notification),
            ),
            (
                r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete"}}"#,
                Ok(Message::Answer),
            ),
        ];
        for (message, verdict) in cases {
            assert_eq!(judge(message, Content::Any), verdict, "{message}");
        }
    }

    #[test]
    fn a_list_has_a_tool() {
        let list =
            |tools: &str| format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"tools":{tools}}}}}"#);
        assert_eq!(
            judge(&list(r#"[{"name":"echo"}]"#), Content::Tools(1)),
            Ok(Message::Answer)
        );
        assert_eq!(judge(&list("[]"), Content::Tools(1)), Err(Failed::Wrong));
        assert_eq!(judge(&list("{}"), Content::Tools(1)), Err(Failed::Wrong));
    }

    #[test]
    fn errors_are_seen_in_answers_of_any_status() {
        let body = br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"a session"}}"#;
        let fault = error_of(body).unwrap();
        assert_eq!(
            (fault.kind, fault.detail.as_str()),
            (
                Failed::Rpc {
                    code: -32600,
                    reason: None
                },
                "a session"
            )
        );
        assert_eq!(error_of(b"<html>"), None);
    }
}
