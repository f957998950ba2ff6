//! Between the client's era and the server's: what can be taken over, and in which form each message
//! goes on. Ids and progress tokens are exchanged on the way, in the same pass.
//!
//! | client \ server | legacy | modern |
//! |---|---|---|
//! | legacy | as it is | not yet: `not_bridgeable` |
//! | modern | `mcp::bridge`: plain requests | as it is, without client capabilities |
//!
//! What is offered is what is served: a shared session cannot ask clients, subscribe, log or run tasks
//! for one of them, so these are struck from capabilities and their methods are unknown here.

use std::borrow::Cow;

use bytes::Bytes;
use dataplane::call::{self, Call};
use dataplane::deliver::Message;
use dataplane::refusal::Fault;
use mcp::bridge::handshake::{self, Offer};
use mcp::bridge::results::{self, RequestMeta};
use mcp::edit::{Change, Edits};
use mcp::envelope::{Kind, Meta, Span};
use mcp::error::{RpcError, status_of};
use mcp::method;
use mcp::revision::{Era, Revision};
use mcp::walk;
use memchr::memmem;

use crate::upstream::greeting::Greeting;
use crate::upstream::response::{Progress, Response};

/// Nothing of what a shared session cannot give.
const OFFER: Offer = Offer {
    subscribe: false,
    list_changed: false,
    tasks: false,
    logging: false,
};
/// Every revision that a client may speak to a legacy server behind this hop, newest first.
const SPOKEN: [Revision; 5] = [
    Revision::V2026_07_28,
    Revision::V2025_11_25,
    Revision::V2025_06_18,
    Revision::V2025_03_26,
    Revision::V2024_11_05,
];
const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";

/// How messages of one call are taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Both sides speak the same era.
    Same(Era),
    /// A modern client on a legacy server.
    ModernOnLegacy,
}

/// What is needed to turn the server's messages into the client's.
#[derive(Debug, Clone)]
pub struct Translator<'a> {
    way: Way,
    method: Cow<'a, str>,
    /// The client's raw id and progress token: parts of its message, not copied.
    id: Bytes,
    token: Option<Bytes>,
    server_info: Option<Bytes>,
}

/// What the sidecar answers by itself, from what the server said when it was greeted: the handshakes.
/// `None`: the server must be asked.
///
/// # Errors
/// The client's era cannot be served.
pub fn answer(call: &Call<'_>, greeting: &Greeting) -> Result<Option<Vec<u8>>, Fault> {
    let result = match call.method() {
        method::INITIALIZE => {
            legacy_served(greeting)?;
            handshake::initialize_result(&greeting.face, call.revision, OFFER)
        }
        method::SERVER_DISCOVER => {
            let legacy = greeting.revision.era() == Era::Legacy;
            let spoken = if legacy {
                &SPOKEN[..]
            } else {
                &[Revision::LATEST][..]
            };
            handshake::discover_result(&greeting.face, spoken, OFFER)
        }
        _ => return Ok(None),
    };
    // The face was checked when the server was greeted.
    result
        .map(Some)
        .map_err(|error| Fault::unavailable(error.to_string()))
}

/// Whether the call can be brought to the server, and how its answer comes back.
///
/// # Errors
/// The method is not served, or the two eras cannot be brought together for it.
pub fn cross<'a>(call: &'a Call<'_>, greeting: &Greeting) -> Result<Translator<'a>, Fault> {
    let way = match (call.revision.era(), greeting.revision.era()) {
        (Era::Modern, Era::Legacy) => Way::ModernOnLegacy,
        (Era::Legacy, Era::Modern) => {
            return Err(legacy_served(greeting).err().unwrap_or_else(lost));
        }
        (era, _) => Way::Same(era),
    };
    served(call)?;
    if way == Way::ModernOnLegacy && answers_inputs(call) {
        return Err(Fault::not_bridgeable(
            "the server speaks a legacy revision, and a call of it cannot yet be gone on with",
        ));
    }
    let part = |raw: &[u8]| call.body.slice_ref(raw);
    let token = call
        .message
        .meta
        .as_ref()
        .and_then(|meta| meta.progress_token);
    Ok(Translator {
        way,
        method: Cow::Borrowed(call.method()),
        id: call.message.raw_id().map(part).unwrap_or_default(),
        token: token.map(|span| part(span.of(call.body))),
        server_info: greeting.server_info.clone(),
    })
}

