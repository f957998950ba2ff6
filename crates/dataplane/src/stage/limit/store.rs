//! The store that edges share (Redis or Valkey): one connection, two scripts, and whether it can be had just now.
//!
//! Must not know what is counted. Time is the store's own, so that edges need not agree on theirs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use model::limit::{Calls, Rate};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, FromRedisValue, Script, ScriptInvocation, TlsCertificates,
};
use runtime::backoff::Backoff;
use runtime::drain::Drain;
use runtime::metrics::{Gauge, Metrics};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::settings::LimitSettings;

/// Takes up to so many calls (ARGV 3) at an interval (1, microseconds) with a burst (2): how many it got, and, where that
/// is none, after how many milliseconds there is one. GCRA, as on one edge.
const LEASE: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst, want = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local tolerance = interval * burst
local tat = tonumber(redis.call('GET', KEYS[1]) or now)
tat = math.min(math.max(tat, now), now + tolerance)
local free = math.floor((now + tolerance - tat) / interval + 0.001)
if free < 1 then
  return {0, math.ceil((tat + interval - tolerance - now) / 1000)}
end
local got = math.min(free, want)
tat = tat + got * interval
redis.call('SET', KEYS[1], string.format('%.2f', tat), 'PX', math.ceil((tat - now) / 1000) + 1)
return {got, 0}
";

/// Counts bytes, which take so long (ARGV 1, microseconds) to be worked off: after how many microseconds all are.
const SPEND: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now) + tonumber(ARGV[1])
redis.call('SET', KEYS[1], string.format('%.2f', tat), 'PX', math.ceil((tat - now) / 1000) + 1)
return math.ceil(tat - now)
";

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(2);
/// First pause between tries to connect.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// Longest pause between tries to connect.
const PAUSE_LONGEST: Duration = Duration::from_secs(2);
/// So many late answers in a row are taken for a connection that is dead.
const LATE_MAX: u32 = 3;

/// Settings that lead nowhere.
#[derive(Debug, thiserror::Error)]
#[error("edge.limits.{0}")]
pub struct BadSettings(String);

/// The store cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the store of limits cannot be asked")]
pub(super) struct Unreachable;

/// What was got of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lease {
    /// So many; at least one.
    Calls(u32),
    /// None, before this time is over.
    After(Duration),
}

/// The way to the store.
#[derive(Debug)]
pub(super) struct Store {
    /// `None` while there is none: then nobody waits.
    connection: ArcSwapOption<MultiplexedConnection>,
    /// Tells the task that keeps the connection that it is dead.
    dead: Notify,
    late: AtomicU32,
    lease: Script,
    spend: Script,
    wait: Duration,
    connected: Gauge,
    /// Owns what is done for limits while nobody waits.
    drain: Drain,
}

impl Store {
    /// Begins to connect, and does so again whenever the connection is lost.
    ///
    /// # Errors
    /// Settings that lead nowhere.
    pub(super) fn start(
        settings: &LimitSettings,
        url: &str,
        drain: &Drain,
        metrics: &Metrics,
    ) -> Result<Arc<Self>, BadSettings> {
        let client = client(settings, url)?;
        let help = "Whether there is a connection to the store of limits that edges share.";
        let store = Arc::new(Self {
            connection: ArcSwapOption::empty(),
            dead: Notify::new(),
            late: AtomicU32::new(0),
            lease: Script::new(LEASE),
            spend: Script::new(SPEND),
            wait: Duration::from_millis(settings.wait_ms),
            connected: metrics.gauge("gatehouse_limit_store_connected", help, &[]),
            drain: drain.clone(),
        });
        let kept = store.clone();
        let stop = drain.clone();
        drain.spawn("connection to the store of limits", async move {
            tokio::select! {
                () = kept.keep(client) => {}
                () = stop.signaled() => {}
            }
        });
        Ok(store)
    }

