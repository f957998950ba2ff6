//! Who may do what: the rules of a snapshot, indexed.
//!
//! * A rule is *about* a call where one of its subjects is the principal (all given parts match) and one of its servers
//!   is the server.
//! * Of such a rule, [`Targets::All`] matches everything; [`Targets::Some`] matches where its `methods` match the method
//!   **or** its list of the target's kind matches the target.
//! * Base methods ([`crate::action::BASE_METHODS`]) are also matched by every allow or approve rule that is about the
//!   call, whatever its targets: who may use a server may get to know it. They never wait for a person.
//! * Anything else (`completion/complete`, `tasks/*`, methods of extensions) has to be allowed by `methods` or by a rule
//!   without targets.
//! * What no allow or approve rule matches is denied; what a deny rule matches is denied whatever allows it; what an
//!   approve rule matches waits for a person whatever allows it. The order of rules never matters. The rule that is named
//!   is the first by name of those that decide.
//!
//! [`crate::reference`] says the same without an index; tests hold the two together.
//!
//! The index is by subject, then by server, then by target, each with a table of literals and a list of globs. So
//! a decision costs by the number of the principal's groups and of the *different* globs in reach, not by the number
//! of rules. No decision allocates.

use std::collections::HashMap;
use std::sync::Arc;

use model::access::{AccessRule, Effect, Subject, Subjects, Targets};
use model::decision::Reason;
use model::name::{RuleName, ServerName};
use model::principal::Principal;
use model::snapshot::Snapshot;

use crate::action::{Action, Target};
use crate::index::{GlobTable, Lane, Residue};

/// What was decided, and by which rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict<'e> {
    /// Whether it may go on.
    pub effect: Effect,
    /// Why not. `None` where it may.
    pub reason: Option<Reason>,
    /// The deciding rule: the first deny rule by name that matches, or else the first allow rule. `None` where no rule
    /// matches.
    pub rule: Option<&'e RuleName>,
}

impl Verdict<'_> {
    /// Whether it may go on as it is.
    pub fn is_allowed(&self) -> bool {
        self.effect == Effect::Allow
    }

    /// Whether it may go on, be it only once a person has agreed.
    pub fn is_possible(&self) -> bool {
        self.effect != Effect::Deny
    }
}

/// The compiled rules.
#[derive(Debug, Default)]
pub(crate) struct Access {
    /// By name; the index holds positions in here, so that the lowest position is the first name.
    names: Vec<RuleName>,
    everyone: Servers,
    users: HashMap<Arc<str>, Servers>,
    groups: HashMap<Arc<str>, Servers>,
    clients: HashMap<Arc<str>, Servers>,
}

/// What one subject's rules say, by server.
type Servers = GlobTable<Cell>;

/// What one subject's rules say of one server or glob of servers.
#[derive(Debug, Default)]
struct Cell {
    /// Rules without targets.
    all: Lane,
    /// Every allow rule: for base methods.
    base: Lane,
    tools: GlobTable<Lane>,
    prompts: GlobTable<Lane>,
    resources: GlobTable<Lane>,
    methods: GlobTable<Lane>,
}

impl Access {
    pub(crate) fn compile(snapshot: &Snapshot) -> Self {
        let mut access = Self::default();
        for (position, rule) in snapshot.rules.values().enumerate() {
            access.names.push(rule.name.clone());
            // Bounded by compile::RULES_MAX, which is far below.
            let position = u32::try_from(position).unwrap_or(u32::MAX);
            match &rule.subjects {
                Subjects::Everyone => add(&mut access.everyone, position, rule, Residue::default()),
                Subjects::Any(subjects) => {
                    for subject in subjects {
                        if let Some((servers, residue)) = access.place(subject) {
                            add(servers, position, rule, residue);
                        }
                    }
                }
            }
        }
        access
    }

    /// Where rules of a subject lie: under the part that fewest principals share. The other parts are checked at a hit.
    /// `None` for a subject that names nobody: it is refused at apply, and would match nobody.
    fn place(&mut self, subject: &Subject) -> Option<(&mut Servers, Residue)> {
        let shared = |text: &Option<String>| text.as_deref().map(Arc::<str>::from);
        let (group, client) = (shared(&subject.group), shared(&subject.client));
        Some(if let Some(user) = shared(&subject.user) {
            (
                self.users.entry(user).or_default(),
                Residue { group, client },
            )
        } else if let Some(group) = group {
            (
                self.groups.entry(group).or_default(),
                Residue {
                    group: None,
                    client,
                },
            )
        } else {
            (self.clients.entry(client?).or_default(), Residue::default())
        })
    }

