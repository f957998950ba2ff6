//! What is asked of a target, over and over, and what must come back.

use mcp::method::{TOOLS_CALL, TOOLS_LIST};
use serde_json::{Value, json};

/// Largest message of an echo, bytes: what a gateway takes as one request, with room for the rest of it.
pub const ECHO_BYTES_MAX: usize = 3 << 20;

/// One kind of call.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub(crate) method: &'static str,
    /// `params` without `_meta`.
    pub(crate) params: Value,
    pub(crate) expect: Expect,
    /// Whether progress is asked for.
    pub(crate) progress: bool,
}

/// What an answer must hold, besides being one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Nothing in particular.
    Result,
    /// The message that went with this very call, of so many bytes.
    Echo(usize),
    /// This text.
    Text(String),
    /// At least so many tools.
    Tools(usize),
}

/// Stands in `params` where the message of each call goes. Of a private plane, so that nobody's argument is it.
pub(crate) const MESSAGE: &str = "\u{f0000}message\u{f0000}";

impl Scenario {
    /// Calls the tool `echo` with a message of `bytes` bytes, another one each time, which must come back.
    #[must_use]
    pub fn echo(bytes: usize) -> Self {
        let bytes = bytes.clamp(1, ECHO_BYTES_MAX);
        Self {
            expect: Expect::Echo(bytes),
            ..Self::tool("echo", json!({ "message": MESSAGE }))
        }
    }

    /// Calls a tool with these arguments, an object.
    #[must_use]
    pub fn tool(name: &str, arguments: Value) -> Self {
        Self {
            method: TOOLS_CALL,
            params: json!({"name": name, "arguments": arguments}),
            expect: Expect::Result,
            progress: false,
        }
    }

    /// Lists the tools; there must be one at least.
    #[must_use]
    pub fn list() -> Self {
        Self {
            method: TOOLS_LIST,
            params: json!({}),
            expect: Expect::Tools(1),
            progress: false,
        }
    }

    /// Lists the tools; there must be so many at least.
    #[must_use]
    pub fn list_of(tools: usize) -> Self {
        Self {
            expect: Expect::Tools(tools),
            ..Self::list()
        }
    }

    /// A text of the answer must hold `text`.
    #[must_use]
    pub fn expecting(self, text: &str) -> Self {
        let expect = Expect::Text(text.to_owned());
        Self { expect, ..self }
    }

    /// Asks for progress, which some tools then tell before they answer.
    #[must_use]
    pub fn with_progress(self) -> Self {
        Self {
            progress: true,
            ..self
        }
    }

    /// The tool that is called, which modern requests mirror in a header.
    pub(crate) fn name(&self) -> Option<&str> {
        self.params.get("name").and_then(Value::as_str)
    }
}
