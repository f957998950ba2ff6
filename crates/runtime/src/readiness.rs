//! What a process still waits for before it may be given work.
//!
//! A fixed list of named conditions, each awaited, done or failed. It does not know who asks: `admin`
//! shows it, the parts set it.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;

/// The conditions of one process. Clones are the same.
#[derive(Debug, Clone)]
pub struct Readiness {
    /// Held for a look or a change of one entry, never over an await.
    conditions: Arc<Mutex<Vec<(&'static str, State)>>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Awaited,
    Failed(String),
    Done,
}

/// A condition that does not hold yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Awaited {
    /// Its name.
    pub what: &'static str,
    /// Why it does not hold, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Readiness {
    /// A process that waits for all of `conditions`.
    pub fn new(conditions: &[&'static str]) -> Self {
        let conditions = conditions
            .iter()
            .map(|name| (*name, State::Awaited))
            .collect();
        Self {
            conditions: Arc::new(Mutex::new(conditions)),
        }
    }

    /// The condition holds (again).
    pub fn done(&self, name: &'static str) {
        self.set(name, State::Done);
    }

    /// The condition does not hold (any more), and why.
    pub fn fail(&self, name: &'static str, why: impl Into<String>) {
        self.set(name, State::Failed(why.into()));
    }

    /// Everything that does not hold, in the order of [`Self::new`].
    pub fn awaited(&self) -> Vec<Awaited> {
        self.conditions
            .lock()
            .iter()
            .filter_map(|(what, state)| match state {
                State::Done => None,
                State::Awaited => Some(Awaited { what, why: None }),
                State::Failed(why) => Some(Awaited {
                    what,
                    why: Some(why.clone()),
                }),
            })
            .collect()
    }

    /// Whether everything holds.
    pub fn is_ready(&self) -> bool {
        self.conditions
            .lock()
            .iter()
            .all(|(_, state)| *state == State::Done)
    }

    /// A name that [`Self::new`] was not told is added: a mistake then shows instead of passing as ready.
    fn set(&self, name: &'static str, state: State) {
        let mut conditions = self.conditions.lock();
        match conditions.iter_mut().find(|(known, _)| *known == name) {
            Some((_, held)) => *held = state,
            None => conditions.push((name, state)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_when_everything_holds() {
        let readiness = Readiness::new(&["snapshot", "audit"]);
        assert!(!readiness.is_ready());
        readiness.done("audit");
        readiness.fail("snapshot", "control plane unreachable");
        let why = Some("control plane unreachable".to_owned());
        assert_eq!(
            readiness.awaited(),
            [Awaited {
                what: "snapshot",
                why
            }]
        );
        readiness.done("snapshot");
        assert!(readiness.is_ready() && readiness.awaited().is_empty());
        readiness.fail("unheard-of", "x");
        assert!(!readiness.is_ready());
    }
}