    pub(crate) fn may_use(&self, principal: &Principal, server: &ServerName) -> bool {
        let (mut allowed, mut denied) = (false, false);
        self.each_cell(principal, server, &mut |cell| {
            allowed = allowed
                || [Effect::Allow, Effect::Approve]
                    .iter()
                    .any(|effect| cell.base.first(*effect, principal).is_some());
            denied = denied || cell.all.first(Effect::Deny, principal).is_some();
        });
        allowed && !denied
    }

    pub(crate) fn is_denied(&self, principal: &Principal, server: &ServerName) -> bool {
        let mut denied = false;
        self.each_cell(principal, server, &mut |cell| {
            denied = denied || cell.all.first(Effect::Deny, principal).is_some();
        });
        denied
    }

    pub(crate) fn decide(
        &self,
        principal: &Principal,
        server: &ServerName,
        action: &Action<'_>,
    ) -> Verdict<'_> {
        let mut found = Found::default();
        let base = action.is_base();
        self.each_cell(principal, server, &mut |cell| {
            found.look(&cell.all, principal);
            if base {
                found.look(&cell.base, principal);
            }
            cell.methods
                .each(action.method, &mut |lane| found.look(lane, principal));
            match action.target {
                Target::Tool(name) => cell
                    .tools
                    .each(name, &mut |lane| found.look(lane, principal)),
                Target::Prompt(name) => cell
                    .prompts
                    .each(name, &mut |lane| found.look(lane, principal)),
                Target::Resource(uri) => cell
                    .resources
                    .each(uri, &mut |lane| found.look(lane, principal)),
                Target::None => {}
            }
        });
        if base {
            found.need_nobody();
        }
        self.verdict(&found)
    }

    fn verdict(&self, found: &Found) -> Verdict<'_> {
        let (effect, reason, position) = match (found.deny, found.approve, found.allow) {
            (Some(deny), _, _) => (Effect::Deny, Some(Reason::Rule), Some(deny)),
            (None, Some(approve), _) => (Effect::Approve, Some(Reason::Approval), Some(approve)),
            (None, None, Some(allow)) => (Effect::Allow, None, Some(allow)),
            (None, None, None) => (Effect::Deny, Some(Reason::NoRule), None),
        };
        Verdict {
            effect,
            reason,
            rule: position.and_then(|p| self.names.get(p as usize)),
        }
    }

    /// Every cell that may hold rules about this principal and server.
    fn each_cell<'s>(
        &'s self,
        principal: &Principal,
        server: &ServerName,
        look: &mut dyn FnMut(&'s Cell),
    ) {
        let server = server.as_str();
        self.everyone.each(server, look);
        if let Some(servers) = self.users.get(&*principal.user) {
            servers.each(server, look);
        }
        for group in principal.groups.iter() {
            if let Some(servers) = self.groups.get(&**group) {
                servers.each(server, look);
            }
        }
        if let Some(servers) = principal
            .client
            .as_ref()
            .and_then(|client| self.clients.get(&**client))
        {
            servers.each(server, look);
        }
    }
}

/// The first rules by name that were met so far.
#[derive(Debug, Default)]
struct Found {
    deny: Option<u32>,
    approve: Option<u32>,
    allow: Option<u32>,
}

impl Found {
    /// What a base method tells needs nobody's agreement: a rule that wants it counts as one that allows there.
    fn need_nobody(&mut self) {
        self.allow = [self.allow, self.approve.take()]
            .into_iter()
            .flatten()
            .min();
    }

    fn look(&mut self, lane: &Lane, principal: &Principal) {
        for (effect, best) in [
            (Effect::Deny, &mut self.deny),
            (Effect::Approve, &mut self.approve),
            (Effect::Allow, &mut self.allow),
        ] {
            if let Some(rule) = lane.first(effect, principal) {
                *best = Some(best.map_or(rule, |b| b.min(rule)));
            }
        }
    }
}

fn add(servers: &mut Servers, position: u32, rule: &AccessRule, residue: Residue) {
    for server in &rule.servers {
        let cell = servers.at(server);
        let push = |lane: &mut Lane| lane.push(rule.effect, position, residue.clone());
        if rule.effect != Effect::Deny {
            push(&mut cell.base);
        }
        match &rule.targets {
            Targets::All => push(&mut cell.all),
            Targets::Some {
                tools,
                prompts,
                resources,
                methods,
            } => {
                for (table, globs) in [
                    (&mut cell.tools, tools),
                    (&mut cell.prompts, prompts),
                    (&mut cell.resources, resources),
                    (&mut cell.methods, methods),
                ] {
                    for glob in globs {
                        push(table.at(glob));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
