//! The configuration in force, for readers that never wait.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use engine::Engine;
use engine::compile::Fault;
use model::snapshot::Snapshot;
use tokio::sync::watch;

use super::endpoints::Endpoints;
use crate::auth::key::Index;
use crate::auth::seal::SessionKeys;

/// One revision, ready to decide.
#[derive(Debug)]
pub struct Config {
    /// Rules, filters and the catalog.
    pub engine: Engine,
    /// API keys by hash. Empty on sidecars.
    pub keys: Index,
    /// The keys that seal session ids. `None` on sidecars.
    pub sessions: Option<SessionKeys>,
}

impl Config {
    /// Compiles a snapshot. Nothing is in force until [`Live::swap`].
    ///
    /// # Errors
    /// All that cannot be compiled.
    pub fn compile(snapshot: Arc<Snapshot>) -> Result<Self, Vec<Fault>> {
        let sessions = snapshot.key_ring.as_deref().and_then(SessionKeys::of);
        let engine = Engine::compile(snapshot)?;
        Ok(Self {
            keys: Index::of(&engine),
            engine,
            sessions,
        })
    }
}

/// Holds what is in force. Cloned freely; all clones see the same.
#[derive(Debug, Clone)]
pub struct Live(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: ArcSwapOption<Config>,
    endpoints: ArcSwap<Endpoints>,
    /// Bumped with every swap. Written by the one task that takes pushes, read by whoever re-checks.
    changed: watch::Sender<u64>,
}

impl Default for Live {
    fn default() -> Self {
        Self(Arc::new(Inner {
            config: ArcSwapOption::empty(),
            endpoints: ArcSwap::default(),
            changed: watch::Sender::new(0),
        }))
    }
}

impl Live {
    /// What is in force; `None` until the first configuration has come.
    pub fn load(&self) -> Option<Arc<Config>> {
        self.0.config.load_full()
    }

    /// Where the sidecars are.
    pub fn endpoints(&self) -> Arc<Endpoints> {
        self.0.endpoints.load_full()
    }

    /// Told of every swap, of configuration and of endpoints.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Puts another configuration in force.
    pub fn swap(&self, config: Arc<Config>) {
        self.0.config.store(Some(config));
        self.0.changed.send_modify(|n| *n += 1);
    }

    /// Puts another table of endpoints in force.
    pub fn swap_endpoints(&self, endpoints: Endpoints) {
        self.0.endpoints.store(Arc::new(endpoints));
        self.0.changed.send_modify(|n| *n += 1);
    }
}
