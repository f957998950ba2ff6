//! A member's message on its way to the client: URIs say whose they are, and so do the ids of what the member asks.

use crate::edit::{self, Edits, quoted};
use crate::envelope::{Envelope, Kind, Span};
use crate::federate::{asked_id, uri};
use crate::method;
use crate::walk;

/// In the place of a method: which request a response answers is not known, so it is treated as the answer to all that it
/// could be.
pub const ANY: &str = "*";

/// A message of `server`, in the course of the client's request `method` or of none, as the client gets it; `None` if
/// nothing changes. Lists are [`super::lists`]'.
///
/// # Errors
/// None that a scanned message can cause.
pub fn message(
    message: &[u8],
    envelope: &Envelope<'_>,
    method: &str,
    server: &str,
) -> Result<Option<Vec<u8>>, edit::Error> {
    let mut out = Out {
        edits: Edits::new(message),
        server,
    };
    match envelope.kind {
        Kind::Request => {
            if let Some(id) = envelope.id {
                out.edits.replace(id.span, asked_id(server, id.raw));
            }
        }
        Kind::Notification => out.notification(envelope),
        Kind::Response => out.response(envelope, method),
    }
    if out.edits.is_empty() {
        return Ok(None);
    }
    out.edits.apply().map(Some)
}

struct Out<'m, 's> {
    edits: Edits<'m>,
    server: &'s str,
}

impl Out<'_, '_> {
    fn notification(&mut self, envelope: &Envelope<'_>) {
        match envelope.method() {
            method::RESOURCES_UPDATED => {
                if let Some(span) = envelope.target_span {
                    self.expose(span);
                }
            }
            // The member takes back what it asked.
            method::CANCELLED => {
                if let Some(id) = envelope.request_id {
                    self.edits.replace(id.span, asked_id(self.server, id.raw));
                }
            }
            _ => {}
        }
    }

    fn response(&mut self, envelope: &Envelope<'_>, method: &str) {
        if let Some(error) = envelope.error {
            // An unknown resource is named.
            if let Some(data) = self.find(error, "data") {
                self.expose_member(data, "uri");
            }
            return;
        }
        let Some(result) = envelope.result else {
            return;
        };
        let may_be = |methods: &[&str]| method == ANY || methods.contains(&method);
        if may_be(&[method::RESOURCES_READ]) {
            for content in self.elements(result, "contents") {
                self.expose_member(content, "uri");
            }
        }
        if may_be(&[method::TOOLS_CALL, method::TASKS_RESULT]) {
            for block in self.elements(result, "content") {
                self.block(block);
            }
        }
        if may_be(&[method::PROMPTS_GET]) {
            for message in self.elements(result, "messages") {
                if let Some(content) = self.find(message, "content") {
                    self.block(content);
                }
            }
        }
    }

    /// A link to a resource, or one that is embedded.
    fn block(&mut self, block: Span) {
        let kind = self.find(block, "type");
        let kind = kind.and_then(|kind| walk::text(kind.of(self.edits.bytes())));
        match kind.as_deref() {
            Some("resource_link") => self.expose_member(block, "uri"),
            Some("resource") => {
                if let Some(resource) = self.find(block, "resource") {
                    self.expose_member(resource, "uri");
                }
            }
            _ => {}
        }
    }

    fn find(&self, object: Span, key: &str) -> Option<Span> {
        walk::find(self.edits.bytes(), object, key)
    }

    fn elements(&self, object: Span, key: &str) -> Vec<Span> {
        let array = self.find(object, key);
        array.map_or_else(Vec::new, |array| {
            walk::elements(self.edits.bytes(), array).collect()
        })
    }

    fn expose_member(&mut self, object: Span, key: &str) {
        if let Some(span) = self.find(object, key) {
            self.expose(span);
        }
    }

    fn expose(&mut self, span: Span) {
        expose(&mut self.edits, span, self.server);
    }
}

/// Puts the URI that stands at `span` as the client sees it. What is no text is no URI.
pub(super) fn expose(edits: &mut Edits<'_>, span: Span, server: &str) {
    let bytes = edits.bytes();
    if let Some(own) = walk::text(span.of(bytes)) {
        edits.replace(span, quoted(&uri::exposed(server, &own)));
    }
}
