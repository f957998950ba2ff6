//! Shows messages to the filters that select them: each message once in each direction, at the hop that
//! delivers to the server.

use bytes::Bytes;
use engine::filter::{Outcome, Selection};
use mcp::error::{RefusedBy, RpcError};
use model::decision::{Decision, Reason};
use model::filter::Direction;
use model::name::FilterName;

use crate::call::Call;

/// A message that a filter refused.
#[derive(Debug)]
pub struct Rejected {
    /// For the client.
    pub error: RpcError,
    /// For the record.
    pub reason: Reason,
}

/// The filters that see one call's messages, one way.
#[derive(Debug, Clone)]
pub struct Screen(Selection);

impl Screen {
    /// The screen for one call's messages that go `way`; `None` where no filter selects them, so that
    /// nothing is held for a look that nobody takes.
    pub fn of(call: &Call<'_>, way: Direction) -> Option<Self> {
        let tool = (call.method() == mcp::method::TOOLS_CALL)
            .then(|| call.target())
            .flatten();
        let selection = call
            .config
            .engine
            .filters()
            .select(call.server, call.method(), tool, way);
        (!selection.is_empty()).then_some(Self(selection))
    }

    /// The filters' names, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.names().map(FilterName::as_str)
    }

    /// Shows one message, already known to be valid JSON.
    pub fn check(&self, message: &[u8]) -> Result<(), Rejected> {
        let Outcome::Deny { filter, .. } = self.0.check(message) else {
            return Ok(());
        };
        let (reason, by) = (Reason::Filter, RefusedBy::Filter(filter.as_str()));
        let error = RpcError::refused(reason.as_str(), by, Decision::Deny.as_str());
        Err(Rejected { error, reason })
    }
}

impl Rejected {
    /// The error in the place of the response to this id.
    pub fn body(&self, id: Option<&[u8]>) -> Bytes {
        Bytes::from(self.error.body(id))
    }
}
