//! Stores for tests: embedded in a folder of its own, and a real etcd that can be killed and cut off.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{SocketAddr, TcpListener as StdListener};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use runtime::drain::Drain;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::embedded::Embedded;
use super::etcd::{Etcd, Options};
use super::{Entry, Error, Flip, Future, Head, Store};

/// Longest that a test waits for what must come.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// An embedded store, and the folder that it lives in.
pub(crate) fn embedded() -> (Arc<dyn Store>, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Arc::new(Embedded::open(dir.path()).unwrap()), dir)
}

/// A store that is away for some questions after its head.
#[derive(Debug)]
pub(crate) struct Faltering {
    inner: Arc<dyn Store>,
    fails: AtomicU32,
}

impl Faltering {
    /// One that does not fail yet.
    pub(crate) fn over(inner: Arc<dyn Store>) -> Self {
        let fails = AtomicU32::new(0);
        Self { inner, fails }
    }

    /// Is away for the next `times`.
    pub(crate) fn fail(&self, times: u32) {
        self.fails.store(times, Ordering::Relaxed);
    }

    /// How often it will yet be away.
    pub(crate) fn left(&self) -> u32 {
        self.fails.load(Ordering::Relaxed)
    }
}

impl Store for Faltering {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }

    fn head(&self) -> Future<'_, Option<Head>> {
        let order = Ordering::Relaxed;
        let failed = self.fails.fetch_update(order, order, |n| n.checked_sub(1));
        match failed {
            Ok(_) => Box::pin(async { Err(Error::Away("as asked".to_owned())) }),
            Err(_) => self.inner.head(),
        }
    }

    fn stage(&self, entries: Vec<Entry>) -> Future<'_, ()> {
        self.inner.stage(entries)
    }

    fn flip<'a>(
        &'a self,
        expected: Option<&'a Head>,
        new: &'a Head,
        also: Vec<Entry>,
    ) -> Future<'a, Flip> {
        self.inner.flip(expected, new, also)
    }

    fn get<'a>(&'a self, key: &'a str) -> Future<'a, Option<Bytes>> {
        self.inner.get(key)
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Future<'a, Vec<Entry>> {
        self.inner.list(prefix)
    }

    fn keys<'a>(&'a self, prefix: &'a str) -> Future<'a, Vec<String>> {
        self.inner.keys(prefix)
    }

    fn put(&self, entry: Entry) -> Future<'_, ()> {
        self.inner.put(entry)
    }

    fn put_for(&self, entry: Entry, lasts: Duration) -> Future<'_, ()> {
        self.inner.put_for(entry, lasts)
    }

    fn delete(&self, keys: Vec<String>) -> Future<'_, ()> {
        self.inner.delete(keys)
    }

    fn compare_and_set<'a>(
        &'a self,
        key: &'a str,
        expected: Option<&'a [u8]>,
        new: Option<Bytes>,
    ) -> Future<'a, bool> {
        self.inner.compare_and_set(key, expected, new)
    }

    fn changes(&self, prefix: &str) -> watch::Receiver<u64> {
        self.inner.changes(prefix)
    }
}

/// Whether tests that need etcd were switched off. Without it a missing etcd is a failure, so that nobody
/// takes a skipped suite for a passed one.
pub(crate) fn without_etcd() -> bool {
    let skipped = runtime::settings::env("GATEHOUSE_SKIP_ETCD").is_some();
    if skipped {
        tracing::warn!("etcd tests skipped: GATEHOUSE_SKIP_ETCD is set");
    }
    skipped
}

/// A real etcd on free loopback ports, ended when dropped.
pub(crate) struct EtcdProcess {
    child: Child,
    dir: TempDir,
    pub(crate) client: SocketAddr,
    peer: SocketAddr,
}

impl EtcdProcess {
    /// Starts one and waits until it answers.
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (client, peer) = (free_address(), free_address());
        let process = Self {
            child: spawn(&dir, client, peer),
            dir,
            client,
            peer,
        };
        process.answers().await;
        process
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same data and waits until it answers.
    pub(crate) async fn restart(&mut self) {
        self.child = spawn(&self.dir, self.client, self.peer);
        self.answers().await;
    }

    /// A store of its own connections.
    pub(crate) async fn store(&self, drain: &Drain) -> Arc<dyn Store> {
        store_at(&[self.client], drain).await
    }

    /// A client without our store around it.
    pub(crate) async fn raw(&self) -> etcd_client::Client {
        etcd_client::Client::connect([self.client.to_string()], None)
            .await
            .unwrap()
    }

    /// Each call waits for seconds by itself, so this needs no pause of its own.
    async fn answers(&self) {
        let drain = Drain::new();
        let store = self.store(&drain).await;
        let answering = async { while store.put(Entry::new("up", "1")).await.is_err() {} };
        tokio::time::timeout(SOON, answering)
            .await
            .expect("etcd did not start");
        drain.start();
    }
}

impl Drop for EtcdProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A store over these members.
pub(crate) async fn store_at(members: &[SocketAddr], drain: &Drain) -> Arc<dyn Store> {
    let endpoints = members.iter().map(ToString::to_string).collect();
    let options = Options {
        endpoints,
        ..Options::default()
    };
    Arc::new(Etcd::connect(&options, drain).await.unwrap())
}

/// An address that nothing listens on.
pub(crate) fn free_address() -> SocketAddr {
    StdListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

fn spawn(dir: &TempDir, client: SocketAddr, peer: SocketAddr) -> Child {
    let (client, peer) = (format!("http://{client}"), format!("http://{peer}"));
    Command::new("etcd")
        .args(["--name", "s1", "--logger", "zap", "--log-level", "error"])
        .arg("--data-dir")
        .arg(dir.path().join("etcd"))
        .args([
            "--listen-client-urls",
            &client,
            "--advertise-client-urls",
            &client,
        ])
        .args([
            "--listen-peer-urls",
            &peer,
            "--initial-advertise-peer-urls",
            &peer,
        ])
        .args(["--initial-cluster", &format!("s1={peer}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("etcd is needed on PATH (apt-get install etcd-server), or set GATEHOUSE_SKIP_ETCD")
}

/// A TCP relay that can be cut.
pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    to: SocketAddr,
    relay: Option<JoinHandle<()>>,
}

impl Gate {
    /// An open one.
    pub(crate) async fn open_to(to: SocketAddr) -> Self {
        let mut gate = Self {
            address: free_address(),
            to,
            relay: None,
        };
        gate.open().await;
        gate
    }

    /// Drops all connections and takes no more.
    pub(crate) async fn cut(&mut self) {
        let relay = self.relay.take().unwrap();
        relay.abort();
        let _ = relay.await;
    }

    /// Takes connections again.
    pub(crate) async fn open(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.relay = Some(tokio::spawn(relay(listener, self.to)));
    }
}

/// Ends with all its connections when aborted, as they belong to its set.
async fn relay(listener: TcpListener, to: SocketAddr) {
    let mut connections = JoinSet::new();
    loop {
        let (mut near, _) = listener.accept().await.unwrap();
        connections.spawn(async move {
            if let Ok(mut far) = TcpStream::connect(to).await {
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            }
        });
    }
}
