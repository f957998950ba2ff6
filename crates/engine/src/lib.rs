//! Pure decisions, compiled from a snapshot: who may do what, and which filters look at a message, which limits count it.
//!
//! ```text
//! Snapshot --compile--> Engine --decide / visible / may_use--> Verdict
//!                          |----filters().select--> Selection of filters --look--> why not
//!                          |----limits().select--> limits --keys--> what is counted apart
//!                          \----upstream--> where a remote server is
//! ```
//!
//! Both hops, the control plane (before it stores) and the command line (offline) run this same code, so that an
//! explanation is never about another decision. It must not know tasks, sockets, clocks or the environment: all that
//! it decides by comes in as arguments. Start from [`Engine`].

pub mod access;
pub mod action;
pub mod compile;
pub mod condition;
mod explain;
pub mod federation;
pub mod filter;
pub mod groups;
mod index;
pub mod limit;
mod overlap;
pub mod pins;
pub mod questions;
pub mod reference;
pub mod replay;
#[cfg(test)]
mod samples;
mod trace;
pub mod upstream;

use std::collections::HashMap;
use std::sync::Arc;

use model::access::Recorded;
use model::name::{RuleName, ServerName};
use model::pins::ToolPins;
use model::principal::Principal;
use model::server::Server;
use model::snapshot::{Revision, Snapshot};

pub use access::{Observed, Verdict};
pub use action::{Action, Target};
pub use condition::Facts;
pub use explain::{EXPLAIN_RULES_MAX, Explanation, RuleTrace};

/// What this engine knows how to run rightly; a node sends it in Hello. See `model::wire::features_of`.
pub const FEATURES: &[&str] = &[
    "access.annotations/1",
    "access.approve/1",
    "access.labels/1",
    "access.methods/1",
    "access.record/1",
    "access.observe/1",
    "access.when/1",
    "access/1",
    "api-key/1",
    "filter.change/1",
    "filter.hidden/1",
    "filter.injection/1",
    "filter.keywords/1",
    "filter.keywords/2",
    "filter.observe/1",
    "filter.pii/1",
    "filter.regex/1",
    "filter.schema/1",
    "filter.signed-answer/1",
    "filter.size/1",
    "filter.webhook/1",
    "group/1",
    "key-ring/1",
    "limit/1",
    "secret/1",
    "server.external/1",
    "server.remote/1",
    "server.secret/1",
    "server.stdio/1",
    "server.tenancy/1",
    "server.tools/1",
    "tool-pins/1",
    "virtual-server/1",
];

/// One revision of all configuration, ready to decide. Never changed, only replaced; shared by all tasks.
#[derive(Debug)]
pub struct Engine {
    snapshot: Arc<Snapshot>,
    access: access::Access,
    groups: groups::Groups,
    filters: filter::Chain,
    limits: limit::Limits,
    upstreams: upstream::Upstreams,
    federations: federation::Federations,
    /// The rules that ask for more than is put on record of every call.
    recorded: HashMap<RuleName, Recorded>,
}

impl Engine {
    /// Compiles a snapshot, whole or cut to one node's scope.
    ///
    /// # Errors
    /// All that cannot be compiled. Names of servers that the snapshot does not hold are no fault here, as a sidecar
    /// holds one server only: see [`compile::check_references`].
    pub fn compile(snapshot: Arc<Snapshot>) -> Result<Self, Vec<compile::Fault>> {
        let mut faults = compile::check_bounds(&snapshot);
        let federations = federation::Federations::compile(&snapshot);
        let mut taken = |more: Vec<compile::Fault>| faults.extend(more);
        let access = access::Access::compile(&snapshot).map_err(&mut taken);
        let groups = groups::Groups::compile(&snapshot).map_err(&mut taken);
        let filters = filter::Chain::compile(&snapshot).map_err(&mut taken);
        let limits = limit::Limits::compile(&snapshot).map_err(&mut taken);
        let upstreams = upstream::compile(&snapshot).map_err(&mut taken);
        match (access, groups, filters, limits, upstreams) {
            (Ok(access), Ok(groups), Ok(filters), Ok(limits), Ok(upstreams))
                if faults.is_empty() =>
            {
                Ok(Self {
                    recorded: recorded(&snapshot),
                    snapshot,
                    access,
                    groups,
                    filters,
                    limits,
                    upstreams,
                    federations,
                })
            }
            _ => Err(faults),
        }
    }

    /// What it was compiled from.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// Which state of all configuration this is.
    pub fn revision(&self) -> Revision {
        self.snapshot.revision
    }

    /// A caller with all of its groups: those of its credential, and those that it is a member of. Decisions are asked for
    /// such ones only.
    pub fn with_groups(&self, principal: &Arc<Principal>) -> Arc<Principal> {
        match self.groups.expand(principal) {
            Some(expanded) => Arc::new(expanded),
            None => Arc::clone(principal),
        }
    }

