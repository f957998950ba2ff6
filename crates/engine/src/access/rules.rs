//! The index: by subject, then by server, then by target, each with a table of literals and a list of globs. So a
//! decision costs by the number of the principal's groups and of the *different* globs in reach, not by the number of
//! rules; and by the number of conditions in reach. What has none allocates nothing.

use std::collections::HashMap;
use std::sync::Arc;

use model::access::{AccessRule, Effect, Mode, ServerSelector, Subject, Subjects, Targets};
use model::name::ServerName;
use model::principal::Principal;
use model::snapshot::Snapshot;

use super::conditions::{Conditions, asks};
use super::labels::Labelled;
use crate::action::{Action, Target};
use crate::condition::Scope;
use crate::index::{GlobTable, Lane, Residue};

/// Rules of one mode.
#[derive(Debug, Default)]
pub(super) struct Rules {
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
    /// Every allow or approve rule: for base methods.
    base: Lane,
    /// Rules with targets, where there are any.
    some: Option<Box<Narrow>>,
}

/// What rules with targets say.
#[derive(Debug, Default)]
struct Narrow {
    tools: GlobTable<Lane>,
    prompts: GlobTable<Lane>,
    resources: GlobTable<Lane>,
    methods: GlobTable<Lane>,
}

/// One question.
pub(super) struct Ask<'a> {
    pub(super) action: &'a Action<'a>,
    /// What conditions are asked about: the call …
    pub(super) call: Scope<'a>,
    /// … and, of base methods, the use of the server at all.
    pub(super) server_use: Scope<'a>,
    pub(super) conditions: &'a Conditions,
}

/// What rules say of one caller at one server, found once for all that is asked about them.
#[derive(Debug, Default)]
pub(super) struct Reach<'s>(Vec<&'s Cell>);

impl Reach<'_> {
    /// As [`Rules::find`].
    pub(super) fn find(&self, ask: &Ask<'_>) -> Found {
        find(ask, &|look| self.0.iter().for_each(|cell| look(cell)))
    }
}

/// The first rules by name that were met so far.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Found {
    pub(super) deny: Option<u32>,
    pub(super) approve: Option<u32>,
    pub(super) allow: Option<u32>,
    /// Whether a rule in reach has a condition.
    conditional: bool,
}

impl Rules {
    pub(super) fn compile(snapshot: &Snapshot, mode: Mode) -> Self {
        let labelled = Labelled::of(snapshot);
        let mut rules = Self::default();
        for (position, rule) in snapshot.rules.values().enumerate() {
            if rule.mode != mode {
                continue;
            }
            // Bounded by compile::RULES_MAX, which is far below.
            let position = u32::try_from(position).unwrap_or(u32::MAX);
            let about = About {
                rule,
                position,
                labelled: &labelled,
            };
            match &rule.subjects {
                Subjects::Everyone => about.add(&mut rules.everyone, &Residue::default()),
                Subjects::Any(subjects) => {
                    for subject in subjects {
                        if let Some((servers, residue)) = rules.place(subject) {
                            about.add(servers, &residue);
                        }
                    }
                }
            }
        }
        rules
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

    /// Whether some rule may allow something on the server.
    pub(super) fn is_usable(&self, conditions: &Conditions, scope: &Scope<'_>) -> bool {
        let mut usable = false;
        self.each_cell(scope.principal, scope.server, &mut |cell| {
            let may = |effect| conditions.any(&cell.base, effect, scope);
            usable = usable || may(Effect::Allow) || may(Effect::Approve);
        });
        usable
    }

    /// Whether a rule denies everything on the server, whatever it is.
    pub(super) fn is_denied(&self, conditions: &Conditions, scope: &Scope<'_>) -> bool {
        let mut denied = false;
        self.each_cell(scope.principal, scope.server, &mut |cell| {
            denied = denied || conditions.any(&cell.all, Effect::Deny, scope);
        });
        denied
    }

    /// The rules that decide.
    pub(super) fn find(&self, ask: &Ask<'_>) -> Found {
        let (principal, server) = (ask.call.principal, ask.call.server);
        find(ask, &|look| self.each_cell(principal, server, look))
    }

    /// What there is about this caller and server.
    pub(super) fn reach(&self, principal: &Principal, server: &ServerName) -> Reach<'_> {
        let mut cells = Vec::new();
        self.each_cell(principal, server, &mut |cell| cells.push(cell));
        Reach(cells)
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

/// Shows every cell in reach to whoever looks.
type Cells<'s, 'c> = &'c dyn Fn(&mut dyn FnMut(&'s Cell));

