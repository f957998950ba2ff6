//! From states to pushes: what each node gets to see, and the difference between what it has and that.
//!
//! ```text
//! catalog state --view--> one for all edges, one for each server's sidecars   (shared, encoded once)
//! view + what a node has --lane--> ConfigPush                                  (one for each node)
//! ```
//!
//! It does not know streams: `service::node` carries what it makes. Start from [`Publisher`].

mod lane;
#[cfg(test)]
mod tests;
mod view;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

pub(crate) use lane::{Acked, Lane, Next};
pub(crate) use view::{Scope, View};

use crate::catalog::{Catalog, State};

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
    by_scope: HashMap<Scope, Arc<View>>,
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

    /// What nodes of `scope` get to see now.
    pub(crate) fn view(&self, scope: &Scope) -> Arc<View> {
        let state = self.states.borrow().clone();
        let mut views = self.views.lock();
        if !views.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, &state)) {
            views.by_scope.clear();
            views.of = Some(state.clone());
        }
        if let Some(view) = views.by_scope.get(scope) {
            return view.clone();
        }
        let view = Arc::new(View::new(scope, &state));
        views.by_scope.insert(scope.clone(), view.clone());
        view
    }
}
