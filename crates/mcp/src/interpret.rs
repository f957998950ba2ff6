//! What the noted members of a message mean: from [`Captures`] to an [`Envelope`], or why not.
//!
//! Knows JSON-RPC and the shape of MCP's routed parameters; must not look at bytes other than those noted.

use std::borrow::Cow;

use crate::envelope::{
    Envelope, ID_BYTES_MAX, Id, InitializeParams, Kind, METHOD_BYTES_MAX, Meta, ResultType,
};
use crate::method::{self, Target};
use crate::revision::{Revision, names_modern};
use crate::scan::capture::{Captures, error, info, meta, params, reference, result, top};
use crate::scan::number::safe_integer;
use crate::scan::{Limits, ScanError, ScanFault, Scanner, Shape, Token, decode};
use crate::span::Span;

/// A fault and the place of it.
type Fault = (ScanFault, usize);

pub(crate) fn read<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Envelope<'a>, ScanError> {
    let mut scanner = Scanner::new(bytes, limits);
    let mut captures = Captures::default();
    let stopped = scanner.message(&mut captures).is_err();
    let reader = Reader {
        bytes,
        noted: &captures,
    };
    // After a hard fault the rest is unread, and may hold a second id: none is echoed.
    let id = if stopped {
        None
    } else {
        reader.id(captures.top[top::ID])
    };
    match scanner.into_fault() {
        Some(fault) => Err(fault),
        None => reader.envelope(),
    }
    .map_err(|(fault, at)| ScanError::new(fault, at, id.map(|id| id.raw)))
}

struct Reader<'a, 'c> {
    bytes: &'a [u8],
    noted: &'c Captures,
}

