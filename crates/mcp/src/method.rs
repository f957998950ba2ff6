//! The methods of MCP: their names, who may send them, in which revisions, and what they are aimed at.
//!
//! Knows only names; must not know the shape of parameters beyond the key that names a target.

use crate::revision::Revision::{self, V2024_11_05, V2025_06_18, V2025_11_25, V2026_07_28};

/// `initialize`
pub const INITIALIZE: &str = "initialize";
/// `notifications/initialized`
pub const INITIALIZED: &str = "notifications/initialized";
/// `ping`
pub const PING: &str = "ping";
/// `server/discover`
pub const SERVER_DISCOVER: &str = "server/discover";
/// `tools/list`
pub const TOOLS_LIST: &str = "tools/list";
/// `tools/call`
pub const TOOLS_CALL: &str = "tools/call";
/// `resources/list`
pub const RESOURCES_LIST: &str = "resources/list";
/// `resources/templates/list`
pub const RESOURCES_TEMPLATES_LIST: &str = "resources/templates/list";
/// `resources/read`
pub const RESOURCES_READ: &str = "resources/read";
/// `resources/subscribe`
pub const RESOURCES_SUBSCRIBE: &str = "resources/subscribe";
/// `resources/unsubscribe`
pub const RESOURCES_UNSUBSCRIBE: &str = "resources/unsubscribe";
/// `prompts/list`
pub const PROMPTS_LIST: &str = "prompts/list";
/// `prompts/get`
pub const PROMPTS_GET: &str = "prompts/get";
/// `completion/complete`
pub const COMPLETION_COMPLETE: &str = "completion/complete";
/// `logging/setLevel`
pub const LOGGING_SET_LEVEL: &str = "logging/setLevel";
/// `subscriptions/listen`
pub const SUBSCRIPTIONS_LISTEN: &str = "subscriptions/listen";
/// `sampling/createMessage`
pub const SAMPLING_CREATE_MESSAGE: &str = "sampling/createMessage";
/// `elicitation/create`
pub const ELICITATION_CREATE: &str = "elicitation/create";
/// `roots/list`
pub const ROOTS_LIST: &str = "roots/list";
/// `tasks/get`
pub const TASKS_GET: &str = "tasks/get";
/// `tasks/result`
pub const TASKS_RESULT: &str = "tasks/result";
/// `tasks/list`
pub const TASKS_LIST: &str = "tasks/list";
/// `tasks/cancel`
pub const TASKS_CANCEL: &str = "tasks/cancel";
/// `tasks/update`, of the modern tasks extension only.
pub const TASKS_UPDATE: &str = "tasks/update";
/// `notifications/cancelled`
pub const CANCELLED: &str = "notifications/cancelled";
/// `notifications/progress`
pub const PROGRESS: &str = "notifications/progress";
/// `notifications/message`
pub const MESSAGE: &str = "notifications/message";
/// `notifications/tools/list_changed`
pub const TOOLS_LIST_CHANGED: &str = "notifications/tools/list_changed";
/// `notifications/prompts/list_changed`
pub const PROMPTS_LIST_CHANGED: &str = "notifications/prompts/list_changed";
/// `notifications/resources/list_changed`
pub const RESOURCES_LIST_CHANGED: &str = "notifications/resources/list_changed";
/// `notifications/resources/updated`
pub const RESOURCES_UPDATED: &str = "notifications/resources/updated";
/// `notifications/roots/list_changed`
pub const ROOTS_LIST_CHANGED: &str = "notifications/roots/list_changed";
/// `notifications/elicitation/complete`
pub const ELICITATION_COMPLETE: &str = "notifications/elicitation/complete";
/// `notifications/tasks`, of the modern tasks extension only.
pub const TASKS_CHANGED: &str = "notifications/tasks";
/// `notifications/tasks/status`
pub const TASKS_STATUS: &str = "notifications/tasks/status";
/// `notifications/subscriptions/acknowledged`
pub const SUBSCRIPTIONS_ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
/// What the names of all notifications of MCP begin with.
pub const NOTIFICATION_PREFIX: &str = "notifications/";

