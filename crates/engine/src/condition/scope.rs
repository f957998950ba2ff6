//! What a condition is asked about: who calls, what, and what is known of it.

use core::net::IpAddr;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::time::SystemTime;

use model::annotations::{Annotations, Hints};
use model::name::ServerName;
use model::principal::Principal;
use model::snapshot::Snapshot;

use crate::access::annotations;
use crate::action::{Action, Target};

/// What conditions may ask of one call. What is `None` is not known, as in a list: then a rule decides only where it
/// would whatever it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts<'a> {
    /// The call's arguments as they came: a JSON object. Empty: it has none.
    pub args: Option<&'a [u8]>,
    /// Where the client calls from.
    pub client_address: Option<IpAddr>,
    /// When.
    pub time: Option<SystemTime>,
}

/// One question.
pub(crate) struct Scope<'a> {
    pub(crate) principal: &'a Principal,
    pub(crate) server: &'a ServerName,
    pub(super) action: Option<&'a Action<'a>>,
    pub(super) facts: Facts<'a>,
    /// Whether what is not known counts against the call, so that what still goes on does so whatever it is.
    pub(crate) worst: bool,
    snapshot: &'a Snapshot,
    address: OnceCell<String>,
    /// Looked up once, and only where a rule that otherwise matches asks.
    hints: OnceCell<Hints>,
}

static NO_LABELS: BTreeMap<String, String> = BTreeMap::new();

/// Labels of a server or a virtual one; none where there is none of that name.
pub(crate) fn labels<'s>(snapshot: &'s Snapshot, server: &str) -> &'s BTreeMap<String, String> {
    let real = snapshot.servers.get(server).map(|s| &s.labels);
    let made = || snapshot.virtual_servers.get(server).map(|s| &s.labels);
    real.or_else(made).unwrap_or(&NO_LABELS)
}

impl<'a> Scope<'a> {
    /// About a call of which this is known.
    pub(crate) fn of_call(
        snapshot: &'a Snapshot,
        (principal, server): (&'a Principal, &'a ServerName),
        action: &'a Action<'a>,
        facts: &Facts<'a>,
    ) -> Self {
        // A method by which a client gets to know a server has no arguments that a rule could mean.
        let args = facts.args.filter(|_| !action.is_base());
        Self {
            principal,
            server,
            action: Some(action),
            facts: Facts { args, ..*facts },
            worst: false,
            snapshot,
            address: OnceCell::new(),
            hints: OnceCell::new(),
        }
    }

    /// About using the server at all: of what, how and when nothing is known.
    pub(crate) fn of_use(
        snapshot: &'a Snapshot,
        (principal, server): (&'a Principal, &'a ServerName),
    ) -> Self {
        Self {
            principal,
            server,
            action: None,
            facts: Facts::default(),
            worst: false,
            snapshot,
            address: OnceCell::new(),
            hints: OnceCell::new(),
        }
    }

    /// The same question, where what is not known counts against the call.
    pub(crate) fn counted(self, worst: bool) -> Self {
        Self { worst, ..self }
    }

    /// Whether what is called is a tool that is as a rule wants it. About using the server at all that is not asked.
    pub(crate) fn is_annotated(&self, wanted: &Annotations) -> bool {
        let Some(action) = self.action else {
            return true;
        };
        let Target::Tool(tool) = action.target else {
            return false;
        };
        let known = || annotations::of(self.snapshot, self.server, tool).hints();
        wanted.hold(self.hints.get_or_init(known))
    }

    pub(super) fn labels(&self) -> &'a BTreeMap<String, String> {
        labels(self.snapshot, self.server.as_str())
    }

    pub(super) fn tool(&self) -> Option<&'a str> {
        Some(match self.action?.target {
            Target::Tool(name) => name,
            _ => "",
        })
    }

    pub(super) fn name(&self) -> Option<&'a str> {
        Some(match self.action?.target {
            Target::Tool(name) | Target::Prompt(name) | Target::Resource(name) => name,
            Target::None => "",
        })
    }

    pub(super) fn address(&self) -> Option<&str> {
        let address = self.facts.client_address?;
        Some(self.address.get_or_init(|| address.to_string()))
    }
}
