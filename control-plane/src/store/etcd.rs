//! The store in etcd 3.4 and later, shared by all replicas.
//!
//! The client library balances over the endpoints and reconnects, and that is all that it does: a call that
//! meets a dead member fails. So every call here is tried again, elsewhere, until `CALL_MAX` is over; and
//! watching is a loop of our own, in `tail`. Trying a write again is safe as heads are compared by a value
//! that no other change has, staged keys are new, and a compared delete is done once or not at all.

use std::future::Future as StdFuture;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use etcd_client::{
    Certificate, Client, Compare, CompareOp, ConnectOptions, GetOptions, Identity, KvClient,
    PutOptions, TlsOptions, Txn, TxnOp,
};
use runtime::drain::Drain;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::bells::Bells;
use super::{BATCH_OPS_MAX, Entry, Error, Flip, Future, Head, Store, batches, key, tail};
use runtime::backoff::Backoff;

/// Longest that a call takes, tries and pauses included: whoever waits for a write learns soon that the
/// store is away.
const CALL_MAX: Duration = Duration::from_secs(5);
/// Longest that one try takes, so that a member that hangs leaves time for another: one that has just lost its leader
/// answers only after seconds.
const TRY_MAX: Duration = Duration::from_secs(1);
/// … for a page of a list, which may be large.
const PAGE_TRY_MAX: Duration = Duration::from_secs(3);
/// First and longest pause between tries.
const PAUSES: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(400));
/// Longest that making a connection takes.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// How often a silent connection is probed, and how long the answer may take. A watch has no other way to
/// notice that its member hangs.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));
/// Keys in one page of a list.
const PAGE_KEYS: i64 = 100;
/// Most bytes of one answer: a page of the largest values, with room.
pub(super) const ANSWER_BYTES_MAX: usize = 128 * 1024 * 1024;
/// How often a list begins anew because etcd compacted the revision that it stood at.
const LIST_TRIES_MAX: usize = 3;

/// How etcd is reached.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// `host:port` of its members.
    pub endpoints: Vec<String>,
    /// Roots that its certificate must come from, PEM. `None`: plain HTTP.
    pub ca_pem: Option<Vec<u8>>,
    /// Our certificate and key towards it, PEM.
    pub identity_pem: Option<(Vec<u8>, Vec<u8>)>,
    /// User and password.
    pub user: Option<(String, runtime::settings::Secret)>,
}

/// A store in etcd. Clones share connections.
#[derive(Clone)]
pub(crate) struct Etcd {
    client: Client,
    bells: Arc<Bells>,
}

impl std::fmt::Debug for Etcd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Etcd").finish_non_exhaustive()
    }
}

impl Etcd {
    /// Connects, and watches until `drain` starts.
    ///
    /// # Errors
    /// [`Error::Away`] where credentials are set and no member takes them in time; without credentials a
    /// member that is away is noticed by the first call.
    pub(crate) async fn connect(options: &Options, drain: &Drain) -> Result<Self, Error> {
        let connecting = Client::connect(urls(options), Some(connect_options(options)));
        let client = timeout(CALL_MAX, connecting)
            .await
            .map_err(|_| Error::Away(format!("no answer from etcd within {CALL_MAX:?}")))?
            .map_err(|e| error_of(&e))?;
        let bells = Arc::new(Bells::default());
        let tail = tail::follow(client.clone(), bells.clone(), drain.clone());
        drain.spawn("etcd-watch", tail);
        Ok(Self { client, bells })
    }

    /// Calls etcd until it answers or [`CALL_MAX`] is over.
    async fn call<T, F>(&self, ask: impl Fn(KvClient) -> F) -> Result<T, Error>
    where
        F: StdFuture<Output = Result<T, etcd_client::Error>>,
    {
        self.call_in(TRY_MAX, ask).await
    }