/// What a method is aimed at, and so which policy list its target is looked up in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// A tool, by `params.name`.
    Tool,
    /// A prompt, by `params.name`.
    Prompt,
    /// A resource, by `params.uri`.
    Resource,
    /// A task, by `params.taskId`.
    Task,
    /// Nothing in particular.
    None,
}

impl Target {
    /// The key of `params` that names a target of this kind.
    #[must_use]
    pub const fn key(self) -> Option<&'static str> {
        match self {
            Self::Tool | Self::Prompt => Some("name"),
            Self::Resource => Some("uri"),
            Self::Task => Some("taskId"),
            Self::None => None,
        }
    }
}

/// The four lists that a server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListKind {
    /// `tools/list`
    Tools,
    /// `prompts/list`
    Prompts,
    /// `resources/list`
    Resources,
    /// `resources/templates/list`
    ResourceTemplates,
}

impl ListKind {
    /// The key of the result that holds the items.
    #[must_use]
    pub const fn items_key(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::ResourceTemplates => "resourceTemplates",
        }
    }

    /// The key of an item that policy knows it by.
    #[must_use]
    pub const fn name_key(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::ResourceTemplates => "uriTemplate",
        }
    }
}

/// What `method` is aimed at. `completion/complete` has its target inside `params.ref`; see
/// [`crate::envelope::Envelope::target_kind`], which knows it.
#[must_use]
pub fn target_of(method: &str) -> Target {
    match method {
        TOOLS_CALL => Target::Tool,
        PROMPTS_GET => Target::Prompt,
        RESOURCES_READ | RESOURCES_SUBSCRIBE | RESOURCES_UNSUBSCRIBE | RESOURCES_UPDATED => {
            Target::Resource
        }
        TASKS_GET | TASKS_RESULT | TASKS_CANCEL | TASKS_UPDATE => Target::Task,
        _ => Target::None,
    }
}

/// Whether `method` names a request in any revision or in the tasks extension: such a message must have an id.
#[must_use]
pub fn is_request(method: &str) -> bool {
    entry(method).is_some_and(|entry| !entry.name.starts_with(NOTIFICATION_PREFIX))
        || method == TASKS_UPDATE
}

/// Whether `method` is of the core of any revision or of the tasks extension, so that we know all of it.
pub(crate) fn is_ours(method: &str) -> bool {
    entry(method).is_some() || method == TASKS_UPDATE
}

/// The list that `method` asks for, if it asks for one.
#[must_use]
pub fn is_list(method: &str) -> Option<ListKind> {
    match method {
        TOOLS_LIST => Some(ListKind::Tools),
        PROMPTS_LIST => Some(ListKind::Prompts),
        RESOURCES_LIST => Some(ListKind::Resources),
        RESOURCES_TEMPLATES_LIST => Some(ListKind::ResourceTemplates),
        _ => None,
    }
}

/// Whether the core of `revision` has `method`, in either direction. Extensions are not core.
#[must_use]
pub fn known(method: &str, revision: Revision) -> bool {
    entry(method).is_some_and(|entry| entry.in_revision(revision))
}

/// Whether a *client* of `revision` may send `method`: what [`known`] knows, less what only servers send.
#[must_use]
pub fn from_client(method: &str, revision: Revision) -> bool {
    // 2026-07-28 leaves clients a single notification: progress is reported by servers only.
    let gone = revision == V2026_07_28 && method == PROGRESS;
    !gone
        && entry(method)
            .is_some_and(|entry| entry.in_revision(revision) && entry.sender != Sender::Server)
}

/// Whether a *client* of `revision` may send `method` as part of an extension that is passed on: the modern tasks
/// (ext-tasks).
#[must_use]
pub fn of_extension(method: &str, revision: Revision) -> bool {
    revision == V2026_07_28 && matches!(method, TASKS_GET | TASKS_UPDATE | TASKS_CANCEL)
}

