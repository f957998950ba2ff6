#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use model::name::ServerName;
use model::snapshot::ResourceKey;
use model::wire::{ACCESS_RULE, SERVER, TOOL_PINS};
use proto::v1 as pb;
use runtime::drain::Drain;

use super::{Asked, Page};
use crate::catalog::fixture::{self, over, rule, sealer, server};
use crate::catalog::tests::{apply, key_of};
use crate::catalog::{
    Bounds, Catalog, EDITS_MAX, Edit, Error, Options, Outcome, State, Stored, keep,
};
use crate::store::{fixture as stores, key};

fn shown(catalog: &Catalog) -> Vec<(ResourceKey, String)> {
    let state = catalog.state();
    let title = |stored: &Stored| format!("{:?}", stored.resource.spec);
    state
        .visible()
        .map(|(key, stored)| (key.clone(), title(stored)))
        .collect()
}

async fn roll_back(catalog: &Catalog, revision: u64) -> Outcome {
    catalog
        .rollback("ana", revision, Options::default())
        .await
        .unwrap()
}

fn secret(value: &str) -> pb::Resource {
    let spec = pb::SecretSpec {
        value: value.to_owned(),
        sealed: Vec::new(),
    };
    pb::Resource {
        metadata: Some(pb::Metadata {
            name: "token".to_owned(),
            ..Default::default()
        }),
        spec: Some(pb::resource::Spec::Secret(spec)),
    }
}

#[tokio::test]
async fn a_rollback_is_a_new_revision_with_exactly_what_was_and_can_be_rolled_back_itself() {
    let (catalog, _dir) = fixture::catalog().await;
    crate::keys::ensure_ring(&catalog).await.unwrap();
    apply(
        &catalog,
        vec![server("a", "A"), rule("r", &["a"]), secret("old")],
    )
    .await;
    let (first, was) = (catalog.state().revision(), shown(&catalog));
    apply(&catalog, vec![server("a", "Aa"), secret("new")]).await;
    let both = vec![key_of(ACCESS_RULE, "r"), key_of("Secret", "token")];
    let deleted = catalog.delete("test", both, Options::default()).await;
    deleted.unwrap();
    apply(&catalog, vec![server("b", "B")]).await;
    let (last, now) = (catalog.state().revision(), shown(&catalog));

    let dry = Options {
        dry_run: true,
        ..Options::default()
    };
    let looked = catalog.rollback("ana", first, dry).await.unwrap();
    assert_eq!((looked.revision, looked.changes.len()), (last, 4));
    assert_eq!(shown(&catalog), now, "a dry run changes nothing");

    let back = roll_back(&catalog, first).await;
    assert_eq!((back.revision, shown(&catalog)), (last + 1, was.clone()));
    let token = catalog.state();
    let token = token.get(&key_of("Secret", "token")).unwrap();
    let holds = |bytes: &[u8]| bytes.windows(3).any(|w| w == b"old");
    assert!(
        holds(&token.encoded) && !holds(&token.sealed),
        "it is sealed"
    );

    assert_eq!(roll_back(&catalog, last).await.revision, last + 2);
    assert_eq!(shown(&catalog), now);
    roll_back(&catalog, last + 1).await;
    assert_eq!(shown(&catalog), was);
    let same = roll_back(&catalog, first).await;
    assert!(same.changes.is_empty() && same.revision == last + 3);
}

#[tokio::test]
async fn a_rollback_brings_no_revoked_key_back_and_takes_none_away() {
    let (catalog, _dir) = fixture::catalog().await;
    crate::keys::ensure_ring(&catalog).await.unwrap();
    let ring = catalog.state().snapshot().key_ring.clone();
    let request = pb::CreateKeyRequest {
        user: "ana@example.com".to_owned(),
        ..Default::default()
    };
    let revoked = crate::keys::create(&catalog, "admin", &request).await;
    let revoked = revoked.unwrap();
    apply(&catalog, vec![server("a", "A")]).await;
    let before = catalog.state().revision();
    crate::keys::revoke(&catalog, "admin", &revoked.id)
        .await
        .unwrap();
    let later = crate::keys::create(&catalog, "admin", &request).await;
    let later = later.unwrap();
    apply(&catalog, vec![server("a", "Aa")]).await;
    roll_back(&catalog, before).await;
    let state = catalog.state();
    let keys: Vec<&String> = state.snapshot().api_keys.keys().collect();
    assert_eq!(keys, [&later.id]);
    assert_eq!(state.snapshot().key_ring, ring);
    let name = ServerName::new("a").unwrap();
    assert_eq!(state.snapshot().servers[&name].title, "A");
}

