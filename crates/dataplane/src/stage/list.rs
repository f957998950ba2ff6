//! Cuts lists to what the caller may use, by the engine that decides calls: what cannot be called is not
//! listed, and what is listed can be called.

use bytes::Bytes;
use engine::Action;
use mcp::envelope::{self, Kind, Limits};
use mcp::method::{self, ListKind};

use crate::call::Call;

/// Cuts one message, where it is the response to a list. Anything else comes back as it went in.
///
/// `Err`: the response is not of the form of a list, and so cannot be shown safely.
pub fn cut(call: &Call<'_>, kind: ListKind, message: Bytes) -> Result<Bytes, NotAList> {
    let envelope = envelope::scan(&message, &Limits::RESPONSE).map_err(|_| NotAList)?;
    if envelope.kind != Kind::Response || envelope.result.is_none() {
        return Ok(message);
    }
    let method = match kind {
        ListKind::Tools => method::TOOLS_CALL,
        ListKind::Prompts => method::PROMPTS_GET,
        ListKind::Resources | ListKind::ResourceTemplates => method::RESOURCES_READ,
    };
    let engine = &call.config.engine;
    let mut keep =
        |name: &str| engine.visible(call.principal, call.server, &Action::of(method, Some(name)));
    match mcp::list::cut(&message, &envelope, kind, &mut keep) {
        Ok(None) => Ok(message),
        Ok(Some(changed)) => Ok(Bytes::from(changed)),
        Err(_) => Err(NotAList),
    }
}

/// A response that should be a list and is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server's list is not of the protocol's form")]
pub struct NotAList;