    /// A server of the catalog.
    pub fn server(&self, name: &str) -> Option<&Arc<Server>> {
        self.snapshot.servers.get(name)
    }

    /// A virtual server, or `/mcp` by its name ([`ServerName::all`]).
    pub fn federation(&self, name: &ServerName) -> Option<&Arc<federation::Federation>> {
        self.federations.get(name)
    }

    /// Whether a rule refuses everything at `server` to `principal`: a virtual server exists for whoever may use one of
    /// its members, but for those.
    pub fn is_denied(&self, principal: &Principal, server: &ServerName) -> bool {
        self.access.is_denied(&self.snapshot, principal, server)
    }

    /// Where a remote server is, and what is sent to it. `None` for servers that are not remote.
    pub fn upstream(&self, server: &ServerName) -> Option<&Arc<upstream::Upstream>> {
        self.upstreams.get(server)
    }

    /// Whether `principal` may use `server` at all: some rule allows something there, and none denies everything.
    /// To whom it is refused the server does not exist. By the rules alone: a glob also matches the name of a server
    /// that there is not; see [`Self::server`].
    pub fn may_use(&self, principal: &Principal, server: &ServerName) -> bool {
        self.access.may_use(&self.snapshot, principal, server)
    }

    /// Decides on what may be, with nothing known but who, where and what: for lists. Where conditions ask for more, it
    /// is possible what some call could do; see [`access`].
    pub fn decide(
        &self,
        principal: &Principal,
        server: &ServerName,
        action: &Action<'_>,
    ) -> Verdict<'_> {
        self.decide_with(principal, server, action, &Facts::default())
    }

    /// Decides one action of which this is known. See [`access`] for what matches what. Allocates nothing where no rule
    /// in reach has a condition.
    pub fn decide_with(
        &self,
        principal: &Principal,
        server: &ServerName,
        action: &Action<'_>,
        facts: &Facts<'_>,
    ) -> Verdict<'_> {
        self.access
            .decide(&self.snapshot, (principal, server), action, facts, false)
    }

    /// The same where what is not known counts against the call. Where that gives another effect than
    /// [`Self::decide_with`], it is not known what is decided.
    pub(crate) fn decide_at_worst(
        &self,
        principal: &Principal,
        server: &ServerName,
        action: &Action<'_>,
        facts: &Facts<'_>,
    ) -> Verdict<'_> {
        self.access
            .decide(&self.snapshot, (principal, server), action, facts, true)
    }

    /// Whether `principal` is to see the action's target in a list: exactly where [`Self::decide`] would let it go on, be
    /// it only once a person has agreed. Where it is false, [`Self::decide_with`] denies, whatever is known.
    pub fn visible(&self, principal: &Principal, server: &ServerName, action: &Action<'_>) -> bool {
        self.decide(principal, server, action).is_possible()
    }

    /// As [`Self::visible`], for all items of a list.
    pub fn list<'a>(
        &'a self,
        principal: &'a Principal,
        server: &'a ServerName,
    ) -> access::Listed<'a> {
        self.access.list(&self.snapshot, (principal, server))
    }

    /// The decision with its grounds: rules that matched or came near, and the filters that would look.
    pub fn explain(
        &self,
        principal: &Principal,
        server: &ServerName,
        action: &Action<'_>,
        facts: &Facts<'_>,
    ) -> Explanation<'_> {
        explain::explain(self, (principal, server), action, facts)
    }

    /// The condition of a rule, where it has one.
    pub fn condition(&self, rule: &RuleName) -> Option<&str> {
        self.snapshot.rules.get(rule)?.when.as_deref()
    }

    /// What counts calls.
    pub fn limits(&self) -> &limit::Limits {
        &self.limits
    }

    /// The tool definitions of `server` that were approved. `None`: none were seen yet.
    pub fn tool_pins(&self, server: &ServerName) -> Option<&Arc<ToolPins>> {
        self.snapshot.tool_pins.get(server)
    }

    /// What is put on record of a call that `rule` decided.
    pub fn recorded(&self, rule: Option<&RuleName>) -> Recorded {
        let asked = rule.and_then(|rule| self.recorded.get(rule));
        asked.copied().unwrap_or_default()
    }

    /// What inspects messages.
    pub fn filters(&self) -> &filter::Chain {
        &self.filters
    }
}

fn recorded(snapshot: &Snapshot) -> HashMap<RuleName, Recorded> {
    let asking = snapshot.rules.values();
    asking
        .filter(|rule| rule.record != Recorded::default())
        .map(|rule| (rule.name.clone(), rule.record))
        .collect()
}
