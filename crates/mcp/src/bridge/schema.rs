//! Tool schemas on their way to modern clients.

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
