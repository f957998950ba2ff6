//! Legacy session ids: sealed tokens that any edge opens.
//!
//! The token holds what the next request needs — the agreed revision, the sidecar's handle, the client's
//! name — under keys that all edges share, bound to the user and the server. Possession proves nothing: a
//! token opens only for the principal that it was made for, whose credential is checked on every request.

use std::borrow::Cow;
use std::sync::Arc;

use dataplane::auth::seal::{SEALED_BYTES_MAX, SessionKeys, context};
use dataplane::deliver::Session;
use dataplane::refusal::Refused;
use mcp::revision::Revision;
use model::name::ServerName;
use model::principal::Principal;
use serde::{Deserialize, Serialize};

/// What the tokens are for, which keeps them apart from other sealed values.
const PURPOSE: &str = "session";

/// Longest client name that a token carries, in bytes.
const CLIENT_BYTES_MAX: usize = 64;

/// How long a session lasts, in seconds; then the client is told to begin anew.
const SESSION_S_MAX: i64 = 7 * 24 * 3600;

/// The token's content. Short keys: it travels with every request.
#[derive(Debug, Serialize, Deserialize)]
struct Content<'a> {
    /// Revision of MCP; empty where only the server knows it.
    #[serde(borrow)]
    r: Cow<'a, str>,
    /// The sidecar's handle. It may hold what JSON has to escape: then it is no part of the text.
    #[serde(borrow)]
    h: Cow<'a, str>,
    /// The client's name for itself.
    #[serde(borrow)]
    c: Cow<'a, str>,
    /// When it was made, Unix seconds.
    t: i64,
}

/// Makes the session id for a client. `None` where there are no keys, or the handle is too long to carry.
pub fn seal(
    keys: &SessionKeys,
    principal: &Principal,
    server: &ServerName,
    session: &Session,
    now_unix_s: i64,
) -> Option<String> {
    let client = &session.client[..session.client.floor_char_boundary(CLIENT_BYTES_MAX)];
    let content = Content {
        r: session.revision.map_or("", Revision::as_str).into(),
        h: session.handle.as_str().into(),
        c: client.into(),
        t: now_unix_s,
    };
    let plain = serde_json::to_vec(&content).ok()?;
    let sealed = keys.seal(&context(PURPOSE, principal, server), &plain)?;
    (sealed.len() <= SEALED_BYTES_MAX).then_some(sealed)
}

fn revision(text: &str) -> Result<Option<Revision>, Refused> {
    if text.is_empty() {
        return Ok(None);
    }
    Revision::parse(text)
        .map(Some)
        .ok_or_else(Refused::session_ended)
}

/// Opens a session id that a client carries.
///
/// # Errors
/// One and the same for every token that does not open: unknown, over, of another server, or somebody else's.
pub fn open(
    keys: &SessionKeys,
    principal: &Principal,
    server: &ServerName,
    token: &str,
    now_unix_s: i64,
) -> Result<Session, Refused> {
    let plain = keys.open(&context(PURPOSE, principal, server), token);
    let plain = plain.ok_or_else(Refused::session_ended)?;
    let content: Content<'_> =
        serde_json::from_slice(&plain).map_err(|_| Refused::session_ended())?;
    if now_unix_s >= content.t + SESSION_S_MAX {
        return Err(Refused::session_ended());
    }
    Ok(Session {
        revision: revision(&content.r)?,
        handle: content.h.into_owned(),
        client: Arc::from(content.c.as_ref()),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use model::key::{KeyRing, SealingKey};

    use super::*;

    #[test]
    fn a_token_opens_on_any_edge_but_for_one_principal_and_server_only() {
        let ring = KeyRing {
            session_keys: vec![SealingKey {
                id: 1,
                key: [5; 32],
            }],
            api_key_pepper: [0; 32],
        };
        let (a, b) = (
            SessionKeys::of(&ring).unwrap(),
            SessionKeys::of(&ring).unwrap(),
        );
        let ana = Principal::new("ana", &["x"], None, "k1");
        let everything = ServerName::new("everything").unwrap();
        let session = Session {
            revision: Some(Revision::V2025_11_25),
            // What JSON escapes must come back as it was.
            handle: r#"node.a"b\c"#.into(),
            client: r#"My "IDE""#.into(),
        };
        let now = 1_790_000_000;
        let token = seal(&a, &ana, &everything, &session, now).unwrap();
        assert!(token.bytes().all(|byte| byte.is_ascii_graphic()));
        let opened =
            |who: &Principal, server: &ServerName, at: i64| open(&b, who, server, &token, at).ok();
        assert_eq!(opened(&ana, &everything, now).unwrap(), session);
        // A new key of the same user goes on with the session; another user, client or server does not.
        let (renewed, bob) = (
            Principal::new("ana", &[], None, "k2"),
            Principal::new("bob", &["x"], None, "k1"),
        );
        let elsewhere = Principal::new("ana", &[], Some("c"), "k1");
        assert!(opened(&renewed, &everything, now).is_some());
        assert!(opened(&bob, &everything, now).is_none());
        assert!(opened(&elsewhere, &everything, now).is_none());
        let time = ServerName::new("time").unwrap();
        assert!(opened(&ana, &time, now).is_none());
        assert!(opened(&ana, &everything, now + SESSION_S_MAX - 1).is_some());
        assert!(opened(&ana, &everything, now + SESSION_S_MAX).is_none());
    }
}
