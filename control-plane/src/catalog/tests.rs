#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::fixture::{filter, over, rule, sealer, server};
use super::*;
use crate::store::fixture as stores;
use futures_util::future::join_all;
use model::fault::{DANGLING, DUPLICATE, UNKNOWN_KIND};
use model::name::ServerName;
use model::wire::{ACCESS_RULE, SERVER};

pub(super) fn key_of(kind: &str, name: &str) -> ResourceKey {
    ResourceKey::new(kind, name)
}

pub(super) async fn apply(catalog: &Catalog, resources: Vec<pb::Resource>) -> Outcome {
    catalog
        .apply("test", resources, Options::default())
        .await
        .unwrap()
}

fn actions(outcome: &Outcome) -> Vec<&str> {
    outcome.changes.iter().map(|c| c.action.as_str()).collect()
}

fn refused(result: Result<Outcome, Error>) -> Vec<Fault> {
    match result {
        Err(Error::Refused(faults)) => faults,
        other => panic!("{other:?} where a refusal was expected"),
    }
}

#[tokio::test]
async fn an_apply_is_one_revision_and_says_what_it_did() {
    let (catalog, _dir) = fixture::catalog().await;
    let first = apply(
        &catalog,
        vec![rule("all", &["a"]), server("a", "A"), server("b", "B")],
    )
    .await;
    assert_eq!((first.revision, actions(&first)), (1, vec!["created"; 3]));

    let same = apply(&catalog, vec![server("a", "A")]).await;
    assert_eq!((same.revision, actions(&same)), (1, vec!["unchanged"]));

    let second = apply(&catalog, vec![server("a", "Aa"), server("b", "B")]).await;
    assert_eq!(
        (second.revision, actions(&second)),
        (2, vec!["changed", "unchanged"])
    );
    let field = &second.changes[0].fields[0];
    assert_eq!(
        (
            field.path.as_str(),
            field.before.as_str(),
            field.after.as_str()
        ),
        ("spec.title", "A", "Aa")
    );

    let state = catalog.state();
    let metadata = |name| {
        state
            .get(&key_of(SERVER, name))
            .unwrap()
            .resource
            .metadata
            .clone()
            .unwrap()
    };
    assert_eq!((metadata("a").revision, metadata("b").revision), (2, 1));
    assert!(metadata("a").created <= metadata("a").changed && !metadata("a").created.is_empty());
    assert!(
        metadata("a")
            .features
            .contains(&"server.stdio/1".to_owned())
    );
}

#[tokio::test]
async fn what_a_caller_says_of_metadata_that_is_ours_counts_for_nothing() {
    let (catalog, _dir) = fixture::catalog().await;
    apply(&catalog, vec![server("a", "A")]).await;
    let mut again = server("a", "A");
    let metadata = again.metadata.as_mut().unwrap();
    metadata.revision = 77;
    metadata.features = vec!["none".to_owned()];
    assert_eq!(actions(&apply(&catalog, vec![again]).await), ["unchanged"]);
}

#[tokio::test]
async fn all_faults_come_at_once_and_nothing_takes_effect() {
    let (catalog, _dir) = fixture::catalog().await;
    let faulty = vec![
        server("good", "G"),
        server("Bad Name", "B"),
        rule("r", &["["]),
    ];
    let faults = refused(catalog.apply("test", faulty, Options::default()).await);
    let indexes: Vec<Option<usize>> = faults.iter().map(|f| f.index).collect();
    assert_eq!(indexes, [Some(1), Some(2)]);
    assert_eq!(catalog.state().revision(), 0);

    let twice = vec![server("a", "1"), server("a", "2")];
    let faults = refused(catalog.apply("test", twice, Options::default()).await);
    assert_eq!((faults[0].code, faults[0].index), (DUPLICATE, Some(1)));

    let dangling = vec![rule("r", &["nope"]), rule("s", &["neither"])];
    let faults = refused(catalog.apply("test", dangling, Options::default()).await);
    assert_eq!(faults.len(), 2);
    assert_eq!(
        (faults[1].code, faults[1].path.as_str()),
        (DANGLING, "spec.servers[0]")
    );
    assert_eq!(catalog.state().revision(), 0);
}

#[tokio::test]
async fn globs_that_match_nothing_yet_are_a_warning() {
    let (catalog, _dir) = fixture::catalog().await;
    let outcome = apply(&catalog, vec![rule("r", &["docs-*"])]).await;
    assert_eq!(outcome.warnings.len(), 1, "{:?}", outcome.warnings);
}

