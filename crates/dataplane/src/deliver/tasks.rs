//! Tasks: to a server all of us are one, so an id by which anybody could ask for a task is never shown. What clients get
//! instead is sealed by an edge to its user and server, with the tool that the task is of, by which rules and filters go on
//! to apply, and the sidecar that knows it (2025-11-25 basic/utilities/tasks; ext-tasks, "Task ids").
//!
//! ```text
//! request   edge: of_request (opens) -> going_on (the server's own ids) -> sidecar: told by the edge of which tools
//! answer    server -> edge: Sealer, where may_be_named                  -> client
//! ```
//!
//! Of which tool those tasks are that a server lists nobody knows: what is about one of them is decided on by its method.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use mcp::edit::{Change, Edits, quoted};
use mcp::envelope::{self, Envelope, Kind, Limits, Span};
use mcp::error::RpcError;
use mcp::method::{self, Target};
use mcp::tasks::{self, EXTENSION};
use mcp::walk;
use model::name::ServerName;
use model::principal::Principal;
use serde::{Deserialize, Serialize};

use crate::auth::seal::{SEALED_BYTES_MAX, context};
use crate::auth::task::Stated;
use crate::call::Call;
use crate::config::live::Config;
use crate::refusal::Fault;

/// What the ids are sealed as, which keeps them apart from other sealed values.
const PURPOSE: &str = "task";
/// Tasks of one answer that are kept to be named alike, and that one subscription may name.
const KNOWN_MAX: usize = 64;

/// Whether a modern client says that it knows tasks.
pub fn declares(call: &Call<'_>) -> bool {
    let meta = call.message.meta.as_ref();
    let declared = meta.and_then(|meta| meta.client_capabilities);
    let extensions = declared.and_then(|all| walk::find(call.body, all, "extensions"));
    extensions.is_some_and(|all| walk::find(call.body, all, EXTENSION).is_some())
}

/// A task that a caller may ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The tool that it is of. Empty: nobody knows.
    #[serde(rename = "t")]
    pub tool: String,
    /// The server's own id. Empty where only the tool was told.
    #[serde(rename = "i")]
    pub id: String,
    /// The sidecar that said it. `None`: the server did, to an edge.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Arc<str>>,
}

impl Task {
    /// The tool that it is of, where that is known.
    pub fn tool(&self) -> Option<&str> {
        Some(&*self.tool).filter(|tool| !tool.is_empty())
    }
}

/// The tasks that a request is about.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    /// The one that it asks about, where its id is one that was sealed for its caller.
    pub one: Option<Task>,
    /// Those that it wants to hear of, in its order.
    pub heard_of: Vec<Task>,
    /// Whether it wants to hear of one that is none of its caller's.
    pub strange: bool,
}

/// None.
pub static NONE: Tasks = Tasks {
    one: None,
    heard_of: Vec::new(),
    strange: false,
};

