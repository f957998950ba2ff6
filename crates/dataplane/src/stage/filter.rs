//! Shows messages to the filters that select them: each message once in each direction, at the hop that delivers to
//! the server.
//!
//! Which filters see a message is settled here; how they run is `chain`'s, and what they may make of it `change`'s.

mod chain;
mod change;

use std::sync::Arc;

use bytes::Bytes;
use engine::filter::Selection;
use mcp::envelope::Kind;
use mcp::error::{RefusedBy, RpcError};
use model::decision::{Decision, Reason};
use model::filter::Direction;
use model::name::{FilterName, ServerName};
use model::principal::Principal;
use model::record::Change;

use super::findings::Findings;
use super::pins::ToolSchemas;
use super::webhook::{About, Webhooks};
use crate::call::Call;
use crate::config::live::Config;
use crate::deliver::tasks::Task;

/// What servers ask of legacy clients.
const ASKED_OF_CLIENTS: [&str; 3] = [
    mcp::method::SAMPLING_CREATE_MESSAGE,
    mcp::method::ELICITATION_CREATE,
    mcp::method::ROOTS_LIST,
];

/// What clients ask of servers.
const ANSWERED: [&str; 8] = [
    mcp::method::TOOLS_CALL,
    mcp::method::TOOLS_LIST,
    mcp::method::RESOURCES_READ,
    mcp::method::RESOURCES_LIST,
    mcp::method::RESOURCES_TEMPLATES_LIST,
    mcp::method::PROMPTS_GET,
    mcp::method::PROMPTS_LIST,
    mcp::method::COMPLETION_COMPLETE,
];

/// A message that a filter refused, or that one could not be asked about.
#[derive(Debug)]
pub struct Rejected {
    /// For the client.
    pub error: RpcError,
    /// For the record.
    pub reason: Reason,
}

/// A message that may go on.
#[derive(Debug, Clone)]
pub struct Passed {
    /// The message, as it goes on.
    pub message: Bytes,
    /// What filters have made of it, for the record. `None`: it is as it was.
    pub change: Option<Change>,
}

impl Passed {
    fn of(before: &Bytes, message: Bytes) -> Self {
        Self {
            change: change::of(before, &message),
            message,
        }
    }
}

/// What a message is to the call in whose course it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Its request or response.
    Call,
    /// Something that is told on the way.
    Notification,
    /// Something that the server asks.
    Question,
}

impl Subject {
    /// What a message of this kind is.
    pub fn of(kind: Kind, way: Direction) -> Self {
        match (kind, way) {
            (Kind::Notification, _) => Self::Notification,
            (Kind::Request, Direction::Response) => Self::Question,
            _ => Self::Call,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Call => "",
            Self::Notification => " notification",
            Self::Question => " question",
        }
    }
}

/// The filters that see what a server asks its client in mid-call: each question by its own method.
#[derive(Debug, Clone)]
pub struct Questions {
    config: Arc<Config>,
    principal: Arc<Principal>,
    client: Arc<str>,
    server: ServerName,
    webhooks: Webhooks,
    findings: Option<Findings>,
}

impl Questions {
    /// Those of one call; `None` where no filter selects any.
    pub fn of(call: &Call<'_>, webhooks: &Webhooks) -> Option<Self> {
        let filters = call.config.engine.filters();
        let way = Direction::Response;
        let selected = filters.select_any(call.server, &ASKED_OF_CLIENTS, None, way);
        (!selected.is_empty()).then(|| Self {
            config: call.config.clone(),
            principal: call.principal.clone(),
            client: call.client.into(),
            server: call.server.clone(),
            webhooks: webhooks.clone(),
            findings: None,
        })
    }

    /// The same, of a call whose record keeps what is found.
    #[must_use]
    pub fn noted_in(self, findings: Findings) -> Self {
        Self {
            findings: Some(findings),
            ..self
        }
    }

    /// The screen for one question.
    pub fn screen(&self, method: &str) -> Option<Screen> {
        let about = (&self.principal, &*self.client, &self.server);
        let screen =
            Screen::of_server_message(&self.config, about, (method, None), &self.webhooks)?;
        Some(Screen {
            findings: self.findings.clone(),
            ..screen
        })
    }
}

/// The filters that see one call's messages, one way.
#[derive(Debug, Clone)]
pub struct Screen {
    selection: Selection,
    way: Direction,
    about: Arc<About>,
    webhooks: Webhooks,
    /// Where a call's record gets to know what they did; `None`: the messages are on no record.
    findings: Option<Findings>,
    subject: Subject,
    /// The schemas of the call's tool, where filters go by them.
    schemas: Option<Arc<ToolSchemas>>,
}

