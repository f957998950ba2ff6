//! Tool schemas: the header names in them, which only modern servers and clients know.

use memchr::memmem;

use crate::edit::{Change, Edits};
use crate::envelope::Span;
use crate::walk;

/// The key by which a modern server has an argument mirrored into a header.
const HEADER_KEY: &str = "x-mcp-header";

/// Takes `x-mcp-header` out of the JSON Schema at `schema`. In a legacy server's schema nobody would check the header,
/// and in the wrong place it makes modern clients drop the whole tool. Properties that are *named* so stay, and so does
/// what is data.
pub(super) fn strip_header_names(edits: &mut Edits<'_>, schema: Span) {
    let bytes = schema.of(edits.bytes());
    // Nearly no legacy schema has the key; one spelt with escapes has a \u.
    if memmem::find(bytes, HEADER_KEY.as_bytes()).is_some() || memmem::find(bytes, br"\u").is_some()
    {
        strip(edits, schema);
    }
}

/// Depth is bounded by that of the scanned message.
fn strip(edits: &mut Edits<'_>, schema: Span) {
    let bytes = edits.bytes();
    for element in walk::elements(bytes, schema) {
        strip(edits, element);
    }
    let mut found = false;
    for member in walk::members(bytes, schema) {
        match &*member.key {
            HEADER_KEY => found = true,
            "const" | "enum" | "default" | "examples" => {}
            "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => {
                for named in walk::members(bytes, member.value) {
                    strip(edits, named.value);
                }
            }
            _ => strip(edits, member.value),
        }
    }
    if found {
        edits.members(
            schema,
            |member| {
                if member.key == HEADER_KEY {
                    Change::Remove
                } else {
                    Change::Keep
                }
            },
            [],
        );
    }
}

/// An argument that is mirrored into a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// What stands behind `Mcp-Param-` in the header's name.
    pub header: String,
    /// The keys that lead to the argument.
    pub path: Vec<String>,
}

/// The arguments that the input schema at `schema` has mirrored; `None` where it breaks the rules, so that the tool must
/// not be used (2026-07-28 server/tools, "x-mcp-header").
pub(super) fn mirrors(message: &[u8], schema: Span) -> Option<Vec<Mirror>> {
    let text = schema.of(message);
    if memmem::find(text, HEADER_KEY.as_bytes()).is_none() && memmem::find(text, br"\u").is_none() {
        return Some(Vec::new());
    }
    let mut found = Vec::new();
    collect(message, schema, &mut Vec::new(), &mut found)?;
    let unique = |(index, mirror): (usize, &Mirror)| {
        let earlier = found.iter().take(index);
        earlier
            .clone()
            .all(|other| !other.header.eq_ignore_ascii_case(&mirror.header))
    };
    // Wherever else the key stands, nobody could tell which argument it means.
    let everywhere = count(message, schema);
    (found.iter().enumerate().all(unique) && everywhere == found.len()).then_some(found)
}

/// Those that are reached by `properties` alone.
fn collect(
    message: &[u8],
    schema: Span,
    path: &mut Vec<String>,
    found: &mut Vec<Mirror>,
) -> Option<()> {
    let Some(properties) = walk::find(message, schema, "properties") else {
        return Some(());
    };
    for property in walk::members(message, properties) {
        path.push(property.key.into_owned());
        if let Some(name) = walk::find(message, property.value, HEADER_KEY) {
            let header = walk::text(name.of(message))?.into_owned();
            let kind = walk::find(message, property.value, "type")?;
            let kind = walk::text(kind.of(message))?;
            let is_primitive = matches!(&*kind, "string" | "integer" | "boolean");
            if !is_primitive || http::HeaderName::from_bytes(header.as_bytes()).is_err() {
                return None;
            }
            found.push(Mirror {
                header,
                path: path.clone(),
            });
        }
        collect(message, property.value, path, found)?;
        path.pop();
    }
    Some(())
}

/// How often the key stands in the schema as a key of a schema. Depth is bounded by that of the scanned message.
fn count(message: &[u8], schema: Span) -> usize {
    let mut sum: usize = walk::elements(message, schema)
        .map(|element| count(message, element))
        .sum();
    for member in walk::members(message, schema) {
        sum += match &*member.key {
            HEADER_KEY => 1,
            "const" | "enum" | "default" | "examples" => 0,
            "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => {
                let named = walk::members(message, member.value);
                named.map(|named| count(message, named.value)).sum()
            }
            _ => count(message, member.value),
        };
    }
    sum
}

/// The value of the header that mirrors an argument; `None`: there is none to send.
#[must_use]
pub fn mirrored(message: &[u8], arguments: Span, path: &[String]) -> Option<String> {
    let mut at = arguments;
    for key in path {
        at = walk::find(message, at, key)?;
    }
    let raw = at.of(message);
    match raw.first()? {
        b'"' => walk::text(raw).map(|text| crate::headers::encode_value(&text).to_string()),
        b't' | b'f' | b'-' | b'0'..=b'9' => String::from_utf8(raw.to_vec()).ok(),
        _ => None,
    }
}
