//! Who is calling: a modern client, a legacy one that begins, or a legacy one in its session.
//!
//! PROTOCOL: the era shows in `_meta` or the version header first, in `initialize` second. Must not know what a
//! session id means.

use http::HeaderMap;

use crate::envelope::{Envelope, Kind, Meta};
use crate::headers::{self, HeaderFault, MCP_PROTOCOL_VERSION, MCP_SESSION_ID};
use crate::method;
use crate::revision::{Era, Revision, names_modern};
use crate::scan::capture::meta;

/// The sender of a POST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller<'a> {
    /// A stateless client.
    Modern {
        /// The revision it speaks; version header and body agree about it.
        revision: Revision,
    },
    /// A legacy client that begins a session. A session id that it sends all the same means nothing.
    LegacyInitialize {
        /// What it asked for.
        requested: &'a str,
        /// What it is answered: the same if we know it, else our newest legacy revision.
        negotiated: Revision,
    },
    /// A legacy client in a session.
    LegacySession {
        /// The session id as it came: not checked, and no proof of anything.
        session: &'a str,
        /// The version header, required from 2025-06-18 on; without it the session's own revision counts.
        revision: Option<Revision>,
    },
}

impl Caller<'_> {
    /// The era of the caller.
    #[must_use]
    pub fn era(&self) -> Era {
        match self {
            Self::Modern { .. } => Era::Modern,
            Self::LegacyInitialize { .. } | Self::LegacySession { .. } => Era::Legacy,
        }
    }
}

/// A message that no client of any era may send like this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EraFault {
    /// A modern request without a required key.
    #[error("params._meta lacks {key:?}")]
    MissingMeta {
        /// The key.
        key: &'static str,
    },
    /// A header is missing, malformed or contradicts the body.
    #[error("{fault}")]
    Header {
        /// What is wrong.
        fault: HeaderFault,
        /// The era whose form of error the caller understands.
        era: Era,
    },
    /// A modern version that we do not speak.
    #[error("unsupported protocol version {requested:?}")]
    Unsupported {
        /// What the caller speaks.
        requested: String,
    },
    /// A version header that names no legacy revision.
    #[error("unsupported MCP-Protocol-Version {requested:?}")]
    LegacyVersion {
        /// What the header says.
        requested: String,
    },
    /// A legacy message outside of a session.
    #[error("a session is required")]
    SessionRequired,
    /// Modern clients answer nothing: what a server asks is part of its result.
    #[error("a modern client sends no responses")]
    ResponseFromModern,
    /// An `initialize` that cannot be answered.
    #[error(
        "initialize needs params.protocolVersion, a string, and params.capabilities, an object"
    )]
    Initialize,
}

/// Tells who sent this POST, and refuses what header and body disagree about: for modern callers
/// [`headers::check_modern`] holds, too. Whether the method is one that the caller may send is not asked.
///
/// # Errors
/// [`EraFault`]; [`crate::error::RpcError`] knows what to answer.
pub fn classify<'a>(
    headers: &'a HeaderMap,
    envelope: &'a Envelope<'_>,
) -> Result<Caller<'a>, EraFault> {
    let versions = headers.get_all(&MCP_PROTOCOL_VERSION);
    let mut versions = versions.iter().filter_map(|value| value.to_str().ok());
    let era = if envelope.meta_version().is_some() || versions.any(names_modern) {
        Era::Modern
    } else {
        Era::Legacy
    };
    let told = |fault| EraFault::Header { fault, era };
    let header = headers::single(headers, &MCP_PROTOCOL_VERSION).map_err(told)?;
    if era == Era::Modern {
        return classify_modern(headers, header, envelope);
    }
    headers::check_legacy(headers, envelope).map_err(told)?;
    if envelope.method() == method::INITIALIZE {
        let asked = envelope.initialize.as_ref().ok_or(EraFault::Initialize)?;
        let requested = &*asked.protocol_version;
        return Ok(Caller::LegacyInitialize {
            requested,
            negotiated: Revision::negotiate(requested),
        });
    }
    let session = headers::single(headers, &MCP_SESSION_ID).map_err(told)?;
    let session = session
        .filter(|id| !id.is_empty())
        .ok_or(EraFault::SessionRequired)?;
    let revision = match header {
        None => None,
        Some(name) => Some(
            Revision::parse(name).ok_or_else(|| EraFault::LegacyVersion {
                requested: name.to_owned(),
            })?,
        ),
    };
    Ok(Caller::LegacySession { session, revision })
}

/// The order of checks is ours; it matters to messages with several faults only.
fn classify_modern<'a>(
    headers: &HeaderMap,
    header: Option<&str>,
    envelope: &Envelope<'_>,
) -> Result<Caller<'a>, EraFault> {
    if envelope.kind == Kind::Response {
        return Err(EraFault::ResponseFromModern);
    }
    // What only requests must carry; the one notification of clients has no required `_meta`.
    let request = envelope.kind == Kind::Request;
    let missing = |key: usize| EraFault::MissingMeta {
        key: meta::KEYS[key],
    };
    let version = match (envelope.meta_version(), header) {
        (Some(body), _) => body,
        (None, Some(header)) if !request => header,
        _ => return Err(missing(meta::PROTOCOL_VERSION)),
    };
    let fault = |fault| EraFault::Header {
        fault,
        era: Era::Modern,
    };
    if header != Some(version) {
        // The version alone: other headers may belong to rules we do not know.
        return Err(fault(match header {
            None => HeaderFault::Missing {
                header: MCP_PROTOCOL_VERSION,
                body: version.to_owned(),
            },
            Some(value) => HeaderFault::Unequal {
                header: MCP_PROTOCOL_VERSION,
                value: value.to_owned(),
                body: version.to_owned(),
            },
        }));
    }
    let revision = Revision::parse(version)
        .filter(|revision| revision.era() == Era::Modern)
        .ok_or_else(|| EraFault::Unsupported {
            requested: version.to_owned(),
        })?;
    let capable = |meta: &Meta<'_>| meta.client_capabilities.is_some();
    if request && !envelope.meta.as_ref().is_some_and(capable) {
        return Err(missing(meta::CLIENT_CAPABILITIES));
    }
    headers::check_modern(headers, envelope).map_err(fault)?;
    Ok(Caller::Modern { revision })
}

#[cfg(test)]
mod tests;