#[tokio::test]
async fn a_server_that_a_rule_names_stays_until_the_rule_is_gone() {
    let (catalog, _dir) = fixture::catalog().await;
    apply(&catalog, vec![server("a", "A"), rule("r", &["a"])]).await;
    let (server, rule) = (key_of(SERVER, "a"), key_of(ACCESS_RULE, "r"));
    let alone = catalog
        .delete("test", vec![server.clone()], Options::default())
        .await;
    let faults = refused(alone);
    assert_eq!(faults[0].resource, Some(rule.clone()));
    assert!(
        faults[0].message.contains("AccessRule r"),
        "{}",
        faults[0].message
    );
    let both = catalog
        .delete("test", vec![server, rule], Options::default())
        .await
        .unwrap();
    assert_eq!((both.revision, actions(&both)), (2, vec!["deleted"; 2]));
    assert!(catalog.state().resources().is_empty());
}

#[tokio::test]
async fn deleting_what_is_not_there_is_said() {
    let (catalog, _dir) = fixture::catalog().await;
    let gone = catalog
        .delete("test", vec![key_of(SERVER, "a")], Options::default())
        .await;
    assert!(matches!(gone, Err(Error::NotFound(key)) if key.name == "a"));
}

#[tokio::test]
async fn a_dry_run_checks_all_and_changes_nothing() {
    let (catalog, _dir) = fixture::catalog().await;
    let dry = Options {
        dry_run: true,
        ..Options::default()
    };
    let outcome = catalog
        .apply("test", vec![server("a", "A")], dry.clone())
        .await
        .unwrap();
    assert_eq!((outcome.revision, actions(&outcome)), (0, vec!["created"]));
    assert_eq!(catalog.state().revision(), 0);
    assert!(
        catalog.store.keys(key::ALL).await.unwrap().is_empty(),
        "nothing was staged"
    );
    refused(catalog.apply("test", vec![rule("r", &["nope"])], dry).await);
}

#[tokio::test]
async fn a_change_that_builds_on_another_revision_is_refused() {
    let (catalog, _dir) = fixture::catalog().await;
    apply(&catalog, vec![server("a", "A")]).await;
    let on = |if_revision| Options {
        if_revision,
        ..Options::default()
    };
    let late = catalog.apply("test", vec![server("b", "B")], on(9)).await;
    assert!(matches!(
        late,
        Err(Error::Conflict {
            expected: 9,
            head: 1
        })
    ));
    catalog
        .apply("test", vec![server("b", "B")], on(1))
        .await
        .unwrap();
}

#[tokio::test]
async fn kinds_that_only_we_make_cannot_be_applied() {
    let (catalog, _dir) = fixture::catalog().await;
    crate::keys::ensure_ring(&catalog).await.unwrap();
    let ring = key_of(model::wire::KEY_RING, "edge");
    let stolen = catalog.state().get(&ring).unwrap().resource.clone();
    let faults = refused(
        catalog
            .apply("test", vec![stolen], Options::default())
            .await,
    );
    assert_eq!(faults[0].code, UNKNOWN_KIND);
}

#[tokio::test]
async fn a_new_start_has_the_same_state() {
    let (store, _dir) = stores::embedded();
    let before = over(store.clone()).await;
    crate::keys::ensure_ring(&before).await.unwrap();
    for n in 0..5 {
        apply(
            &before,
            vec![server("a", &n.to_string()), filter("f", &["*"])],
        )
        .await;
    }
    let after = over(store.clone()).await;
    let (before, after) = (before.state(), after.state());
    assert_eq!(after.revision(), before.revision());
    assert_eq!(after.sha256(), before.sha256());
    assert_eq!(after.snapshot().key_ring, before.snapshot().key_ring);
    let name = ServerName::new("a").unwrap();
    assert_eq!(after.snapshot().servers[&name].title, "4");
    let other = Arc::new(Sealer::new(&[6; 32]).unwrap());
    assert!(matches!(
        Catalog::open(store, other, Path::new("/nonexistent"), Bounds::default()).await,
        Err(Error::Seal(_))
    ));
}

#[tokio::test]
async fn two_replicas_never_lose_each_others_changes() {
    let (store, _dir) = stores::embedded();
    let (a, b) = (over(store.clone()).await, over(store.clone()).await);
    let changes = (0..20).map(|n| {
        let replica = if n % 2 == 0 { &a } else { &b };
        replica.apply(
            "test",
            vec![server(&format!("s{n}"), "x")],
            Options::default(),
        )
    });
    let mut revisions: Vec<u64> = join_all(changes)
        .await
        .into_iter()
        .map(|o| o.unwrap().revision)
        .collect();
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=20).collect::<Vec<u64>>());
    assert_eq!(over(store).await.state().resources().len(), 20);
}

#[tokio::test]
async fn a_replica_that_is_behind_sees_what_it_would_call_unchanged() {
    let (store, _dir) = stores::embedded();
    let (a, b) = (over(store.clone()).await, over(store).await);
    apply(&a, vec![server("s", "one")]).await;
    apply(&b, vec![server("s", "two")]).await;
    let back = apply(&a, vec![server("s", "one")]).await;
    assert_eq!((back.revision, actions(&back)), (3, vec!["changed"]));
}

