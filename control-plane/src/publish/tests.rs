#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::*;
use crate::catalog::Options;
use crate::catalog::fixture::{self, filter, limit, rule, server};
use crate::keys;
use model::name::ServerName;
use proto::v1 as pb;

async fn full_catalog() -> (Arc<Catalog>, tempfile::TempDir) {
    let (catalog, dir) = fixture::catalog().await;
    keys::ensure_ring(&catalog).await.unwrap();
    let resources = vec![
        server("everything", "E"),
        server("time", "T"),
        rule("all", &["*"]),
        rule("time-only", &["time"]),
        rule("every-glob", &["every*"]),
        filter("everywhere", &[]),
        filter("on-time", &["time"]),
        // Edges alone count.
        limit("few", &["everything"]),
    ];
    catalog
        .apply("test", resources, Options::default())
        .await
        .unwrap();
    let request = pb::CreateKeyRequest {
        user: "ana".to_owned(),
        ..Default::default()
    };
    keys::create(&catalog, "test", &request).await.unwrap();
    (catalog, dir)
}

fn names(view: &View) -> Vec<String> {
    view.resources.keys().map(|key| key.name.clone()).collect()
}

#[tokio::test]
async fn edges_see_everything_and_hash_to_the_head() {
    let (catalog, _dir) = full_catalog().await;
    let view = Publisher::new(&catalog).view(&Scope::Edge, "n-1").unwrap();
    assert_eq!(view.resources.len(), catalog.state().resources().len());
    assert_eq!(view.sha256, catalog.state().sha256());
    assert_eq!(view.revision, 3);
}

#[tokio::test]
async fn a_sidecar_sees_its_own_server_and_what_is_about_it_and_no_secret() {
    let (catalog, _dir) = full_catalog().await;
    let scope = Scope::Sidecar(ServerName::new("everything").unwrap());
    let view = Publisher::new(&catalog).view(&scope, "n-1").unwrap();
    assert_eq!(
        names(&view),
        ["all", "every-glob", "everywhere", "everything"]
    );
    let kinds: Vec<&str> = view.resources.keys().map(|key| key.kind.as_str()).collect();
    assert!(!kinds.contains(&"ApiKey") && !kinds.contains(&"KeyRing"));
}

#[tokio::test]
async fn nodes_of_one_scope_share_a_view_until_the_state_changes() {
    let (catalog, _dir) = full_catalog().await;
    let publisher = Publisher::new(&catalog);
    let first = publisher.view(&Scope::Edge, "n-1").unwrap();
    assert!(Arc::ptr_eq(
        &first,
        &publisher.view(&Scope::Edge, "n-1").unwrap()
    ));
    catalog
        .apply("test", vec![server("new", "N")], Options::default())
        .await
        .unwrap();
    let second = publisher.view(&Scope::Edge, "n-1").unwrap();
    assert_eq!(second.revision, first.revision + 1);
    let shared = first
        .resources
        .iter()
        .all(|(key, stored)| Arc::ptr_eq(stored, &second.resources[key]));
    assert!(shared, "what did not change is not encoded again");
}