/// Whether a complete result of `method` carries caching hints (2026-07-28 server/utilities/caching).
#[must_use]
pub fn cacheable(method: &str) -> bool {
    matches!(
        method,
        SERVER_DISCOVER
            | TOOLS_LIST
            | PROMPTS_LIST
            | RESOURCES_LIST
            | RESOURCES_TEMPLATES_LIST
            | RESOURCES_READ
    )
}

/// Whether a result of `method` may be `input_required` (2026-07-28 basic/patterns/mrtr).
#[must_use]
pub fn may_ask_for_input(method: &str) -> bool {
    matches!(method, TOOLS_CALL | PROMPTS_GET | RESOURCES_READ)
}

#[derive(PartialEq, Eq)]
enum Sender {
    Client,
    Server,
    Both,
}

struct Entry {
    name: &'static str,
    sender: Sender,
    first: Revision,
    last: Revision,
}

impl Entry {
    fn in_revision(&self, revision: Revision) -> bool {
        (self.first..=self.last).contains(&revision)
    }
}

const fn row(name: &'static str, sender: Sender, first: Revision, last: Revision) -> Entry {
    Entry {
        name,
        sender,
        first,
        last,
    }
}

fn entry(method: &str) -> Option<&'static Entry> {
    METHODS.iter().find(|entry| entry.name == method)
}

