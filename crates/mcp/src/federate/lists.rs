//! Lists of several members as one: items under the names that clients know, one after the other.

use std::borrow::Cow;

use crate::edit::{self, Edits, quoted};
use crate::envelope::{Envelope, Span};
use crate::federate::outward::expose;
use crate::federate::uri;
use crate::list::{Error, items, name_span};
use crate::method::ListKind;
use crate::walk;

/// One member's answer, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The items, raw, with commas between them.
    pub items: Vec<u8>,
    /// Where the member's list goes on.
    pub cursor: Option<String>,
    /// How long it may be kept. `None`: the member did not say.
    pub ttl_ms: Option<u64>,
}

/// A member's list under the names that clients know: `rename` gives that of a tool or a prompt, `None` for one that is
/// not shown; URIs say that they are `server`'s.
///
/// # Errors
/// The response holds no list of that kind.
pub fn page(
    message: &[u8],
    envelope: &Envelope<'_>,
    kind: ListKind,
    server: &str,
    rename: &mut dyn FnMut(&str) -> Option<String>,
) -> Result<Page, Error> {
    let no_list = Error::NoList {
        key: kind.items_key(),
    };
    let result = envelope.result.ok_or(no_list)?;
    let list = items(message, result, kind)?;
    let mut edits = Edits::new(message);
    let mut renamed = Vec::new();
    edits.elements(list, |item| {
        let span = name_span(message, item, kind);
        let name = span.and_then(|span| Some((span, walk::text(span.of(message))?)));
        let new = name.and_then(|(span, own)| match kind {
            ListKind::Tools | ListKind::Prompts => Some((span, own.clone(), rename(&own)?)),
            _ => Some((span, own.clone(), uri::exposed(server, &own))),
        });
        let Some((span, own, new)) = new else {
            return false;
        };
        renamed.push((item, (own != new).then_some((span, new))));
        true
    });
    for (item, name) in renamed {
        if let Some((span, new)) = name {
            edits.replace(span, quoted(&new));
        }
        if kind == ListKind::Tools {
            expose_view(&mut edits, item, server);
        }
    }
    let named = edits.apply()?;
    let list = walk::find(&named, walk::root(&named), "result")
        .and_then(|result| walk::find(&named, result, kind.items_key()))
        .unwrap_or_default();
    let inside = list.of(&named);
    let inside = inside.strip_prefix(b"[").and_then(|s| s.strip_suffix(b"]"));
    let cursor = walk::find(message, result, "nextCursor");
    let ttl = walk::find(message, result, "ttlMs");
    Ok(Page {
        items: inside.unwrap_or_default().trim_ascii().to_vec(),
        cursor: cursor
            .and_then(|span| walk::text(span.of(message)))
            .map(Cow::into_owned),
        ttl_ms: ttl.and_then(|span| std::str::from_utf8(span.of(message)).ok()?.parse().ok()),
    })
}

/// The view that a tool is shown in (MCP Apps): `_meta.ui.resourceUri`, and as it was written before.
fn expose_view(edits: &mut Edits<'_>, tool: Span, server: &str) {
    let bytes = edits.bytes();
    let Some(meta) = walk::find(bytes, tool, "_meta") else {
        return;
    };
    let ui = walk::find(bytes, meta, "ui");
    let nested = ui.and_then(|ui| walk::find(bytes, ui, "resourceUri"));
    let flat = walk::find(bytes, meta, "ui/resourceUri");
    for span in [nested, flat].into_iter().flatten() {
        expose(edits, span, server);
    }
}

/// A request for a list that goes on at another place: `None` begins anew.
///
/// # Errors
/// None that a scanned message can cause.
pub fn at_place<'m>(
    message: &'m [u8],
    envelope: &Envelope<'_>,
    cursor: Option<&str>,
) -> Result<Cow<'m, [u8]>, edit::Error> {
    let Some(params) = envelope.params else {
        return Ok(Cow::Borrowed(message));
    };
    let mut edits = Edits::new(message);
    match (walk::find(message, params, "cursor"), cursor) {
        (None, None) => return Ok(Cow::Borrowed(message)),
        (Some(span), Some(cursor)) => {
            edits.replace(span, quoted(cursor));
        }
        (None, Some(cursor)) => {
            edits.set(params, &[("cursor", Cow::Owned(quoted(cursor)))]);
        }
        (Some(_), None) => {
            let change = |member: &walk::Member<'_>| match &*member.key {
                "cursor" => edit::Change::Remove,
                _ => edit::Change::Keep,
            };
            edits.members(params, change, []);
        }
    }
    edits.apply().map(Cow::Owned)
}

/// The cursor of a request for a list. `Err`: there is something else in its place.
///
/// # Errors
/// It is no text.
pub fn cursor<'m>(
    message: &'m [u8],
    envelope: &Envelope<'_>,
) -> Result<Option<Cow<'m, str>>, NoCursor> {
    let span = envelope
        .params
        .and_then(|params| walk::find(message, params, "cursor"));
    let Some(span) = span else {
        return Ok(None);
    };
    walk::text(span.of(message)).map(Some).ok_or(NoCursor)
}

/// What stands for a cursor is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("params.cursor must be text")]
pub struct NoCursor;
