//! A legacy client's requests for a modern server, and the server's answers for the client: the way back of what
//! [`super::results`] does.
//!
//! All functions add to [`Edits`], so that all of a message is changed in one pass.

use std::borrow::Cow;

use super::handshake::SERVER_INFO_KEY;
use super::inputs::{RESPONSES_KEY, STATE_KEY};
use super::schema::{self, Mirror};
use crate::edit::{Change, Edits, quoted};
use crate::envelope::{Envelope, Span};
use crate::error::code;
use crate::method::{self, ListKind};
use crate::revision::Revision;
use crate::walk;

/// The prefix of the `_meta` keys that modern revisions reserve.
const RESERVED_PREFIX: &str = "io.modelcontextprotocol/";

/// What a modern request says of its client, all of it raw JSON but the level.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// What it can do, in modern words.
    pub capabilities: &'a [u8],
    /// Its name and version.
    pub info: Option<&'a [u8]>,
    /// The lowest level of log messages that it wants.
    pub log_level: Option<&'a str>,
}

/// What changes in a request besides.
#[derive(Debug, Clone, Copy, Default)]
pub struct New<'a> {
    /// In the place of the client's progress token, raw, if it sent one.
    pub progress_token: Option<&'a [u8]>,
    /// The new parent of the trace.
    pub traceparent: Option<&'a str>,
    /// Answers to what the server asked, a raw object.
    pub responses: Option<&'a [u8]>,
    /// The state that the server gave, raw.
    pub state: Option<&'a [u8]>,
}

/// A legacy request in the form of a modern one: its `_meta` gets the required keys, and what only a legacy server
/// knows goes.
pub fn request<'a>(
    edits: &mut Edits<'a>,
    envelope: &Envelope<'_>,
    client: &Client<'a>,
    new: &New<'a>,
) {
    let meta = meta(edits.bytes(), envelope, client, new);
    let mut members: Vec<(&str, &[u8])> = vec![("_meta", &meta)];
    members.extend(new.responses.map(|raw| (RESPONSES_KEY, raw)));
    members.extend(new.state.map(|raw| (STATE_KEY, raw)));
    let Some(params) = envelope.params else {
        let mut text = br#","params":{"_meta":"#.to_vec();
        text.extend_from_slice(&meta);
        text.push(b'}');
        edits.insert(walk::root(edits.bytes()).end - 1, text);
        return;
    };
    let goes = ["_meta", "task", RESPONSES_KEY, STATE_KEY];
    edits.members(
        params,
        |member| {
            if goes.contains(&&*member.key) {
                Change::Remove
            } else {
                Change::Keep
            }
        },
        members,
    );
}

fn meta(message: &[u8], envelope: &Envelope<'_>, client: &Client<'_>, new: &New<'_>) -> Vec<u8> {
    let mut out = vec![b'{'];
    let mut add = |key: &str, value: &[u8]| {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(&quoted(key));
        out.push(b':');
        out.extend_from_slice(value);
    };
    let version = quoted(Revision::LATEST.as_str());
    add("io.modelcontextprotocol/protocolVersion", &version);
    add(
        "io.modelcontextprotocol/clientCapabilities",
        client.capabilities,
    );
    if let Some(info) = client.info {
        add("io.modelcontextprotocol/clientInfo", info);
    }
    if let Some(level) = client.log_level {
        add("io.modelcontextprotocol/logLevel", &quoted(level));
    }
    if let Some(parent) = new.traceparent {
        add("traceparent", &quoted(parent));
    }
    if let Some(meta) = &envelope.meta {
        for member in walk::members(message, meta.span) {
            match &*member.key {
                key if key.starts_with(RESERVED_PREFIX) => {}
                "traceparent" if new.traceparent.is_some() => {}
                "progressToken" => add(
                    "progressToken",
                    new.progress_token.unwrap_or(member.value.of(message)),
                ),
                key => add(key, member.value.of(message)),
            }
        }
    }
    out.push(b'}');
    out
}

