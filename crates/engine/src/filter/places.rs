//! Which strings of a message a filter may change, which it may only look at, and which are nobody's text.
//!
//! | place | strings |
//! |---|---|
//! | [`Place::Free`] | what people and programs say: values in `arguments`, `structuredContent` and tool input, texts of content, descriptions and titles, error messages, log data |
//! | [`Place::Fixed`] | what others refer to: keys, names, URIs, media types, schemas but for their descriptions; numbers |
//! | [`Place::Opaque`] | what only its maker reads: the JSON-RPC envelope, cursors, `requestState`, tokens, `_meta` of the protocol's own, base64 of images, audio and blobs |
//!
//! A change to a fixed string would call another tool, read another resource, or break the reader: there a filter can only
//! refuse. Places are told by keys and where they stand, for all methods alike, so that a method of tomorrow is
//! looked at, too: what is not known is free.

use mcp::envelope::Span;
use mcp::walk::{self, Event};

/// What may be done with a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Looked at and changed.
    Free,
    /// Looked at.
    Fixed,
    /// Left alone.
    Opaque,
}

/// A key or a scalar.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaf {
    /// Where it stands, quotes included.
    pub(super) span: Span,
    pub(super) place: Place,
    pub(super) is_key: bool,
    /// Whether it is a number, `true`, `false` or `null`.
    pub(super) is_bare: bool,
}

/// What the container is that a value stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    /// The message.
    Root,
    /// Members that the protocol names; the depth.
    Protocol(u8),
    /// Members that somebody else names, of the protocol's form.
    Named,
    /// `_meta`.
    Meta,
    /// A JSON Schema.
    Schema,
    /// Names of a schema's own, to schemas.
    Properties,
    /// All that stands within is of one place.
    All(Place),
}

/// The protocol's own forms nest less; what is deeper is somebody's data. It also bounds how often siblings are looked for.
const PROTOCOL_DEPTH_MAX: u8 = 16;

/// All keys and scalars of a scanned message.
pub(super) fn leaves(message: &[u8]) -> Leaves<'_> {
    leaves_of(message, Context::Root)
}

/// All keys and scalars of a scanned text which stands in `context`.
pub(super) fn leaves_of(text: &[u8], context: Context) -> Leaves<'_> {
    Leaves {
        text,
        events: walk::events(text),
        open: Vec::with_capacity(8),
        next: context,
    }
}

/// See [`leaves`].
#[derive(Debug)]
pub(super) struct Leaves<'m> {
    text: &'m [u8],
    events: walk::Events<'m>,
    /// The containers that are open; as deep as the scan allows.
    open: Vec<Open>,
    /// Of the value that comes next.
    next: Context,
}

/// A container that is open.
#[derive(Debug, Clone, Copy)]
struct Open {
    context: Context,
    is_array: bool,
    /// Where it begins.
    at: u32,
    /// The key that was read last.
    key: Option<Span>,
}

impl Iterator for Leaves<'_> {
    type Item = Leaf;

    fn next(&mut self) -> Option<Leaf> {
        loop {
            let leaf = |span, place| Leaf {
                span,
                place,
                is_key: false,
                is_bare: false,
            };
            match self.events.next()? {
                Event::Object(at) => self.push(at, false),
                Event::Array(at) => self.push(at, true),
                Event::Close => {
                    self.open.pop();
                    self.settle();
                }
                Event::Key(span) => {
                    let (mut context, mut at) = (self.next, 0);
                    if let Some(open) = self.open.last_mut() {
                        open.key = Some(span);
                        (context, at) = (open.context, open.at);
                    }
                    self.next = self.below(context, span, at);
                    return Some(Leaf {
                        is_key: true,
                        ..leaf(span, self.place_of_key(context))
                    });
                }
                Event::Text(span) => {
                    let found = leaf(span, self.place());
                    self.settle();
                    return Some(found);
                }
                Event::Scalar(span) => {
                    let place = match self.place() {
                        Place::Opaque => Place::Opaque,
                        Place::Free | Place::Fixed => Place::Fixed,
                    };
                    self.settle();
                    return Some(Leaf {
                        is_bare: true,
                        ..leaf(span, place)
                    });
                }
            }
        }
    }
}