#[tokio::test]
async fn history_tells_each_revision_and_what_one_resource_went_through() {
    let (catalog, _dir) = fixture::catalog().await;
    apply(&catalog, vec![server("a", "1"), server("b", "1")]).await;
    apply(&catalog, vec![server("a", "2")]).await;
    apply(&catalog, vec![server("b", "2")]).await;
    let gone = vec![key_of(SERVER, "b")];
    catalog
        .delete("ben", gone, Options::default())
        .await
        .unwrap();
    roll_back(&catalog, 3).await;

    let all = catalog.history(&Asked::default()).await.unwrap();
    let told: Vec<(u64, &str, u64)> = all
        .entries
        .iter()
        .map(|e| (e.revision, e.author.as_str(), e.rolled_back_to))
        .collect();
    let expected = [(5, "ana", 3), (4, "ben", 0), (3, "test", 0), (2, "test", 0)];
    assert_eq!(told, [&expected[..], &[(1, "test", 0)]].concat());
    assert_eq!((all.next, all.revision), (0, 5));

    let of_b = |limit, before| Asked {
        key: Some(key_of(SERVER, "b")),
        limit,
        before,
    };
    let told = |page: &Page| -> Vec<(u64, String, usize)> {
        let tell = |e: &pb::HistoryEntry| {
            let change = &e.changes[0];
            (e.revision, change.action.clone(), change.fields.len())
        };
        page.entries.iter().map(tell).collect()
    };
    let one = |revision, action: &str, fields| (revision, action.to_owned(), fields);
    let whole = catalog.history(&of_b(0, 0)).await.unwrap();
    let expected = [
        one(5, "created", 0),
        one(4, "deleted", 0),
        one(3, "changed", 1),
        one(1, "created", 0),
    ];
    assert_eq!(told(&whole), expected);
    // Page by page it is the same.
    let (mut paged, mut before) = (Vec::new(), 0);
    loop {
        let page = catalog.history(&of_b(1, before)).await.unwrap();
        paged.extend(told(&page));
        before = page.next;
        if before == 0 {
            break;
        }
    }
    assert_eq!(paged, expected);
}

#[tokio::test]
async fn what_bounds_cut_off_is_named_and_all_since_can_be_gone_back_to() {
    let (store, _dir) = stores::embedded();
    let catalog = over(store.clone()).await;
    let title = |n: u64| vec![server(&format!("s{}", n % 7), &n.to_string())];
    for n in 1..=keep::CHECKPOINT_EVERY {
        apply(&catalog, title(n)).await;
    }
    let bounds = Bounds {
        revisions_max: 10,
        ..Bounds::default()
    };
    let keep = async |bounds| {
        keep::keep(&*store, &sealer(), &catalog.state(), bounds)
            .await
            .unwrap();
    };
    keep(bounds).await;
    for n in 1..=keep::CHECKPOINT_EVERY {
        apply(&catalog, title(n + 1000)).await;
    }
    keep(bounds).await;
    let head = catalog.state().revision();
    let oldest = head - 9;
    let logs = store.keys(key::LOGS).await.unwrap();
    assert_eq!(
        (logs.len(), key::revision_of_log(&logs[0])),
        (10, Some(oldest))
    );
    let too_far = catalog
        .rollback("ana", oldest - 1, Options::default())
        .await;
    assert!(
        matches!(too_far, Err(Error::NotKept { oldest: o, head: h, .. }) if (o, h) == (oldest, head)),
        "{too_far:?}"
    );
    roll_back(&catalog, oldest).await;
    let state = catalog.state();
    let last = (0..7).map(|s| {
        let name = ServerName::new(&format!("s{s}")).unwrap();
        state.snapshot().servers[&name]
            .title
            .parse::<u64>()
            .unwrap()
    });
    let newest = last.max().unwrap() - 1000 + keep::CHECKPOINT_EVERY;
    assert_eq!(newest, oldest, "exactly what was the newest then");
    // By bytes: one log is always smaller than two.
    for n in 1..=keep::CHECKPOINT_EVERY {
        apply(&catalog, title(n + 2000)).await;
    }
    let bytes_max = 1;
    keep(Bounds {
        bytes_max,
        ..bounds
    })
    .await;
    assert_eq!(store.keys(key::LOGS).await.unwrap().len(), 1);
    assert_eq!(over(store).await.state().sha256(), catalog.state().sha256());
}

