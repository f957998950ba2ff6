//! Where ids of tasks stand in messages, of 2025-11-25 (basic/utilities/tasks) and of the extension (ext-tasks).

use memchr::memmem;

use crate::envelope::Span;
use crate::method;
use crate::walk;

/// The extension by which modern clients and servers have tasks.
pub const EXTENSION: &str = "io.modelcontextprotocol/tasks";
/// The key of `_meta` by which 2025-11-25 names the task that a message is about.
const RELATED: &str = "io.modelcontextprotocol/related-task";
/// The key of one.
pub const ID: &str = "taskId";
/// The key under which 2025-11-25 asks for one.
const WANTED: &str = "task";
/// The key of those that somebody wants to hear of.
const IDS: &str = "taskIds";

/// Where ids of tasks stand in a message.
#[must_use]
pub fn places(message: &[u8]) -> Vec<Span> {
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
    let listed = find(find(Some(root), "result"), "tasks");
    let listed = listed
        .into_iter()
        .flat_map(|all| walk::elements(message, all));
    places.extend(listed.filter_map(|task| find(Some(task), ID)));
    places
}

/// The ids that a subscription names, in the parameters of its request.
#[must_use]
pub fn listened_to(message: &[u8], params: Option<Span>) -> Vec<Span> {
    let wanted = params.and_then(|params| walk::find(message, params, "notifications"));
    listed(message, wanted)
}

/// The ids in a list of what somebody wants to hear of.
#[must_use]
pub fn listed(message: &[u8], wanted: Option<Span>) -> Vec<Span> {
    let ids = wanted.and_then(|wanted| walk::find(message, wanted, IDS));
    let ids = ids.map(|ids| walk::elements(message, ids));
    ids.into_iter().flatten().collect()
}

/// Whether a notification says how a task is.
#[must_use]
pub fn tells_of_one(method: &str) -> bool {
    matches!(method, method::TASKS_STATUS | method::TASKS_CHANGED)
}

/// Whether a message may hold an id of one: nearly none does, and then it need not be read for that.
#[must_use]
pub fn may_have(message: &[u8]) -> bool {
    may_spell(message, ID)
}

/// Whether the parameters of a legacy call ask for a task. Nearly none do: then they are not read for that.
#[must_use]
pub fn is_wanted(message: &[u8], params: Span) -> bool {
    may_spell(params.of(message), WANTED) && walk::find(message, params, WANTED).is_some()
}

/// A key that is spelt with escapes has a \u.
fn may_spell(text: &[u8], key: &str) -> bool {
    memmem::find(text, key.as_bytes()).is_some() || memmem::find(text, br"\u").is_some()
}

/// The id by which clients of a virtual server know a task of its member `server`.
#[must_use]
pub fn named(server: &str, own: &str) -> String {
    format!("{server}:{own}")
}

/// Whose a task of a virtual server is, and its id there. `None`: it is none of a member's.
#[must_use]
pub fn own(named: &str) -> Option<(&str, &str)> {
    named.split_once(':')
}

#[cfg(test)]
mod tests {
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
            r#"{"jsonrpc":"2.0","id":1,"result":{"tasks":[{"taskId":"a"}]}}"#,
        ] {
            assert_eq!(count(one), 1, "{one}");
        }
        let content = r#"{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"taskId":"a"}}}"#;
        assert_eq!(count(content), 0);
    }
}
