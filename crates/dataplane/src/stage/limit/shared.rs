//! Calls a period, counted by all edges together: from what is in hand, else from the store, else as the limit says.

use std::sync::Arc;
use std::time::Duration;

use engine::limit::Key;
use model::filter::OnError;
use model::limit::{Calls, Limit};
use runtime::metrics::Counter;

use super::clock::Clock;
use super::leases::{Leases, Step};
use super::store::{Lease, Store, Unreachable};

/// When it is worth trying again where the store cannot be asked.
pub(super) const AWAY_WAIT: Duration = Duration::from_secs(1);

/// Calls a period over all edges.
#[derive(Debug)]
pub(super) struct SharedRate {
    calls: Calls,
    leases: Leases,
    store: Arc<Store>,
    /// Stands before each key in the store.
    prefix: Box<[u8]>,
    on_error: OnError,
    clock: Clock,
    away: Counter,
}

impl SharedRate {
    pub(super) fn new(
        limit: &Limit,
        calls: Calls,
        store: &Arc<Store>,
        keys_max: usize,
        away: Counter,
    ) -> Arc<Self> {
        Arc::new(Self {
            leases: Leases::new(&calls, keys_max),
            calls,
            store: store.clone(),
            prefix: prefix(limit, "calls"),
            on_error: limit.on_store_error,
            clock: Clock::start(),
            away,
        })
    }

    /// Counts a call: `true`, or `false` where it goes on uncounted. Or says after what time one would have room.
    pub(super) async fn take(self: &Arc<Self>, key: &Key) -> Result<bool, Duration> {
        let want = match self.leases.step(key, self.clock.nanos()) {
            Step::Go(more) => {
                if let Some(more) = more {
                    self.refill(key.clone(), more);
                }
                return Ok(true);
            }
            Step::Wait(after) => return Err(after),
            Step::Ask(want) => want,
        };
        match self.ask(key, want).await {
            Ok(Lease::Calls(got)) => {
                self.leases.put(key, got - 1, self.clock.nanos());
                Ok(true)
            }
            Ok(Lease::After(after)) => {
                self.leases.none(key, after, self.clock.nanos());
                Err(after)
            }
            Err(Unreachable) => {
                self.away.add_one();
                match self.on_error {
                    OnError::Allow => Ok(false),
                    OnError::Deny => Err(AWAY_WAIT),
                }
            }
        }
    }

    /// Takes back one call that was counted: the next one may have it.
    pub(super) fn give_back(&self, key: &Key) {
        self.leases.give_back(key, self.clock.nanos());
    }

    /// Takes more before it is needed. One at a time for each key; it ends with the store's answer, or its time.
    fn refill(self: &Arc<Self>, key: Key, want: u32) {
        let this = self.clone();
        self.store.aside(async move {
            let got = this.ask(&key, want).await;
            let now = this.clock.nanos();
            match got {
                Ok(Lease::Calls(got)) => this.leases.put(&key, got, now),
                Ok(Lease::After(after)) => this.leases.none(&key, after, now),
                Err(Unreachable) => {}
            }
            this.leases.refilled(&key);
        });
    }

    async fn ask(&self, key: &Key, want: u32) -> Result<Lease, Unreachable> {
        let key = [&self.prefix[..], key.as_bytes()].concat();
        self.store.lease(&key, &self.calls, want).await
    }
}

/// `gatehouse:limit:NAME:calls:`
pub(super) fn prefix(limit: &Limit, what: &str) -> Box<[u8]> {
    format!("gatehouse:limit:{}:{what}:", limit.name)
        .into_bytes()
        .into()
}