#[tokio::test]
async fn on_etcd_one_replica_rolls_back_what_another_did_also_to_where_history_begins() {
    if stores::without_etcd() {
        return;
    }
    let etcd = stores::EtcdProcess::start().await;
    let drain = Drain::new();
    let store = etcd.store(&drain).await;
    let (a, b) = (
        over(store.clone()).await,
        over(etcd.store(&drain).await).await,
    );
    for n in 1..=keep::CHECKPOINT_EVERY {
        apply(&a, vec![server("a", &n.to_string())]).await;
    }
    let bounds = Bounds {
        revisions_max: 3,
        ..Bounds::default()
    };
    keep::keep(&*store, &sealer(), &a.state(), bounds)
        .await
        .unwrap();
    apply(&a, vec![server("a", "last"), server("b", "B")]).await;
    let oldest = keep::CHECKPOINT_EVERY - 2;
    let too_far = b.rollback("ana", oldest - 1, Options::default()).await;
    assert!(matches!(too_far, Err(Error::NotKept { oldest: o, .. }) if o == oldest));
    roll_back(&b, oldest).await;
    let title = |catalog: &Catalog| {
        let name = ServerName::new("a").unwrap();
        let state = catalog.state();
        let servers = &state.snapshot().servers;
        (servers[&name].title.clone(), servers.len())
    };
    assert_eq!(title(&b), (oldest.to_string(), 1));
    let told = a.history(&Asked::default()).await.unwrap();
    assert_eq!(
        told.entries[0].rolled_back_to, oldest,
        "the other one knows"
    );
    assert_eq!(told.entries.len(), 5);
    drain.start();
}

#[tokio::test]
async fn with_a_server_comes_back_what_was_approved_of_its_tools() {
    let (catalog, _dir) = fixture::catalog().await;
    apply(&catalog, vec![server("a", "A")]).await;
    let tool = pb::ToolPin {
        tool: "echo".to_owned(),
        era: "modern".to_owned(),
        sha256: vec![1; 32],
        ..Default::default()
    };
    let spec = pb::ToolPinsSpec {
        tools: vec![tool],
        ..Default::default()
    };
    let pins = pb::Resource {
        metadata: Some(pb::Metadata {
            name: "a".to_owned(),
            ..Default::default()
        }),
        spec: Some(pb::resource::Spec::ToolPins(spec)),
    };
    let put = |_: &State| Ok(vec![Edit::put(pins.clone())]);
    let changed = catalog.change("control-plane", Options::default(), put);
    changed.await.unwrap();
    let (with, place) = (catalog.state().revision(), key_of(TOOL_PINS, "a"));
    let deleted = catalog.delete("test", vec![key_of(SERVER, "a")], Options::default());
    deleted.await.unwrap();
    assert!(catalog.state().get(&place).is_none());
    roll_back(&catalog, with).await;
    let state = catalog.state();
    let back = state.get(&place).expect("they are back");
    assert_eq!(back.resource.spec, pins.spec);
}

#[tokio::test]
async fn what_several_changes_put_is_taken_back_by_one_however_many_they_are() {
    let (catalog, _dir) = fixture::catalog().await;
    apply(&catalog, vec![server("a", "A")]).await;
    let half = EDITS_MAX / 2 + 1;
    let rules = |from: usize, count: usize| {
        let one = |n| rule(&format!("r-{n}"), &["a"]);
        (from..from + count).map(one).collect::<Vec<_>>()
    };
    let too_many = catalog
        .apply("test", rules(0, EDITS_MAX + 1), Options::default())
        .await;
    assert!(matches!(too_many, Err(Error::Refused(_))), "{too_many:?}");
    apply(&catalog, rules(0, half)).await;
    apply(&catalog, rules(half, half)).await;
    let done = roll_back(&catalog, 1).await;
    assert_eq!((done.revision, done.changes.len()), (4, 2 * half));
    assert_eq!(catalog.state().visible().count(), 1);
}
