//! Names of virtual servers: which member a client's name leads to, and what a member's own name is called for clients.
//!
//! ```text
//! client's name --find--> member and its own name          (said for this very tool, else by prefix, else catch-all)
//! member's own name --tool / prompt--> client's name       (None: it is not shown)
//! ```
//!
//! All of it follows from the configuration alone and never from which members are up, so that a name means the same
//! today and tomorrow, on every edge. What is shown under a name is what that name leads to: [`Federation::find_tool`]
//! and [`Federation::tool`] are each other's inverse, which tests hold them to. Must not know messages.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use model::name::ServerName;
use model::snapshot::{Sha256, Snapshot};
use model::virtual_server::{Member, VirtualServer};

/// Longest names for clients, unless an edge is set otherwise.
pub const NAME_CHARS: usize = 64;
/// Longest that an edge may be set to (2026-07-28 server/tools).
pub const NAME_CHARS_MAX: usize = 128;
/// Hexadecimal digits at the end of a name that was shortened.
const DIGITS: usize = 8;

/// A virtual server, ready to resolve names.
#[derive(Debug)]
pub struct Federation {
    name: ServerName,
    title: String,
    description: String,
    members: Vec<Member>,
    /// Names for clients that were said for single tools: whose, and its own name.
    said: HashMap<String, (usize, String)>,
    catch_all: Option<usize>,
    /// The member whose prompts have no prefix: the catch-all, or the only member without a prefix.
    plain_prompts: Option<usize>,
}

/// Where a client's name leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<'n> {
    /// To this member, which knows it by this name.
    Own(usize, Cow<'n, str>),
    /// To this member: the name was shortened, and which one it is can be told by the member's list only.
    Shortened(usize),
}

/// All virtual servers of a snapshot, and `/mcp`.
#[derive(Debug)]
pub(crate) struct Federations {
    by_name: HashMap<ServerName, Arc<Federation>>,
    all: Arc<Federation>,
}

impl Federations {
    pub(crate) fn compile(snapshot: &Snapshot) -> Self {
        let compiled =
            |server: &Arc<VirtualServer>| (server.name.clone(), Arc::new(Federation::of(server)));
        Self {
            by_name: snapshot.virtual_servers.values().map(compiled).collect(),
            all: Arc::new(Federation::all(snapshot)),
        }
    }

    pub(crate) fn get(&self, name: &ServerName) -> Option<&Arc<Federation>> {
        if name.is_all() {
            return Some(&self.all);
        }
        self.by_name.get(name)
    }
}

impl Federation {
    /// Of a virtual server, which wire has found without fault.
    pub fn of(server: &VirtualServer) -> Self {
        Self::new(
            server.name.clone(),
            (&server.title, &server.description),
            server.members.clone(),
        )
    }

    /// `/mcp`: all servers, each by its name. As no name of a server has an underscore, none is the beginning of
    /// another's prefix.
    fn all(snapshot: &Snapshot) -> Self {
        let whole = |name: &ServerName| Member::whole(name.clone(), format!("{name}_"));
        let members = snapshot.servers.keys().map(whole).collect();
        Self::new(ServerName::all(), ("", ""), members)
    }

    fn new(name: ServerName, (title, description): (&str, &str), members: Vec<Member>) -> Self {
        let mut said = HashMap::new();
        for (i, member) in members.iter().enumerate() {
            for (exposed, own) in member.said_names() {
                said.insert(exposed, (i, own.to_owned()));
            }
        }
        let catch_all = members.iter().position(Member::is_catch_all);
        let mut plain = members
            .iter()
            .enumerate()
            .filter(|(_, m)| m.prefix.is_empty());
        let only = plain.next().filter(|_| plain.next().is_none());
        Self {
            name,
            title: title.to_owned(),
            description: description.to_owned(),
            plain_prompts: catch_all.or(only.map(|(i, _)| i)),
            members,
            said,
            catch_all,
        }
    }

    /// Its name.
    pub fn name(&self) -> &ServerName {
        &self.name
    }

    /// For people. May be empty.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// For people. May be empty.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Whom it is made from; others name them by their places in here.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member of that name.
    pub fn member(&self, server: &str) -> Option<usize> {
        self.members
            .iter()
            .position(|m| m.server.as_str() == server)
    }

