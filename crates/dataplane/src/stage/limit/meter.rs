//! The counts of one limit, and what one call holds of them.

use std::sync::Arc;
use std::time::Duration;

use engine::limit::Key;
use model::limit::{Calls, Limit, Mode, Rate, Scope};
use model::snapshot::Revision;
use runtime::metrics::{Counter, Metrics};

use super::rates::{ByteRate, CallRate};
use super::shared::SharedRate;
use super::shared_bytes::SharedBytes;
use super::store::Store;
use super::under_way::UnderWay;

/// When it is worth trying again where too many calls are under way: nobody knows when one ends.
const UNDER_WAY_WAIT: Duration = Duration::from_secs(1);

/// What all meters of an edge have in common.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) keys_max: usize,
    pub(super) metrics: Metrics,
    /// Where edges count together. `None`: each for itself.
    pub(super) store: Option<Arc<Store>>,
}

/// The counts of one limit, as long as it stays as it is.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) limit: Arc<Limit>,
    /// The newest revision that had it when this was made.
    pub(super) revision: Revision,
    calls: Option<CallCount>,
    under_way: Option<UnderWay>,
    request_bytes: Option<ByteCount>,
    response_bytes: Option<ByteCount>,
    passed: Counter,
    over: Counter,
}

/// Who counts calls.
#[derive(Debug)]
enum CallCount {
    Edge(CallRate),
    Shared(Arc<SharedRate>),
}

/// Who counts bytes.
#[derive(Debug)]
enum ByteCount {
    Edge(ByteRate),
    Shared(Arc<SharedBytes>),
}

impl Meter {
    pub(super) fn new(limit: &Arc<Limit>, revision: Revision, ground: &Ground) -> Self {
        let bytes = |what, rate: Option<Rate>| rate.map(|rate| bytes(limit, what, rate, ground));
        Self {
            limit: limit.clone(),
            revision,
            calls: limit.calls.map(|count| calls(limit, count, ground)),
            under_way: limit.concurrency.map(UnderWay::new),
            request_bytes: bytes("request", limit.request_bytes),
            response_bytes: bytes("response", limit.response_bytes),
            passed: outcome(limit, "passed", ground),
            over: match limit.mode {
                Mode::Enforce => outcome(limit, "refused", ground),
                Mode::Observe => outcome(limit, "observed", ground),
            },
        }
    }

    /// Counts a call under a key; or says after what time one would have room.
    pub(super) async fn take(self: &Arc<Self>, key: Key) -> Result<Holding, Duration> {
        let holding = self.take_uncounted(key).await;
        if holding.is_err() {
            self.over.add_one();
        }
        holding
    }

    async fn take_uncounted(self: &Arc<Self>, key: Key) -> Result<Holding, Duration> {
        for bytes in [&self.request_bytes, &self.response_bytes] {
            bytes.as_ref().map_or(Ok(()), |bytes| bytes.check(&key))?;
        }
        if let Some(under_way) = &self.under_way
            && !under_way.enter(&key)
        {
            return Err(UNDER_WAY_WAIT);
        }
        // From here on it leaves by itself, whatever happens.
        let mut holding = Holding {
            meter: self.clone(),
            key,
            is_counted: false,
        };
        holding.is_counted = match &self.calls {
            None => false,
            Some(CallCount::Edge(rate)) => rate.take(&holding.key).map(|()| true)?,
            Some(CallCount::Shared(rate)) => rate.take(&holding.key).await?,
        };
        Ok(holding)
    }
}

fn calls(limit: &Limit, calls: Calls, ground: &Ground) -> CallCount {
    match (&ground.store, limit.scope) {
        (Some(store), Scope::Shared) => {
            let away = outcome(limit, "store_away", ground);
            CallCount::Shared(SharedRate::new(limit, calls, store, ground.keys_max, away))
        }
        _ => CallCount::Edge(CallRate::new(&calls, ground.keys_max)),
    }
}

fn bytes(limit: &Limit, what: &str, rate: Rate, ground: &Ground) -> ByteCount {
    match (&ground.store, limit.scope) {
        (Some(store), Scope::Shared) => {
            ByteCount::Shared(SharedBytes::new(limit, what, rate, store, ground.keys_max))
        }
        _ => ByteCount::Edge(ByteRate::new(rate, ground.keys_max)),
    }
}

fn outcome(limit: &Limit, outcome: &str, ground: &Ground) -> Counter {
    let help = "Calls that limits have counted, by what came of it.";
    let labels = [("limit", limit.name.as_str()), ("outcome", outcome)];
    ground
        .metrics
        .counter("gatehouse_limit_calls_total", help, &labels)
}

impl ByteCount {
    fn check(&self, key: &Key) -> Result<(), Duration> {
        match self {
            Self::Edge(rate) => rate.check(key),
            Self::Shared(rate) => rate.check(key),
        }
    }

    fn spend(&self, key: &Key, bytes: usize) {
        match self {
            Self::Edge(rate) => rate.spend(key, bytes),
            Self::Shared(rate) => rate.spend(key, bytes),
        }
    }
}

/// What a call under way holds of one limit, under one key.
#[derive(Debug)]
pub(super) struct Holding {
    meter: Arc<Meter>,
    key: Key,
    /// Whether it counts among the calls of a period.
    is_counted: bool,
}

impl Holding {
    /// The call is refused by another limit, and does not count.
    pub(super) fn give_back(self) {
        match &self.meter.calls {
            Some(CallCount::Edge(rate)) if self.is_counted => rate.give_back(&self.key),
            Some(CallCount::Shared(rate)) if self.is_counted => rate.give_back(&self.key),
            _ => {}
        }
    }

    /// The call goes on, with a message of so many bytes.
    pub(super) fn sent(&self, bytes: usize) {
        // What another limit refuses has not passed.
        self.meter.passed.add_one();
        if let Some(count) = &self.meter.request_bytes {
            count.spend(&self.key, bytes);
        }
    }

    /// So many bytes of its answer have passed.
    pub(super) fn replied(&self, bytes: usize) {
        if let Some(count) = &self.meter.response_bytes {
            count.spend(&self.key, bytes);
        }
    }

    /// Whether it matters how the call goes on.
    pub(super) fn follows(&self) -> bool {
        self.meter.under_way.is_some() || self.meter.response_bytes.is_some()
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        if let Some(under_way) = &self.meter.under_way {
            under_way.leave(&self.key);
        }
    }
}
