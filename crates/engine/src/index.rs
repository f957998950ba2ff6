//! Building blocks of the access index: what is looked up by text, and what lies there.
//!
//! Knows nothing of servers or tools; [`crate::access`] gives the meaning.

use std::collections::HashMap;
use std::sync::Arc;

use model::access::Effect;
use model::name::Glob;
use model::principal::Principal;

/// Values under patterns: literals by hash, globs one after another. Equal globs share one value, so that the list is
/// as long as there are different ones.
#[derive(Debug)]
pub(crate) struct GlobTable<T> {
    literals: HashMap<Arc<str>, T>,
    globs: Vec<(Glob, T)>,
    /// Where each glob lies, for building.
    positions: HashMap<Glob, usize>,
}

impl<T> Default for GlobTable<T> {
    fn default() -> Self {
        Self {
            literals: HashMap::new(),
            globs: Vec::new(),
            positions: HashMap::new(),
        }
    }
}

impl<T: Default> GlobTable<T> {
    /// The value under `pattern`, made where there is none.
    pub(crate) fn at(&mut self, pattern: &Glob) -> &mut T {
        if pattern.is_literal() {
            return self.literals.entry(pattern.as_str().into()).or_default();
        }
        let next = self.globs.len();
        let position = *self.positions.entry(pattern.clone()).or_insert(next);
        if position == next {
            self.globs.push((pattern.clone(), T::default()));
        }
        &mut self.globs[position].1
    }

    /// Shows every value whose pattern matches `text`.
    pub(crate) fn each<'s>(&'s self, text: &str, look: &mut dyn FnMut(&'s T)) {
        if let Some(value) = self.literals.get(text) {
            look(value);
        }
        for (glob, value) in &self.globs {
            if glob.matches(text) {
                look(value);
            }
        }
    }
}

/// Rules in one place of the index, by effect, first name first.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    deny: Vec<Hit>,
    approve: Vec<Hit>,
    allow: Vec<Hit>,
    /// Whether one of them has a condition.
    conditional: bool,
}

/// One rule, for one of its subjects.
#[derive(Debug)]
struct Hit {
    rule: u32,
    conditional: bool,
    residue: Residue,
}

/// What of a subject is left to check, once the principal was found under another part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Residue {
    pub(crate) group: Option<Arc<str>>,
    pub(crate) client: Option<Arc<str>>,
}

impl Residue {
    fn matches(&self, principal: &Principal) -> bool {
        // A principal's groups are sorted, so this is no walk for those who are in hundreds.
        self.group
            .as_ref()
            .is_none_or(|group| principal.groups.binary_search(group).is_ok())
            && self
                .client
                .as_ref()
                .is_none_or(|client| principal.client.as_ref() == Some(client))
    }

    fn is_empty(&self) -> bool {
        self.group.is_none() && self.client.is_none()
    }
}

impl Lane {
    /// Adds a rule; positions come in rising order. One that can change no answer is left out: behind a rule without
    /// residue and condition none is ever looked at.
    pub(crate) fn push(&mut self, effect: Effect, rule: u32, residue: Residue, conditional: bool) {
        let hits = match effect {
            Effect::Deny => &mut self.deny,
            Effect::Approve => &mut self.approve,
            Effect::Allow => &mut self.allow,
        };
        let ends = |last: &Hit| last.residue.is_empty() && !last.conditional;
        if hits.last().is_some_and(ends) {
            return;
        }
        self.conditional |= conditional;
        hits.push(Hit {
            rule,
            conditional,
            residue,
        });
    }

    fn hits(&self, effect: Effect) -> &[Hit] {
        match effect {
            Effect::Deny => &self.deny,
            Effect::Approve => &self.approve,
            Effect::Allow => &self.allow,
        }
    }

    /// The first rule of this effect, and without a condition, that is about the principal.
    pub(crate) fn first(&self, effect: Effect, principal: &Principal) -> Option<u32> {
        self.hits(effect)
            .iter()
            .find(|hit| !hit.conditional && hit.residue.matches(principal))
            .map(|hit| hit.rule)
    }

    /// Whether a rule here has a condition.
    pub(crate) fn is_conditional(&self) -> bool {
        self.conditional
    }

    /// The rules of this effect with a condition that are about the principal, first name first.
    pub(crate) fn conditional(
        &self,
        effect: Effect,
        principal: &Principal,
    ) -> impl Iterator<Item = u32> {
        let hits = if self.conditional {
            self.hits(effect)
        } else {
            &[]
        };
        hits.iter()
            .filter(|hit| hit.conditional && hit.residue.matches(principal))
            .map(|hit| hit.rule)
    }
}
