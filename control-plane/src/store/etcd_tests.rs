//! What only etcd can do to us: die, come back, compact what we have not seen, lose a member.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use runtime::drain::Drain;
use tokio::sync::watch;
use tokio::time::timeout;

use super::fixture::{self, EtcdProcess, Gate, SOON};
use super::{Entry, Error, key};

fn endpoint(n: u32) -> String {
    format!("{}node-{n}", key::ENDPOINTS)
}

/// Waits until a bump follows on everything that came so far.
async fn heard(bell: &mut watch::Receiver<u64>) {
    timeout(SOON, bell.changed())
        .await
        .expect("the watch did not wake")
        .unwrap();
}

#[tokio::test]
async fn a_watch_outlives_an_etcd_that_was_killed() {
    if fixture::without_etcd() {
        return;
    }
    let mut etcd = EtcdProcess::start().await;
    let drain = Drain::new();
    let (a, b) = (etcd.store(&drain).await, etcd.store(&drain).await);
    let mut bell = b.changes(key::ENDPOINTS);
    a.put(Entry::new(endpoint(1), "before")).await.unwrap();
    heard(&mut bell).await;

    etcd.kill();
    bell.mark_unchanged();
    let begun = Instant::now();
    let write = a.put(Entry::new(endpoint(2), "meanwhile")).await;
    assert!(matches!(write, Err(Error::Away(_))), "{write:?}");
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "a write must fail fast: {:?}",
        begun.elapsed()
    );

    etcd.restart().await;
    // Rung once for having been away.
    heard(&mut bell).await;
    bell.mark_unchanged();
    a.put(Entry::new(endpoint(3), "after")).await.unwrap();
    heard(&mut bell).await;
    assert_eq!(
        b.keys(key::ENDPOINTS).await.unwrap(),
        [endpoint(1), endpoint(3)]
    );
}

#[tokio::test]
async fn deletes_that_were_compacted_while_we_were_cut_off_are_not_missed() {
    if fixture::without_etcd() {
        return;
    }
    let etcd = EtcdProcess::start().await;
    let drain = Drain::new();
    let mut gate = Gate::open_to(etcd.client).await;
    let far = fixture::store_at(&[gate.address], &drain).await;
    let near = etcd.store(&drain).await;
    let mut bell = far.changes(key::ENDPOINTS);
    near.put(Entry::new(endpoint(1), "x")).await.unwrap();
    heard(&mut bell).await;

    gate.cut().await;
    near.delete(vec![endpoint(1)]).await.unwrap();
    near.put(Entry::new(endpoint(2), "y")).await.unwrap();
    let mut raw = etcd.raw().await;
    let now = raw
        .get("any", None)
        .await
        .unwrap()
        .header()
        .unwrap()
        .revision();
    raw.compact(now, None).await.unwrap();
    bell.mark_unchanged();
    gate.open().await;

    heard(&mut bell).await;
    assert_eq!(far.keys(key::ENDPOINTS).await.unwrap(), [endpoint(2)]);
    bell.mark_unchanged();
    near.delete(vec![endpoint(2)]).await.unwrap();
    heard(&mut bell).await;
}

#[tokio::test]
async fn a_dead_member_is_passed_over() {
    if fixture::without_etcd() {
        return;
    }
    let etcd = EtcdProcess::start().await;
    let drain = Drain::new();
    let store = fixture::store_at(&[fixture::free_address(), etcd.client], &drain).await;
    let mut bell = store.changes(key::ENDPOINTS);
    for n in 0..20 {
        store.put(Entry::new(endpoint(n), "x")).await.unwrap();
    }
    heard(&mut bell).await;
    assert_eq!(store.keys(key::ENDPOINTS).await.unwrap().len(), 20);
}
