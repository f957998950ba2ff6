//! A modern client's requests for a legacy server, and the server's answers for the client.
//!
//! All functions add to [`Edits`], so that id, progress token and fields are changed in one pass over the message.

use std::borrow::Cow;

use super::handshake::SERVER_INFO_KEY;
use super::inputs::{RESPONSES_KEY, STATE_KEY};
use super::schema;
use crate::edit::{Change, Edits, quoted};
use crate::envelope::{Envelope, Id, ResultType, Span};
use crate::error::code;
use crate::method;
use crate::walk;

/// The prefix of the `_meta` keys that modern revisions reserve; legacy servers need not see them.
const RESERVED_PREFIX: &str = "io.modelcontextprotocol/";

/// What changes in the `_meta` of a request on its way to a legacy server.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestMeta<'a> {
    /// Raw JSON in the place of the client's progress token, if it sent one.
    pub progress_token: Option<&'a [u8]>,
    /// The new parent of the trace; `None` leaves the client's.
    pub traceparent: Option<&'a str>,
}

/// Puts a raw id in the place of the message's own. Nothing happens if it has none.
pub fn replace_id<'a>(edits: &mut Edits<'a>, id: Option<Id<'_>>, with: &'a [u8]) {
    if let Some(id) = id {
        edits.replace(id.span, with);
    }
}

/// A modern request in the form of a legacy one: the reserved keys leave `params._meta`, and with the last key the
/// object; all others stay.
pub fn request_to_legacy<'a>(edits: &mut Edits<'a>, envelope: &Envelope<'_>, new: RequestMeta<'a>) {
    let (Some(meta), Some(params)) = (&envelope.meta, envelope.params) else {
        return;
    };
    let mut traceparent = new.traceparent.map(quoted);
    let mut left = traceparent.is_some();
    let changes: Vec<_> = walk::members(edits.bytes(), meta.span)
        .map(|member| {
            let change = match &*member.key {
                key if key.starts_with(RESERVED_PREFIX) => Change::Remove,
                "progressToken" => new
                    .progress_token
                    .map_or(Change::Keep, |token| Change::Replace(token.into())),
                "traceparent" => traceparent
                    .take()
                    .map_or(Change::Keep, |new| Change::Replace(new.into())),
                _ => Change::Keep,
            };
            left |= !matches!(change, Change::Remove);
            change
        })
        .collect();
    let goes_on = [RESPONSES_KEY, STATE_KEY]
        .iter()
        .any(|key| walk::find(edits.bytes(), params, key).is_some());
    if !left || goes_on {
        // A call that is sent again is to a legacy server as if it were the first time.
        let goes =
            |key: &str| (key == "_meta" && !left) || key == RESPONSES_KEY || key == STATE_KEY;
        edits.members(
            params,
            |member| {
                if goes(&member.key) {
                    Change::Remove
                } else {
                    Change::Keep
                }
            },
            [],
        );
    }
    if !left {
        return;
    }
    let mut changes = changes.into_iter();
    let added = traceparent.as_deref().map(|value| ("traceparent", value));
    edits.members(meta.span, |_| changes.next().unwrap_or(Change::Keep), added);
}

/// Whether a legacy server's answer has a modern form at all. 2025-11-25's demand for an elicitation by URL has none
/// without a parked call; nor has a task.
#[must_use]
pub fn bridgeable(envelope: &Envelope<'_>) -> bool {
    let task = envelope
        .result
        .is_some_and(|result| walk::find(envelope.bytes, result, "task").is_some());
    envelope.error_code != Some(code::URL_ELICITATION_REQUIRED) && !task
}