#[tokio::test]
async fn a_replica_follows_the_others() {
    let (store, _dir) = stores::embedded();
    let (a, b) = (over(store.clone()).await, over(store).await);
    let drain = Drain::new();
    drain.spawn("follow", b.clone().follow(drain.clone()));
    let mut states = b.watch();
    apply(&a, vec![server("s", "one")]).await;
    let seen = states.wait_for(|state| state.revision() == 1);
    let seen = tokio::time::timeout(stores::SOON, seen)
        .await
        .expect("not followed")
        .unwrap();
    assert_eq!(seen.sha256(), a.state().sha256());
    drop(seen);
    assert!(drain.finish(stores::SOON).await);
}

#[tokio::test]
async fn a_checkpoint_bounds_what_a_start_reads_and_history_is_pruned_behind_it() {
    let (store, _dir) = stores::embedded();
    let catalog = over(store.clone()).await;
    let orphan = uuid::Uuid::from_u64_pair(0x0000_0000_0000_7000, 0x8000_0000_0000_0001);
    let lost = key::change_chunk(&orphan.simple().to_string(), 0);
    let young = key::change_chunk(&uuid::Uuid::now_v7().simple().to_string(), 0);
    store
        .stage(vec![
            Entry::new(lost.clone(), "x"),
            Entry::new(young.clone(), "x"),
        ])
        .await
        .unwrap();
    for n in 0..keep::CHECKPOINT_EVERY + 3 {
        apply(
            &catalog,
            vec![server(&format!("s{}", n % 7), &n.to_string())],
        )
        .await;
    }
    keep::keep(&*store, &sealer(), &catalog.state(), Bounds::default())
        .await
        .unwrap();
    assert!(store.get(key::CHECKPOINT_LATEST).await.unwrap().is_some());
    assert_eq!(
        store.get(&lost).await.unwrap(),
        None,
        "an old orphan is removed"
    );
    assert!(
        store.get(&young).await.unwrap().is_some(),
        "a young one may yet be flipped"
    );

    apply(&catalog, vec![server("after", "x")]).await;
    // Everything before the checkpoint is gone: what is left must be enough.
    let old: Vec<String> = store
        .keys(key::LOGS)
        .await
        .unwrap()
        .into_iter()
        .filter(|k| key::revision_of_log(k) < Some(keep::CHECKPOINT_EVERY))
        .collect();
    store.delete(old).await.unwrap();
    let started = over(store).await.state();
    assert_eq!(started.sha256(), catalog.state().sha256());
}

#[tokio::test]
async fn a_store_that_was_tampered_with_is_not_believed() {
    let (store, _dir) = stores::embedded();
    let catalog = over(store.clone()).await;
    apply(&catalog, vec![server("a", "A")]).await;
    let chunk = store.list(key::CHANGES).await.unwrap().remove(0);
    let text = chunk.value.to_vec();
    let at = text.windows(9).position(|w| w == b"/bin/true").unwrap();
    let mut changed = text;
    changed[at..at + 9].copy_from_slice(b"/bin/evil");
    store.put(Entry::new(chunk.key, changed)).await.unwrap();
    let opened = Catalog::open(
        store,
        sealer(),
        Path::new("/nonexistent"),
        Bounds::default(),
    )
    .await;
    assert!(
        matches!(opened, Err(Error::Store(store::Error::Corrupt { .. }))),
        "{opened:?}"
    );
}

/// Everything that a store holds.
async fn backup(store: &dyn Store) -> Vec<Entry> {
    store.list(key::ALL).await.unwrap()
}

/// Puts a store back to what it held.
async fn restore(store: &dyn Store, backup: Vec<Entry>) {
    store
        .delete(store.keys(key::ALL).await.unwrap())
        .await
        .unwrap();
    for entry in backup {
        store.put(entry).await.unwrap();
    }
}

