//! The messages of one call, each in the form of the side that it goes to.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use dataplane::call::{self, Call};
use dataplane::deliver::Message;
use dataplane::refusal::Fault;
use http::{HeaderMap, HeaderName, HeaderValue};
use mcp::bridge::results::{self, RequestMeta};
use mcp::bridge::{Mirror, capabilities, mirrored, to_modern};
use mcp::edit::{Change, Edits};
use mcp::envelope::{self, Envelope, Kind, Limits, Meta, Span};
use mcp::error::{RpcError, code, status_of};
use mcp::headers::{
    MCP_METHOD, MCP_NAME, MCP_PARAM_PREFIX, MCP_PROTOCOL_VERSION, encode_value, wants_name,
};
use mcp::revision::Revision;
use mcp::walk;

use super::{Side, Way};
use crate::client::Client;
use crate::upstream::response::{Progress, Response};

const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";

/// What a call goes on with on a modern server.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// Answers to what it asked, a raw object.
    pub responses: Option<Vec<u8>>,
    /// Its state, raw.
    pub state: Option<Vec<u8>>,
}

/// What is needed to turn the server's messages into the client's, and the client's request into the server's.
#[derive(Debug, Clone)]
pub struct Translator<'a> {
    way: Way,
    method: Cow<'a, str>,
    /// The client's raw id and progress token: parts of its message, not copied.
    id: Bytes,
    token: Option<Bytes>,
    server_info: Option<Bytes>,
    own: bool,
    body: Bytes,
    traceparent: String,
}

impl<'a> Translator<'a> {
    pub(super) fn new(call: &'a Call<'_>, way: Way, side: &Side<'_>) -> Self {
        let part = |raw: &[u8]| call.body.slice_ref(raw);
        let meta = call.message.meta.as_ref();
        let token = meta.and_then(|meta| meta.progress_token);
        Self {
            way,
            method: Cow::Borrowed(call.method()),
            id: call.message.raw_id().map(part).unwrap_or_default(),
            token: token.map(|span| part(span.of(call.body))),
            server_info: side.greeting.server_info.clone(),
            own: side.own,
            body: call.body.clone(),
            traceparent: call::traceparent(&call.trace),
        }
    }
}