    /// What clients see instead of a member's tool. `None`: it is not shown.
    pub fn tool<'n>(&self, member: usize, own: &'n str, chars_max: usize) -> Option<Cow<'n, str>> {
        self.whole_tool(member, own)
            .map(|whole| shortened(whole, chars_max))
    }

    /// Whether a tool is not shown because its name leads to another one.
    pub fn is_shadowed(&self, member: usize, own: &str) -> bool {
        self.members.get(member).is_some_and(|of| {
            of.tools.is_empty()
                && !of.overrides.iter().any(|change| change.name == own)
                && self.whole_tool(member, own).is_none()
        })
    }

    /// What clients see instead of a member's prompt. `None`: it is not shown.
    pub fn prompt<'n>(
        &self,
        member: usize,
        own: &'n str,
        chars_max: usize,
    ) -> Option<Cow<'n, str>> {
        self.whole_prompt(member, own)
            .map(|whole| shortened(whole, chars_max))
    }

    /// Which tool a client means. `None`: there is none of that name.
    pub fn find_tool<'n>(&self, name: &'n str, chars_max: usize) -> Option<Found<'n>> {
        if let Some((member, own)) = self.said.get(name) {
            return Some(Found::Own(*member, Cow::Owned(own.clone())));
        }
        if may_be_shortened(name, chars_max) {
            let said = self.said.iter().find(|(whole, _)| {
                whole.chars().count() > chars_max
                    && shortened(Cow::Borrowed(whole), chars_max) == name
            });
            if let Some((_, (member, own))) = said {
                return Some(Found::Own(*member, Cow::Owned(own.clone())));
            }
        }
        let (member, own) = self.by_prefix(name, self.catch_all)?;
        if may_be_shortened(name, chars_max) {
            return Some(Found::Shortened(member));
        }
        let shown = self.tool(member, own, chars_max)?;
        (shown == name).then_some(Found::Own(member, Cow::Borrowed(own)))
    }

    /// Which prompt a client means. `None`: there is none of that name.
    pub fn find_prompt<'n>(&self, name: &'n str, chars_max: usize) -> Option<Found<'n>> {
        let (member, own) = self.by_prefix(name, self.plain_prompts)?;
        if may_be_shortened(name, chars_max) {
            return Some(Found::Shortened(member));
        }
        let shown = self.prompt(member, own, chars_max)?;
        (shown == name).then_some(Found::Own(member, Cow::Borrowed(own)))
    }

    /// The one member whose prefix the name begins with, else the one of all other names.
    fn by_prefix<'n>(&self, name: &'n str, plain: Option<usize>) -> Option<(usize, &'n str)> {
        let mut prefixed = self.members.iter().enumerate();
        prefixed
            .find_map(|(i, member)| {
                let own = name.strip_prefix(&member.prefix)?;
                (!member.prefix.is_empty()).then_some((i, own))
            })
            .or(plain.map(|i| (i, name)))
    }

    fn whole_tool<'n>(&self, member: usize, own: &'n str) -> Option<Cow<'n, str>> {
        let of = self.members.get(member)?;
        if let Some(said) = of.said_name(own) {
            return Some(Cow::Owned(said));
        }
        if !of.tools.is_empty() || of.overrides.iter().any(|change| change.name == own) {
            return None;
        }
        let whole = self.prefixed(member, own)?;
        (!self.said.contains_key(&*whole)).then_some(whole)
    }

    fn whole_prompt<'n>(&self, member: usize, own: &'n str) -> Option<Cow<'n, str>> {
        let of = self.members.get(member)?;
        if of.prefix.is_empty() && self.plain_prompts != Some(member) {
            return None;
        }
        self.prefixed(member, own)
    }

    /// `None` for a name without a prefix that looks as if it had another member's.
    fn prefixed<'n>(&self, member: usize, own: &'n str) -> Option<Cow<'n, str>> {
        let prefix = &self.members.get(member)?.prefix;
        if !prefix.is_empty() {
            return Some(Cow::Owned(format!("{prefix}{own}")));
        }
        let taken = |m: &Member| !m.prefix.is_empty() && own.starts_with(&m.prefix);
        (!self.members.iter().any(taken)).then_some(Cow::Borrowed(own))
    }
}

/// A name that is too long ends in a digest of the whole, and has exactly the greatest length.
fn shortened(whole: Cow<'_, str>, chars_max: usize) -> Cow<'_, str> {
    if whole.len() <= chars_max || whole.chars().count() <= chars_max {
        return whole;
    }
    let head: String = whole
        .chars()
        .take(chars_max.saturating_sub(DIGITS + 1))
        .collect();
    let digest = Sha256::of(whole.as_bytes()).hex();
    Cow::Owned(format!(
        "{head}.{}",
        digest.get(..DIGITS).unwrap_or_default()
    ))
}

/// Whether a name has the form of those that were shortened. Others may have it by chance.
fn may_be_shortened(name: &str, chars_max: usize) -> bool {
    let end = name
        .len()
        .checked_sub(DIGITS + 1)
        .and_then(|at| name.get(at..));
    let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let is_digest = end
        .and_then(|end| end.strip_prefix('.'))
        .is_some_and(|digits| digits.bytes().all(digit));
    is_digest && name.chars().count() == chars_max
}

#[cfg(test)]
mod tests;
