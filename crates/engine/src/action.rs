//! What a caller is about to do, as far as rules look at it.

use mcp::method;

/// One thing to be decided: an MCP method, and what it is aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Action<'a> {
    /// The MCP method.
    pub method: &'a str,
    /// What it is aimed at.
    pub target: Target<'a>,
}

/// What a method is aimed at, so far as a rule has a list for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target<'a> {
    /// A tool, by name.
    Tool(&'a str),
    /// A prompt, by name.
    Prompt(&'a str),
    /// A resource, by URI (or, in a list of templates, by URI template).
    Resource(&'a str),
    /// Nothing that a rule has a list for.
    None,
}

impl<'a> Action<'a> {
    /// The action of a message: `target` is `params.name` or `params.uri` as the scan found it. Where a method that
    /// has a target comes without one, that is the empty name, which a `*` matches.
    pub fn of(method: &'a str, target: Option<&'a str>) -> Self {
        let name = target.unwrap_or_default();
        let target = match method::target_of(method) {
            method::Target::Tool => Target::Tool(name),
            method::Target::Prompt => Target::Prompt(name),
            method::Target::Resource => Target::Resource(name),
            method::Target::Task | method::Target::None => Target::None,
        };
        Self { method, target }
    }

    /// Calling a tool.
    pub fn tool(name: &'a str) -> Self {
        Self {
            method: method::TOOLS_CALL,
            target: Target::Tool(name),
        }
    }

    /// Getting a prompt.
    pub fn prompt(name: &'a str) -> Self {
        Self {
            method: method::PROMPTS_GET,
            target: Target::Prompt(name),
        }
    }

    /// Reading a resource.
    pub fn resource(uri: &'a str) -> Self {
        Self {
            method: method::RESOURCES_READ,
            target: Target::Resource(uri),
        }
    }

    /// Whether the method belongs to using a server at all; see [`crate::access`].
    pub fn is_base(&self) -> bool {
        BASE_METHODS.contains(&self.method)
    }
}

/// What everyone may do who may use a server: get to know it, and see lists (which are cut).
pub const BASE_METHODS: &[&str] = &[
    method::INITIALIZE,
    method::PING,
    method::SERVER_DISCOVER,
    method::INITIALIZED,
    method::CANCELLED,
    method::TOOLS_LIST,
    method::PROMPTS_LIST,
    method::RESOURCES_LIST,
    method::RESOURCES_TEMPLATES_LIST,
    method::LOGGING_SET_LEVEL,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_becomes_an_action() {
        assert_eq!(Action::of("tools/call", Some("echo")), Action::tool("echo"));
        assert_eq!(Action::of("prompts/get", Some("p")), Action::prompt("p"));
        assert_eq!(
            Action::of("resources/read", Some("u:1")),
            Action::resource("u:1")
        );
        assert_eq!(
            Action::of("resources/subscribe", Some("u:1")).target,
            Target::Resource("u:1")
        );
        assert_eq!(Action::of("tasks/get", Some("t")).target, Target::None);
        assert_eq!(Action::of("tools/call", None).target, Target::Tool(""));
    }

    #[test]
    fn calls_are_not_base() {
        assert!(Action::of("tools/list", None).is_base());
        for method in [
            "tools/call",
            "resources/read",
            "completion/complete",
            "subscriptions/listen",
            "acme/x",
        ] {
            assert!(!Action::of(method, None).is_base(), "{method}");
        }
    }
}
