//! The counts of one limit, and what one call holds of them.

use std::sync::Arc;
use std::time::Duration;

use engine::limit::Key;
use model::limit::{Limit, Mode};
use model::snapshot::Revision;
use runtime::metrics::{Counter, Metrics};

use super::rates::{ByteRate, CallRate};
use super::under_way::UnderWay;

/// When it is worth trying again where too many calls are under way: nobody knows when one ends.
const UNDER_WAY_WAIT: Duration = Duration::from_secs(1);

/// The counts of one limit, as long as it stays as it is.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) limit: Arc<Limit>,
    /// The newest revision that had it when this was made.
    pub(super) revision: Revision,
    calls: Option<CallRate>,
    under_way: Option<UnderWay>,
    request_bytes: Option<ByteRate>,
    response_bytes: Option<ByteRate>,
    passed: Counter,
    over: Counter,
}

impl Meter {
    pub(super) fn new(
        limit: &Arc<Limit>,
        revision: Revision,
        keys_max: usize,
        metrics: &Metrics,
    ) -> Self {
        let bytes = |rate| ByteRate::new(rate, keys_max);
        let outcome = |outcome| {
            let help = "Calls that limits have counted, by what came of it.";
            let labels = [("limit", limit.name.as_str()), ("outcome", outcome)];
            metrics.counter("gatehouse_limit_calls_total", help, &labels)
        };
        Self {
            limit: limit.clone(),
            revision,
            calls: limit
                .calls
                .as_ref()
                .map(|calls| CallRate::new(calls, keys_max)),
            under_way: limit.concurrency.map(UnderWay::new),
            request_bytes: limit.request_bytes.map(bytes),
            response_bytes: limit.response_bytes.map(bytes),
            passed: outcome("passed"),
            over: outcome(match limit.mode {
                Mode::Enforce => "refused",
                Mode::Observe => "observed",
            }),
        }
    }

    /// Counts a call under a key; or says after what time one would have room.
    pub(super) async fn take(self: &Arc<Self>, key: Key) -> Result<Holding, Duration> {
        let holding = self.take_uncounted(key).await;
        match &holding {
            Ok(_) => self.passed.add_one(),
            Err(_) => self.over.add_one(),
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
        let holding = Holding {
            meter: self.clone(),
            key,
        };
        if let Some(calls) = &self.calls {
            calls.take(&holding.key)?;
        }
        Ok(holding)
    }
}

/// What a call under way holds of one limit, under one key.
#[derive(Debug)]
pub(super) struct Holding {
    meter: Arc<Meter>,
    key: Key,
}

impl Holding {
    /// The call is refused by another limit, and does not count.
    pub(super) fn give_back(self) {
        if let Some(calls) = &self.meter.calls {
            calls.give_back(&self.key);
        }
    }

    /// The call goes on, with a message of so many bytes.
    pub(super) fn sent(&self, bytes: usize) {
        if let Some(rate) = &self.meter.request_bytes {
            rate.spend(&self.key, bytes);
        }
    }

    /// So many bytes of its answer have passed.
    pub(super) fn replied(&self, bytes: usize) {
        if let Some(rate) = &self.meter.response_bytes {
            rate.spend(&self.key, bytes);
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
