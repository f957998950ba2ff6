//! Shows messages to the filters that select them: each message once in each direction, at the hop that delivers to
//! the server.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine::filter::{Compiled, Finding, Seen, Selection};
use mcp::envelope::{self, Kind, Limits};
use mcp::error::{RefusedBy, RpcError};
use model::decision::{Decision, Reason};
use model::filter::{Direction, OnError};
use model::name::{FilterName, ServerName};
use model::principal::Principal;
use tokio::time::Instant;

use super::webhook::{About, Verdict, Webhooks};
use crate::call::Call;
use crate::config::live::Config;

/// How long all filters of one message may take together.
const SUM_MAX: Duration = Duration::from_secs(10);

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
    /// Whether a filter changed it.
    pub changed: bool,
}

impl Passed {
    fn as_it_is(message: Bytes) -> Self {
        Self {
            message,
            changed: false,
        }
    }

    fn take(&mut self, changed: Option<Bytes>) {
        if let Some(message) = changed {
            *self = Self {
                message,
                changed: true,
            };
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
        })
    }

    /// The screen for one question.
    pub fn screen(&self, method: &str) -> Option<Screen> {
        let about = (&self.principal, &*self.client, &self.server);
        Screen::of_server_message(&self.config, about, (method, None), &self.webhooks)
    }
}

/// The filters that see one call's messages, one way.
#[derive(Debug, Clone)]
pub struct Screen {
    selection: Selection,
    way: Direction,
    about: Arc<About>,
    webhooks: Webhooks,
}

impl Screen {
    /// The screen for one call's messages that go `way`; `None` where no filter selects them, so that
    /// nothing is held for a look that nobody takes.
    pub fn of(call: &Call<'_>, way: Direction, webhooks: &Webhooks) -> Option<Self> {
        let tool = (call.method() == mcp::method::TOOLS_CALL)
            .then(|| call.target())
            .flatten();
        let filters = call.config.engine.filters();
        let selection = if let Some(task) = call.task {
            // What comes of a task comes of its tool.
            filters.select(call.server, mcp::method::TOOLS_CALL, Some(&task.tool), way)
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
        })
    }

    /// The filters' names, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.selection.names().map(FilterName::as_str)
    }

    /// Whether one of them has to be asked: then the answer takes its time.
    pub fn calls_out(&self) -> bool {
        self.selection.calls_out()
    }

    /// Shows one message, already known to be valid JSON, to filters that look by themselves, one after the other: each
    /// sees what the one before it has made of it.
    ///
    /// # Errors
    /// One of them refuses it, or fails and is to refuse then.
    pub fn look(&self, message: Bytes) -> Result<Passed, Rejected> {
        let mut passed = Passed::as_it_is(message);
        for filter in self.selection.filters() {
            passed.take(self.look_with(filter, &passed.message)?);
        }
        Ok(passed)
    }

    /// Shows one message, already known to be valid JSON, to all filters, one after the other: each sees what the one
    /// before it has made of it.
    ///
    /// # Errors
    /// One of them refuses it, or fails and is to refuse then.
    pub async fn show(&self, message: Bytes) -> Result<Passed, Rejected> {
        let deadline = Instant::now() + SUM_MAX;
        let mut passed = Passed::as_it_is(message);
        for filter in self.selection.filters() {
            passed.take(self.look_with(filter, &passed.message)?);
            passed.take(self.ask(filter, &passed.message, deadline).await?);
        }
        Ok(passed)
    }

    /// What a filter that looks by itself makes of the message.
    fn look_with(&self, filter: &Compiled, message: &Bytes) -> Result<Option<Bytes>, Rejected> {
        let seen = Seen::new(message, self.way).of(&self.about.method, &self.about.name);
        match filter.look(&seen) {
            Finding::Nothing => Ok(None),
            Finding::Refuses(why) => {
                tracing::debug!(filter = %filter.name(), why, "a filter refuses a message");
                Err(rejected(filter.name(), Reason::Filter))
            }
            Finding::Changes {
                message: changed,
                why,
            } => {
                tracing::debug!(filter = %filter.name(), why, "a filter changes a message");
                change(filter, message, changed.into())
            }
            Finding::Fails(why) => failed(filter, &why),
        }
    }

    /// Asks a filter's receiver, where it has one; gives what it has made of the message.
    async fn ask(
        &self,
        filter: &Compiled,
        message: &Bytes,
        deadline: Instant,
    ) -> Result<Option<Bytes>, Rejected> {
        let Some(hook) = filter.hook() else {
            return Ok(None);
        };
        let asked = self.webhooks.ask(
            filter.name(),
            hook,
            &self.about,
            self.way,
            message,
            deadline,
        );
        let why = match asked.await {
            Ok(Verdict::Allow) => return Ok(None),
            Ok(Verdict::Deny(why)) => {
                tracing::debug!(filter = %filter.name(), why, "a receiver refuses a message");
                return Err(rejected(filter.name(), Reason::Filter));
            }
            Ok(Verdict::Change(changed)) => return change(filter, message, changed),
            Err(error) => error.to_string(),
        };
        failed(filter, &why)
    }
}

/// What a filter makes of a message goes on where the filter may change messages and it is still the same message.
fn change(filter: &Compiled, message: &Bytes, changed: Bytes) -> Result<Option<Bytes>, Rejected> {
    if !filter.may_change() {
        return failed(filter, "it changes the message, which it may not");
    }
    match check_change(message, &changed) {
        Ok(()) => Ok(Some(changed)),
        Err(why) => failed(filter, why),
    }
}

/// What becomes of a message where a filter fails.
fn failed(filter: &Compiled, why: &str) -> Result<Option<Bytes>, Rejected> {
    match filter.on_error() {
        OnError::Deny => {
            tracing::warn!(filter = %filter.name(), why, "a filter failed: the message is refused");
            Err(rejected(filter.name(), Reason::FilterError))
        }
        OnError::Allow => {
            tracing::warn!(filter = %filter.name(), why, "a filter failed: the message goes on");
            Ok(None)
        }
    }
}

/// A changed message must still be what it was: the same kind, for the same request, of the same method. What else it
/// says is decided on again.
fn check_change(before: &[u8], after: &[u8]) -> Result<(), &'static str> {
    let was = envelope::scan(before, &Limits::RESPONSE).map_err(|_| "the message was none")?;
    let limits = match was.kind {
        Kind::Request => Limits::REQUEST,
        _ => Limits::RESPONSE,
    };
    let is = envelope::scan(after, &limits).map_err(|_| "what it makes of the message is none")?;
    if is.kind != was.kind || is.raw_id() != was.raw_id() {
        return Err("what it makes of the message is for another request");
    }
    if is.method != was.method {
        return Err("what it makes of the message has another method");
    }
    if was.kind == Kind::Request && is.target != was.target {
        // Which filters see a message was settled by what it is aimed at.
        return Err("what it makes of the message is aimed at another tool, prompt or resource");
    }
    Ok(())
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