/// Every method of the five schemas, the frequent ones first.
static METHODS: [Entry; 34] = [
    row(TOOLS_CALL, Sender::Client, V2024_11_05, V2026_07_28),
    row(TOOLS_LIST, Sender::Client, V2024_11_05, V2026_07_28),
    row(RESOURCES_READ, Sender::Client, V2024_11_05, V2026_07_28),
    row(PROMPTS_GET, Sender::Client, V2024_11_05, V2026_07_28),
    row(PROGRESS, Sender::Both, V2024_11_05, V2026_07_28),
    row(INITIALIZE, Sender::Client, V2024_11_05, V2025_11_25),
    row(INITIALIZED, Sender::Client, V2024_11_05, V2025_11_25),
    row(PING, Sender::Both, V2024_11_05, V2025_11_25),
    row(SERVER_DISCOVER, Sender::Client, V2026_07_28, V2026_07_28),
    row(RESOURCES_LIST, Sender::Client, V2024_11_05, V2026_07_28),
    row(
        RESOURCES_TEMPLATES_LIST,
        Sender::Client,
        V2024_11_05,
        V2026_07_28,
    ),
    row(
        RESOURCES_SUBSCRIBE,
        Sender::Client,
        V2024_11_05,
        V2025_11_25,
    ),
    row(
        RESOURCES_UNSUBSCRIBE,
        Sender::Client,
        V2024_11_05,
        V2025_11_25,
    ),
    row(PROMPTS_LIST, Sender::Client, V2024_11_05, V2026_07_28),
    row(
        COMPLETION_COMPLETE,
        Sender::Client,
        V2024_11_05,
        V2026_07_28,
    ),
    row(LOGGING_SET_LEVEL, Sender::Client, V2024_11_05, V2025_11_25),
    row(
        SUBSCRIPTIONS_LISTEN,
        Sender::Client,
        V2026_07_28,
        V2026_07_28,
    ),
    row(TASKS_GET, Sender::Both, V2025_11_25, V2025_11_25),
    row(TASKS_RESULT, Sender::Both, V2025_11_25, V2025_11_25),
    row(TASKS_LIST, Sender::Both, V2025_11_25, V2025_11_25),
    row(TASKS_CANCEL, Sender::Both, V2025_11_25, V2025_11_25),
    // In 2026-07-28 these three are no messages any more but entries of `inputRequests`.
    row(
        SAMPLING_CREATE_MESSAGE,
        Sender::Server,
        V2024_11_05,
        V2025_11_25,
    ),
    row(ELICITATION_CREATE, Sender::Server, V2025_06_18, V2025_11_25),
    row(ROOTS_LIST, Sender::Server, V2024_11_05, V2025_11_25),
    row(CANCELLED, Sender::Both, V2024_11_05, V2026_07_28),
    row(MESSAGE, Sender::Server, V2024_11_05, V2026_07_28),
    row(TOOLS_LIST_CHANGED, Sender::Server, V2024_11_05, V2026_07_28),
    row(
        PROMPTS_LIST_CHANGED,
        Sender::Server,
        V2024_11_05,
        V2026_07_28,
    ),
    row(
        RESOURCES_LIST_CHANGED,
        Sender::Server,
        V2024_11_05,
        V2026_07_28,
    ),
    row(RESOURCES_UPDATED, Sender::Server, V2024_11_05, V2026_07_28),
    row(ROOTS_LIST_CHANGED, Sender::Client, V2024_11_05, V2025_11_25),
    row(
        ELICITATION_COMPLETE,
        Sender::Server,
        V2025_11_25,
        V2025_11_25,
    ),
    row(TASKS_STATUS, Sender::Both, V2025_11_25, V2025_11_25),
    row(
        SUBSCRIPTIONS_ACKNOWLEDGED,
        Sender::Server,
        V2026_07_28,
        V2026_07_28,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revision::Revision::V2025_03_26;

    #[test]
    fn modern_clients_send_exactly_the_ten_requests_and_one_notification() {
        let mut sent: Vec<_> = METHODS
            .iter()
            .map(|e| e.name)
            .filter(|m| from_client(m, V2026_07_28))
            .collect();
        sent.sort_unstable();
        assert_eq!(
            sent,
            [
                COMPLETION_COMPLETE,
                CANCELLED,
                PROMPTS_GET,
                PROMPTS_LIST,
                RESOURCES_LIST,
                RESOURCES_READ,
                RESOURCES_TEMPLATES_LIST,
                SERVER_DISCOVER,
                SUBSCRIPTIONS_LISTEN,
                TOOLS_CALL,
                TOOLS_LIST,
            ]
        );
    }

    #[test]
    fn methods_come_and_go_with_their_revisions() {
        assert!(!known(ELICITATION_CREATE, V2025_03_26) && known(ELICITATION_CREATE, V2025_06_18));
        assert!(known(PING, V2025_11_25) && !known(PING, V2026_07_28));
        assert!(
            !known(TASKS_GET, V2025_06_18)
                && known(TASKS_GET, V2025_11_25)
                && !known(TASKS_GET, V2026_07_28)
        );
        assert!(!known("Tools/call", V2026_07_28) && !known("", V2025_11_25));
    }

    #[test]
    fn a_client_may_not_send_what_servers_send() {
        for method in [
            SAMPLING_CREATE_MESSAGE,
            ELICITATION_CREATE,
            ROOTS_LIST,
            MESSAGE,
            RESOURCES_UPDATED,
        ] {
            assert!(
                known(method, V2025_11_25) && !from_client(method, V2025_11_25),
                "{method}"
            );
        }
    }

    #[test]
    fn requests_are_told_from_notifications() {
        assert!(
            is_request(TOOLS_CALL) && is_request(ELICITATION_CREATE) && is_request(TASKS_UPDATE)
        );
        assert!(!is_request(CANCELLED) && !is_request("acme/custom"));
    }

    #[test]
    fn targets_and_lists_have_their_keys() {
        assert_eq!(target_of(TOOLS_CALL).key(), Some("name"));
        assert_eq!(target_of(RESOURCES_SUBSCRIBE).key(), Some("uri"));
        assert_eq!(target_of(TASKS_LIST), Target::None);
        assert_eq!(
            is_list(RESOURCES_TEMPLATES_LIST).map(ListKind::name_key),
            Some("uriTemplate")
        );
        assert_eq!(is_list(TOOLS_CALL), None);
        assert!(cacheable(RESOURCES_READ) && !cacheable(TOOLS_CALL));
    }
}