impl Leaves<'_> {
    /// The keys that lead to the last leaf.
    pub(super) fn path(&self) -> String {
        let keys: Vec<_> = self
            .open
            .iter()
            .filter_map(|open| walk::text(open.key?.of(self.text)))
            .collect();
        keys.join(".")
    }

    /// Whether the last leaf was a key by which a schema names a property.
    pub(super) fn names_property(&self) -> bool {
        self.open
            .last()
            .is_some_and(|open| open.context == Context::Properties)
    }

    fn push(&mut self, at: u32, is_array: bool) {
        self.open.push(Open {
            context: self.next,
            is_array,
            at,
            key: None,
        });
    }

    /// After a value: what stands in an array is like its other elements.
    fn settle(&mut self) {
        if let Some(Open {
            context,
            is_array: true,
            ..
        }) = self.open.last()
        {
            self.next = *context;
        }
    }

    fn place(&self) -> Place {
        match self.next {
            Context::All(place) => place,
            Context::Schema | Context::Properties => Place::Fixed,
            Context::Root | Context::Protocol(_) | Context::Named | Context::Meta => Place::Free,
        }
    }

    fn place_of_key(&self, context: Context) -> Place {
        match (context, self.next) {
            (Context::All(Place::Opaque), _) | (Context::Meta, Context::All(Place::Opaque)) => {
                Place::Opaque
            }
            _ => Place::Fixed,
        }
    }

    /// What the value of a key is, in a container that begins at `at`.
    fn below(&self, context: Context, key: Span, at: u32) -> Context {
        let text = walk::text(key.of(self.text)).unwrap_or_default();
        match context {
            Context::All(_) => context,
            Context::Root => match &*text {
                "params" | "result" | "error" => Context::Protocol(0),
                _ => Context::All(Place::Opaque),
            },
            Context::Named => Context::Protocol(0),
            Context::Meta if is_reserved(&text) => Context::All(Place::Opaque),
            Context::Meta => Context::All(Place::Free),
            Context::Properties => Context::Schema,
            Context::Schema => in_schema(&text),
            Context::Protocol(PROTOCOL_DEPTH_MAX) => Context::All(Place::Free),
            Context::Protocol(depth) => self.in_protocol(&text, key, at, depth),
        }
    }

    fn in_protocol(&self, key: &str, span: Span, at: u32, depth: u8) -> Context {
        let sibling = |key: &str| {
            walk::find(self.text, self.from(at as usize), key)
                .and_then(|span| walk::text(span.of(self.text)))
        };
        let value = self.text.get(span.end as usize..).unwrap_or_default();
        let is_object = value
            .iter()
            .find(|byte| !byte.is_ascii_whitespace() && **byte != b':')
            == Some(&b'{');
        match key {
            "_meta" => Context::Meta,
            // Of a call; in a list of prompts it holds definitions.
            "arguments" if is_object => Context::All(Place::Free),
            "structuredContent" | "input" => Context::All(Place::Free),
            // What a person has filled in stands beside what the person did, and its fields are named as the server likes.
            "content" if is_object && (sibling("action").is_some() || !self.has_type(span)) => {
                Context::All(Place::Free)
            }
            "data" if sibling("type").is_some_and(|kind| matches!(&*kind, "image" | "audio")) => {
                Context::All(Place::Opaque)
            }
            "blob" if sibling("uri").is_some() => Context::All(Place::Opaque),
            "data" => Context::All(Place::Free),
            "inputRequests" | "inputResponses" => Context::Named,
            "inputSchema" | "outputSchema" | "requestedSchema" => Context::Schema,
            "cursor" | "nextCursor" | "requestState" | "progressToken" | "requestId" | "taskId"
            | "toolUseId" | "sessionId" | "subscriptionId" | "protocolVersion" | "signature" => {
                Context::All(Place::Opaque)
            }
            "name" | "uri" | "uriTemplate" | "url" | "mimeType" | "type" | "role"
            | "resultType" | "status" | "level" | "logger" | "mode" | "action" | "method"
            | "model" | "stopReason" | "lastModified" | "createdAt" | "lastUpdatedAt"
            | "audience" | "icons" | "capabilities" | "clientInfo" | "serverInfo"
            | "websiteUrl" | "includeContext" | "elicitationId" => Context::All(Place::Fixed),
            _ => Context::Protocol(depth + 1),
        }
    }

    /// Whether the object that is the value of the key at `key` says what it is.
    fn has_type(&self, key: Span) -> bool {
        let from = key.end as usize;
        let brace = self
            .text
            .get(from..)
            .and_then(|rest| memchr::memchr(b'{', rest));
        let object = self.from(from + brace.unwrap_or_default());
        walk::find(self.text, object, "type").is_some()
    }

    /// An object that begins at `start`; where it ends its brackets say.
    fn from(&self, start: usize) -> Span {
        Span {
            start: start as u32,
            end: self.text.len() as u32,
        }
    }
}

/// Keys of `_meta` that the protocol has taken: those without prefix that it names, and all under its own prefixes.
fn is_reserved(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, _)) => prefix
            .split('.')
            .any(|label| label == "modelcontextprotocol" || label == "mcp"),
        None => matches!(
            key,
            "progressToken" | "traceparent" | "tracestate" | "baggage"
        ),
    }
}

fn in_schema(key: &str) -> Context {
    match key {
        "description" | "title" | "$comment" => Context::All(Place::Free),
        "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => {
            Context::Properties
        }
        "default" | "examples" | "enum" | "const" | "enumNames" | "required" => {
            Context::All(Place::Fixed)
        }
        _ => Context::Schema,
    }
}

#[cfg(test)]
#[path = "places_tests.rs"]
mod tests;
