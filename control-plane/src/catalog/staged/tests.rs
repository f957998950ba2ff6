#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::*;
use crate::catalog::fixture::{self, rule, server};
use crate::catalog::{Catalog, Options};
use crate::keys;

fn staged() -> Options {
    Options {
        stages: Some(pb::Stages {
            shares: vec![10, 50],
            ..Default::default()
        }),
        ..Options::default()
    }
}

/// Two servers and a rule at revision 1; at 2 the rule is another one and a server is new, for some nodes.
async fn half_way() -> (Arc<Catalog>, tempfile::TempDir) {
    let (catalog, dir) = fixture::catalog().await;
    let before = vec![server("a", "A"), server("b", "B"), rule("r", &["a"])];
    catalog
        .apply("eva", before, Options::default())
        .await
        .unwrap();
    let change = vec![server("c", "C"), rule("r", &["c"]), server("a", "A")];
    let outcome = catalog.apply("eva", change, staged()).await.unwrap();
    assert_eq!(outcome.revision, 2);
    let actions: Vec<_> = outcome.changes.iter().map(|c| c.action.as_str()).collect();
    assert_eq!(actions, ["created", "changed", "unchanged"]);
    (catalog, dir)
}

fn names(state: &State) -> Vec<String> {
    state
        .visible()
        .map(|(key, s)| format!("{}@{}", key.name, s.version))
        .collect()
}