impl Translator<'_> {
    /// Whether the client wants to hear of progress.
    pub fn wants_progress(&self) -> bool {
        self.token.is_some()
    }

    /// The client's raw id.
    pub fn id(&self) -> &[u8] {
        &self.id
    }

    /// The same, for as long as needed.
    pub fn into_owned(self) -> Translator<'static> {
        Translator {
            method: Cow::Owned(self.method.into_owned()),
            ..self
        }
    }

    /// The request as the server gets it: under the sidecar's `id`, which is its progress token, too.
    ///
    /// # Errors
    /// None that a scanned message could cause.
    pub fn request(&self, call: &Call<'_>, id: u64) -> Result<Vec<u8>, Fault> {
        let id = id.to_string();
        let trace = call::traceparent(&call.trace);
        let quoted = format!("\"{trace}\"");
        let mut edits = Edits::new(call.body);
        results::replace_id(&mut edits, call.message.id, id.as_bytes());
        if self.way == Way::ModernOnLegacy {
            let new = RequestMeta {
                progress_token: Some(id.as_bytes()),
                traceparent: Some(&trace),
            };
            results::request_to_legacy(&mut edits, call.message, new);
        } else {
            same_era(&mut edits, call, id.as_bytes(), quoted.as_bytes());
        }
        edits.apply().map_err(|error| internal(&error))
    }

    /// The server's response as the client gets it.
    ///
    /// # Errors
    /// It has no form in the client's era.
    pub fn response(&self, response: &Response) -> Result<Message, Fault> {
        let envelope = response.envelope();
        let mut edits = Edits::new(response.bytes());
        results::replace_id(&mut edits, envelope.id, &self.id);
        if self.way == Way::ModernOnLegacy {
            if !results::bridgeable(&envelope) {
                return Err(Fault::not_bridgeable(
                    "the server asks for what only a legacy client could give it",
                ));
            }
            let info = self.server_info.as_deref();
            results::result_to_modern(&mut edits, &envelope, &self.method, info);
        }
        let body = Bytes::from(edits.apply().map_err(|error| internal(&error))?);
        let code = self.error_code(response);
        let status = code.map_or(200, |code| status_of(code, self.era()));
        Ok(Message {
            body,
            kind: Kind::Response,
            error_code: code.unwrap_or_default(),
            tool_error: response.is_error(),
            status,
            session: None,
        })
    }

    /// Progress as the client gets it: under its own token.
    pub fn progress(&self, progress: &Progress) -> Option<Message> {
        let token = self.token.as_deref()?;
        let mut edits = Edits::new(&progress.bytes);
        edits.replace(progress.token, token);
        let body = Bytes::from(edits.apply().ok()?);
        let kind = Kind::Notification;
        Some(Message {
            body,
            kind,
            error_code: 0,
            tool_error: false,
            status: 200,
            session: None,
        })
    }

    fn era(&self) -> Era {
        match self.way {
            Way::Same(era) => era,
            Way::ModernOnLegacy => Era::Modern,
        }
    }

    /// The code that the client reads: one of the legacy ones has another number in the modern era.
    fn error_code(&self, response: &Response) -> Option<i64> {
        use mcp::error::code::{INVALID_PARAMS, RESOURCE_NOT_FOUND};
        match response.error_code() {
            Some(RESOURCE_NOT_FOUND) if self.way == Way::ModernOnLegacy => Some(INVALID_PARAMS),
            code => code,
        }
    }
}

/// Legacy clients can be served by legacy servers only, until the bridge goes both ways.
fn legacy_served(greeting: &Greeting) -> Result<(), Fault> {
    if greeting.revision.era() == Era::Legacy {
        return Ok(());
    }
    Err(Fault::not_bridgeable(format!(
        "the server speaks MCP {} only, which this client does not",
        greeting.revision
    )))
}

