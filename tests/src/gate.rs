//! A TCP relay that can be shut: how one process loses another, and nobody else notices.

use std::sync::{Mutex, PoisonError};

use crate::relay::{self, Accepting};

/// A relay to one address.
#[derive(Debug)]
pub struct Gate {
    address: String,
    to: String,
    /// Passes connections on; `None` while it is shut.
    accepting: Mutex<Option<Accepting>>,
}

impl Gate {
    /// An open one.
    pub fn start(to: &str) -> Self {
        let gate = Self {
            address: crate::ports::address(),
            to: to.to_owned(),
            accepting: Mutex::default(),
        };
        gate.open();
        gate
    }

    /// Where it listens, `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Cuts all connections; nothing listens any more.
    pub fn shut(&self) {
        if let Some(accepting) = self.accepting().take() {
            accepting.end();
        }
    }

    /// Lets connections through again, at the same address.
    pub fn open(&self) {
        let mut accepting = self.accepting();
        if accepting.is_some() {
            return;
        }
        let to = self.to.clone();
        *accepting = Some(Accepting::start(&self.address, move |near, _, open| {
            let to = to.clone();
            async move {
                if let Ok(far) = relay::connect(&to).await {
                    relay::relay(near, far, open).await;
                }
            }
        }));
    }

    fn accepting(&self) -> std::sync::MutexGuard<'_, Option<Accepting>> {
        self.accepting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
