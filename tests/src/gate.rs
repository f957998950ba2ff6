//! A TCP relay that can be shut: how one process loses the network, and nobody else.

use std::sync::Arc;

use tokio::sync::watch;

use super::relay::{self, Accepting};
use crate::http::runtime;

/// A relay to one address.
#[derive(Debug)]
pub struct Gate {
    address: String,
    accepting: Accepting,
}

impl Gate {
    /// An open one.
    pub fn start(to: &str) -> Self {
        let (address, listener) = relay::listen();
        let open = Arc::new(watch::Sender::new(true));
        let (passes, to) = (open.clone(), to.to_owned());
        let task = runtime().spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if !*passes.borrow() {
                    // Dropped: whoever connects through a shut gate is cut off at once.
                    continue;
                }
                let (open, to) = (passes.subscribe(), to.clone());
                tokio::spawn(async move {
                    let _ = near.set_nodelay(true);
                    if let Ok(far) = relay::connect(&to).await {
                        relay::relay(near, far, open).await;
                    }
                });
            }
        });
        Self {
            address,
            accepting: Accepting::new(task, open),
        }
    }

    /// Cuts all connections, and those that are tried from now on.
    pub fn shut(&self) {
        self.accepting.open.send_replace(false);
    }

    /// Lets connections through again.
    pub fn open(&self) {
        self.accepting.open.send_replace(true);
    }
}

/// The store that lies behind gates.
pub(super) fn store(gates: &[Gate]) -> String {
    let addresses: Vec<_> = gates.iter().map(|gate| gate.address.as_str()).collect();
    format!("etcd://{}", addresses.join(","))
}
