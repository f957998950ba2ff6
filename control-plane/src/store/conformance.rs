//! What every store must do: one suite, run for the embedded one and for a real etcd.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use model::snapshot::Sha256;
use runtime::drain::Drain;
use tokio::time::timeout;

use super::fixture::{self, EtcdProcess, SOON};
use super::{Entry, Error, Flip, Head, Store, VALUE_BYTES_MAX, key};

/// Two handles on one store, as two replicas (or two tasks) have them.
struct Pair {
    a: Arc<dyn Store>,
    b: Arc<dyn Store>,
}

/// Runs every case on an empty store.
async fn suite(pair: Pair) {
    macro_rules! cases {
        ($($case:ident),* $(,)?) => {$(
            wipe(&*pair.a).await;
            $case(&pair).await;
        )*};
    }
    cases!(
        a_new_store_has_no_head,
        a_flip_needs_the_head_that_it_expects,
        a_lost_flip_writes_nothing,
        staging_twice_is_staging_once,
        staging_over_another_value_is_refused,
        a_large_change_is_staged_whole_and_flipped_in_one,
        of_many_flips_exactly_one_wins,
        of_many_takers_of_one_key_exactly_one_gets_it,
        compared_values_are_set_and_removed,
        big_values_come_back_and_bigger_ones_are_refused,
        ten_thousand_keys_are_listed_in_order,
        a_list_keeps_to_its_prefix,
        each_handle_hears_of_the_others_changes,
        what_is_written_for_a_time_ends_unless_it_is_written_again,
    );
}

#[tokio::test]
async fn the_embedded_store_conforms() {
    let (store, _dir) = fixture::embedded();
    suite(Pair {
        a: store.clone(),
        b: store,
    })
    .await;
}

#[tokio::test]
async fn etcd_conforms() {
    if fixture::without_etcd() {
        return;
    }
    let etcd = EtcdProcess::start().await;
    let drain = Drain::new();
    suite(Pair {
        a: etcd.store(&drain).await,
        b: etcd.store(&drain).await,
    })
    .await;
}

async fn wipe(store: &dyn Store) {
    store
        .delete(store.keys(key::ALL).await.unwrap())
        .await
        .unwrap();
}

fn head(revision: u64, change: &str) -> Head {
    Head::new(revision, Sha256::of(change.as_bytes()), change)
}

async fn a_new_store_has_no_head(pair: &Pair) {
    assert_eq!(pair.a.head().await.unwrap(), None);
    assert_eq!(pair.a.get(key::CA).await.unwrap(), None);
    assert_eq!(pair.a.list(key::ALL).await.unwrap(), []);
}

async fn a_flip_needs_the_head_that_it_expects(pair: &Pair) {
    let (one, two) = (head(1, "one"), head(2, "two"));
    assert_eq!(
        pair.a.flip(None, &one, vec![]).await.unwrap(),
        Flip::Flipped
    );
    assert_eq!(pair.b.head().await.unwrap(), Some(one.clone()));
    assert_eq!(pair.b.flip(None, &two, vec![]).await.unwrap(), Flip::Lost);
    assert_eq!(
        pair.b
            .flip(Some(&head(1, "other")), &two, vec![])
            .await
            .unwrap(),
        Flip::Lost
    );
    assert_eq!(
        pair.b.flip(Some(&one), &two, vec![]).await.unwrap(),
        Flip::Flipped
    );
    assert_eq!(pair.a.head().await.unwrap(), Some(two));
}

async fn a_lost_flip_writes_nothing(pair: &Pair) {
    pair.a.flip(None, &head(1, "one"), vec![]).await.unwrap();
    let also = vec![Entry::new(key::log(2), "log")];
    assert_eq!(
        pair.b.flip(None, &head(2, "two"), also).await.unwrap(),
        Flip::Lost
    );
    assert_eq!(pair.a.get(&key::log(2)).await.unwrap(), None);
    assert_eq!(pair.a.head().await.unwrap(), Some(head(1, "one")));
}

