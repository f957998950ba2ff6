//! From states to pushes: what each node gets to see, and the difference between what it has and that.
//!
//! ```text
//! catalog state --view--> one for all edges, one for each server's sidecars   (shared, encoded once)
//! view + what a node has --lane--> ConfigPush                                  (one for each node)
//! ```
//!
//! It does not know streams: `service::node` carries what it makes. Start from [`Publisher`].

mod lane;
mod members;
#[cfg(test)]
mod tests;
mod view;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

pub(crate) use lane::{Acked, Lane, Next};
pub(crate) use members::{Members, bound};
pub(crate) use view::{Scope, View};

use crate::catalog::{Catalog, State, running_staged};

/// Makes views and shares them between nodes of the same scope.
#[derive(Debug)]
pub(crate) struct Publisher {
    states: watch::Receiver<Arc<State>>,
    /// Views of the newest revision that was asked for. Locked for a look-up, or while one view is made: then
    /// whoever wants the same one waits for it instead of making it again. As many as there are scopes.
    views: Mutex<Views>,
}

#[derive(Debug, Default)]
struct Views {
    /// The state that they are made from. Compared by identity: after a restore two may have one number.
    of: Option<Arc<State>>,
    /// Who has the change that is staged, where one is.
    members: Option<Arc<Members>>,
    /// By scope, and whether without that change.
    by_scope: HashMap<(Scope, bool), Arc<View>>,
}

impl Publisher {
    /// Over a catalog.
    pub(crate) fn new(catalog: &Catalog) -> Arc<Self> {
        Arc::new(Self {
            states: catalog.watch(),
            views: Mutex::default(),
        })
    }

    /// Bumped with every new state.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<State>> {
        self.states.clone()
    }

    /// What a node of `scope` gets to see now. `None`: nothing new, as it is not known what it may have.
    pub(crate) fn view(&self, scope: &Scope, node: &str) -> Option<Arc<View>> {
        let mut views = self.views();
        let state = views.of.clone()?;
        if running_staged(&state).is_some() && state.staged().is_none() {
            return None;
        }
        let members = views.members.as_ref();
        let without = members.is_some_and(|members| !members.has(node, scope.server()));
        let shown = match state.staged() {
            Some(staged) if without => &staged.before,
            _ => &state,
        };
        let key = (scope.clone(), without);
        if let Some(view) = views.by_scope.get(&key) {
            return Some(view.clone());
        }
        let view = Arc::new(View::new(scope, shown));
        views.by_scope.insert(key, view.clone());
        Some(view)
    }

    /// The newest revision, and who has the change that is staged, where one is.
    pub(crate) fn head(&self) -> (u64, Option<Arc<Members>>) {
        let views = self.views();
        let revision = views.of.as_ref().map_or(0, |state| state.revision());
        (revision, views.members.clone())
    }

    /// The views of the newest state.
    fn views(&self) -> MutexGuard<'_, Views> {
        let state = self.states.borrow().clone();
        let mut views = self.views.lock();
        if !views.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, &state)) {
            let staged = state.staged();
            views.members = staged.map(|staged| Arc::new(Members::new(staged, &state)));
            views.by_scope.clear();
            views.of = Some(state);
        }
        views
    }
}