#[tokio::test]
async fn a_store_restored_from_a_backup_is_not_followed_until_an_operator_agrees() {
    let (store, _dir) = stores::embedded();
    let (catalog, other) = (over(store.clone()).await, over(store.clone()).await);
    apply(&catalog, vec![server("a", "A")]).await;
    let old = backup(&*store).await;
    apply(&catalog, vec![server("b", "B")]).await;
    other.follow_once().await.unwrap();

    restore(&*store, old.clone()).await;
    for replica in [&catalog, &other] {
        replica.follow_once().await.unwrap();
        assert_eq!(replica.state().revision(), 2, "it serves what was run");
        let back = WentBack { ran: 2, holds: 1 };
        assert_eq!(replica.standing(), Standing::WentBack(back));
        assert!(replica.may_be_published());
        let refused = replica
            .apply("test", vec![server("c", "C")], Options::default())
            .await;
        assert!(matches!(refused, Err(Error::WentBack(_))), "{refused:?}");
    }
    assert_eq!(backup(&*store).await, old, "nothing was written meanwhile");

    assert!(matches!(
        catalog.accept("test", 2).await,
        Err(Error::NothingToAccept(_))
    ));
    assert_eq!(catalog.accept("test", 1).await.unwrap().revision, 3);
    other.follow_once().await.unwrap();
    for replica in [&catalog, &other] {
        assert_eq!(replica.standing(), Standing::Firm);
        assert_eq!(replica.state().revision(), 3);
        let names: Vec<_> = replica.state().resources().keys().cloned().collect();
        assert_eq!(names, [key_of("Server", "a")]);
    }
    assert_eq!(apply(&other, vec![server("c", "C")]).await.revision, 4);
    catalog.follow_once().await.unwrap();
    assert_eq!(over(store).await.state().sha256(), other.state().sha256());
}

#[tokio::test]
async fn a_store_that_is_put_right_again_needs_nobody_to_agree() {
    let (store, _dir) = stores::embedded();
    let catalog = over(store.clone()).await;
    apply(&catalog, vec![server("a", "A")]).await;
    let old = backup(&*store).await;
    apply(&catalog, vec![server("b", "B")]).await;
    let newest = backup(&*store).await;
    for held in [old, Vec::new()] {
        restore(&*store, held).await;
        catalog.follow_once().await.unwrap();
        assert!(matches!(catalog.standing(), Standing::WentBack(_)));
        restore(&*store, newest.clone()).await;
        catalog.follow_once().await.unwrap();
        assert_eq!(catalog.standing(), Standing::Firm);
    }
    assert_eq!(apply(&catalog, vec![server("c", "C")]).await.revision, 3);
}

#[tokio::test]
async fn a_replica_that_begins_on_a_restored_store_publishes_nothing_of_it() {
    let (store, dir) = stores::embedded();
    let open = || Catalog::open(store.clone(), sealer(), dir.path(), Bounds::default());
    let before = open().await.unwrap();
    apply(&before, vec![server("a", "A")]).await;
    let old = backup(&*store).await;
    apply(&before, vec![server("b", "B")]).await;
    drop(before);
    restore(&*store, old).await;

    let remembers = open().await.unwrap();
    let back = WentBack { ran: 2, holds: 1 };
    assert_eq!(remembers.standing(), Standing::WentBack(back));
    assert!(!remembers.may_be_published());

    // One that remembers nothing hears it from the first node that comes.
    let told = over(store.clone()).await;
    assert_eq!(told.standing(), Standing::Firm);
    told.heard_of(1).await;
    told.heard_of(u64::MAX).await;
    assert_eq!(told.standing(), Standing::Firm);
    told.heard_of(7).await;
    assert!(!told.may_be_published());
    assert_eq!(told.accept("test", 1).await.unwrap().revision, 8);
    remembers.follow_once().await.unwrap();
    assert!(remembers.may_be_published());
    assert_eq!(remembers.state().revision(), 8);
    drop((remembers, told));
    assert_eq!(open().await.unwrap().standing(), Standing::Firm);
}

#[tokio::test]
async fn a_restored_store_that_somebody_wrote_to_is_another_history() {
    let (store, _dir) = stores::embedded();
    let catalog = over(store.clone()).await;
    apply(&catalog, vec![server("a", "A")]).await;
    let old = backup(&*store).await;
    apply(&catalog, vec![server("b", "B")]).await;
    restore(&*store, old).await;
    let unaware = over(store.clone()).await;
    for name in ["c", "d", "e"] {
        apply(&unaware, vec![server(name, name)]).await;
    }
    catalog.follow_once().await.unwrap();
    let back = WentBack { ran: 2, holds: 4 };
    assert_eq!(catalog.standing(), Standing::WentBack(back));
    assert_eq!(catalog.state().revision(), 2);
    assert_eq!(catalog.accept("test", 4).await.unwrap().revision, 5);
}

#[tokio::test]
async fn two_hundred_resources_are_one_revision_or_nothing() {
    let (catalog, _dir) = fixture::catalog().await;
    let mut all: Vec<pb::Resource> = (0..200)
        .map(|n| server(&format!("s{n}"), &"x".repeat(20_000)))
        .collect();
    all.push(rule("bad", &["nope"]));
    refused(catalog.apply("test", all.clone(), Options::default()).await);
    assert_eq!(catalog.state().revision(), 0);
    all.pop();
    assert_eq!(apply(&catalog, all).await.revision, 1);
    assert_eq!(catalog.state().resources().len(), 200);
}