async fn staging_twice_is_staging_once(pair: &Pair) {
    let entries = || vec![Entry::new(key::change_chunk("c", 0), "x")];
    pair.a.stage(entries()).await.unwrap();
    pair.b.stage(entries()).await.unwrap();
    assert_eq!(pair.a.list(&key::change("c")).await.unwrap(), entries());
}

async fn staging_over_another_value_is_refused(pair: &Pair) {
    let chunk = key::change_chunk("c", 0);
    pair.a
        .stage(vec![Entry::new(chunk.clone(), "x")])
        .await
        .unwrap();
    let again = pair.b.stage(vec![Entry::new(chunk.clone(), "y")]).await;
    assert!(matches!(again, Err(Error::Taken(_))), "{again:?}");
    assert_eq!(pair.a.get(&chunk).await.unwrap().unwrap(), "x");
}

async fn a_large_change_is_staged_whole_and_flipped_in_one(pair: &Pair) {
    let chunks: Vec<Entry> = (0..350)
        .map(|n| {
            Entry::new(
                key::change_chunk("big", n),
                vec![u8::try_from(n % 251).unwrap(); 9000],
            )
        })
        .collect();
    pair.a.stage(chunks.clone()).await.unwrap();
    assert_eq!(
        pair.b.head().await.unwrap(),
        None,
        "staging alone brings nothing into force"
    );
    let also = vec![Entry::new(key::log(1), "log")];
    assert_eq!(
        pair.a.flip(None, &head(1, "big"), also).await.unwrap(),
        Flip::Flipped
    );
    assert_eq!(pair.b.get(&key::log(1)).await.unwrap().unwrap(), "log");
    assert_eq!(pair.b.list(&key::change("big")).await.unwrap(), chunks);
}

async fn of_many_flips_exactly_one_wins(pair: &Pair) {
    let base = head(1, "base");
    pair.a.flip(None, &base, vec![]).await.unwrap();
    let heads: Vec<Head> = (0..16).map(|n| head(2, &format!("change {n}"))).collect();
    let flips = heads.iter().enumerate().map(|(n, new)| {
        let store = if n % 2 == 0 { &pair.a } else { &pair.b };
        let also = vec![Entry::new(key::log(2), new.change.clone())];
        store.flip(Some(&base), new, also)
    });
    let outcomes: Vec<Flip> = join_all(flips)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let winners: Vec<usize> = (0..16).filter(|n| outcomes[*n] == Flip::Flipped).collect();
    assert_eq!(winners.len(), 1, "{outcomes:?}");
    let winner = &heads[winners[0]];
    assert_eq!(pair.b.head().await.unwrap().as_ref(), Some(winner));
    assert_eq!(
        pair.a.get(&key::log(2)).await.unwrap().unwrap(),
        winner.change.as_bytes()
    );
}

async fn of_many_takers_of_one_key_exactly_one_gets_it(pair: &Pair) {
    let token = format!("{}t", key::JOIN_TOKENS);
    pair.a.put(Entry::new(token.clone(), "v")).await.unwrap();
    let takers = (0..8).map(|n| {
        let store = if n % 2 == 0 { &pair.a } else { &pair.b };
        store.compare_and_set(&token, Some(b"v"), None)
    });
    let taken = join_all(takers)
        .await
        .into_iter()
        .filter(|t| *t.as_ref().unwrap())
        .count();
    assert_eq!(taken, 1);
}

async fn compared_values_are_set_and_removed(pair: &Pair) {
    let set = |expected: Option<&'static [u8]>, new: Option<&'static str>| {
        pair.a
            .compare_and_set(key::CA, expected, new.map(Bytes::from))
    };
    assert!(
        !set(Some(b"x"), Some("y")).await.unwrap(),
        "it is not there"
    );
    assert!(set(None, Some("one")).await.unwrap());
    assert!(!set(None, Some("two")).await.unwrap(), "it is there");
    assert!(set(Some(b"one"), Some("two")).await.unwrap());
    assert_eq!(pair.b.get(key::CA).await.unwrap().unwrap(), "two");
    assert!(!set(Some(b"one"), None).await.unwrap(), "it is another");
    assert!(set(Some(b"two"), None).await.unwrap());
    assert_eq!(pair.b.get(key::CA).await.unwrap(), None);
}

