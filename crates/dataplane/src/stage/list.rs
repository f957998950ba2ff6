//! Cuts lists to what the caller may use, by the engine that decides calls: what cannot be called is not
//! listed, and what is listed can be called.

use bytes::Bytes;
use engine::{Action, Engine};
use mcp::envelope::{self, Kind, Limits};
use mcp::method::{self, ListKind};
use mcp::walk;
use model::name::ServerName;
use model::principal::Principal;

use crate::call::Call;

/// By what it is cut: the rules in force, the caller, the server.
type About<'a> = (&'a Engine, &'a Principal, &'a ServerName);

/// Cuts one message, where it is the response to a list. Anything else comes back as it went in.
///
/// `Err`: the response is not of the form of a list, and so cannot be shown safely.
pub fn cut(call: &Call<'_>, kind: ListKind, message: Bytes) -> Result<Bytes, NotAList> {
    cut_for(
        (&call.config.engine, call.principal, call.server),
        kind,
        message,
    )
}

/// Cuts a response of which it is not known what it answers: each list that it holds.
///
/// # Errors
/// As [`cut`].
pub fn cut_any(about: About<'_>, message: Bytes) -> Result<Bytes, NotAList> {
    let kinds = [
        ListKind::Tools,
        ListKind::Prompts,
        ListKind::Resources,
        ListKind::ResourceTemplates,
    ];
    kinds.into_iter().try_fold(message, |message, kind| {
        let envelope = envelope::scan(&message, &Limits::RESPONSE).map_err(|_| NotAList)?;
        let holds = envelope
            .result
            .is_some_and(|result| walk::find(&message, result, kind.items_key()).is_some());
        if holds {
            cut_for(about, kind, message)
        } else {
            Ok(message)
        }
    })
}

fn cut_for(about: About<'_>, kind: ListKind, message: Bytes) -> Result<Bytes, NotAList> {
    let (engine, principal, server) = about;
    let envelope = envelope::scan(&message, &Limits::RESPONSE).map_err(|_| NotAList)?;
    if envelope.kind != Kind::Response || envelope.result.is_none() {
        return Ok(message);
    }
    let method = match kind {
        ListKind::Tools => method::TOOLS_CALL,
        ListKind::Prompts => method::PROMPTS_GET,
        ListKind::Resources | ListKind::ResourceTemplates => method::RESOURCES_READ,
    };
    let listed = engine.list(principal, server);
    let mut keep = |name: &str| listed.shows(&Action::of(method, Some(name)));
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
