//! Between the client's era and the server's: what can be taken over, and in which form each message
//! goes on. Ids and progress tokens are exchanged on the way, in the same pass ([`Translator`]).
//!
//! | client \ server | legacy | modern |
//! |---|---|---|
//! | legacy | as it is | `mcp::bridge::to_modern`; what a result asks for is asked of the client by [`crate::talk`] |
//! | modern | `mcp::bridge::results`; what the server asks for becomes a result, by [`crate::talk`] | as it is |
//!
//! What is offered is what is served: over stdio, a session that all callers share cannot ask clients, log or run tasks for
//! one of them, so these are struck from capabilities and their methods are unknown here.

mod translate;

use dataplane::call::Call;
use dataplane::deliver::tasks;
use dataplane::refusal::Fault;
use mcp::bridge::handshake::{self, Offer};
use mcp::error::RpcError;
use mcp::method;
use mcp::revision::{Era, Revision};

pub use self::translate::{Inputs, Translator};
use crate::upstream::greeting::Greeting;

/// How messages of one call are taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Both sides speak the same era.
    Same(Era),
    /// A modern client on a legacy server.
    ModernOnLegacy,
    /// A legacy client on a modern server.
    LegacyOnModern,
}

impl Way {
    /// Between a client and a server that speak these.
    pub fn between(client: Era, server: Era) -> Self {
        match (client, server) {
            (Era::Modern, Era::Legacy) => Self::ModernOnLegacy,
            (Era::Legacy, Era::Modern) => Self::LegacyOnModern,
            (era, _) => Self::Same(era),
        }
    }

    /// The client's era.
    pub fn client(self) -> Era {
        match self {
            Self::Same(era) => era,
            Self::ModernOnLegacy => Era::Modern,
            Self::LegacyOnModern => Era::Legacy,
        }
    }
}

/// The server's side of a call.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// What the server is.
    pub greeting: &'a Greeting,
    /// Whether the session with it is its user's own, so that what it says can be for one client.
    pub own: bool,
}

impl Side<'_> {
    /// How a client of `era` gets to it.
    pub fn way(&self, era: Era) -> Way {
        Way::between(era, self.greeting.revision.era())
    }

    /// What is really passed on to clients.
    fn offer(&self, way: Way) -> Offer {
        Offer {
            subscribe: true,
            list_changed: true,
            // In a session of which all of it is the client's, and in the form that the server has them in.
            tasks: self.own && matches!(way, Way::Same(_)),
            logging: self.own,
        }
    }
}

/// What the sidecar answers by itself, from what the server said when it was greeted: the handshakes.
/// `None`: the server must be asked.
///
/// # Errors
/// None that a server which was greeted could cause.
pub fn answer(call: &Call<'_>, side: &Side<'_>) -> Result<Option<Vec<u8>>, Fault> {
    let offer = side.offer(side.way(call.revision.era()));
    let face = &side.greeting.face;
    let result = match call.method() {
        method::INITIALIZE => handshake::initialize_result(face, call.revision, offer),
        method::SERVER_DISCOVER => handshake::discover_result(face, &Revision::ALL, offer),
        _ => return Ok(None),
    };
    // The face was checked when the server was greeted.
    result
        .map(Some)
        .map_err(|error| Fault::unavailable(error.to_string()))
}

/// Whether the call can be brought to the server, and how its answer comes back.
///
/// # Errors
/// The method is not served there.
pub fn cross<'a>(call: &'a Call<'_>, side: &Side<'_>) -> Result<Translator<'a>, Fault> {
    let way = side.way(call.revision.era());
    served(call, way, side.own)?;
    if way == Way::Same(Era::Modern) {
        // Ids that an edge has opened, which says so; one of a former version sends what the server cannot know.
        tasks::going_on(call)?;
    }
    Ok(Translator::new(call, way, side))
}

/// Methods that cannot be served here are answered as unknown; that is what was offered.
fn served(call: &Call<'_>, way: Way, own: bool) -> Result<(), Fault> {
    let served = match call.method() {
        method::LOGGING_SET_LEVEL => own,
        method::TASKS_GET
        | method::TASKS_RESULT
        | method::TASKS_LIST
        | method::TASKS_CANCEL
        | method::TASKS_UPDATE => own && matches!(way, Way::Same(_)),
        _ => true,
    };
    if served {
        return Ok(());
    }
    let era = call.revision.era();
    Err(Fault::invalid(RpcError::method_not_found(
        call.method(),
        era,
    )))
}

#[cfg(test)]
mod tests;
