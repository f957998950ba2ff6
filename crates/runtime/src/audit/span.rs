//! A close record as an OpenTelemetry SERVER span: names and meanings after the conventions for MCP.
//!
//! Pure: bytes of the log in, bytes of `ExportTraceServiceRequest` out. Which reply is an error is the
//! conventions' view: a refusal that looks like an unknown tool is none to them, and ours stands in
//! `gatehouse.decision`.

use std::io::Write as _;

use bytes::Bytes;
use model::record::CallId;

use super::attribute;
use super::protobuf::Message;
use super::segment::Hash;
use super::view::RecordView;

/// Field numbers of `opentelemetry.proto`.
mod field {
    pub(super) const REQUEST_RESOURCE_SPANS: u32 = 1;
    pub(super) const RESOURCE: u32 = 1;
    pub(super) const SCOPE_SPANS: u32 = 2;
    pub(super) const RESOURCE_ATTRIBUTES: u32 = 1;
    pub(super) const SCOPE: u32 = 1;
    pub(super) const SPANS: u32 = 2;
    pub(super) const SCOPE_NAME: u32 = 1;
    pub(super) const SCOPE_VERSION: u32 = 2;
    pub(super) const TRACE_ID: u32 = 1;
    pub(super) const SPAN_ID: u32 = 2;
    pub(super) const PARENT_SPAN_ID: u32 = 4;
    pub(super) const NAME: u32 = 5;
    pub(super) const KIND: u32 = 6;
    pub(super) const START: u32 = 7;
    pub(super) const END: u32 = 8;
    pub(super) const ATTRIBUTES: u32 = 9;
    pub(super) const STATUS: u32 = 15;
    pub(super) const STATUS_CODE: u32 = 3;
    pub(super) const KEY: u32 = 1;
    pub(super) const VALUE: u32 = 2;
    pub(super) const TEXT: u32 = 1;
    pub(super) const BOOL: u32 = 2;
    pub(super) const INT: u32 = 3;
    pub(super) const DOUBLE: u32 = 4;
    pub(super) const ARRAY: u32 = 5;
    pub(super) const ARRAY_VALUES: u32 = 1;
}

const KIND_INTERNAL: u64 = 1;
const KIND_SERVER: u64 = 2;
/// What a note's span is called: it is no call, and must not be counted as one.
const NOTE: &str = "findings";
const STATUS_ERROR: u64 = 2;
const SCOPE: &str = "gatehouse.audit";
const NS_PER_MS: f64 = 1e6;
/// Codes that are no fault of the server that answers (conventions for MCP, server side).
const CALLERS_FAULTS: [i64; 5] = [-32700, -32600, -32601, -32602, -32002];

/// Spans of one batch, encoded one after the other.
#[derive(Debug, Default)]
pub(super) struct Batch {
    spans: Vec<u8>,
    pub(super) records: usize,
    node: String,
    service: String,
}

impl Batch {
    /// Bytes of the spans so far.
    pub(super) fn bytes(&self) -> usize {
        self.spans.len()
    }

    /// Adds a close record.
    pub(super) fn push(&mut self, record: &RecordView<'_>, hash: &Hash) {
        if self.records == 0 {
            record.node.clone_into(&mut self.node);
            self.service = format!("gatehouse-{}", record.hop);
        }
        Message(&mut self.spans).nested(field::SPANS, |span| write_span(span, record, hash));
        self.records += 1;
    }

    /// The request. The batch is empty afterwards and keeps its memory.
    pub(super) fn take(&mut self) -> Bytes {
        let mut resource = Vec::with_capacity(256);
        let mut attributes = Attributes(Message(&mut resource), field::RESOURCE_ATTRIBUTES);
        attributes.text("service.name", &self.service);
        attributes.text("service.instance.id", &self.node);
        attributes.text(attribute::NODE, &self.node);
        let mut scope = Vec::with_capacity(64);
        Message(&mut scope).nested(field::SCOPE, |scope| {
            scope.bytes(field::SCOPE_NAME, SCOPE.as_bytes());
            scope.bytes(field::SCOPE_VERSION, env!("CARGO_PKG_VERSION").as_bytes());
        });

        let mut head = Vec::with_capacity(resource.len() + 64);
        let mut message = Message(&mut head);
        message.bytes(field::RESOURCE, &resource);
        message.length_of(field::SCOPE_SPANS, scope.len() + self.spans.len());
        let mut request = Vec::with_capacity(head.len() + scope.len() + self.spans.len() + 16);
        let pieces = [&head[..], &scope, &self.spans];
        Message(&mut request).bytes_of(field::REQUEST_RESOURCE_SPANS, &pieces);
        self.spans.clear();
        self.records = 0;
        request.into()
    }
}