impl<'a> Reader<'a, '_> {
    fn envelope(&self) -> Result<Envelope<'a>, Fault> {
        let top = &self.noted.top;
        if self.text(top[top::JSONRPC]).as_deref() != Some("2.0") {
            return Err((ScanFault::Jsonrpc, at(top[top::JSONRPC])));
        }
        let present = |place: usize| top[place].shape != Shape::Absent;
        match (
            present(top::METHOD),
            present(top::RESULT),
            present(top::ERROR),
        ) {
            (true, false, false) => self.call(),
            (false, true, false) => self.success(),
            (false, false, true) => self.failure(),
            _ => Err((ScanFault::Kind, 0)),
        }
    }

    /// A request or a notification.
    fn call(&self) -> Result<Envelope<'a>, Fault> {
        let top = &self.noted.top;
        let mut envelope = self.blank(Kind::Notification);
        let method = self
            .text(top[top::METHOD])
            .filter(|method| method.len() <= METHOD_BYTES_MAX)
            .ok_or((
                ScanFault::Method {
                    limit: METHOD_BYTES_MAX,
                },
                at(top[top::METHOD]),
            ))?;
        if top[top::ID].shape != Shape::Absent {
            envelope.kind = Kind::Request;
            envelope.id = Some(
                self.id(top[top::ID])
                    .ok_or((ScanFault::Id, at(top[top::ID])))?,
            );
            if method.starts_with(method::NOTIFICATION_PREFIX) {
                return Err((ScanFault::IdOnNotification, at(top[top::ID])));
            }
        } else if method::is_request(&method) {
            return Err((ScanFault::IdMissing(method.into()), 0));
        }
        envelope.params = optional(top[top::PARAMS], Shape::Object)
            .ok_or((ScanFault::Params, at(top[top::PARAMS])))?;
        envelope.meta = self.meta()?;
        envelope.arguments = self.object(params::ARGUMENTS, "params.arguments")?;
        self.target(&method, &mut envelope)?;
        match &*method {
            method::INITIALIZE => envelope.initialize = self.initialize(),
            method::CANCELLED => {
                let token = self.noted.params[params::REQUEST_ID];
                envelope.request_id = self.optional_id(token, "params.requestId")?;
            }
            method::PROGRESS => {
                let token = self.noted.params[params::PROGRESS_TOKEN];
                let told = self.optional_id(token, "params.progressToken")?;
                envelope.progress_token = told.map(|id| id.span);
            }
            _ => {}
        }
        envelope.method = Some(method);
        Ok(envelope)
    }

    fn success(&self) -> Result<Envelope<'a>, Fault> {
        let top = &self.noted.top;
        let mut envelope = self.blank(Kind::Response);
        envelope.id = Some(
            self.id(top[top::ID])
                .ok_or((ScanFault::Id, at(top[top::ID])))?,
        );
        envelope.result = optional(top[top::RESULT], Shape::Object)
            .ok_or((ScanFault::Result, at(top[top::RESULT])))?;
        envelope.is_error = self.noted.result[result::IS_ERROR].shape == Shape::True;
        let result_type = self.noted.result[result::RESULT_TYPE];
        if result_type.shape != Shape::Absent {
            let name = self
                .text(result_type)
                .ok_or_else(|| member("result.resultType", "a string", result_type))?;
            envelope.result_type = Some(match &*name {
                "complete" => ResultType::Complete,
                "input_required" => ResultType::InputRequired,
                _ => ResultType::Other(name),
            });
        }
        Ok(envelope)
    }

    /// An error; without id, or with the id null, it answers a message whose id could not be read.
    fn failure(&self) -> Result<Envelope<'a>, Fault> {
        let top = &self.noted.top;
        let mut envelope = self.blank(Kind::Response);
        if !matches!(top[top::ID].shape, Shape::Absent | Shape::Null) {
            envelope.id = Some(
                self.id(top[top::ID])
                    .ok_or((ScanFault::Id, at(top[top::ID])))?,
            );
        }
        let fault = (ScanFault::Error, at(top[top::ERROR]));
        envelope.error = optional(top[top::ERROR], Shape::Object).ok_or_else(|| fault.clone())?;
        let token = self.noted.error[error::CODE];
        let code = (token.shape == Shape::Int)
            .then(|| safe_integer(self.raw(token)))
            .flatten()
            .ok_or(fault)?;
        envelope.error_code = Some(code);
        envelope.error_code_span = Some(token.span);
        Ok(envelope)
    }

    fn meta(&self) -> Result<Option<Meta<'a>>, Fault> {
        let Some(span) = self.object(params::META, "params._meta")? else {
            return Ok(None);
        };
        let noted = &self.noted.meta;
        let string = |place: usize, key| match noted[place].shape {
            Shape::Absent => Ok(None),
            _ => self
                .text(noted[place])
                .map(Some)
                .ok_or_else(|| member(key, "a string", noted[place])),
        };
        let object = |place: usize, key| {
            optional(noted[place], Shape::Object)
                .ok_or_else(|| member(key, "an object", noted[place]))
        };
        let progress_token =
            self.optional_id(noted[meta::PROGRESS_TOKEN], "_meta.progressToken")?;
        Ok(Some(Meta {
            span,
            progress_token: progress_token.map(|id| id.span),
            traceparent: self.text(noted[meta::TRACEPARENT]),
            protocol_version: string(meta::PROTOCOL_VERSION, meta::KEYS[meta::PROTOCOL_VERSION])?,
            client_capabilities: object(
                meta::CLIENT_CAPABILITIES,
                meta::KEYS[meta::CLIENT_CAPABILITIES],
            )?,
            client_info: object(meta::CLIENT_INFO, meta::KEYS[meta::CLIENT_INFO])?,
            client_name: self.text(self.noted.meta_info[info::NAME]),
            client_version: self.text(self.noted.meta_info[info::VERSION]),
            log_level: string(meta::LOG_LEVEL, meta::KEYS[meta::LOG_LEVEL])?,
        }))
    }

    fn initialize(&self) -> Option<InitializeParams<'a>> {
        let noted = &self.noted.params;
        Some(InitializeParams {
            protocol_version: self.text(noted[params::PROTOCOL_VERSION])?,
            capabilities: optional(noted[params::CAPABILITIES], Shape::Object)?,
            client_name: self.text(self.noted.info[info::NAME]),
            client_version: self.text(self.noted.info[info::VERSION]),
        })
    }

    /// What `method` is aimed at must be a string, since policy decides by it.
    fn target(&self, method: &str, envelope: &mut Envelope<'a>) -> Result<(), Fault> {
        let noted = &self.noted.params;
        let (kind, key, token) = match method::target_of(method) {
            Target::None if method == method::COMPLETION_COMPLETE => self.reference()?,
            kind @ (Target::Tool | Target::Prompt) => (kind, "params.name", noted[params::NAME]),
            kind @ Target::Resource => (kind, "params.uri", noted[params::URI]),
            kind @ Target::Task => (kind, "params.taskId", noted[params::TASK_ID]),
            Target::None => return Ok(()),
        };
        envelope.target_kind = kind;
        // A removed method must be told as such, whatever its parameters: no target is asked for.
        let removed = envelope.meta_version().is_some_and(names_modern)
            && !method::known(method, Revision::LATEST);
        if token.shape == Shape::Absent && removed {
            return Ok(());
        }
        envelope.target = Some(
            self.text(token)
                .ok_or_else(|| member(key, "a string", token))?,
        );
        envelope.target_span = Some(token.span);
        Ok(())
    }

    /// `params.ref` of `completion/complete`: a prompt by name, or a resource (template) by URI.
    fn reference(&self) -> Result<(Target, &'static str, Token), Fault> {
        let noted = &self.noted.reference;
        match self.text(noted[reference::TYPE]).as_deref() {
            Some("ref/prompt") => Ok((Target::Prompt, "params.ref.name", noted[reference::NAME])),
            Some("ref/resource") => Ok((Target::Resource, "params.ref.uri", noted[reference::URI])),
            _ => Err(member(
                "params.ref.type",
                "\"ref/prompt\" or \"ref/resource\"",
                noted[reference::TYPE],
            )),
        }
    }

    fn object(&self, place: usize, key: &'static str) -> Result<Option<Span>, Fault> {
        let token = self.noted.params[place];
        optional(token, Shape::Object).ok_or_else(|| member(key, "an object", token))
    }

    fn raw(&self, token: Token) -> &'a [u8] {
        self.bytes
            .get(token.span.start as usize..token.span.end as usize)
            .unwrap_or_default()
    }

    /// The text of a string token; `None` for anything else.
    fn text(&self, token: Token) -> Option<Cow<'a, str>> {
        if !matches!(token.shape, Shape::Plain | Shape::Escaped) {
            return None;
        }
        let raw = self.raw(token);
        decode(raw.get(1..raw.len() - 1)?, token.shape == Shape::Escaped)
    }

    fn id(&self, token: Token) -> Option<Id<'a>> {
        let raw = self.raw(token);
        let valid = match token.shape {
            Shape::Plain | Shape::Escaped => raw.len() <= ID_BYTES_MAX,
            Shape::Int => safe_integer(raw).is_some(),
            _ => false,
        };
        valid.then_some(Id {
            span: token.span,
            raw,
        })
    }

    /// What refers to a request must be what an id may be: 1.0 is nobody's id to us, and 1 to others.
    fn optional_id(&self, token: Token, key: &'static str) -> Result<Option<Id<'a>>, Fault> {
        match token.shape {
            Shape::Absent => Ok(None),
            _ => self
                .id(token)
                .map(Some)
                .ok_or_else(|| member(key, "a string or an integer", token)),
        }
    }

    fn blank(&self, kind: Kind) -> Envelope<'a> {
        Envelope {
            bytes: self.bytes,
            kind,
            id: None,
            method: None,
            params: None,
            target: None,
            target_kind: Target::None,
            target_span: None,
            arguments: None,
            meta: None,
            request_id: None,
            progress_token: None,
            initialize: None,
            result: None,
            result_type: None,
            is_error: false,
            error: None,
            error_code: None,
            error_code_span: None,
        }
    }
}

fn at(token: Token) -> usize {
    token.span.start as usize
}

fn member(key: &'static str, wanted: &'static str, token: Token) -> Fault {
    (ScanFault::Member { key, wanted }, at(token))
}

/// The span of a member that is absent (`Some(None)`) or of that shape (`Some(Some)`); `None` for any other shape.
fn optional(token: Token, shape: Shape) -> Option<Option<Span>> {
    match token.shape {
        Shape::Absent => Some(None),
        found if found == shape => Some(Some(token.span)),
        _ => None,
    }
}