/// A modern server's response to `method` in the form of a legacy one: what only modern clients read goes, and with it
/// what a client of the era could not read rightly.
pub fn response<'a>(edits: &mut Edits<'a>, envelope: &Envelope<'_>, method: &str) {
    if let (Some(had), Some(span)) = (envelope.error_code, envelope.error_code_span) {
        let becomes = error_code(had, method);
        if becomes != had {
            edits.replace(span, becomes.to_string().into_bytes());
        }
    }
    let Some(result) = envelope.result else {
        return;
    };
    let bytes = edits.bytes();
    let mut meta = None;
    edits.members(
        result,
        |member| match &*member.key {
            "resultType" | "ttlMs" | "cacheScope" => Change::Remove,
            // The result of a tool is an object there, or none.
            "structuredContent" if !is_object(bytes, member.value) => Change::Remove,
            "_meta" => {
                meta = without_server_info(bytes, member.value);
                match &meta {
                    Some(left) if left.is_empty() => Change::Remove,
                    Some(left) => Change::Replace(Cow::Owned(left.clone())),
                    None => Change::Keep,
                }
            }
            _ => Change::Keep,
        },
        [],
    );
    if method == method::TOOLS_LIST {
        tools(edits, result);
    }
}

/// The code that a legacy client reads: the three of 2026-07-28 mean nothing to it, and an unknown resource has its own.
#[must_use]
pub fn error_code(code: i64, method: &str) -> i64 {
    match code {
        code::INVALID_PARAMS if method == method::RESOURCES_READ => code::RESOURCE_NOT_FOUND,
        code::HEADER_MISMATCH | code::MISSING_CAPABILITY | code::UNSUPPORTED_VERSION => {
            code::INTERNAL
        }
        code => code,
    }
}

/// `_meta` without the server's name; `None`: it has none. Empty: nothing is left.
fn without_server_info(bytes: &[u8], meta: Span) -> Option<Vec<u8>> {
    walk::find(bytes, meta, SERVER_INFO_KEY)?;
    let mut out = Vec::new();
    for member in walk::members(bytes, meta).filter(|member| member.key != SERVER_INFO_KEY) {
        out.push(if out.is_empty() { b'{' } else { b',' });
        out.extend_from_slice(member.span.of(bytes));
    }
    if !out.is_empty() {
        out.push(b'}');
    }
    Some(out)
}

/// Leaves out tools that a client must not use because their header names are bad (2026-07-28 server/tools), and output
/// schemas of what is no object.
fn tools(edits: &mut Edits<'_>, result: Span) {
    let bytes = edits.bytes();
    let Some(tools) = walk::find(bytes, result, ListKind::Tools.items_key()) else {
        return;
    };
    let usable = |tool| {
        let schema = walk::find(bytes, tool, "inputSchema");
        schema.is_none_or(|schema| schema::mirrors(bytes, schema).is_some())
    };
    edits.elements(tools, usable);
    for tool in walk::elements(bytes, tools).filter(|tool| usable(*tool)) {
        let output = walk::find(bytes, tool, "outputSchema");
        let of_object = |schema| {
            let kind = walk::find(bytes, schema, "type");
            kind.is_some_and(|kind| walk::text(kind.of(bytes)).as_deref() == Some("object"))
        };
        if output.is_some_and(|schema| !of_object(schema)) {
            edits.members(
                tool,
                |member| match &*member.key {
                    "outputSchema" => Change::Remove,
                    _ => Change::Keep,
                },
                [],
            );
        }
    }
}

/// The arguments that each tool of a list has mirrored into headers, by the tool's name; tools without any are left out.
#[must_use]
pub fn mirrors(bytes: &[u8], result: Span) -> Vec<(String, Vec<Mirror>)> {
    let tools = walk::find(bytes, result, ListKind::Tools.items_key());
    let tools = tools.map(|tools| walk::elements(bytes, tools));
    let of_tool = |tool: Span| {
        let name = walk::find(bytes, tool, "name").and_then(|name| walk::text(name.of(bytes)))?;
        let mirrors = schema::mirrors(bytes, walk::find(bytes, tool, "inputSchema")?)?;
        (!mirrors.is_empty()).then(|| (name.into_owned(), mirrors))
    };
    tools.into_iter().flatten().filter_map(of_tool).collect()
}

fn is_object(message: &[u8], span: Span) -> bool {
    span.of(message).first() == Some(&b'{')
}

#[cfg(test)]
#[path = "to_modern_tests.rs"]
mod tests;
