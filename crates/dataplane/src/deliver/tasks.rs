//! Tasks of servers that are reached directly: to the server all of us are one, so an id by which anybody could ask for a
//! task is never shown. What clients get instead is sealed to its user and server, with the tool that the task is of, by
//! which rules and filters go on to apply (2025-11-25 basic/utilities/tasks; ext-tasks, "Task ids").

use std::sync::Arc;

use bytes::Bytes;
use mcp::edit::{Edits, quoted};
use mcp::envelope::Span;
use mcp::method;
use mcp::walk;
use memchr::memmem;
use model::name::ServerName;
use model::principal::Principal;
use serde::{Deserialize, Serialize};

use crate::auth::seal::context;
use crate::call::Call;
use crate::config::live::Config;

/// The key of `_meta` by which 2025-11-25 names the task that a message is about.
const RELATED: &str = "io.modelcontextprotocol/related-task";
/// What the ids are sealed as, which keeps them apart from other sealed values.
const PURPOSE: &str = "task";
const ID: &str = "taskId";
const IDS: &str = "taskIds";
/// Tasks of one answer that are kept to be named alike.
const KNOWN_MAX: usize = 64;

/// The extension by which modern clients and servers have tasks.
pub const EXTENSION: &str = "io.modelcontextprotocol/tasks";

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
    /// The tool that it is of.
    #[serde(rename = "t")]
    pub tool: String,
    /// The server's own id.
    #[serde(rename = "i")]
    pub id: String,
}

/// Whether a method is about one task.
pub fn is_about_one(method: &str) -> bool {
    method::target_of(method) == method::Target::Task
}

/// The task that a call is about, where its id is one that was sealed for its caller.
pub fn of_call(
    config: &Config,
    (principal, server): (&Principal, &ServerName),
    sealed: &str,
) -> Option<Task> {
    let opened = config
        .sessions
        .as_ref()?
        .open(&context(PURPOSE, principal, server), sealed)?;
    serde_json::from_slice(&opened).ok()
}

/// Seals the ids of tasks in what a server says to one caller, each always alike: as the caller knows it already.
#[derive(Debug)]
pub struct Sealer {
    config: Arc<Config>,
    context: Vec<u8>,
    tool: String,
    /// The server's own ids, and what they are to the caller.
    known: Vec<(String, String)>,
}

impl Sealer {
    /// For the answers to a call. `None`: nothing can be sealed here.
    pub fn of(call: &Call<'_>) -> Option<Self> {
        call.config.sessions.as_ref()?;
        let tool = match call.task {
            Some(task) => &task.tool,
            None if call.method() == method::TOOLS_CALL => call.target().unwrap_or_default(),
            None => "",
        };
        let named = call
            .task
            .map(|task| (task.id.clone(), call.target().unwrap_or_default()));
        let mut known: Vec<_> = named
            .into_iter()
            .map(|(id, sealed)| (id, sealed.to_owned()))
            .collect();
        for (_, sealed, task) in listened_to(call).into_iter().flatten() {
            known.push((task.id, sealed));
        }
        Some(Self {
            config: call.config.clone(),
            context: context(PURPOSE, call.principal, call.server),
            tool: tool.to_owned(),
            known,
        })
    }

    /// The message with its ids sealed; as it is, where it has none. `None`: one cannot be sealed, so that the message
    /// must not be shown.
    pub fn seal(&mut self, message: &Bytes) -> Option<Bytes> {
        // Nearly no message has one; a key that is spelt with escapes has a \u.
        if memmem::find(message, ID.as_bytes()).is_none() && memmem::find(message, br"\u").is_none()
        {
            return Some(message.clone());
        }
        let mut edits = Edits::new(message);
        for span in places(message) {
            let id = walk::text(span.of(message))?;
            edits.replace(span, quoted(&self.sealed(&id)?));
        }
        if edits.is_empty() {
            return Some(message.clone());
        }
        edits.apply().ok().map(Bytes::from)
    }

    fn sealed(&mut self, id: &str) -> Option<String> {
        if let Some((_, sealed)) = self.known.iter().find(|(known, _)| known == id) {
            return Some(sealed.clone());
        }
        let task = Task {
            tool: self.tool.clone(),
            id: id.to_owned(),
        };
        let plain = serde_json::to_vec(&task).ok()?;
        let sealed = self.config.sessions.as_ref()?.seal(&self.context, &plain)?;
        if self.known.len() < KNOWN_MAX {
            self.known.push((task.id, sealed.clone()));
        }
        Some(sealed)
    }
}

/// Where ids of tasks stand in a message.
fn places(message: &[u8]) -> Vec<Span> {
    let root = walk::root(message);
    let find = |object: Option<Span>, key: &str| walk::find(message, object?, key);
    let mut places = Vec::new();
    for part in ["result", "params"] {
        let part = find(Some(root), part);
        places.extend(find(part, ID));
        places.extend(find(find(part, "task"), ID));
        places.extend(find(find(find(part, "_meta"), RELATED), ID));
        places.extend(listed(message, find(part, "notifications")));
    }
    places
}

/// The ids in a list of those that somebody wants to hear of.
fn listed(message: &[u8], wanted: Option<Span>) -> Vec<Span> {
    let ids = wanted.and_then(|wanted| walk::find(message, wanted, IDS));
    let ids = ids.map(|ids| walk::elements(message, ids));
    ids.into_iter().flatten().collect()
}

/// The tasks that somebody wants to hear of: where each stands, its id as the caller knows it, and what it is; `None`: one
/// is none of the caller's.
fn listened_to(call: &Call<'_>) -> Option<Vec<(Span, String, Task)>> {
    if call.method() != method::SUBSCRIPTIONS_LISTEN {
        return Some(Vec::new());
    }
    let who = (&**call.principal, call.server);
    let wanted = call.message.params;
    let wanted = wanted.and_then(|params| walk::find(call.body, params, "notifications"));
    let ids = listed(call.body, wanted).into_iter();
    ids.map(|span| {
        let sealed = walk::text(span.of(call.body))?.into_owned();
        let task = of_call(call.config, who, &sealed)?;
        Some((span, sealed, task))
    })
    .collect()
}

/// The request with the server's own ids; `None`: one of them is none of the caller's.
pub fn opened(call: &Call<'_>) -> Option<Bytes> {
    let mut edits = Edits::new(call.body);
    if is_about_one(call.method()) {
        let task = call.task?;
        edits.replace(call.message.target_span?, quoted(&task.id));
    }
    for (span, _, task) in listened_to(call)? {
        edits.replace(span, quoted(&task.id));
    }
    if edits.is_empty() {
        return Some(call.body.clone());
    }
    edits.apply().ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn ids_are_found_where_they_may_stand_and_nowhere_else() {
        let count = |text: &str| places(text.as_bytes()).len();
        for one in [
            r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"task","taskId":"a"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"task":{"taskId":"a"}}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/tasks","params":{"taskId":"a"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"a"}}}}"#,
            r#"{"jsonrpc":"2.0","method":"x","params":{"notifications":{"taskIds":["a"]}}}"#,
        ] {
            assert_eq!(count(one), 1, "{one}");
        }
        let content = r#"{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"taskId":"a"}}}"#;
        assert_eq!(count(content), 0);
    }
}
