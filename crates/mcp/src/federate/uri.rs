//! URIs of members as clients see them: each says whose it is.
//!
//! | a member's | a client's |
//! |---|---|
//! | `file:///a` | `gh.SERVER+file:///a` |
//! | `ui://REST` | `ui://gh.SERVER/REST`: hosts of MCP Apps go by this scheme |
//!
//! URI templates alike, as nothing but the beginning changes.

use std::borrow::Cow;

const SCHEME: &str = "gh.";
const UI: &str = "ui://";

/// A member's URI as clients see it. A server's name has neither `+` nor `/`.
#[must_use]
pub fn exposed(server: &str, own: &str) -> String {
    match own.strip_prefix(UI) {
        Some(rest) => format!("{UI}{SCHEME}{server}/{rest}"),
        None => format!("{SCHEME}{server}+{own}"),
    }
}

/// Whose URI it is, and how that member knows it. `None` for one that no member's can look like.
#[must_use]
pub fn own(exposed: &str) -> Option<(&str, Cow<'_, str>)> {
    if let Some(rest) = exposed.strip_prefix(UI) {
        let (server, rest) = rest.strip_prefix(SCHEME)?.split_once('/')?;
        return Some((server, Cow::Owned(format!("{UI}{rest}"))));
    }
    let (server, own) = exposed.strip_prefix(SCHEME)?.split_once('+')?;
    // Its other form is the only one: one resource has one URI.
    (!own.starts_with(UI)).then_some((server, Cow::Borrowed(own)))
}