fn write_span(span: &mut Message<'_>, record: &RecordView<'_>, hash: &Hash) {
    let start = record.time_unix_ns.max(0).cast_unsigned();
    span.bytes(field::TRACE_ID, record.trace_id);
    span.bytes(field::SPAN_ID, record.span_id);
    if !record.parent_span_id.is_empty() {
        span.bytes(field::PARENT_SPAN_ID, record.parent_span_id);
    }
    let target = Target::of(record);
    match target.in_span_name() {
        _ if record.is_note() => span.bytes(field::NAME, NOTE.as_bytes()),
        Some(name) => {
            let pieces = [record.method.as_bytes(), b" ", name.as_bytes()];
            span.bytes_of(field::NAME, &pieces);
        }
        None => span.bytes(field::NAME, record.method.as_bytes()),
    }
    let is_note = record.is_note();
    span.number(
        field::KIND,
        if is_note { KIND_INTERNAL } else { KIND_SERVER },
    );
    span.fixed64(field::START, start);
    span.fixed64(field::END, start.saturating_add(record.duration_ns));
    let mut attributes = Attributes(Message(span.0), field::ATTRIBUTES);
    let is_error = conventional(&mut attributes, record, target);
    ours(&mut attributes, record, hash);
    if is_error {
        span.nested(field::STATUS, |status| {
            status.number(field::STATUS_CODE, STATUS_ERROR)
        });
    }
}

/// Attributes that the conventions name. Returns whether they call it an error.
fn conventional(
    attributes: &mut Attributes<'_>,
    record: &RecordView<'_>,
    target: Target<'_>,
) -> bool {
    attributes.text(attribute::METHOD, record.method);
    match target {
        Target::Tool(name) => {
            attributes.text("gen_ai.tool.name", name);
            attributes.text("gen_ai.operation.name", "execute_tool");
        }
        Target::Prompt(name) => attributes.text("gen_ai.prompt.name", name),
        Target::Resource(uri) => attributes.text("mcp.resource.uri", uri),
        Target::None => {}
    }
    attributes.text(attribute::REQUEST_ID, record.request_id);
    attributes.text(attribute::MCP_REVISION, record.mcp_revision);
    attributes.text(attribute::CLIENT_ADDRESS, record.client_address);
    // The longest i64 has 20 characters.
    let mut code = Short::<20>::default();
    if record.error_code != 0 {
        attributes.text("rpc.response.status_code", code.write(record.error_code));
    }
    let error_type = if record.error_code != 0 {
        (!CALLERS_FAULTS.contains(&record.error_code)).then(|| code.as_str())
    } else if record.tool_error {
        Some("tool_error")
    } else if record.decision == "error" {
        Some(if record.reason.is_empty() {
            "_OTHER"
        } else {
            record.reason
        })
    } else {
        None
    };
    if let Some(error_type) = error_type {
        attributes.text("error.type", error_type);
    }
    error_type.is_some()
}

/// Attributes that only we know.
fn ours(attributes: &mut Attributes<'_>, record: &RecordView<'_>, hash: &Hash) {
    let mut hex = [0; 64];
    let mut text = Short::<36>::default();
    if let Ok(id) = record.call_id.try_into() {
        attributes.text(attribute::CALL_ID, text.write(CallId(id)));
    }
    if hex::encode_to_slice(hash, &mut hex).is_ok() {
        attributes.text(
            attribute::HASH,
            std::str::from_utf8(&hex).unwrap_or_default(),
        );
    }
    attributes.text(attribute::NODE, record.node);
    attributes.int(attribute::SEQ, record.seq.cast_signed());
    attributes.text(attribute::HOP, record.hop);
    attributes.text(attribute::SERVER, record.server);
    attributes.text(attribute::USER, record.user);
    attributes.texts(attribute::GROUPS, &record.groups);
    attributes.text(attribute::CLIENT, record.client);
    attributes.text(attribute::CREDENTIAL, record.credential);
    attributes.text(attribute::NAME, record.name);
    attributes.text(attribute::DECISION, record.decision);
    attributes.text(attribute::REASON, record.reason);
    attributes.text(attribute::RULE, record.rule);
    attributes.text(attribute::OBSERVED, record.observed);
    attributes.texts(attribute::FILTERS, &record.filters);
    attributes.text(attribute::LIMIT, record.limit);
    attributes.int(attribute::REVISION, record.revision.cast_signed());
    attributes.double(
        attribute::DURATION_MS,
        record.duration_ns as f64 / NS_PER_MS,
    );
    attributes.double(
        attribute::UPSTREAM_MS,
        record.upstream_ns as f64 / NS_PER_MS,
    );
    if record.error_code != 0 {
        attributes.int(attribute::ERROR_CODE, record.error_code);
    }
    if record.tool_error {
        attributes.bool(attribute::TOOL_ERROR, true);
    }
    if record.direct {
        attributes.bool(attribute::DIRECT, true);
    }
    attributes.int(attribute::HTTP_STATUS, record.http_status.cast_signed());
    attributes.texts(attribute::FINDINGS, &record.findings);
    for (key, hash) in [
        (attribute::REQUEST_SHA256, record.request_sha256),
        (
            attribute::REQUEST_CHANGED_SHA256,
            record.request_changed_sha256,
        ),
        (attribute::RESPONSE_SHA256, record.response_sha256),
        (
            attribute::RESPONSE_CHANGED_SHA256,
            record.response_changed_sha256,
        ),
    ] {
        if hash.len() * 2 == hex.len() && hex::encode_to_slice(hash, &mut hex).is_ok() {
            attributes.text(key, std::str::from_utf8(&hex).unwrap_or_default());
        }
    }
    if !record.approval.is_empty() {
        attributes.text(attribute::APPROVAL, record.approval);
        attributes.text(attribute::APPROVER, record.approver);
    }
    said(attributes, record);
}

