//! What the envelope says of a message, in the words of `read.mjs` and `read.py`; see there for the fields.

use mcp::envelope::{Envelope, Id, IdKey, Kind, ResultType, Span};
use mcp::walk;

/// One line: every field that somebody could decide by, then the whole message.
pub(crate) fn line(message: &Envelope<'_>) -> String {
    let bytes = message.bytes;
    let tree =
        |span: Option<Span>| span.map_or_else(|| "-".to_owned(), |span| canonical(bytes, span));
    let text = |text: Option<&str>| text.map_or_else(|| "-".to_owned(), quote);
    let token = |span: Option<Span>| {
        let raw = span.map(|span| span.of(bytes));
        raw.map_or_else(
            || "-".to_owned(),
            |raw| walk::text(raw).map_or_else(|| ascii(raw), |text| quote(&text)),
        )
    };
    let kind = match message.kind {
        Kind::Request => "request",
        Kind::Notification => "notification",
        Kind::Response => "response",
    };
    let meta = message.meta.clone().unwrap_or_default();
    let asked = message.initialize.as_ref();
    let result_type = message.result_type.as_ref().map(|kind| match kind {
        ResultType::Complete => "complete",
        ResultType::InputRequired => "input_required",
        ResultType::Other(name) => name,
    });
    let fields = [
        ("kind", kind.to_owned()),
        ("id", id(message.id)),
        ("method", text(message.method.as_deref())),
        ("target", text(message.target.as_deref())),
        ("arguments", tree(message.arguments)),
        ("version", text(meta.protocol_version.as_deref())),
        ("capabilities", tree(meta.client_capabilities)),
        ("client", text(meta.client_name.as_deref())),
        ("traceparent", text(meta.traceparent.as_deref())),
        ("token", token(meta.progress_token)),
        ("cancels", id(message.request_id)),
        ("progress", token(message.progress_token)),
        ("asks", text(asked.map(|asked| &*asked.protocol_version))),
        ("offers", tree(asked.and_then(|asked| asked.capabilities))),
        ("result", tree(message.result)),
        ("type", text(result_type)),
        ("failed", message.is_error.to_string()),
        (
            "code",
            message
                .error_code
                .map_or_else(|| "-".to_owned(), |code| code.to_string()),
        ),
        ("all", canonical(bytes, walk::root(bytes))),
    ];
    fields
        .map(|(name, value)| format!("{name}={value}"))
        .join(" ")
}

fn id(id: Option<Id<'_>>) -> String {
    match id.map(|id| id.key()) {
        None => "-".to_owned(),
        Some(IdKey::Int(value)) => value.to_string(),
        Some(IdKey::Str(text)) => quote(&text),
    }
}

fn ascii(raw: &[u8]) -> String {
    String::from_utf8_lossy(raw).into_owned()
}

/// A text between quotes, whatever is not plain as its code point.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            ' '..='~' => out.push(c),
            _ => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
        }
    }
    out + "\""
}

/// A value in the one form that all readers write alike: keys sorted, numbers as the bits of a double, -0 as 0.
fn canonical(bytes: &[u8], span: Span) -> String {
    let raw = span.of(bytes);
    match raw.first() {
        Some(b'{') => {
            let member = |member: walk::Member<'_>| {
                format!("{}:{}", quote(&member.key), canonical(bytes, member.value))
            };
            let mut members: Vec<_> = walk::members(bytes, span).map(member).collect();
            members.sort_unstable();
            format!("{{{}}}", members.join(","))
        }
        Some(b'[') => {
            let items = walk::elements(bytes, span).map(|item| canonical(bytes, item));
            format!("[{}]", items.collect::<Vec<_>>().join(","))
        }
        Some(b'"') => quote(&walk::text(raw).unwrap()),
        Some(b't' | b'f' | b'n') => ascii(raw),
        _ => {
            let number: f64 = ascii(raw).parse().unwrap();
            format!("{:016x}", (number + 0.0).to_bits())
        }
    }
}