/// A legacy server's response to `method` in the form of a modern one. `server_info` is the raw `serverInfo` of its
/// `InitializeResult`.
///
/// A result gets `resultType`, caching hints where the method has them (never to be cached: the server said
/// nothing about that), and the server's name; tools lose what only legacy clients understand. Of the errors, the
/// code of an unknown resource changes. Ask [`bridgeable`] first.
pub fn result_to_modern<'a>(
    edits: &mut Edits<'a>,
    envelope: &Envelope<'_>,
    method: &str,
    server_info: Option<&'a [u8]>,
) {
    if let (Some(code::RESOURCE_NOT_FOUND), Some(span)) =
        (envelope.error_code, envelope.error_code_span)
    {
        edits.replace(span, code::INVALID_PARAMS.to_string().into_bytes());
    }
    let Some(result) = envelope.result else {
        return;
    };
    let mut set: Vec<(&str, Cow<'a, [u8]>)> = Vec::with_capacity(4);
    // A legacy server knows nothing of these: what stands there in its own sense must not be taken for ours.
    if envelope.result_type != Some(ResultType::Complete) {
        set.push(("resultType", Cow::Borrowed(br#""complete""#)));
    }
    if method::cacheable(method) {
        set.push(("ttlMs", Cow::Borrowed(b"0")));
        set.push(("cacheScope", Cow::Borrowed(br#""private""#)));
    }
    if let Some(info) = server_info {
        match walk::find(edits.bytes(), result, "_meta")
            .filter(|meta| is_object(edits.bytes(), *meta))
        {
            Some(meta) => {
                edits.set(meta, &[(SERVER_INFO_KEY, Cow::Borrowed(info))]);
            }
            None => set.push(("_meta", meta_with(info).into())),
        }
    }
    edits.set(result, &set);
    if method == method::TOOLS_LIST {
        tools_to_modern(edits, result);
    }
}

/// Takes from each tool what a legacy server may say and a modern client would misread: its readiness for tasks, and
/// header names in its schema that nobody checks.
fn tools_to_modern(edits: &mut Edits<'_>, result: Span) {
    let bytes = edits.bytes();
    let Some(tools) = walk::find(bytes, result, method::ListKind::Tools.items_key()) else {
        return;
    };
    for tool in walk::elements(bytes, tools) {
        let (mut execution, mut schema) = (None, None);
        for member in walk::members(bytes, tool) {
            match &*member.key {
                "execution" => execution = Some(member.value),
                "inputSchema" => schema = Some(member.value),
                _ => {}
            }
        }
        if let Some(execution) =
            execution.filter(|span| walk::find(bytes, *span, "taskSupport").is_some())
        {
            let drop = |member: &walk::Member<'_>| member.key == "taskSupport";
            edits.members(
                execution,
                |member| {
                    if drop(member) {
                        Change::Remove
                    } else {
                        Change::Keep
                    }
                },
                [],
            );
        }
        if let Some(schema) = schema {
            schema::strip_header_names(edits, schema);
        }
    }
}

fn is_object(message: &[u8], span: Span) -> bool {
    span.of(message).first() == Some(&b'{')
}

fn meta_with(info: &[u8]) -> Vec<u8> {
    let mut meta = b"{".to_vec();
    meta.extend_from_slice(&quoted(SERVER_INFO_KEY));
    meta.push(b':');
    meta.extend_from_slice(info);
    meta.push(b'}');
    meta
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::envelope::{Limits, scan};
    use serde_json::{Value, json};

    fn to_legacy(message: &Value, new: RequestMeta<'_>) -> Value {
        let bytes = serde_json::to_vec(message).unwrap();
        let envelope = scan(&bytes, &Limits::REQUEST).unwrap();
        let mut edits = Edits::new(&bytes);
        request_to_legacy(&mut edits, &envelope, new);
        replace_id(&mut edits, envelope.id, b"77");
        serde_json::from_slice(&edits.apply().unwrap()).unwrap()
    }

    fn to_modern(message: &Value, method: &str, info: Option<&[u8]>) -> Value {
        let bytes = serde_json::to_vec(message).unwrap();
        let envelope = scan(&bytes, &Limits::RESPONSE).unwrap();
        let mut edits = Edits::new(&bytes);
        result_to_modern(&mut edits, &envelope, method, info);
        replace_id(&mut edits, envelope.id, br#""c""#);
        serde_json::from_slice(&edits.apply().unwrap()).unwrap()
    }

    #[test]
    fn a_request_loses_the_reserved_keys_and_keeps_the_others() {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": "echo", "arguments": {"a": 1}, "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {}, "progressToken": "t", "acme/x": [1],
                "io.modelcontextprotocol/future": 1}}});
        let new = RequestMeta {
            progress_token: Some(b"5"),
            traceparent: Some("00-a-b-01"),
        };
        assert_eq!(
            to_legacy(&message, new),
            json!({"jsonrpc": "2.0", "id": 77, "method": "tools/call", "params": {
                "name": "echo", "arguments": {"a": 1},
                "_meta": {"progressToken": 5, "acme/x": [1], "traceparent": "00-a-b-01"}}})
        );
    }

    #[test]
    fn a_request_with_nothing_else_in_meta_loses_meta() {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {}}}});
        let legacy = json!({"jsonrpc": "2.0", "id": 77, "method": "tools/list", "params": {}});
        assert_eq!(to_legacy(&message, RequestMeta::default()), legacy);
        let traced = to_legacy(
            &message,
            RequestMeta {
                traceparent: Some("00-x"),
                ..RequestMeta::default()
            },
        );
        assert_eq!(traced["params"]["_meta"], json!({"traceparent": "00-x"}));
    }

    #[test]
    fn a_list_becomes_a_modern_one() {
        let schema = json!({"type": "object", "properties": {
            "x-mcp-header": {"type": "string", "x-mcp-header": "A"},
            "list": {"type": "array", "items": {"x-mcp-header": "B"}}}, "default": {"x-mcp-header": "data"}});
        let message = json!({"jsonrpc": "2.0", "id": 1, "result": {"nextCursor": "", "tools": [
            {"name": "a", "inputSchema": schema, "execution": {"taskSupport": "optional", "x": 1}},
            {"name": "b", "inputSchema": {"type": "object"}}]}});
        let stripped = json!({"type": "object", "properties": {
            "x-mcp-header": {"type": "string"}, "list": {"type": "array", "items": {}}},
            "default": {"x-mcp-header": "data"}});
        assert_eq!(
            to_modern(
                &message,
                method::TOOLS_LIST,
                Some(br#"{"name":"s","version":"1"}"#)
            ),
            json!({"jsonrpc": "2.0", "id": "c", "result": {
                "nextCursor": "", "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
                "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "s", "version": "1"}},
                "tools": [
                    {"name": "a", "inputSchema": stripped, "execution": {"x": 1}},
                    {"name": "b", "inputSchema": {"type": "object"}}]}})
        );
    }

    #[test]
    fn a_call_gets_no_caching_hints_and_keeps_its_meta() {
        let message = json!({"jsonrpc": "2.0", "id": 1, "result": {
            "content": [], "_meta": {"acme/x": 1}, "resultType": "strange"}});
        assert_eq!(
            to_modern(&message, method::TOOLS_CALL, Some(b"{}"))["result"],
            json!({"content": [], "resultType": "complete",
                "_meta": {"acme/x": 1, "io.modelcontextprotocol/serverInfo": {}}})
        );
        let empty = json!({"jsonrpc": "2.0", "id": 1, "result": {}});
        assert_eq!(
            to_modern(&empty, method::TOOLS_CALL, None)["result"],
            json!({"resultType": "complete"})
        );
    }

    #[test]
    fn the_old_code_for_an_unknown_resource_does_not_reach_modern_clients() {
        let message = json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32002, "message": "no", "data": {"uri": "u"}}});
        let modern = to_modern(&message, method::RESOURCES_READ, None);
        assert_eq!(
            modern["error"],
            json!({"code": -32602, "message": "no", "data": {"uri": "u"}})
        );
    }

    #[test]
    fn what_has_no_modern_form_is_told() {
        let told = |message: Value| {
            bridgeable(&scan(&serde_json::to_vec(&message).unwrap(), &Limits::RESPONSE).unwrap())
        };
        assert!(told(
            json!({"jsonrpc": "2.0", "id": 1, "result": {"content": []}})
        ));
        assert!(!told(
            json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32042, "message": "go there"}})
        ));
        assert!(!told(
            json!({"jsonrpc": "2.0", "id": 1, "result": {"task": {"taskId": "t"}}})
        ));
    }
}