async fn big_values_come_back_and_bigger_ones_are_refused(pair: &Pair) {
    let big: Vec<u8> = (0..VALUE_BYTES_MAX)
        .map(|n| u8::try_from(n % 253).unwrap())
        .collect();
    let names: Vec<String> = (0..6).map(|n| key::change_chunk("huge", n)).collect();
    let entries = names
        .iter()
        .map(|name| Entry::new(name.clone(), big.clone()))
        .collect();
    pair.a.stage(entries).await.unwrap();
    let found = pair.b.list(&key::change("huge")).await.unwrap();
    assert_eq!(found.len(), 6);
    assert!(found.iter().all(|e| e.value == big));
    let over = Entry::new(key::CA, vec![0; VALUE_BYTES_MAX + 1]);
    assert!(matches!(pair.a.put(over).await, Err(Error::TooBig { .. })));
}

async fn ten_thousand_keys_are_listed_in_order(pair: &Pair) {
    let entries: Vec<Entry> = (0..10_000u64)
        .map(|n| Entry::new(key::log(n), n.to_string()))
        .collect();
    pair.a.stage(entries.clone()).await.unwrap();
    assert!(pair.b.list(key::LOGS).await.unwrap() == entries);
    let keys: Vec<String> = entries.into_iter().map(|e| e.key).collect();
    assert!(pair.b.keys(key::LOGS).await.unwrap() == keys);
}

async fn a_list_keeps_to_its_prefix(pair: &Pair) {
    for name in [
        "/gatehouse/v1/a",
        "/gatehouse/v1/a/1",
        "/gatehouse/v1/a/2",
        "/gatehouse/v1/a0",
    ] {
        pair.a.put(Entry::new(name, "x")).await.unwrap();
    }
    let found = pair.b.keys("/gatehouse/v1/a/").await.unwrap();
    assert_eq!(found, ["/gatehouse/v1/a/1", "/gatehouse/v1/a/2"]);
}

async fn what_is_written_for_a_time_ends_unless_it_is_written_again(pair: &Pair) {
    let entry = |name: &str| Entry::new(format!("{}{name}", key::REPLICAS), "here");
    let (short, long) = (Duration::from_secs(1), Duration::from_secs(60));
    for name in ["goes", "stays"] {
        pair.a.put_for(entry(name), short).await.unwrap();
    }
    pair.a.put_for(entry("stays"), long).await.unwrap();
    assert_eq!(pair.b.list(key::REPLICAS).await.unwrap().len(), 2);
    let ended = async {
        while pair.b.list(key::REPLICAS).await.unwrap() != [entry("stays")] {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(SOON, ended).await.unwrap();
}

async fn each_handle_hears_of_the_others_changes(pair: &Pair) {
    let mut heads = pair.b.changes(key::HEAD);
    let mut endpoints = pair.b.changes(key::ENDPOINTS);
    heads.mark_unchanged();
    endpoints.mark_unchanged();
    pair.a.flip(None, &head(1, "one"), vec![]).await.unwrap();
    timeout(SOON, heads.changed())
        .await
        .expect("the head's change was not heard of")
        .unwrap();

    let endpoint = format!("{}n", key::ENDPOINTS);
    pair.a.put(Entry::new(endpoint.clone(), "x")).await.unwrap();
    timeout(SOON, endpoints.changed())
        .await
        .expect("a put was not heard of")
        .unwrap();
    endpoints.mark_unchanged();
    pair.a.delete(vec![endpoint]).await.unwrap();
    timeout(SOON, endpoints.changed())
        .await
        .expect("a delete was not heard of")
        .unwrap();
}
