//! One form for one definition: what two servers mean the same by has the same bytes, and nothing else has.
//!
//! After RFC 8785: no blanks, the members of an object sorted by their keys' UTF-16 units, strings with the shortest
//! escapes. Numbers keep the digits that they came with: `1` and `1.0` are two definitions, which asks once too often
//! and never once too little.

use std::borrow::Cow;

use mcp::envelope::Span;
use mcp::walk;

/// Longest name of a header that is taken for one.
const HEADER_BYTES_MAX: usize = 64;

/// The canonical form of the value at `span` of a scanned message.
pub(super) fn whole(message: &[u8], span: Span) -> Vec<u8> {
    let mut out = Vec::with_capacity(span.len());
    write(message, span, Place::Inside, &mut out);
    out
}

/// The same without what a bridge between the eras leaves out of a definition (`mcp::bridge`): whether the tool makes
/// tasks, and the names of headers in its input schema. Only what has the protocol's form for these is left out, so
/// that nothing else can hide there.
pub(super) fn plain(message: &[u8], span: Span) -> Vec<u8> {
    let mut out = Vec::with_capacity(span.len());
    write(message, span, Place::Definition, &mut out);
    out
}

/// Where a value stands, as far as members of it may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing is left out.
    Inside,
    /// The definition itself.
    Definition,
    /// Its `execution`.
    Execution,
    /// Its `inputSchema`, or anything in there.
    Schema,
}

impl Place {
    /// The place of a member's value; `None`: the member is left out.
    fn of(self, message: &[u8], member: &walk::Member<'_>) -> Option<Self> {
        let text = || walk::text(member.value.of(message));
        match (self, &*member.key) {
            (Self::Definition, "execution") => {
                let is_left = |m: walk::Member<'_>| Self::Execution.of(message, &m).is_some();
                let is_empty = member.value.of(message).first() == Some(&b'{')
                    && !walk::members(message, member.value).any(is_left);
                (!is_empty).then_some(Self::Execution)
            }
            (Self::Definition, "inputSchema") => Some(Self::Schema),
            (Self::Execution, "taskSupport") => {
                let is_one = matches!(
                    text().as_deref(),
                    Some("forbidden" | "optional" | "required")
                );
                (!is_one).then_some(Self::Inside)
            }
            (Self::Schema, "x-mcp-header") => {
                let is_header = text().is_some_and(|text| is_header(&text));
                (!is_header).then_some(Self::Inside)
            }
            (Self::Schema, _) => Some(Self::Schema),
            _ => Some(Self::Inside),
        }
    }
}

fn is_header(text: &str) -> bool {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    (1..=HEADER_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_token)
}

/// Depth is bounded by that of the scanned message.
fn write(message: &[u8], span: Span, place: Place, out: &mut Vec<u8>) {
    let raw = span.of(message);
    match raw.first() {
        Some(b'{') => object(message, span, place, out),
        Some(b'[') => {
            out.push(b'[');
            for (n, element) in walk::elements(message, span).enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                let place = match place {
                    Place::Schema => Place::Schema,
                    _ => Place::Inside,
                };
                write(message, element, place, out);
            }
            out.push(b']');
        }
        Some(b'"') => match walk::text(raw) {
            Some(text) => string(&text, out),
            None => out.extend_from_slice(raw),
        },
        _ => out.extend_from_slice(raw),
    }
}

fn object(message: &[u8], span: Span, place: Place, out: &mut Vec<u8>) {
    let members = walk::members(message, span);
    let mut members: Vec<(Cow<'_, str>, Span, Place)> = members
        .filter_map(|member| {
            let place = place.of(message, &member)?;
            Some((member.key, member.value, place))
        })
        .collect();
    members.sort_by(|(a, ..), (b, ..)| a.encode_utf16().cmp(b.encode_utf16()));
    out.push(b'{');
    for (n, (key, value, place)) in members.into_iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        string(&key, out);
        out.push(b':');
        write(message, value, place, out);
    }
    out.push(b'}');
}

/// RFC 8785, section 3.2.2.2.
fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(br#"\""#),
            '\\' => out.extend_from_slice(br"\\"),
            '\u{8}' => out.extend_from_slice(br"\b"),
            '\t' => out.extend_from_slice(br"\t"),
            '\n' => out.extend_from_slice(br"\n"),
            '\u{c}' => out.extend_from_slice(br"\f"),
            '\r' => out.extend_from_slice(br"\r"),
            c if c < ' ' => out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}
