//! Where every sidecar is: the table that edges route by.
//!
//! ```text
//! sidecar connects    -> put side/endpoint/NODE
//! it disconnects      -> marked as left; its address stays for LINGER, for it is most often back at once
//! anything under side/endpoint/ changes (this replica or another) -> read all -> watchers
//! ```
//!
//! The table is in the store, so that edges keep their routes when the control plane starts anew, and so that
//! each replica knows the sidecars of the others. A sidecar that was there before this start and does not come
//! back is dropped after [`LINGER`]; if it is connected to another replica, that one puts it back at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::name::ServerName;
use parking_lot::Mutex;
use proto::v1 as pb;
use runtime::drain::Drain;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::clock;
use crate::store::{Entry, Error, Store, key};
use runtime::backoff::Backoff;

/// How long an address is kept after its sidecar went.
pub(crate) const LINGER: Duration = Duration::from_secs(60);
/// Longest address.
const ADDRESS_BYTES_MAX: usize = 260;
/// First and longest pause while the store is away.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// One sidecar, as it lies in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    server: ServerName,
    address: String,
    /// When its stream ended, Unix milliseconds. `None`: it is connected, or its control plane died.
    left_unix_ms: Option<i64>,
    /// Names this writing, and sorts by time: a version 7 UUID.
    written: String,
}

/// A sidecar whose stream ends, or ended, here.
#[derive(Debug)]
struct Ours {
    place: Place,
    /// Which of its streams: the end of an old one says nothing of a new one.
    stream: u64,
}

/// The table of addresses.
#[derive(Debug)]
pub(crate) struct Endpoints {
    store: Arc<dyn Store>,
    /// What was written before this was so before this process began.
    started: String,
    started_unix_ms: i64,
    /// Sidecars whose streams end here, and those that left here; until they are dropped. Locked for one
    /// change. At most as many as `nodes` knows.
    ours: Mutex<BTreeMap<String, Ours>>,
    /// Bumped when `ours` has changed; received by [`Self::follow`].
    dirty: watch::Sender<u64>,
    /// The whole table. Sent by [`Self::follow`] only; received by the streams of edges.
    table: watch::Sender<Arc<Vec<pb::Endpoint>>>,
}

impl Endpoints {
    /// Over a store. What it holds is read at once: an edge that connects must never be told that there is
    /// nobody only because nobody looked yet.
    ///
    /// # Errors
    /// What the store may say.
    pub(crate) async fn open(store: Arc<dyn Store>) -> Result<Arc<Self>, Error> {
        let endpoints = Self {
            store,
            started: stamp(),
            started_unix_ms: clock::now_ms(),
            ours: Mutex::default(),
            dirty: watch::Sender::new(0),
            table: watch::Sender::new(Arc::default()),
        };
        endpoints.reconcile(clock::now_ms()).await?;
        Ok(Arc::new(endpoints))
    }

    /// A sidecar is connected, by its stream of this number, and can be reached at `address`.
    pub(crate) fn arrived(&self, node: &str, stream: u64, server: &ServerName, address: &str) {
        let place = Place {
            server: server.clone(),
            address: address.to_owned(),
            left_unix_ms: None,
            written: stamp(),
        };
        self.ours
            .lock()
            .insert(node.to_owned(), Ours { place, stream });
        self.dirty.send_modify(|n| *n += 1);
    }

    /// A sidecar's stream has ended.
    pub(crate) fn left(&self, node: &str, stream: u64) {
        if let Some(ours) = self
            .ours
            .lock()
            .get_mut(node)
            .filter(|ours| ours.stream == stream)
        {
            ours.place.left_unix_ms = Some(clock::now_ms());
        }
        self.dirty.send_modify(|n| *n += 1);
    }