    /// [`Self::call`], with this much time for each try.
    async fn call_in<T, F>(
        &self,
        try_max: Duration,
        ask: impl Fn(KvClient) -> F,
    ) -> Result<T, Error>
    where
        F: StdFuture<Output = Result<T, etcd_client::Error>>,
    {
        let deadline = Instant::now() + CALL_MAX;
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        loop {
            let kv = self
                .client
                .kv_client()
                .max_decoding_message_size(ANSWER_BYTES_MAX);
            let left = deadline.saturating_duration_since(Instant::now());
            let error = match timeout(try_max.min(left), ask(kv)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => error_of(&error),
                Err(_) => Error::Away(format!("no answer from etcd within {try_max:?}")),
            };
            let pause = backoff.pause();
            if !error.may_be_retried() || Instant::now() + pause >= deadline {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn txn(&self, txn: Txn) -> Result<bool, Error> {
        let answer = self.call(|mut kv| {
            let txn = txn.clone();
            async move { kv.txn(txn).await }
        });
        Ok(answer.await?.succeeded())
    }

    async fn get_value(&self, key: &str) -> Result<Option<Bytes>, Error> {
        let answer = self.call(|mut kv| async move { kv.get(key, None).await });
        Ok(answer
            .await?
            .take_kvs()
            .pop()
            .map(|kv| Bytes::from(kv.into_key_value().1)))
    }

    async fn stage_batch(&self, batch: Vec<Entry>) -> Result<(), Error> {
        let absent: Vec<Compare> = batch
            .iter()
            .map(|e| Compare::version(e.key.as_str(), CompareOp::Equal, 0))
            .collect();
        if self
            .txn(Txn::new().when(absent).and_then(puts(&batch)))
            .await?
        {
            return Ok(());
        }
        // Some are there: from an earlier try of ours, or somebody else's.
        for entry in batch {
            match self.get_value(&entry.key).await? {
                Some(value) if value == entry.value => {}
                Some(_) => return Err(Error::Taken(entry.key)),
                None => self.put_entry(entry).await?,
            }
        }
        Ok(())
    }

    async fn put_entry(&self, entry: Entry) -> Result<(), Error> {
        let (key, value) = (&entry.key, &entry.value);
        self.call(|mut kv| async move { kv.put(key.as_str(), value.as_ref(), None).await })
            .await?;
        Ok(())
    }

    /// All of a prefix, page by page, all pages at the revision of the first.
    async fn pages<T>(
        &self,
        prefix: &str,
        keys_only: bool,
        take: impl Fn(String, Vec<u8>) -> T,
    ) -> Result<Vec<T>, Error> {
        let end = end_of(prefix);
        let mut found = Vec::new();
        let (mut from, mut revision) = (prefix.as_bytes().to_vec(), 0);
        loop {
            let answer = self.call_in(PAGE_TRY_MAX, |mut kv| {
                let mut options = GetOptions::new()
                    .with_range(end.clone())
                    .with_limit(PAGE_KEYS)
                    .with_revision(revision);
                if keys_only {
                    options = options.with_keys_only();
                }
                let from = from.clone();
                async move { kv.get(from, Some(options)).await }
            });
            let mut answer = answer.await?;
            if revision == 0 {
                revision = answer.header().map_or(0, |h| h.revision());
            }
            let more = answer.more();
            for kv in answer.take_kvs() {
                let (key, value) = kv.into_key_value();
                from = [&key[..], &[0]].concat();
                found.push(take(utf8(key)?, value));
            }
            if !more {
                return Ok(found);
            }
        }
    }

    /// [`Self::pages`], begun anew where etcd compacted the revision meanwhile.
    async fn scan<T>(
        &self,
        prefix: &str,
        keys_only: bool,
        take: impl Fn(String, Vec<u8>) -> T,
    ) -> Result<Vec<T>, Error> {
        let mut tries = 1;
        loop {
            match self.pages(prefix, keys_only, &take).await {
                Err(Error::Failed(why)) if why.contains(COMPACTED) && tries < LIST_TRIES_MAX => {
                    tries += 1;
                }
                other => return other,
            }
        }
    }
}

/// What etcd says of a revision that is gone.
const COMPACTED: &str = "required revision has been compacted";

fn urls(options: &Options) -> Vec<String> {
    let scheme = if options.ca_pem.is_some() {
        "https"
    } else {
        "http"
    };
    options
        .endpoints
        .iter()
        .map(|host| format!("{scheme}://{host}"))
        .collect()
}

fn connect_options(options: &Options) -> ConnectOptions {
    let mut connect = ConnectOptions::new()
        .with_connect_timeout(CONNECT_MAX)
        .with_keep_alive(KEEP_ALIVE.0, KEEP_ALIVE.1)
        .with_keep_alive_while_idle(true)
        // A member cut off from the others would serve a watch on which nothing ever happens.
        .with_require_leader(true);
    if let Some(ca) = &options.ca_pem {
        let mut tls = TlsOptions::new().ca_certificate(Certificate::from_pem(ca));
        if let Some((cert, key)) = &options.identity_pem {
            tls = tls.identity(Identity::from_pem(cert, key));
        }
        connect = connect.with_tls(tls);
    }
    if let Some((user, password)) = &options.user {
        connect = connect
            .with_user(user, password.expose())
            .with_auto_token_refresh(true);
    }
    connect
}

/// Tells what another try may mend from what it won't.
pub(super) fn error_of(error: &etcd_client::Error) -> Error {
    use tonic::Code;
    let text = match error {
        etcd_client::Error::GRpcStatus(status) => status.message().to_owned(),
        other => other.to_string(),
    };
    match error {
        etcd_client::Error::GRpcStatus(status) => match status.code() {
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => {
                Error::Away(format!("etcd: {text}"))
            }
            _ => Error::Failed(format!("etcd: {text}")),
        },
        etcd_client::Error::TransportError(_) | etcd_client::Error::IoError(_) => {
            Error::Away(format!("etcd: {text}"))
        }
        _ => Error::Failed(format!("etcd: {text}")),
    }
}

fn puts(entries: &[Entry]) -> Vec<TxnOp> {
    entries
        .iter()
        .map(|e| TxnOp::put(e.key.as_str(), e.value.as_ref(), None))
        .collect()
}

/// Holds where `key` has the value `expected`, or is absent for `None`.
fn compare(key: &str, expected: Option<&[u8]>) -> Compare {
    match expected {
        Some(value) => Compare::value(key, CompareOp::Equal, value),
        None => Compare::version(key, CompareOp::Equal, 0),
    }
}

/// The first key behind all that begin with `prefix`. Our prefixes are ASCII, so the last byte can be raised.
fn end_of(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

fn utf8(key: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(key).map_err(|e| Error::Corrupt {
        key: String::from_utf8_lossy(e.as_bytes()).into_owned(),
        why: "the key is not UTF-8".to_owned(),
    })
}

impl Store for Etcd {
    fn kind(&self) -> &'static str {
        "etcd"
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn head(&self) -> Future<'_, Option<Head>> {
        Box::pin(async {
            self.get_value(key::HEAD)
                .await?
                .map(|value| Head::decode(&value))
                .transpose()
        })
    }

    fn stage(&self, entries: Vec<Entry>) -> Future<'_, ()> {
        Box::pin(async {
            for batch in batches(entries)? {
                self.stage_batch(batch).await?;
            }
            Ok(())
        })
    }

    fn flip<'a>(
        &'a self,
        expected: Option<&'a Head>,
        new: &'a Head,
        mut also: Vec<Entry>,
    ) -> Future<'a, Flip> {
        Box::pin(async move {
            let expected = expected.map(Head::encode);
            also.push(Entry::new(key::HEAD, new.encode()));
            let txn = Txn::new().when([compare(key::HEAD, expected.as_deref())]);
            if self.txn(txn.and_then(puts(&also))).await? {
                return Ok(Flip::Flipped);
            }
            // Or it was flipped by an earlier try whose answer was lost: no other change has our id.
            let ours = self.head().await?.as_ref() == Some(new);
            Ok(if ours { Flip::Flipped } else { Flip::Lost })
        })
    }

