//! What nodes see of a control plane.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proto::v1 as pb;
use proto::v1::control_message::Kind as Control;
use proto::v1::node_client::NodeClient;
use tonic::Code;

use super::harness::{Plane, hello, names, soon};
use crate::catalog::fixture::{rule, server};

#[tokio::test]
async fn a_change_reaches_edge_and_sidecar_and_the_rollout_ends() {
    let plane = Plane::start().await;
    plane
        .apply(vec![
            server("a", "A"),
            server("b", "B"),
            rule("all", &["*"]),
        ])
        .await;
    let edge = plane.join(pb::NodeKind::Edge, "").await;
    let sidecar = plane.join(pb::NodeKind::Sidecar, "a").await;
    let mut edge = plane.connect(&edge, hello(pb::NodeKind::Edge, "")).await;
    let mut sidecar = plane
        .connect(&sidecar, hello(pb::NodeKind::Sidecar, "a"))
        .await;
    let (all, own) = (edge.push().await, sidecar.push().await);
    assert_eq!(
        names(&all),
        ["all", "edge", "a", "b"],
        "the edge gets the key ring, too"
    );
    assert_eq!(names(&own), ["all", "a"]);
    edge.take(&all).await;
    sidecar.take(&own).await;
    edge.endpoints(&["127.0.0.1:7900"]).await;

    let revision = plane.apply(vec![server("a", "Aa")]).await;
    let rollout = plane.ask(pb::RolloutRequest { revision });
    let mut rollout = plane.admin().rollout(rollout).await.unwrap().into_inner();
    let delta = edge.push().await;
    assert_eq!(
        (names(&delta), delta.full, delta.revision),
        (vec!["a".to_owned()], false, revision)
    );
    edge.take(&delta).await;
    let delta = sidecar.push().await;
    sidecar.take(&delta).await;
    let last = soon(async {
        loop {
            let progress = rollout
                .message()
                .await
                .unwrap()
                .expect("ended before it was done");
            if progress.done {
                return progress;
            }
        }
    });
    assert_eq!(last.await.live, 2);
    let nodes = plane
        .admin()
        .list_nodes(plane.ask(pb::ListNodesRequest::default()))
        .await
        .unwrap();
    assert!(
        nodes
            .into_inner()
            .nodes
            .iter()
            .all(|n| n.state == "current" && n.live)
    );
    plane.stop().await;
}

#[tokio::test]
async fn a_node_is_who_its_certificate_says_and_nobody_syncs_without_one() {
    let plane = Plane::start().await;
    plane.apply(vec![server("a", "A"), server("b", "B")]).await;
    let sidecar = plane.join(pb::NodeKind::Sidecar, "a").await;
    let mut posing = plane
        .connect(&sidecar, hello(pb::NodeKind::Sidecar, "b"))
        .await;
    assert_eq!(
        posing.next().await.unwrap_err().code(),
        Code::PermissionDenied
    );
    let mut posing = plane.connect(&sidecar, hello(pb::NodeKind::Edge, "")).await;
    assert_eq!(
        posing.next().await.unwrap_err().code(),
        Code::PermissionDenied
    );

    let nobody = NodeClient::new(plane.channel(None))
        .sync(tokio_stream::empty())
        .await;
    assert_eq!(nobody.unwrap_err().code(), Code::Unauthenticated);
    plane.stop().await;
}

#[tokio::test]
async fn nodes_come_back_to_a_control_plane_that_started_anew() {
    let plane = Plane::start().await;
    plane.apply(vec![server("a", "A")]).await;
    let (edge, sidecar) = (
        plane.join(pb::NodeKind::Edge, "").await,
        plane.join(pb::NodeKind::Sidecar, "a").await,
    );
    let mut first = plane.connect(&edge, hello(pb::NodeKind::Edge, "")).await;
    let _sidecar = plane
        .connect(&sidecar, hello(pb::NodeKind::Sidecar, "a"))
        .await;
    let push = first.push().await;
    first.take(&push).await;
    first.endpoints(&["127.0.0.1:7900"]).await;
    let dir = plane.stop().await;

    let plane = Plane::start_in(dir).await;
    let known = push.changed.iter().map(|c| pb::KnownResource {
        key: c.key.clone(),
        version: c.version,
    });
    let again = pb::Hello {
        revision: push.revision,
        sha256: push.sha256.clone(),
        known: known.collect(),
        ..hello(pb::NodeKind::Edge, "")
    };
    let mut edge = plane.connect(&edge, again).await;
    // It has everything: the first that it is told is where the sidecar was last.
    let Control::Endpoints(table) = edge.next().await.unwrap() else {
        panic!("configuration was sent again");
    };
    let addresses: Vec<&str> = table.endpoints.iter().map(|e| e.address.as_str()).collect();
    assert_eq!(addresses, ["127.0.0.1:7900"]);
    let revision = plane.apply(vec![server("b", "B")]).await;
    let delta = edge.push().await;
    assert_eq!(
        (names(&delta), delta.revision),
        (vec!["b".to_owned()], revision)
    );
    plane.stop().await;
}

#[tokio::test]
async fn an_old_node_is_shown_as_rejecting_what_it_cannot_run() {
    let plane = Plane::start().await;
    let revision = plane.apply(vec![server("a", "A")]).await;
    let edge = plane.join(pb::NodeKind::Edge, "").await;
    let old = pb::Hello {
        features: vec!["key-ring/1".to_owned()],
        ..hello(pb::NodeKind::Edge, "")
    };
    let _edge = plane.connect(&edge, old).await;
    let rollout = plane.ask(pb::RolloutRequest { revision });
    let mut rollout = plane.admin().rollout(rollout).await.unwrap().into_inner();
    let rejected = soon(async {
        loop {
            let progress = rollout
                .message()
                .await
                .unwrap()
                .expect("ended without a verdict");
            if progress.rejected {
                return progress;
            }
            if progress.live == 0 {
                // The node was not there yet.
                let again = plane.ask(pb::RolloutRequest { revision });
                rollout = plane.admin().rollout(again).await.unwrap().into_inner();
            }
        }
    });
    let progress = rejected.await;
    assert!(
        progress.waiting[0].faults[0].contains("server.stdio/1"),
        "{:?}",
        progress.waiting
    );
    plane.stop().await;
}
