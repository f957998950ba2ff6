//! A member's message on its way to the client: URIs say whose they are, and so do the ids of what the member asks.

use crate::edit::{self, Edits, quoted};
use crate::envelope::{Envelope, Kind, Span};
use crate::federate::{asked_id, uri};
use crate::method::{self, Target};
use crate::tasks;
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
    let may_name_tasks = match envelope.kind {
        // It may ask about a task of the client's.
        Kind::Request => envelope.target_kind != Target::Task,
        Kind::Notification => true,
        Kind::Response => {
            method == ANY
                || method == method::TOOLS_CALL
                || method::target_of(method) == Target::Task
        }
    };
    // Nearly no message has one; a key that is spelt with escapes has a \u.
    if may_name_tasks && tasks::may_have(message) {
        out.tasks();
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
    /// Ids of tasks say whose they are.
    fn tasks(&mut self) {
        let bytes = self.edits.bytes();
        for span in tasks::places(bytes) {
            if let Some(own) = walk::text(span.of(bytes)) {
                let named = tasks::named(self.server, &own);
                self.edits.replace(span, quoted(&named));
            }
        }
    }

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
            method::TASKS_CHANGED => {
                let result = envelope.params.and_then(|task| self.find(task, "result"));
                self.contents(result);
            }
            _ => {}
        }
    }

    /// What a tool's result holds.
    fn contents(&mut self, result: Option<Span>) {
        let blocks = result.map(|result| self.elements(result, "content"));
        for block in blocks.into_iter().flatten() {
            self.block(block);
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
            self.contents(Some(result));
        }
        if may_be(&[method::TASKS_GET]) {
            let of_task = self.find(result, "result");
            self.contents(of_task);
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