    /// Keeps a connection, for ever.
    async fn keep(&self, client: Client) {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(CONNECT));
        let mut pauses = Backoff::new(PAUSE_FIRST, PAUSE_LONGEST);
        loop {
            let connecting = client.get_multiplexed_async_connection_with_config(&config);
            match timeout(CONNECT, connecting).await {
                Ok(Ok(connection)) => {
                    tracing::info!("connected to the store of limits");
                    self.late.store(0, Ordering::Relaxed);
                    self.connection.store(Some(Arc::new(connection)));
                    self.connected.set(1);
                    pauses.reset();
                    self.dead.notified().await;
                    self.connected.set(0);
                    tracing::warn!("the store of limits cannot be asked any more");
                }
                Ok(Err(error)) => tracing::debug!(%error, "no connection to the store of limits"),
                Err(_) => tracing::debug!("no connection to the store of limits in time"),
            }
            tokio::time::sleep(pauses.pause()).await;
        }
    }

    /// Whether there is a connection.
    pub(super) fn is_there(&self) -> bool {
        self.connection.load().is_some()
    }

    /// Runs `task` while nobody waits for it. It must end by itself.
    pub(super) fn aside(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.drain.spawn("asks the store of limits", task));
    }

    /// Takes up to `want` calls.
    pub(super) async fn lease(
        &self,
        key: &[u8],
        calls: &Calls,
        want: u32,
    ) -> Result<Lease, Unreachable> {
        let mut invocation = self.lease.key(key);
        let interval = micros(calls.interval());
        invocation.arg(interval).arg(calls.burst).arg(want);
        let (got, after_ms): (u32, u64) = self.ask(&invocation).await?;
        Ok(match got {
            0 => Lease::After(Duration::from_millis(after_ms.max(1))),
            got => Lease::Calls(got),
        })
    }

    /// Counts bytes; after what time they and all before them are worked off.
    pub(super) async fn spend(
        &self,
        key: &[u8],
        rate: &Rate,
        bytes: u64,
    ) -> Result<Duration, Unreachable> {
        let mut invocation = self.spend.key(key);
        invocation.arg(micros(rate.time_of(bytes)));
        self.ask(&invocation).await.map(Duration::from_micros)
    }

    async fn ask<T: FromRedisValue>(
        &self,
        invocation: &ScriptInvocation<'_>,
    ) -> Result<T, Unreachable> {
        let Some(connection) = self.connection.load_full() else {
            return Err(Unreachable);
        };
        let mut asking = MultiplexedConnection::clone(&connection);
        match timeout(self.wait, invocation.invoke_async(&mut asking)).await {
            Ok(Ok(told)) => {
                self.late.store(0, Ordering::Relaxed);
                Ok(told)
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "the store of limits fails");
                self.give_up(&connection);
                Err(Unreachable)
            }
            Err(_) => {
                if self.late.fetch_add(1, Ordering::Relaxed) + 1 >= LATE_MAX {
                    self.give_up(&connection);
                }
                Err(Unreachable)
            }
        }
    }

    /// The connection is dead, unless there is a new one already.
    fn give_up(&self, connection: &Arc<MultiplexedConnection>) {
        let now = self.connection.load();
        if now.as_ref().is_some_and(|now| Arc::ptr_eq(now, connection)) {
            self.connection.store(None);
            self.dead.notify_one();
        }
    }
}

fn client(settings: &LimitSettings, url: &str) -> Result<Client, BadSettings> {
    // The URL may hold a password: what is wrong with it is said without it.
    let bad = |error: redis::RedisError| {
        let kind = error.kind();
        BadSettings(format!(
            "redis leads nowhere ({kind:?}): wanted is redis://[:PASSWORD@]HOST:PORT, or rediss://"
        ))
    };
    let Some(file) = &settings.redis_ca_file else {
        return Client::open(url).map_err(bad);
    };
    let roots = std::fs::read(file).map_err(|error| {
        let file = file.display();
        BadSettings(format!("redis_ca_file {file} cannot be read: {error}"))
    })?;
    let certificates = TlsCertificates {
        client_tls: None,
        root_cert: Some(roots),
    };
    Client::build_with_tls(url, certificates).map_err(bad)
}

/// Microseconds with their fraction, as the scripts read them.
fn micros(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    format!("{}.{:03}", nanos / 1000, nanos % 1000)
}
