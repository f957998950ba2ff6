//! What administrators see of a control plane.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proto::v1 as pb;
use tonic::Code;

use super::harness::{Plane, soon};
use crate::catalog::fixture::{rule, server};

#[tokio::test]
async fn every_admin_method_but_version_needs_a_token() {
    let plane = Plane::start().await;
    let mut admin = plane.admin();
    assert_eq!(
        admin
            .version(pb::VersionRequest {})
            .await
            .unwrap()
            .into_inner()
            .store,
        "embedded"
    );
    macro_rules! refused {
        ($($method:ident($request:ident)),* $(,)?) => {$(
            let answer = admin.$method(pb::$request::default()).await;
            assert_eq!(answer.unwrap_err().code(), Code::Unauthenticated, stringify!($method));
        )*};
    }
    refused!(
        apply(ApplyRequest),
        get(GetRequest),
        list(ListRequest),
        delete(DeleteRequest),
        watch(WatchRequest),
        rollout(RolloutRequest),
        create_key(CreateKeyRequest),
        list_keys(ListKeysRequest),
        revoke_key(RevokeKeyRequest),
        create_join_token(CreateJoinTokenRequest),
        list_nodes(ListNodesRequest),
        get_server_status(GetServerStatusRequest),
    );
    let mut audit = pb::audit_client::AuditClient::new(plane.channel(None));
    let answer = audit.list_calls(pb::ListCallsRequest::default()).await;
    assert_eq!(answer.unwrap_err().code(), Code::Unauthenticated);
    audit
        .list_calls(plane.ask(pb::ListCallsRequest::default()))
        .await
        .unwrap();
    plane.stop().await;
}

#[tokio::test]
async fn what_is_the_control_planes_own_is_never_shown() {
    let plane = Plane::start().await;
    let mut admin = plane.admin();
    plane.apply(vec![server("a", "A")]).await;
    let request = pb::CreateKeyRequest {
        user: "ana".to_owned(),
        ..Default::default()
    };
    let made = admin
        .create_key(plane.ask(request))
        .await
        .unwrap()
        .into_inner();
    let listed = admin
        .list(plane.ask(pb::ListRequest::default()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(listed.resources.len(), 1);
    for (kind, name) in [("KeyRing", "edge"), ("ApiKey", made.id.as_str())] {
        let key = pb::ResourceKey {
            kind: kind.to_owned(),
            name: name.to_owned(),
        };
        let got = admin
            .get(plane.ask(pb::GetRequest {
                key: Some(key.clone()),
            }))
            .await;
        assert!(got.is_err(), "{kind}");
        let delete = pb::DeleteRequest {
            keys: vec![key],
            ..Default::default()
        };
        assert!(admin.delete(plane.ask(delete)).await.is_err(), "{kind}");
    }
    let keys = admin
        .list_keys(plane.ask(pb::ListKeysRequest {}))
        .await
        .unwrap()
        .into_inner()
        .keys;
    assert_eq!(keys[0].id, made.id);
    plane.stop().await;
}

#[tokio::test]
async fn a_watch_begins_with_what_is_there_and_goes_on_with_what_changes() {
    let plane = Plane::start().await;
    plane.apply(vec![server("a", "A"), rule("r", &["a"])]).await;
    let request = pb::WatchRequest {
        kind: "Server".to_owned(),
        initial: true,
    };
    let mut events = plane
        .admin()
        .watch(plane.ask(request))
        .await
        .unwrap()
        .into_inner();
    let mut next = async || {
        let event = soon(events.message()).await.unwrap().unwrap();
        let name = event.key.map(|key| key.name).unwrap_or_default();
        (event.action, name)
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(next().await, pair("added", "a"));
    assert_eq!(next().await, pair("synced", ""));
    plane.apply(vec![server("a", "Aa"), server("b", "B")]).await;
    assert_eq!(next().await, pair("changed", "a"));
    assert_eq!(next().await, pair("added", "b"));
    let key = pb::ResourceKey {
        kind: "Server".to_owned(),
        name: "b".to_owned(),
    };
    let delete = pb::DeleteRequest {
        keys: vec![key],
        ..Default::default()
    };
    plane.admin().delete(plane.ask(delete)).await.unwrap();
    assert_eq!(next().await, pair("deleted", "b"));
    plane.stop().await;
}

#[tokio::test]
async fn faults_travel_with_their_paths() {
    use tonic_types::StatusExt;
    let plane = Plane::start().await;
    let request = pb::ApplyRequest {
        resources: vec![server("a", "A"), rule("r", &["nope"])],
        ..Default::default()
    };
    let refused = plane.admin().apply(plane.ask(request)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let violations = refused.get_details_bad_request().unwrap().field_violations;
    assert_eq!(violations[0].field, "resources[1].spec.servers[0]");
    assert_eq!(refused.get_details_error_info().unwrap().reason, "GH2001");
    plane.stop().await;
}