    /// The whole table, and every one after it.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Vec<pb::Endpoint>>> {
        self.table.subscribe()
    }

    /// Keeps store and table together until `drain` starts.
    pub(crate) async fn follow(self: Arc<Self>, drain: Drain) {
        tokio::select! {
            () = drain.signaled() => {}
            () = self.follow_for_ever() => {}
        }
    }

    async fn follow_for_ever(&self) {
        let mut bell = self.store.changes(key::ENDPOINTS);
        let mut dirty = self.dirty.subscribe();
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        loop {
            bell.mark_unchanged();
            dirty.mark_unchanged();
            let next = match self.reconcile(clock::now_ms()).await {
                Ok(next) => {
                    backoff.reset();
                    next
                }
                Err(error) => {
                    tracing::debug!(%error, "endpoints wait for the store");
                    Some(backoff.pause())
                }
            };
            let wait = async {
                match next {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = bell.changed() => {}
                _ = dirty.changed() => {}
                () = wait => {}
            }
        }
    }

    /// Brings the store to what we know, and the table to what the store holds. How long until the next
    /// address is to be dropped.
    async fn reconcile(&self, now: i64) -> Result<Option<Duration>, Error> {
        let mut places = self.read().await?;
        for (node, place) in self.unwritten(&places) {
            self.write(&node, &place).await?;
            places.insert(node, place);
        }
        let gone: Vec<String> = places
            .iter()
            .filter(|(_, place)| self.drop_at(place).is_some_and(|at| at <= now))
            .map(|(node, _)| node.clone())
            .collect();
        self.forget(&gone).await?;
        places.retain(|node, _| !gone.contains(node));
        self.show(&places);
        let next = places
            .values()
            .filter_map(|place| self.drop_at(place))
            .min();
        Ok(next.map(|at| Duration::from_millis(u64::try_from(at - now).unwrap_or(0))))
    }

    async fn read(&self) -> Result<BTreeMap<String, Place>, Error> {
        let mut places = BTreeMap::new();
        for entry in self.store.list(key::ENDPOINTS).await? {
            match serde_json::from_slice(&entry.value) {
                Ok(place) => {
                    places.insert(entry.key[key::ENDPOINTS.len()..].to_owned(), place);
                }
                Err(error) => tracing::warn!(key = entry.key, %error, "an endpoint cannot be read"),
            }
        }
        Ok(places)
    }

    /// What we know and the store does not; forgets what is no business of ours any more.
    fn unwritten(&self, places: &BTreeMap<String, Place>) -> Vec<(String, Place)> {
        let mut unwritten = Vec::new();
        self.ours.lock().retain(|node, Ours { place, .. }| {
            match (places.get(node), place.left_unix_ms) {
                // Dropped in the meantime, or gone over to another replica.
                (None, Some(_)) => false,
                (Some(there), Some(_)) if there.written != place.written => false,
                (Some(there), _) if *there == *place => true,
                // New; or dropped too early by a replica that took it for one of its dead predecessor's.
                (None, None) => {
                    place.written = stamp();
                    unwritten.push((node.clone(), place.clone()));
                    true
                }
                (Some(_), _) => {
                    unwritten.push((node.clone(), place.clone()));
                    true
                }
            }
        });
        unwritten
    }

    /// When an address is to be dropped. `None`: its sidecar is connected.
    fn drop_at(&self, place: &Place) -> Option<i64> {
        let gone_since = match place.left_unix_ms {
            Some(left) => left,
            // Written before we began: by a control plane that died, or by another replica, which will put
            // it back with a new stamp.
            None if place.written < self.started => self.started_unix_ms,
            None => return None,
        };
        Some(gone_since + clock::ms(LINGER))
    }

    async fn write(&self, node: &str, place: &Place) -> Result<(), Error> {
        let value =
            serde_json::to_vec(place).expect("a struct of texts and numbers is always JSON");
        self.store
            .put(Entry::new(format!("{}{node}", key::ENDPOINTS), value))
            .await
    }

    async fn forget(&self, gone: &[String]) -> Result<(), Error> {
        if gone.is_empty() {
            return Ok(());
        }
        let keys = gone
            .iter()
            .map(|node| format!("{}{node}", key::ENDPOINTS))
            .collect();
        self.store.delete(keys).await?;
        self.ours
            .lock()
            .retain(|node, o| o.place.left_unix_ms.is_none() || !gone.contains(node));
        Ok(())
    }

    fn show(&self, places: &BTreeMap<String, Place>) {
        let table: Vec<pb::Endpoint> = places
            .iter()
            .map(|(node, place)| pb::Endpoint {
                server: place.server.to_string(),
                node: node.clone(),
                address: place.address.clone(),
            })
            .collect();
        self.table.send_if_modified(|shown| {
            let differs = **shown != table;
            if differs {
                *shown = Arc::new(table);
            }
            differs
        });
    }
}

fn stamp() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

