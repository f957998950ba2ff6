//! Keys: what a limit counts apart, as bytes. The same call has the same keys on every edge.

use std::sync::Arc;

use model::access::Subjects;
use model::limit::{Limit, Part};
use model::name::ServerName;
use model::principal::Principal;
use model::snapshot::Sha256;

/// Most groups of a caller under which one limit counts a call.
pub const GROUPS_MAX: usize = 32;

/// Longest part that stands in a key as it is, in bytes; of a longer one its hash does.
const PART_BYTES_MAX: usize = 128;

/// What one limit counts under. Two calls that differ in a part that is counted apart have two keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Box<[u8]>);

impl Key {
    /// As bytes, at most a few hundred.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The keys under which `limit` counts a call: one; or, where it counts by group, one for each of the caller's groups
/// that it is about, at most [`GROUPS_MAX`]. A call must have room under every one.
pub fn keys<'c>(
    limit: &'c Limit,
    principal: &'c Principal,
    server: &'c ServerName,
    tool: Option<&'c str>,
) -> impl Iterator<Item = Key> {
    let by_group = limit.per.contains(&Part::Group);
    let groups = principal.groups.iter();
    let mut groups = groups
        .filter(move |group| by_group && is_meant(limit, group))
        .take(GROUPS_MAX);
    let first = groups.next();
    let rest = groups.map(Some);
    std::iter::once(first)
        .chain(rest)
        .map(move |group| key(limit, principal, server, tool, group))
}

/// Whether a limit counts under a group: where its subjects name groups, under those alone.
fn is_meant(limit: &Limit, group: &Arc<str>) -> bool {
    let Subjects::Any(subjects) = &limit.subjects else {
        return true;
    };
    let mut named = subjects
        .iter()
        .filter_map(|s| s.group.as_deref())
        .peekable();
    named.peek().is_none() || named.any(|name| name == &**group)
}

fn key(
    limit: &Limit,
    principal: &Principal,
    server: &ServerName,
    tool: Option<&str>,
    group: Option<&Arc<str>>,
) -> Key {
    let mut bytes = Vec::with_capacity(64);
    for part in &limit.per {
        let text = match part {
            Part::User => &*principal.user,
            Part::Group => group.map_or("", |group| &**group),
            Part::Client => principal.client.as_deref().unwrap_or_default(),
            Part::Server => server.as_str(),
            Part::Tool => tool.unwrap_or_default(),
        };
        push(text.as_bytes(), &mut bytes);
    }
    Key(bytes.into())
}

/// Length, then the part: no part can look like the end of the one before it.
fn push(part: &[u8], out: &mut Vec<u8>) {
    match u8::try_from(part.len()) {
        Ok(length) if part.len() <= PART_BYTES_MAX => {
            out.push(length);
            out.extend_from_slice(part);
        }
        _ => {
            out.push(u8::MAX);
            out.extend_from_slice(&Sha256::of(part).0);
        }
    }
}