fn find<'s>(ask: &Ask<'_>, cells: Cells<'s, '_>) -> Found {
    let mut found = Found::default();
    let principal = ask.call.principal;
    each_lane(ask, cells, &mut |lane, _| found.look(lane, principal));
    if found.conditional {
        // Deny first: where it decides, no other condition has to be asked.
        each_lane(ask, cells, &mut |lane, scope| {
            found.ask(lane, Effect::Deny, ask, scope)
        });
        if found.deny.is_none() {
            each_lane(ask, cells, &mut |lane, scope| {
                found.ask(lane, Effect::Approve, ask, scope);
                found.ask(lane, Effect::Allow, ask, scope);
            });
        }
    }
    if ask.action.is_base() {
        found.need_nobody();
    }
    found
}

/// Every lane that may hold rules that match, with what their conditions are asked about.
fn each_lane<'s>(ask: &Ask<'_>, cells: Cells<'s, '_>, look: &mut dyn FnMut(&'s Lane, &Scope<'_>)) {
    let (action, call) = (ask.action, &ask.call);
    let is_base = action.is_base();
    cells(&mut |cell| {
        look(&cell.all, call);
        if is_base {
            look(&cell.base, &ask.server_use);
        }
        let Some(some) = &cell.some else { return };
        some.methods
            .each(action.method, &mut |lane| look(lane, call));
        match action.target {
            Target::Tool(name) => some.tools.each(name, &mut |lane| look(lane, call)),
            Target::Prompt(name) => some.prompts.each(name, &mut |lane| look(lane, call)),
            Target::Resource(uri) => some.resources.each(uri, &mut |lane| look(lane, call)),
            Target::None => {}
        }
    });
}

impl Found {
    /// What a base method tells needs nobody's agreement: a rule that wants it counts as one that allows there.
    fn need_nobody(&mut self) {
        self.allow = first(self.allow, self.approve.take());
    }

    /// What both have found.
    pub(super) fn with(&self, other: &Self) -> Self {
        Self {
            deny: first(self.deny, other.deny),
            approve: first(self.approve, other.approve),
            allow: first(self.allow, other.allow),
            conditional: false,
        }
    }

    fn best(&mut self, effect: Effect) -> &mut Option<u32> {
        match effect {
            Effect::Deny => &mut self.deny,
            Effect::Approve => &mut self.approve,
            Effect::Allow => &mut self.allow,
        }
    }

    /// Rules without conditions.
    fn look(&mut self, lane: &Lane, principal: &Principal) {
        self.conditional |= lane.is_conditional();
        for effect in [Effect::Deny, Effect::Approve, Effect::Allow] {
            let best = self.best(effect);
            *best = first(*best, lane.first(effect, principal));
        }
    }

    /// Rules with conditions, as far as one of them could be the first by name.
    fn ask(&mut self, lane: &Lane, effect: Effect, ask: &Ask<'_>, scope: &Scope<'_>) {
        let best = self.best(effect);
        for rule in lane.conditional(effect, scope.principal) {
            if best.is_some_and(|best| best <= rule) {
                return;
            }
            if ask.conditions.applies(rule, effect, scope) {
                *best = Some(rule);
                return;
            }
        }
    }
}

fn first(one: Option<u32>, other: Option<u32>) -> Option<u32> {
    match (one, other) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

/// A rule on its way into the index.
struct About<'r> {
    rule: &'r AccessRule,
    position: u32,
    labelled: &'r Labelled<'r>,
}

impl About<'_> {
    fn add(&self, servers: &mut Servers, residue: &Residue) {
        for selector in &self.rule.servers {
            match selector {
                ServerSelector::Glob(glob) => self.push(servers.at(glob), residue),
                ServerSelector::Labels(labels) => {
                    for server in self.labelled.with(labels) {
                        self.push(servers.at(server), residue);
                    }
                }
            }
        }
    }

    fn push(&self, cell: &mut Cell, residue: &Residue) {
        let rule = self.rule;
        let push_asking =
            |lane: &mut Lane, asks| lane.push(rule.effect, self.position, residue.clone(), asks);
        if rule.effect != Effect::Deny {
            // Of what a tool is nothing is asked where no tool is called.
            push_asking(&mut cell.base, rule.when.is_some());
        }
        let push = |lane: &mut Lane| push_asking(lane, asks(rule));
        match &rule.targets {
            Targets::All => push(&mut cell.all),
            Targets::Some {
                tools,
                prompts,
                resources,
                methods,
            } => {
                let some = cell.some.get_or_insert_default();
                for (table, globs) in [
                    (&mut some.tools, tools),
                    (&mut some.prompts, prompts),
                    (&mut some.resources, resources),
                    (&mut some.methods, methods),
                ] {
                    for glob in globs {
                        push(table.at(glob));
                    }
                }
            }
        }
    }
}
