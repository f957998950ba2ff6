//! What a hop that serves virtual servers sets about them, and how the session of one is written.
//!
//! The session of a virtual server is nowhere but in its id. Its handle is `v.{sid}.{client}`: a random id, by which each
//! member's sidecar knows the session and by which that sidecar is found, and what the client said of itself at its
//! begin, by which a sidecar begins the session that it does not know (any more).

use std::time::Duration;

use engine::federation::{NAME_CHARS, NAME_CHARS_MAX};
use http::HeaderMap;
use mcp::headers::MCP_SESSION_ID;

use super::patience::Patience;

/// How virtual servers are served.
#[derive(Debug, Clone)]
pub struct Federating {
    /// Longest names of tools and prompts that clients see.
    pub name_chars_max: usize,
    /// How long one member may take where all are asked, if its own limit is not less.
    pub member_timeout: Duration,
    /// How often.
    pub patience: Patience,
}

/// How long a member is left out that has missed its time.
const PAUSE_MS: u64 = 10_000;

impl Default for Federating {
    fn default() -> Self {
        Self {
            name_chars_max: NAME_CHARS,
            member_timeout: Duration::from_secs(5),
            patience: Patience::new(Duration::from_millis(PAUSE_MS)),
        }
    }
}

impl Federating {
    /// With these settings.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(
        name_chars_max: usize,
        member_timeout_ms: u64,
        member_pause_ms: u64,
    ) -> Result<Self, String> {
        if !(NAME_CHARS..=NAME_CHARS_MAX).contains(&name_chars_max) {
            return Err(format!(
                "edge.federation.name_chars_max {name_chars_max} is not from {NAME_CHARS} to {NAME_CHARS_MAX}"
            ));
        }
        if !(1..=600_000).contains(&member_timeout_ms) {
            return Err(format!(
                "edge.federation.member_timeout_ms {member_timeout_ms} is not from 1 to 600000"
            ));
        }
        if member_pause_ms > 600_000 {
            return Err(format!(
                "edge.federation.member_pause_ms {member_pause_ms} is more than 600000"
            ));
        }
        Ok(Self {
            name_chars_max,
            member_timeout: Duration::from_millis(member_timeout_ms),
            patience: Patience::new(Duration::from_millis(member_pause_ms)),
        })
    }
}

/// The header by which a sidecar learns what the client of a session that it does not know said of itself: base64url of
/// JSON, `{"capabilities": …, "clientInfo": …}`. Only ever read on mTLS hops.
pub const CLIENT_HEADER: &str = "gatehouse-client";

/// The header by which an edge has answers go to the session's stream: `stream`. Only ever read on mTLS hops.
pub const REPLY_HEADER: &str = "gatehouse-reply";
/// The header by which an edge puts a message of its own on the session's stream, in base64url. Only ever read on mTLS
/// hops.
pub const PUT_HEADER: &str = "gatehouse-put";

/// What handles of such sessions begin with. No node has this name.
const PREFIX: &str = "v.";

/// A session's handle.
pub fn handle(sid: &str, client: &str) -> String {
    format!("{PREFIX}{sid}.{client}")
}

/// What a handle begins with behind the prefix, with or without what the client said. `None`: it is of another kind.
pub fn sid(handle: &str) -> Option<&str> {
    handle.strip_prefix(PREFIX)
}

/// The two parts of a session with a virtual server's member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberSession<'h> {
    /// What the member's sidecar knows it by.
    pub id: &'h str,
    /// The value of [`CLIENT_HEADER`].
    pub client: &'h str,
}

/// Reads a handle. `None`: it is no virtual server's.
pub fn member_session(handle: &str) -> Option<MemberSession<'_>> {
    let sid = handle.strip_prefix(PREFIX)?.find('.')?;
    let (id, client) = handle.split_at(PREFIX.len() + sid);
    Some(MemberSession {
        id,
        client: client.trim_start_matches('.'),
    })
}

/// The session that a sidecar is to begin, as the edge names it beside `initialize`. `None`: the sidecar names it.
pub fn named(headers: &HeaderMap) -> Option<&str> {
    let named = headers.get(MCP_SESSION_ID)?.to_str().ok()?;
    named.starts_with(PREFIX).then_some(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_has_two_parts() {
        let made = handle("0a1b", "eyJ9");
        let read = MemberSession {
            id: "v.0a1b",
            client: "eyJ9",
        };
        assert_eq!(member_session(&made), Some(read));
        assert_eq!(member_session("edge-1.0a1b.x"), None);
        assert_eq!(member_session("~v.0a1b.x"), None);
    }

    #[test]
    fn settings_are_bounded() {
        assert!(Federating::new(64, 5000, 0).is_ok() && Federating::new(128, 1, 1).is_ok());
        assert!(Federating::new(63, 5000, 1).is_err() && Federating::new(129, 5000, 1).is_err());
        assert!(Federating::new(64, 0, 1).is_err());
        assert!(Federating::new(64, 1, 600_001).is_err());
    }
}