fn refusal(error: Error) -> Fault {
    match error {
        Error::Refused(mut faults) if faults.len() == 1 => faults.remove(0),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn others_have_what_was_before_and_what_else_is_changed_since() {
    let (catalog, _dir) = half_way().await;
    let state = catalog.state();
    let before = &state.staged().unwrap().before;
    assert_eq!(names(&state), ["r@2", "a@1", "b@1", "c@2"]);
    assert_eq!(
        (names(before), before.revision()),
        (
            vec!["r@1".to_owned(), "a@1".to_owned(), "b@1".to_owned()],
            1
        )
    );
    catalog
        .apply("ana", vec![server("b", "B2")], Options::default())
        .await
        .unwrap();
    let state = catalog.state();
    let before = &state.staged().unwrap().before;
    assert_eq!(
        (names(before), before.revision()),
        (
            vec!["r@1".to_owned(), "a@1".to_owned(), "b@3".to_owned()],
            3
        )
    );
    assert!(before.get(&key()).is_none());
}

#[tokio::test]
async fn every_replica_and_a_new_process_know_it() {
    let (store, _dir) = crate::store::fixture::embedded();
    let one = fixture::over(store.clone()).await;
    let two = fixture::over(store.clone()).await;
    one.apply("eva", vec![server("a", "A")], Options::default())
        .await
        .unwrap();
    one.apply("eva", vec![server("a", "A2")], staged())
        .await
        .unwrap();
    // Catches up by the logs, from a state that is older than the base.
    let told = two
        .history(&crate::catalog::Asked::default())
        .await
        .unwrap();
    assert_eq!(told.revision, 2);
    let three = fixture::over(store).await;
    for catalog in [one, two, three] {
        let state = catalog.state();
        let staged = state.staged().unwrap();
        assert_eq!(
            (staged.spec.base, names(&staged.before)),
            (1, vec!["a@1".to_owned()])
        );
    }
}

#[tokio::test]
async fn what_is_staged_is_not_changed_by_others_and_nothing_else_is_staged() {
    let (catalog, _dir) = half_way().await;
    let apply = |resources, options| catalog.apply("ana", resources, options);
    let fault = refusal(
        apply(vec![rule("r", &["b"])], Options::default())
            .await
            .unwrap_err(),
    );
    assert_eq!((fault.code, fault.index), (STAGED, Some(0)));
    assert!(
        fault
            .message
            .starts_with("AccessRule r is part of revision 2"),
        "{fault:?}"
    );
    let key = ResourceKey::new(SERVER, "c");
    let deleted = catalog.delete("ana", vec![key], Options::default()).await;
    assert_eq!(refusal(deleted.unwrap_err()).code, STAGED);
    // The same again is no change.
    let same = apply(vec![rule("r", &["c"])], Options::default())
        .await
        .unwrap();
    assert_eq!(same.revision, 2);
    let second = apply(vec![server("b", "B2")], staged()).await;
    assert!(matches!(second, Err(Error::Staged(2))));
    assert_eq!(catalog.state().revision(), 2);
}

#[tokio::test]
async fn what_works_with_the_change_has_to_work_without_it() {
    let (catalog, _dir) = half_way().await;
    let on_c = catalog
        .apply("ana", vec![rule("on-c", &["c"])], Options::default())
        .await;
    let fault = refusal(on_c.unwrap_err());
    assert!(
        fault.message.ends_with("on nodes without revision 2"),
        "{fault:?}"
    );
    // What the control plane makes for itself goes on.
    keys::ensure_ring(&catalog).await.unwrap();
    let ring = ResourceKey::new(wire::KEY_RING, "edge");
    assert!(
        catalog
            .state()
            .staged()
            .unwrap()
            .before
            .get(&ring)
            .is_some()
    );
}

#[tokio::test]
async fn it_ends_for_all_or_as_if_it_had_not_been() {
    let (catalog, _dir) = half_way().await;
    catalog
        .end_staged("ana", 2, End::Promote, "promoted by ana")
        .await
        .unwrap();
    let state = catalog.state();
    assert!(state.staged().is_none());
    assert_eq!(
        (state.revision(), last(&state).unwrap().state.as_str()),
        (3, DONE)
    );
    assert_eq!(names(&state), ["r@2", "a@1", "b@1", "c@2"]);
    let again = catalog.end_staged("ana", 0, End::Halt, "").await;
    assert!(matches!(again, Err(Error::NotStaged(_))));

    let (catalog, _dir) = half_way().await;
    let other = catalog.end_staged("ana", 7, End::Halt, "").await;
    assert!(matches!(other, Err(Error::NotStaged(_))));
    catalog
        .apply("ana", vec![server("b", "B2")], Options::default())
        .await
        .unwrap();
    catalog
        .end_staged("rollout", 2, End::Halt, "edge-1 rejects it")
        .await
        .unwrap();
    let state = catalog.state();
    assert_eq!(names(&state), ["r@4", "a@1", "b@3"]);
    assert_eq!(halted(&state, 2), Some("edge-1 rejects it"));
    let rule = state.snapshot().rules.get("r").unwrap();
    assert!(rule.selects("a", &std::collections::BTreeMap::new()));
}

#[tokio::test]
async fn a_rollback_ends_it() {
    let (catalog, _dir) = half_way().await;
    catalog
        .rollback("ana", 1, Options::default())
        .await
        .unwrap();
    let state = catalog.state();
    assert_eq!(halted(&state, 2), Some("rolled back to revision 1 by ana"));
    assert_eq!(names(&state), ["r@3", "a@1", "b@1"]);
    assert!(state.staged().is_none());
}

#[tokio::test]
async fn shares_that_are_none_are_refused_and_what_changes_nothing_is_not_staged() {
    let (catalog, _dir) = fixture::catalog().await;
    catalog
        .apply("eva", vec![server("a", "A")], Options::default())
        .await
        .unwrap();
    for shares in [vec![], vec![0], vec![100], vec![50, 10], vec![10, 10]] {
        let stages = Some(pb::Stages {
            shares,
            ..Default::default()
        });
        let options = Options {
            stages,
            ..Options::default()
        };
        let refused = catalog.apply("eva", vec![server("a", "A2")], options).await;
        assert_eq!(refusal(refused.unwrap_err()).path, "stages.shares");
    }
    let same = catalog
        .apply("eva", vec![server("a", "A")], staged())
        .await
        .unwrap();
    assert_eq!((same.revision, same.changes.len()), (1, 1));
    assert!(running(&catalog.state()).is_none());
}

#[tokio::test]
async fn a_share_begins_once_and_who_has_it_keeps_it() {
    let (catalog, _dir) = half_way().await;
    let seen = running(&catalog.state()).unwrap().clone();
    catalog.next_share(&seen, 500, 100).await.unwrap();
    // Another replica has seen the same, and comes later.
    catalog.next_share(&seen, 900, 900).await.unwrap();
    let state = catalog.state();
    let spec = running(&state).unwrap().clone();
    assert_eq!(
        (spec.begun, spec.edges_below, spec.sidecars_below),
        (1, 500, 100)
    );
    assert_eq!(
        (state.revision(), state.staged().unwrap().before.revision()),
        (3, 1)
    );
    catalog.next_share(&spec, 400, 300).await.unwrap();
    let state = catalog.state();
    let spec = running(&state).unwrap();
    assert_eq!(
        (spec.begun, spec.edges_below, spec.sidecars_below),
        (2, 500, 300)
    );
}
