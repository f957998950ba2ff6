//! Access rules: who may do what.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::annotations::Annotations;
use crate::name::{Glob, RuleName};

/// One rule. Nothing is allowed that no rule allows; deny beats approve, and approve beats allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRule {
    /// Its name.
    pub name: RuleName,
    /// What it does.
    pub effect: Effect,
    /// Whom it is about.
    pub subjects: Subjects,
    /// Servers; ORed, never empty.
    pub servers: Vec<ServerSelector>,
    /// What it is about on those servers.
    pub targets: Targets,
    /// What tools have to say of themselves. Where any is given, the targets are tools alone.
    pub annotations: Annotations,
    /// Who may agree, where the effect is to approve. Empty: whoever has an administrator's token.
    pub approvers: Vec<Approver>,
    /// What is put on record of the calls that it decides.
    pub record: Recorded,
    /// A CEL condition as it was written: the rule matches only where it holds. The engine compiles it.
    pub when: Option<Arc<str>>,
    /// Whether it decides.
    pub mode: Mode,
}

/// What is put on record of a call, besides who called what. Nothing unless it is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The arguments, redacted.
    pub arguments: bool,
    /// The result, redacted.
    pub results: bool,
}

impl AccessRule {
    /// Whether the rule is about a server of this name and with these labels.
    pub fn selects(&self, server: &str, labels: &BTreeMap<String, String>) -> bool {
        self.servers
            .iter()
            .any(|selector| selector.matches(server, labels))
    }

    /// Whether it decides.
    pub fn is_enforced(&self) -> bool {
        self.mode == Mode::Enforce
    }
}

/// Which servers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ServerSelector {
    /// By name or glob.
    Glob(Glob),
    /// Those that have all of these labels; never empty.
    Labels(BTreeMap<String, String>),
}

impl ServerSelector {
    /// Whether a server of this name and with these labels is meant.
    pub fn matches(&self, server: &str, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::Glob(glob) => glob.matches(server),
            Self::Labels(wanted) => wanted
                .iter()
                .all(|(label, value)| labels.get(label) == Some(value)),
        }
    }
}

impl fmt::Display for ServerSelector {
    /// `docs-*`, or `team=platform`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Glob(glob) => glob.fmt(f),
            Self::Labels(labels) => {
                for (i, (label, value)) in labels.iter().enumerate() {
                    let between = if i == 0 { "" } else { "," };
                    write!(f, "{between}{label}={value}")?;
                }
                Ok(())
            }
        }
    }
}

/// Whether a rule decides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It decides.
    #[default]
    Enforce,
    /// It decides nothing: what it would have changed is put on record.
    Observe,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Allows what it matches.
    Allow,
    /// Denies what it matches, whatever allows it.
    Deny,
    /// Allows what it matches once a person has agreed to this very call, whatever else allows it.
    Approve,
}

impl Effect {
    /// As users write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Approve => "approve",
        }
    }
}

/// Somebody who may agree to calls: all parts that are given must match; at least one is given.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Approver {
    /// The user's id.
    pub user: Option<String>,
    /// A group that the user is in.
    pub group: Option<String>,
}

impl Approver {
    /// Whether this is the user who is in these groups.
    pub fn is(&self, user: &str, groups: &[String]) -> bool {
        self.user.as_deref().is_none_or(|wanted| wanted == user)
            && self
                .group
                .as_ref()
                .is_none_or(|wanted| groups.contains(wanted))
    }
}

impl fmt::Display for Approver {
    /// `user ana and group finance`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.user, &self.group) {
            (Some(user), Some(group)) => write!(f, "user {user} and group {group}"),
            (Some(user), None) => write!(f, "user {user}"),
            (None, Some(group)) => write!(f, "group {group}"),
            (None, None) => f.write_str("nobody"),
        }
    }
}

/// Whom a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subjects {
    /// Everyone who proved who they are.
    Everyone,
    /// Any of these; never empty.
    Any(Vec<Subject>),
}

/// One subject: all parts that are given must match; at least one is given. No globs here: a user's id may
/// hold any character.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subject {
    /// The user's id.
    pub user: Option<String>,
    /// A group that the user is in.
    pub group: Option<String>,
    /// The client application that the credential was made for.
    pub client: Option<String>,
}

impl fmt::Display for Subject {
    /// `user ana and group support`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("user", &self.user),
            ("group", &self.group),
            ("client", &self.client),
        ];
        let mut given = parts
            .iter()
            .filter_map(|(kind, text)| Some((kind, text.as_ref()?)));
        if let Some((kind, text)) = given.next() {
            write!(f, "{kind} {text}")?;
        }
        given.try_for_each(|(kind, text)| write!(f, " and {kind} {text}"))
    }
}

/// What a rule is about on the servers that it selects.
///
/// A call is matched where its *method* is in `methods`, or its *target* is in the list of its kind
/// (CONTRACT section 5: none given is everything; any given, and what is left out matches nothing).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// Everything on the server.
    All,
    /// What one of these lists names; a list that was not given is empty.
    Some {
        /// Tools, by name.
        tools: Vec<Glob>,
        /// Prompts, by name.
        prompts: Vec<Glob>,
        /// Resources, by URI.
        resources: Vec<Glob>,
        /// MCP methods.
        methods: Vec<Glob>,
    },
}
