//! How much may be called: counts each call at the edge, before anything else sees it, and refuses what is over.
//!
//! ```text
//! engine::limit: which limits, under which keys ──▶ Meter, one a limit ──┬─ calls a period   (rates; shared ─ leases ┐
//!                                                                        ├─ calls under way  (under_way)         store
//!                                                                        └─ bytes both ways  (rates; shared_bytes ──┘
//!            a call holds what it took ──▶ Held ──▶ body::MeteredBody, until the last byte of its reply
//! ```
//!
//! A call that one limit refuses does not count at the others. Counts stay over revisions that leave the limit as it
//! is; a limit that is changed begins anew. Must not know which hop it serves. Start from [`Limiter::check`].

mod cells;
mod clock;
mod leases;
mod meter;
mod rates;
mod settings;
mod shared;
mod shared_bytes;
mod store;
mod under_way;

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use mcp::error::{RefusedBy, RpcError};
use mcp::method;
use model::decision::{Decision, Reason};
use model::limit::{Limit, Mode};
use model::name::{LimitName, ServerName};
use model::principal::Principal;
use runtime::drain::Drain;
use runtime::metrics::Metrics;

use self::meter::{Ground, Holding, Meter};
pub use self::settings::LimitSettings;
pub use self::store::BadSettings;
use self::store::Store;
use crate::call::Call;
use crate::config::live::Config;

/// Keys that one limit tells apart, unless it is set otherwise.
pub const KEYS_MAX: usize = 100_000;

/// The counts of all limits at one hop. Clones are the same.
#[derive(Debug, Clone)]
pub struct Limiter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// By limit; those that are gone are dropped when a new one comes, so there are at most about
    /// [`engine::limit::LIMITS_MAX`].
    meters: DashMap<LimitName, Arc<Meter>>,
    ground: Ground,
}

/// What limits look at of a call.
#[derive(Debug, Clone, Copy)]
pub struct Counted<'c> {
    /// Who calls.
    pub principal: &'c Principal,
    /// Which server.
    pub server: &'c ServerName,
    /// The method.
    pub method: &'c str,
    /// The tool, where it calls one.
    pub tool: Option<&'c str>,
    /// How long the message is.
    pub bytes: usize,
}

impl<'c> Counted<'c> {
    /// That of a call.
    pub fn of(call: &'c Call<'_>) -> Self {
        Self {
            principal: call.principal,
            server: call.server,
            method: call.method(),
            tool: call
                .target()
                .filter(|_| call.method() == method::TOOLS_CALL),
            bytes: call.body.len(),
        }
    }
}

/// A call that goes on.
#[derive(Debug, Default)]
pub struct Passed {
    /// What it holds until its reply is over.
    pub held: Held,
    /// A limit that would have refused it, did it not only observe.
    pub observed: Option<LimitName>,
}

/// A call that is refused.
#[derive(Debug)]
pub struct Limited {
    /// By which limit.
    pub limit: LimitName,
    /// After what time one would have room.
    pub after: Duration,
}

impl Limited {
    /// For the client.
    pub fn error(&self) -> RpcError {
        let after_ms = u64::try_from(self.after.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
        let by = RefusedBy::Limit(self.limit.as_str(), after_ms.max(1));
        RpcError::refused(Reason::Limit.as_str(), by, Decision::Deny.as_str())
    }

    /// For the `Retry-After` header.
    pub fn after_s(&self) -> u64 {
        let seconds = self.after.as_secs() + u64::from(self.after.subsec_nanos() > 0);
        seconds.max(1)
    }
}

impl Limiter {
    /// Counts by itself; nothing yet. Each limit tells about so many keys apart.
    pub fn new(keys_max: usize, metrics: &Metrics) -> Self {
        Self::on(Ground {
            keys_max,
            metrics: metrics.clone(),
            store: None,
        })
    }

    /// Counts as set: together with other edges, where there is a store for that. It is connected to meanwhile.
    ///
    /// # Errors
    /// Settings that lead nowhere.
    pub fn start(
        settings: &LimitSettings,
        drain: &Drain,
        metrics: &Metrics,
    ) -> Result<Self, BadSettings> {
        let url = settings.redis.as_ref().filter(|url| !url.is_empty());
        let store = url.map(|url| Store::start(settings, url.expose(), drain, metrics));
        Ok(Self::on(Ground {
            keys_max: settings.keys_max,
            metrics: metrics.clone(),
            store: store.transpose()?,
        }))
    }

    fn on(ground: Ground) -> Self {
        Self(Arc::new(Inner {
            meters: DashMap::new(),
            ground,
        }))
    }

    /// Counts a call under all limits that are about it.
    ///
    /// # Errors
    /// The limit that refuses it; then it counts at none.
    pub async fn check(&self, config: &Config, call: &Counted<'_>) -> Result<Passed, Limited> {
        let limits = config.engine.limits();
        if limits.is_empty() {
            return Ok(Passed::default());
        }
        let Counted {
            principal,
            server,
            method,
            tool,
            bytes,
        } = *call;
        let mut passed = Passed::default();
        for limit in limits.select(principal, server, method, tool) {
            let meter = self.meter(&limit, config);
            for key in engine::limit::keys(&limit, principal, server, tool) {
                match meter.take(key).await {
                    Ok(holding) => passed.held.0.push(holding),
                    Err(_) if limit.mode == Mode::Observe => {
                        passed.observed.get_or_insert_with(|| limit.name.clone());
                    }
                    Err(after) => {
                        passed.held.give_back();
                        let limit = limit.name.clone();
                        return Err(Limited { limit, after });
                    }
                }
            }
        }
        for holding in &passed.held.0 {
            holding.sent(bytes);
        }
        Ok(passed)
    }

    /// The counts of a limit, as it is in this configuration.
    fn meter(&self, limit: &Arc<Limit>, config: &Config) -> Arc<Meter> {
        let meters = &self.0.meters;
        let revision = config.engine.revision();
        let fits = |meter: &Meter| meter.revision >= revision || meter.limit == *limit;
        if let Some(meter) = meters.get(&limit.name)
            && fits(&meter)
        {
            return meter.clone();
        }
        let known = &config.engine.snapshot().limits;
        meters.retain(|name, meter| meter.revision > revision || known.contains_key(name));
        let new = || Arc::new(Meter::new(limit, revision, &self.0.ground));
        let mut entry = meters.entry(limit.name.clone()).or_insert_with(new);
        if !fits(&entry) {
            *entry = new();
        }
        entry.clone()
    }
}

/// What a call holds until its reply is over: its place among those under way, and whose bytes the reply's are.
#[derive(Debug, Default)]
pub struct Held(Vec<Holding>);

impl Held {
    /// The call does not go on: it counts at none.
    pub fn give_back(self) {
        for holding in self.0 {
            holding.give_back();
        }
    }

    /// Whether it matters how the call goes on.
    pub fn follows(&self) -> bool {
        self.0.iter().any(Holding::follows)
    }

    /// So many bytes of the answer have passed.
    pub fn replied(&self, bytes: usize) {
        for holding in &self.0 {
            holding.replied(bytes);
        }
    }
}

#[cfg(test)]
mod tests;