    fn get<'a>(&'a self, key: &'a str) -> Future<'a, Option<Bytes>> {
        Box::pin(self.get_value(key))
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Future<'a, Vec<Entry>> {
        Box::pin(self.scan(prefix, false, Entry::new))
    }

    fn keys<'a>(&'a self, prefix: &'a str) -> Future<'a, Vec<String>> {
        Box::pin(self.scan(prefix, true, |key, _| key))
    }

    fn put(&self, entry: Entry) -> Future<'_, ()> {
        Box::pin(async {
            for entry in batches(vec![entry])?.concat() {
                self.put_entry(entry).await?;
            }
            Ok(())
        })
    }

    fn put_for(&self, entry: Entry, lasts: Duration) -> Future<'_, ()> {
        Box::pin(async move {
            let ttl_s = i64::try_from(lasts.as_secs().max(1)).unwrap_or(i64::MAX);
            // A lease of its own for each writing: it ends by itself when the next has taken its place, and nothing
            // has to be kept alive, or remembered when a member is lost.
            let lease = timeout(TRY_MAX, self.client.lease_client().grant(ttl_s, None))
                .await
                .map_err(|_| Error::Away(format!("no lease from etcd within {TRY_MAX:?}")))?
                .map_err(|e| error_of(&e))?;
            let options = PutOptions::new().with_lease(lease.id());
            let (key, value) = (entry.key.as_str(), entry.value.as_ref());
            self.call(|mut kv| {
                let options = options.clone();
                async move { kv.put(key, value, Some(options)).await }
            })
            .await
            .map(drop)
        })
    }

    fn delete(&self, keys: Vec<String>) -> Future<'_, ()> {
        Box::pin(async move {
            for some in keys.chunks(BATCH_OPS_MAX) {
                let deletes: Vec<TxnOp> = some
                    .iter()
                    .map(|key| TxnOp::delete(key.as_str(), None))
                    .collect();
                self.txn(Txn::new().and_then(deletes)).await?;
            }
            Ok(())
        })
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a str,
        expected: Option<&'a [u8]>,
        new: Option<Bytes>,
    ) -> Future<'a, bool> {
        Box::pin(async move {
            let change = match new {
                Some(value) => TxnOp::put(key, value.as_ref(), None),
                None => TxnOp::delete(key, None),
            };
            self.txn(Txn::new().when([compare(key, expected)]).and_then([change]))
                .await
        })
    }

    fn changes(&self, prefix: &str) -> watch::Receiver<u64> {
        self.bells.listen(prefix)
    }
}