/// Methods that a shared session cannot serve are answered as unknown; that is what was offered.
fn served(call: &Call<'_>) -> Result<(), Fault> {
    match call.method() {
        method::SUBSCRIPTIONS_LISTEN => Err(Fault::not_bridgeable(
            "subscriptions are not served on a shared session yet",
        )),
        method::LOGGING_SET_LEVEL
        | method::RESOURCES_SUBSCRIBE
        | method::RESOURCES_UNSUBSCRIBE
        | method::TASKS_GET
        | method::TASKS_RESULT
        | method::TASKS_LIST
        | method::TASKS_CANCEL
        | method::TASKS_UPDATE => {
            let era = call.revision.era();
            Err(Fault::invalid(RpcError::method_not_found(
                call.method(),
                era,
            )))
        }
        _ => Ok(()),
    }
}

/// Whether a modern call goes on with an earlier one.
fn answers_inputs(call: &Call<'_>) -> bool {
    method::may_ask_for_input(call.method())
        && ["inputResponses", "requestState"]
            .iter()
            .any(|key| has_param(call, key).is_some())
}

/// The parameters, where they have `key`. Nearly none have: then they are not read a second time.
fn has_param(call: &Call<'_>, key: &str) -> Option<Span> {
    let params = call.message.params?;
    let text = params.of(call.body);
    // A key that is spelt with escapes has a \u.
    let perhaps =
        memmem::find(text, key.as_bytes()).is_some() || memmem::find(text, br"\u").is_some();
    (perhaps && walk::find(call.body, params, key).is_some()).then_some(params)
}

/// A request that keeps its form: token and trace are exchanged, and what a shared session does not give
/// is not asked for.
fn same_era<'a>(edits: &mut Edits<'a>, call: &'a Call<'_>, id: &'a [u8], trace: &'a [u8]) {
    if let Some(meta) = &call.message.meta {
        meta_of_ours(edits, meta, id, trace);
        if let Some(params) = has_param(call, "task") {
            edits.members(params, without_task, []);
        }
        return;
    }
    let meta = [br#"{"traceparent":"#, trace, b"}"].concat();
    match (call.message.params, has_param(call, "task")) {
        (Some(_), Some(params)) => {
            edits.members(params, without_task, [("_meta", &meta[..])]);
        }
        (Some(params), None) => {
            let rest = params
                .of(call.body)
                .get(1..)
                .unwrap_or_default()
                .trim_ascii_start();
            let comma: &[u8] = if rest.first() == Some(&b'}') {
                b""
            } else {
                b","
            };
            edits.insert(
                params.start + 1,
                [br#""_meta":"#, &meta[..], comma].concat(),
            );
        }
        (None, _) => {
            let params = [br#","params":{"_meta":"#, &meta[..], b"}"].concat();
            edits.insert(walk::root(call.body).end - 1, params);
        }
    }
}

fn without_task<'a>(member: &walk::Member<'a>) -> Change<'a> {
    if member.key == "task" {
        Change::Remove
    } else {
        Change::Keep
    }
}

fn meta_of_ours<'a>(edits: &mut Edits<'a>, meta: &Meta<'_>, id: &'a [u8], trace: &'a [u8]) {
    let change = |member: &walk::Member<'a>| match &*member.key {
        "progressToken" => Change::Replace(id.into()),
        "traceparent" => Change::Replace(trace.into()),
        // Nobody can be asked on behalf of one client, on a session of many.
        CAPABILITIES_KEY => Change::Replace(Cow::Borrowed(b"{}")),
        _ => Change::Keep,
    };
    let add = meta.traceparent.is_none().then_some(("traceparent", trace));
    edits.members(meta.span, change, add);
}

fn internal(error: &mcp::edit::Error) -> Fault {
    tracing::error!(%error, "a message could not be rewritten");
    Fault::invalid(RpcError::internal())
}

fn lost() -> Fault {
    Fault::invalid(RpcError::internal())
}

#[cfg(test)]
#[path = "bridge_tests.rs"]
mod tests;
