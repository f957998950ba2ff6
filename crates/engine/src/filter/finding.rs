//! What a filter sees, and what it says.

use model::filter::Direction;

use super::schema::Schemas;

/// A message that is looked at, and what is known of it.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'m> {
    /// The message.
    pub message: &'m [u8],
    /// Which way it goes: `Request` or `Response`.
    pub way: Direction,
    /// The request's method, also of a response. Empty: not known.
    pub method: &'m str,
    /// The tool, prompt or resource that the request is about. Empty: none, or not known.
    pub name: &'m str,
    /// The schemas of the tool that it is about; `Err`: why they are not known.
    pub schemas: Result<&'m Schemas, &'m str>,
}

impl<'m> Seen<'m> {
    /// A message of which nothing else is known.
    pub fn new(message: &'m [u8], way: Direction) -> Self {
        Self {
            message,
            way,
            method: "",
            name: "",
            schemas: Err("the tool's definition is not known"),
        }
    }

    /// … that belongs to a request of `method` about `name`.
    #[must_use]
    pub fn of(self, method: &'m str, name: &'m str) -> Self {
        Self {
            method,
            name,
            ..self
        }
    }

    /// … to or from a tool with these schemas.
    #[must_use]
    pub fn under(self, schemas: Result<&'m Schemas, &'m str>) -> Self {
        Self { schemas, ..self }
    }
}

/// What a filter says of a message. Reasons name what was configured, and nothing of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It may go on.
    Nothing,
    /// It must not go on.
    Refuses(String),
    /// It goes on as something else.
    Changes {
        /// What it goes on as.
        message: Vec<u8>,
        /// Why.
        why: String,
    },
    /// The filter could not look; the reason.
    Fails(String),
}

/// A filter that looks by itself.
pub(super) trait Look: std::fmt::Debug + Send + Sync {
    /// Looks at a message, which must be JSON that the strict scan has passed.
    fn look(&self, seen: &Seen<'_>) -> Finding;
}