impl Tasks {
    /// Those of a message that came to an edge: their ids were sealed for the caller.
    pub fn of_request(
        config: &Config,
        who: (&Principal, &ServerName),
        (body, message): (&[u8], &Envelope<'_>),
    ) -> Self {
        let named = message
            .target
            .as_deref()
            .filter(|_| message.target_kind == Target::Task);
        let one = named.and_then(|sealed| opened(config, who, sealed));
        let ids = ids_heard_of(body, message);
        let heard_of: Vec<_> = ids
            .iter()
            .take(KNOWN_MAX)
            .map_while(|id| opened(config, who, &walk::text(id.of(body))?))
            .collect();
        Self {
            one,
            strange: heard_of.len() < ids.len(),
            heard_of,
        }
    }

    /// Those of a message whose ids an edge has opened, as it tells of them. `None`: it tells nothing.
    pub fn as_told(stated: Option<&Stated>, (body, message): (&[u8], &Envelope<'_>)) -> Self {
        let ids = ids_heard_of(body, message);
        let Some(Stated(tools)) = stated else {
            return Self {
                strange: !ids.is_empty(),
                ..Self::default()
            };
        };
        let of = |tool: &String, id: &str| Task {
            tool: tool.clone(),
            id: id.to_owned(),
            node: None,
        };
        let named = message
            .target
            .as_deref()
            .filter(|_| message.target_kind == Target::Task);
        let only = tools.first().filter(|_| tools.len() == 1);
        Self {
            one: named.zip(only).map(|(id, tool)| of(tool, id)),
            heard_of: match ids.is_empty() {
                true => Vec::new(),
                false => tools.iter().map(|tool| of(tool, "")).collect(),
            },
            strange: false,
        }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Task> {
        self.one.iter().chain(&self.heard_of)
    }

    /// What a sidecar is to be told. `None`: it is about none.
    pub fn stated(&self) -> Option<Stated> {
        let tools: BTreeSet<_> = self.all().map(|task| task.tool.clone()).collect();
        (!tools.is_empty()).then_some(Stated(tools))
    }

    /// The sidecar that knows them, where one does.
    pub fn node(&self) -> Option<&str> {
        self.all().find_map(|task| task.node.as_deref())
    }
}

/// Where the ids stand of those tasks that a request wants to hear of.
fn ids_heard_of(body: &[u8], message: &Envelope<'_>) -> Vec<Span> {
    if message.method() == method::SUBSCRIPTIONS_LISTEN {
        tasks::listened_to(body, message.params)
    } else {
        Vec::new()
    }
}

/// Whether a method is about one task.
fn is_about_one(method: &str) -> bool {
    method::target_of(method) == Target::Task
}

fn opened(
    config: &Config,
    (principal, server): (&Principal, &ServerName),
    sealed: &str,
) -> Option<Task> {
    let keys = config.sessions.as_ref()?;
    let opened = keys.open(&context(PURPOSE, principal, server), sealed)?;
    serde_json::from_slice(&opened).ok()
}

/// Whether an id was sealed for this caller.
pub fn is_of(config: &Config, who: (&Principal, &ServerName), sealed: &str) -> bool {
    opened(config, who, sealed).is_some()
}

/// Whether the answer to a call may name a task: no other is looked at for that.
pub fn may_be_named(call: &Call<'_>) -> bool {
    match call.method() {
        method::TOOLS_CALL if call.is_modern() => declares(call),
        method::TOOLS_CALL => {
            let params = call.message.params;
            params.is_some_and(|params| tasks::is_wanted(call.body, params))
        }
        method::TASKS_LIST => true,
        method::SUBSCRIPTIONS_LISTEN => !call.tasks.heard_of.is_empty(),
        method => is_about_one(method),
    }
}

/// Seals the ids of tasks in what a server says to one caller, each always alike: as the caller knows it already.
#[derive(Debug)]
pub struct Sealer {
    config: Arc<Config>,
    context: Vec<u8>,
    tool: String,
    node: Option<Arc<str>>,
    /// The server's own ids, and what they are to the caller.
    known: Vec<(String, String)>,
    /// Whether what is said is what a legacy server offers.
    is_offer: bool,
}

impl Sealer {
    /// For the answers to a call. `None`: nothing can be sealed here.
    pub fn of(call: &Call<'_>) -> Option<Self> {
        let is_offer = call.method() == method::INITIALIZE;
        if call.config.sessions.is_none() && !is_offer {
            return None;
        }
        let tool = match &call.tasks.one {
            Some(task) => &task.tool,
            None if call.method() == method::TOOLS_CALL => call.target().unwrap_or_default(),
            None => "",
        };
        let named = call.tasks.one.iter();
        let named = named.map(|task| {
            (
                task.id.clone(),
                call.target().unwrap_or_default().to_owned(),
            )
        });
        let mut known: Vec<_> = named.collect();
        let ids = ids_heard_of(call.body, call.message);
        for (id, task) in ids.iter().zip(&call.tasks.heard_of) {
            let sealed = walk::text(id.of(call.body));
            known.extend(sealed.map(|sealed| (task.id.clone(), sealed.into_owned())));
        }
        Some(Self {
            config: call.config.clone(),
            context: context(PURPOSE, call.principal, call.server),
            tool: tool.to_owned(),
            node: None,
            known,
            is_offer,
        })
    }

    /// The same, of what a sidecar says.
    #[must_use]
    pub fn of_node(self, node: Option<Arc<str>>) -> Self {
        Self { node, ..self }
    }

    /// The message with its ids sealed; as it is, where it has none. `None`: one cannot be sealed, or is of a task that
    /// the caller has not asked to hear of, so that the message must not be shown.
    pub fn seal(&mut self, message: &Bytes) -> Option<Bytes> {
        if self.is_offer {
            return without_list(message);
        }
        if !tasks::may_have(message) {
            return Some(message.clone());
        }
        let places = tasks::places(message);
        if places.is_empty() {
            return Some(message.clone());
        }
        let read = envelope::scan(message, &Limits::RESPONSE).ok()?;
        if read.kind == Kind::Request && read.target_kind == Target::Task {
            // The server asks about a task of the client's.
            return Some(message.clone());
        }
        let is_answer = read.kind == Kind::Response;
        let mut edits = Edits::new(message);
        for span in places {
            let id = walk::text(span.of(message))?;
            if !is_answer && tasks::tells_of_one(read.method()) && !self.knows(&id) {
                return None;
            }
            edits.replace(span, quoted(&self.sealed(&id, is_answer)?));
        }
        edits.apply().ok().map(Bytes::from)
    }

    fn knows(&self, id: &str) -> bool {
        self.known.iter().any(|(known, _)| known == id)
    }

    /// What else is said on the way to an answer may be about another task than the answer's, of whatever tool.
    fn sealed(&mut self, id: &str, is_answer: bool) -> Option<String> {
        if let Some((_, sealed)) = self.known.iter().find(|(known, _)| known == id) {
            return Some(sealed.clone());
        }
        let task = Task {
            tool: if is_answer {
                self.tool.clone()
            } else {
                String::new()
            },
            id: id.to_owned(),
            node: self.node.clone(),
        };
        let plain = serde_json::to_vec(&task).ok()?;
        let sealed = self.config.sessions.as_ref()?.seal(&self.context, &plain)?;
        if sealed.len() > SEALED_BYTES_MAX {
            return None;
        }
        if self.known.len() < KNOWN_MAX && is_answer {
            self.known.push((task.id, sealed.clone()));
        }
        Some(sealed)
    }
}

/// An answer to `initialize` that does not offer the list of tasks: nobody is given it, as nothing says whose one is.
fn without_list(message: &Bytes) -> Option<Bytes> {
    let find = |object: Option<Span>, key| walk::find(message, object?, key);
    let result = find(Some(walk::root(message)), "result");
    let tasks = find(find(result, "capabilities"), "tasks");
    let Some(tasks) = tasks.filter(|tasks| find(Some(*tasks), "list").is_some()) else {
        return Some(message.clone());
    };
    let mut edits = Edits::new(message);
    let change = |member: &walk::Member<'_>| match &*member.key {
        "list" => Change::Remove,
        _ => Change::Keep,
    };
    edits.members(tasks, change, []);
    edits.apply().ok().map(Bytes::from)
}

/// The request as it goes on from here, with the server's own ids of tasks.
///
/// # Errors
/// It is about one that is none of the caller's, or by a client that does not know of tasks.
pub fn going_on(call: &Call<'_>) -> Result<Bytes, Fault> {
    let unknown = || {
        let (id, era) = (call.target().unwrap_or_default(), call.revision.era());
        Fault::invalid(RpcError::unknown_target(Target::Task, id, era))
    };
    if call.tasks.strange {
        return Err(unknown());
    }
    let mut edits = Edits::new(call.body);
    if is_about_one(call.method()) {
        // Where nothing can be sealed, and nobody tells what was, nobody is shown one.
        if call.config.sessions.is_none() && call.tasks.one.is_none() {
            return Err(unserved(call));
        }
        if let Some(fault) = undeclared(call) {
            return Err(fault);
        }
        let task = call.tasks.one.as_ref().ok_or_else(unknown)?;
        let span = call.message.target_span.ok_or_else(unknown)?;
        edits.replace(span, quoted(&task.id));
    }
    if call.config.sessions.is_some() {
        let ids = ids_heard_of(call.body, call.message);
        for (span, task) in ids.into_iter().zip(&call.tasks.heard_of) {
            edits.replace(span, quoted(&task.id));
        }
    }
    if edits.is_empty() {
        return Ok(call.body.clone());
    }
    edits.apply().map(Bytes::from).map_err(|_| unknown())
}

/// The answer to a modern client that asks about a task, and does not say that it knows of them (PROTOCOL 2.12).
pub fn undeclared(call: &Call<'_>) -> Option<Fault> {
    let is_told = !call.is_modern() || declares(call);
    let required = format!(r#"{{"extensions":{{"{EXTENSION}":{{}}}}}}"#);
    let error = || RpcError::missing_capability(EXTENSION, &required);
    (!is_told).then(|| Fault::invalid(error()))
}

/// The answer where a method about tasks is not served.
pub fn unserved(call: &Call<'_>) -> Fault {
    Fault::invalid(RpcError::method_not_found(
        call.method(),
        call.revision.era(),
    ))
}

#[cfg(test)]
mod tests;