/// Whether edges could reach somebody there: `host:port`.
pub(crate) fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let host_is_good = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-_[]:".contains(&b));
    text.len() <= ADDRESS_BYTES_MAX && host_is_good && port.parse::<u16>().is_ok_and(|p| p != 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::store::fixture;

    fn server() -> ServerName {
        ServerName::new("everything").unwrap()
    }

    async fn open(store: Arc<dyn Store>) -> Arc<Endpoints> {
        Endpoints::open(store).await.unwrap()
    }

    fn addresses(endpoints: &Endpoints) -> Vec<String> {
        endpoints
            .table
            .borrow()
            .iter()
            .map(|e| e.address.clone())
            .collect()
    }

    #[tokio::test]
    async fn an_address_lingers_after_its_sidecar_and_is_then_dropped() {
        let (store, _dir) = fixture::embedded();
        let endpoints = open(store.clone()).await;
        endpoints.arrived("n1", 1, &server(), "127.0.0.1:1");
        assert_eq!(endpoints.reconcile(clock::now_ms()).await.unwrap(), None);
        assert_eq!(addresses(&endpoints), ["127.0.0.1:1"]);

        endpoints.left("n1", 1);
        let next = endpoints.reconcile(clock::now_ms()).await.unwrap().unwrap();
        assert!(next <= LINGER && next > LINGER / 2, "{next:?}");
        assert_eq!(
            addresses(&endpoints),
            ["127.0.0.1:1"],
            "it may be back at once"
        );

        let later = clock::now_ms() + clock::ms(LINGER) + 1;
        assert_eq!(endpoints.reconcile(later).await.unwrap(), None);
        assert!(addresses(&endpoints).is_empty());
        assert!(store.keys(key::ENDPOINTS).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn addresses_outlive_a_start_of_the_control_plane_and_are_dropped_if_nobody_comes() {
        let (store, _dir) = fixture::embedded();
        let before = open(store.clone()).await;
        for node in ["back", "gone"] {
            before.arrived(node, 1, &server(), &format!("{node}:1"));
        }
        before.reconcile(clock::now_ms()).await.unwrap();

        // The process died here: nobody marked anything as left.
        let after = open(store).await;
        assert_eq!(addresses(&after), ["back:1", "gone:1"]);
        after.arrived("back", 1, &server(), "back:2");
        let later = clock::now_ms() + clock::ms(LINGER) + 1;
        after.reconcile(later).await.unwrap();
        assert_eq!(addresses(&after), ["back:2"]);
    }

    #[tokio::test]
    async fn a_replica_puts_back_what_another_dropped_too_early() {
        let (store, _dir) = fixture::embedded();
        let first = open(store.clone()).await;
        first.arrived("n1", 1, &server(), "127.0.0.1:1");
        first.reconcile(clock::now_ms()).await.unwrap();
        let second = open(store).await;
        let later = clock::now_ms() + clock::ms(LINGER) + 1;
        second.reconcile(later).await.unwrap();
        assert!(addresses(&second).is_empty());
        first.reconcile(later).await.unwrap();
        second.reconcile(later).await.unwrap();
        assert_eq!(
            addresses(&second),
            ["127.0.0.1:1"],
            "and it is not dropped again"
        );
    }

    #[tokio::test]
    async fn the_mark_of_an_old_stream_does_not_take_a_sidecar_from_its_new_replica() {
        let (store, _dir) = fixture::embedded();
        let (old, new) = (open(store.clone()).await, open(store).await);
        old.arrived("n1", 1, &server(), "old:1");
        old.reconcile(clock::now_ms()).await.unwrap();
        new.arrived("n1", 1, &server(), "new:1");
        new.reconcile(clock::now_ms()).await.unwrap();
        old.left("n1", 1);
        old.reconcile(clock::now_ms()).await.unwrap();
        assert_eq!(addresses(&old), ["new:1"]);
    }

    #[tokio::test]
    async fn the_end_of_an_old_stream_does_not_mark_the_new_one() {
        let (store, _dir) = fixture::embedded();
        let endpoints = open(store).await;
        endpoints.arrived("n1", 1, &server(), "127.0.0.1:1");
        endpoints.arrived("n1", 2, &server(), "127.0.0.1:2");
        endpoints.left("n1", 1);
        assert_eq!(endpoints.reconcile(clock::now_ms()).await.unwrap(), None);
        assert_eq!(addresses(&endpoints), ["127.0.0.1:2"]);
    }

    #[tokio::test]
    async fn edges_are_told_only_when_something_differs() {
        let (store, _dir) = fixture::embedded();
        let endpoints = open(store).await;
        let mut seen = endpoints.watch();
        seen.mark_unchanged();
        endpoints.reconcile(clock::now_ms()).await.unwrap();
        assert!(!seen.has_changed().unwrap());
        endpoints.arrived("n1", 1, &server(), "127.0.0.1:1");
        endpoints.reconcile(clock::now_ms()).await.unwrap();
        assert!(seen.has_changed().unwrap());
    }

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for good in ["127.0.0.1:7900", "[::1]:7900", "box.example.com:1"] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "",
            ":1",
            "host",
            "host:",
            "host:0",
            "host:99999",
            "a b:1",
            "http://h:1/x",
            "h\n:1",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