impl Translator<'_> {
    /// How messages are taken over.
    pub fn way(&self) -> Way {
        self.way
    }

    /// The method of the call.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Whether the client wants to hear of progress.
    pub fn wants_progress(&self) -> bool {
        self.token.is_some()
    }

    /// The client's raw id.
    pub fn id(&self) -> &[u8] {
        &self.id
    }

    /// What the server said of itself, raw.
    pub fn server_info(&self) -> Option<&[u8]> {
        self.server_info.as_deref()
    }

    /// The same without the request itself, which will not be sent again.
    pub fn without_request(self) -> Self {
        Self {
            body: Bytes::new(),
            id: Bytes::copy_from_slice(&self.id),
            token: self.token.map(|token| Bytes::copy_from_slice(&token)),
            ..self
        }
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
    pub fn request(
        &self,
        message: &Envelope<'_>,
        id: u64,
        client: Option<&Arc<Client>>,
    ) -> Result<Vec<u8>, Fault> {
        let id = id.to_string();
        let mut edits = Edits::new(&self.body);
        results::replace_id(&mut edits, message.id, id.as_bytes());
        match self.way {
            Way::ModernOnLegacy => {
                let new = RequestMeta {
                    progress_token: Some(id.as_bytes()),
                    traceparent: Some(&self.traceparent),
                };
                results::request_to_legacy(&mut edits, message, new);
            }
            Way::LegacyOnModern => {
                return self.to_modern(message, &id, client, &Inputs::default());
            }
            Way::Same(_) => {
                let trace = format!("\"{}\"", self.traceparent).into_bytes();
                self.same_era(&mut edits, message, id.as_bytes(), &trace);
                return edits.apply().map_err(|error| internal(&error));
            }
        }
        edits.apply().map_err(|error| internal(&error))
    }

    /// The request once more, in the form of the modern era, with what the client answered.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub fn request_with(
        &self,
        id: u64,
        client: Option<&Arc<Client>>,
        inputs: &Inputs,
    ) -> Result<Vec<u8>, Fault> {
        let message = self.read()?;
        self.to_modern(&message, &id.to_string(), client, inputs)
    }

    fn read(&self) -> Result<Envelope<'_>, Fault> {
        envelope::scan(&self.body, &Limits::REQUEST)
            .map_err(|error| Fault::invalid(RpcError::from(&error)))
    }

    fn to_modern(
        &self,
        message: &Envelope<'_>,
        id: &str,
        client: Option<&Arc<Client>>,
        inputs: &Inputs,
    ) -> Result<Vec<u8>, Fault> {
        // Where all callers share a session, nobody can be asked on behalf of one of them.
        let client = client.filter(|_| self.own);
        let declared = client.map_or_else(
            || "{}".to_owned(),
            |client| capabilities::to_modern(&client.declared, client.revision).to_string(),
        );
        let info = client.map(|client| client.who.info.clone());
        let level = client.and_then(|client| client.level());
        let said = to_modern::Client {
            capabilities: declared.as_bytes(),
            info: info
                .as_deref()
                .filter(|info| !info.is_empty())
                .map(str::as_bytes),
            log_level: level.as_deref(),
        };
        let new = to_modern::New {
            progress_token: Some(id.as_bytes()),
            traceparent: Some(&self.traceparent),
            responses: inputs.responses.as_deref(),
            state: inputs.state.as_deref(),
        };
        let mut edits = Edits::new(&self.body);
        results::replace_id(&mut edits, message.id, id.as_bytes());
        to_modern::request(&mut edits, message, &said, &new);
        edits.apply().map_err(|error| internal(&error))
    }

    /// The headers that mirror the request on its way to a modern server over HTTP. `mirrors`: the arguments that its
    /// tool has mirrored.
    ///
    /// # Errors
    /// None that a scanned message could cause.
    pub fn mirror(&self, mirrors: &[Mirror]) -> Result<HeaderMap, Fault> {
        let message = self.read()?;
        let unusable = || Fault::unavailable("a part of the message cannot be sent as a header");
        let value = |text: &str| HeaderValue::from_str(text).map_err(|_| unusable());
        let mut headers = HeaderMap::new();
        let revision = HeaderValue::from_static(Revision::LATEST.as_str());
        headers.insert(MCP_PROTOCOL_VERSION, revision);
        headers.insert(MCP_METHOD, value(&self.method)?);
        headers.insert(call::TRACEPARENT, value(&self.traceparent)?);
        if let Some(name) = message
            .target
            .as_deref()
            .filter(|_| wants_name(&self.method))
        {
            headers.insert(MCP_NAME, value(&encode_value(name))?);
        }
        let Some(arguments) = message.arguments else {
            return Ok(headers);
        };
        for mirror in mirrors {
            if let Some(text) = mirrored(&self.body, arguments, &mirror.path) {
                let name = format!("{MCP_PARAM_PREFIX}{}", mirror.header.to_ascii_lowercase());
                let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable())?;
                headers.insert(name, value(&text)?);
            }
        }
        Ok(headers)
    }

    /// The server's response as the client gets it.
    ///
    /// # Errors
    /// It has no form in the client's era.
    pub fn response(&self, response: &Response) -> Result<Message, Fault> {
        let envelope = response.envelope();
        let mut edits = Edits::new(response.bytes());
        results::replace_id(&mut edits, envelope.id, &self.id);
        match self.way {
            Way::ModernOnLegacy if !results::bridgeable(&envelope) => {
                return Err(Fault::not_bridgeable(
                    "the server answers with what only a legacy client could read",
                ));
            }
            Way::ModernOnLegacy => {
                let info = self.server_info();
                results::result_to_modern(&mut edits, &envelope, &self.method, info);
            }
            Way::LegacyOnModern => to_modern::response(&mut edits, &envelope, &self.method),
            Way::Same(_) => {}
        }
        let body = Bytes::from(edits.apply().map_err(|error| internal(&error))?);
        let code = self.error_code(response);
        let status = code.map_or(200, |code| status_of(code, self.way.client()));
        Ok(Message {
            error_code: code.unwrap_or_default(),
            tool_error: response.is_error(),
            status,
            ..Message::said(Kind::Response, body)
        })
    }

    /// Progress as the client gets it: under its own token.
    pub fn progress(&self, progress: &Progress) -> Option<Message> {
        let token = self.token.as_deref()?;
        let mut edits = Edits::new(&progress.bytes);
        edits.replace(progress.token, token);
        let body = Bytes::from(edits.apply().ok()?);
        Some(Message::said(Kind::Notification, body))
    }

    /// The code that the client reads: some have another number in the other era.
    fn error_code(&self, response: &Response) -> Option<i64> {
        let code = response.error_code()?;
        Some(match self.way {
            Way::ModernOnLegacy if code == code::RESOURCE_NOT_FOUND => code::INVALID_PARAMS,
            Way::LegacyOnModern => to_modern::error_code(code, &self.method),
            _ => code,
        })
    }

    /// A request that keeps its form: token and trace are exchanged, and what a shared session does not give is not
    /// asked for.
    fn same_era<'e>(
        &'e self,
        edits: &mut Edits<'e>,
        message: &Envelope<'_>,
        id: &'e [u8],
        trace: &'e [u8],
    ) {
        let task = self.task(message);
        if let Some(meta) = &message.meta {
            meta_of_ours(edits, meta, id, trace, self.own);
            if let Some(params) = task {
                edits.members(params, without_task, []);
            }
            return;
        }
        let meta = [br#"{"traceparent":"#, trace, b"}"].concat();
        match (message.params, task) {
            (Some(_), Some(params)) => {
                edits.members(params, without_task, [("_meta", &meta[..])]);
            }
            (Some(params), None) => {
                let text = params.of(&self.body);
                let rest = text.get(1..).unwrap_or_default().trim_ascii_start();
                let comma: &[u8] = if rest.first() == Some(&b'}') {
                    b""
                } else {
                    b","
                };
                let meta = [br#""_meta":"#, &meta[..], comma].concat();
                edits.insert(params.start + 1, meta);
            }
            (None, _) => {
                let params = [br#","params":{"_meta":"#, &meta[..], b"}"].concat();
                edits.insert(walk::root(&self.body).end - 1, params);
            }
        }
    }

    /// The parameters, where they ask for a task and none is given.
    fn task(&self, message: &Envelope<'_>) -> Option<Span> {
        let params = message.params.filter(|_| !self.own)?;
        mcp::tasks::is_wanted(&self.body, params).then_some(params)
    }
}

fn without_task<'a>(member: &walk::Member<'a>) -> Change<'a> {
    if member.key == "task" {
        Change::Remove
    } else {
        Change::Keep
    }
}

fn meta_of_ours<'a>(
    edits: &mut Edits<'a>,
    meta: &Meta<'_>,
    id: &'a [u8],
    trace: &'a [u8],
    own: bool,
) {
    let change = |member: &walk::Member<'a>| match &*member.key {
        "progressToken" => Change::Replace(id.into()),
        "traceparent" => Change::Replace(trace.into()),
        // Nobody can be asked on behalf of one client, on a session of many.
        CAPABILITIES_KEY if !own => Change::Replace(Cow::Borrowed(b"{}")),
        _ => Change::Keep,
    };
    let add = meta.traceparent.is_none().then_some(("traceparent", trace));
    edits.members(meta.span, change, add);
}

fn internal(error: &mcp::edit::Error) -> Fault {
    tracing::error!(%error, "a message could not be rewritten");
    Fault::invalid(RpcError::internal())
}