impl Screen {
    /// The screen for one call's messages that go `way`; `None` where no filter selects them, so that
    /// nothing is held for a look that nobody takes.
    pub fn of(call: &Call<'_>, way: Direction, webhooks: &Webhooks) -> Option<Self> {
        let tool = (call.method() == mcp::method::TOOLS_CALL)
            .then(|| call.target())
            .flatten();
        let filters = call.config.engine.filters();
        let of_task = call.tasks.one.as_ref().and_then(Task::tool);
        let selection = if let Some(tool) = of_task {
            // What comes of a task comes of its tool …
            filters.select(call.server, mcp::method::TOOLS_CALL, Some(tool), way)
        } else if call.tasks.all().next().is_some() {
            // … of whichever, where nobody knows, or several are heard of.
            let methods = [call.method(), mcp::method::TOOLS_CALL];
            filters.select_any(call.server, &methods, None, way)
        } else if call.message.kind == Kind::Response {
            // Which of the server's requests it answers is not known here.
            filters.select_any(call.server, &ASKED_OF_CLIENTS, None, way)
        } else {
            filters.select(call.server, call.method(), tool, way)
        };
        let about = || About {
            principal: call.principal.clone(),
            client: call.client.into(),
            server: call.server.clone(),
            method: call.method().into(),
            name: call.target().unwrap_or_default().into(),
            revision: call.config.engine.revision(),
        };
        Self::new(selection, way, about, webhooks)
    }

    /// The screen for a message of a server's own that belongs to no call, which is selected for by its own method. `to`:
    /// who hears it, by which client, of which server; `what`: its method and target.
    pub fn of_server_message(
        config: &Config,
        to: (&Arc<Principal>, &str, &ServerName),
        what: (&str, Option<&str>),
        webhooks: &Webhooks,
    ) -> Option<Self> {
        let ((principal, client, server), (method, target)) = (to, what);
        let way = Direction::Response;
        let selection = config.engine.filters().select(server, method, None, way);
        let about = || About {
            principal: principal.clone(),
            client: client.into(),
            server: server.clone(),
            method: method.into(),
            name: target.unwrap_or_default().into(),
            revision: config.engine.revision(),
        };
        Self::new(selection, way, about, webhooks)
    }

    /// The screen for a response of a server's own that may be to any request. `to`: as above.
    pub fn of_any_response(
        config: &Config,
        to: (&Arc<Principal>, &str, &ServerName),
        webhooks: &Webhooks,
    ) -> Option<Self> {
        let (principal, client, server) = to;
        let way = Direction::Response;
        let filters = config.engine.filters();
        let selection = filters.select_any(server, &ANSWERED, None, way);
        let about = || About {
            principal: principal.clone(),
            client: client.into(),
            server: server.clone(),
            method: "".into(),
            name: "".into(),
            revision: config.engine.revision(),
        };
        Self::new(selection, way, about, webhooks)
    }

    fn new(
        selection: Selection,
        way: Direction,
        about: impl FnOnce() -> About,
        webhooks: &Webhooks,
    ) -> Option<Self> {
        (!selection.is_empty()).then(|| Self {
            selection,
            way,
            about: Arc::new(about()),
            webhooks: webhooks.clone(),
            findings: None,
            subject: Subject::Call,
            schemas: None,
        })
    }

    /// The same, of a call whose record keeps what is found.
    #[must_use]
    pub fn noted_in(self, findings: Findings) -> Self {
        Self {
            findings: Some(findings),
            ..self
        }
    }

    /// The same, of a call whose tool has these schemas.
    #[must_use]
    pub fn knowing(self, schemas: Option<Arc<ToolSchemas>>) -> Self {
        Self { schemas, ..self }
    }

    /// The same, for a message of this kind.
    #[must_use]
    pub fn for_a(self, kind: Kind) -> Self {
        Self {
            subject: Subject::of(kind, self.way),
            ..self
        }
    }

    /// The filters' names, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.selection.names().map(FilterName::as_str)
    }

    /// Whether one of them has to be waited for.
    pub fn calls_out(&self) -> bool {
        self.selection.calls_out()
    }
}

fn rejected(filter: &FilterName, reason: Reason) -> Rejected {
    let by = RefusedBy::Filter(filter.as_str());
    let error = RpcError::refused(reason.as_str(), by, Decision::Deny.as_str());
    Rejected { error, reason }
}

impl Rejected {
    /// The error in the place of the response to this id.
    pub fn body(&self, id: Option<&[u8]>) -> Bytes {
        Bytes::from(self.error.body(id))
    }
}

#[cfg(test)]
mod tests;