/// What was said in the call, where a rule asked for it.
fn said(attributes: &mut Attributes<'_>, record: &RecordView<'_>) {
    let (arguments, result) = match Target::of(record) {
        Target::Tool(_) => (attribute::TOOL_ARGUMENTS, attribute::TOOL_RESULT),
        _ => (attribute::ARGUMENTS, attribute::RESULT),
    };
    attributes.text(arguments, record.arguments);
    attributes.text(result, record.result);
    for (key, is_so) in [
        (attribute::ARGUMENTS_CUT, record.arguments_cut),
        (attribute::ARGUMENTS_REDACTED, record.arguments_redacted),
        (attribute::RESULT_CUT, record.result_cut),
    ] {
        if is_so {
            attributes.bool(key, true);
        }
    }
}

/// What a call is aimed at, as the conventions tell targets apart.
#[derive(Clone, Copy)]
enum Target<'a> {
    Tool(&'a str),
    Prompt(&'a str),
    Resource(&'a str),
    None,
}

impl<'a> Target<'a> {
    fn of(record: &RecordView<'a>) -> Self {
        match record.method {
            _ if record.name.is_empty() => Self::None,
            "tools/call" => Self::Tool(record.name),
            "prompts/get" => Self::Prompt(record.name),
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
                Self::Resource(record.name)
            }
            _ => Self::None,
        }
    }

    /// URIs stay out of span names: there are too many.
    fn in_span_name(self) -> Option<&'a str> {
        match self {
            Self::Tool(name) | Self::Prompt(name) => Some(name),
            Self::Resource(_) | Self::None => None,
        }
    }
}

/// Attributes of a message; empty ones are left out.
struct Attributes<'a>(Message<'a>, u32);

impl Attributes<'_> {
    fn text(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.put(key, |value| value.bytes(field::TEXT, text.as_bytes()));
        }
    }

    fn texts(&mut self, key: &str, texts: &[&str]) {
        if !texts.is_empty() {
            self.put(key, |value| {
                value.nested(field::ARRAY, |array| {
                    for text in texts {
                        array.nested(field::ARRAY_VALUES, |value| {
                            value.bytes(field::TEXT, text.as_bytes());
                        });
                    }
                });
            });
        }
    }

    fn int(&mut self, key: &str, number: i64) {
        self.put(key, |value| {
            value.number(field::INT, number.cast_unsigned())
        });
    }

    fn double(&mut self, key: &str, number: f64) {
        self.put(key, |value| value.fixed64(field::DOUBLE, number.to_bits()));
    }

    fn bool(&mut self, key: &str, truth: bool) {
        self.put(key, |value| value.number(field::BOOL, u64::from(truth)));
    }

    fn put(&mut self, key: &str, value: impl FnOnce(&mut Message<'_>)) {
        self.0.nested(self.1, |attribute| {
            attribute.bytes(field::KEY, key.as_bytes());
            attribute.nested(field::VALUE, value);
        });
    }
}

/// Something shown as text, without an allocation; cut after `N` bytes.
struct Short<const N: usize> {
    text: [u8; N],
    len: usize,
}

impl<const N: usize> Default for Short<N> {
    fn default() -> Self {
        Self {
            text: [0; N],
            len: 0,
        }
    }
}

impl<const N: usize> Short<N> {
    fn write(&mut self, shown: impl std::fmt::Display) -> &str {
        let mut rest = &mut self.text[..];
        // Fails where the text is longer than `N`, and then leaves what fits.
        let _ = write!(rest, "{shown}");
        self.len = N - rest.len();
        self.as_str()
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text[..self.len]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
