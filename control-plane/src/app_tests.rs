//! A whole control plane in this process, with real sockets and real certificates; nodes are played.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::Future;
use std::time::Duration;

use proto::v1 as pb;
use proto::v1::admin_client::AdminClient;
use proto::v1::control_message::Kind as Control;
use proto::v1::node_client::NodeClient;
use proto::v1::node_message::Kind as Said;
use runtime::drain::Drain;
use runtime::net::{ClientTls, channel};
use runtime::tls::{self, H2, Identity};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};

use crate::app::{Settings, Started, run_reporting};
use crate::catalog::fixture::{rule, server};

/// Longest that anything may take.
const SOON: Duration = Duration::from_secs(20);
/// The name that nodes expect a control plane to have.
const NAME: &str = "control-plane.gatehouse.internal";

struct Plane {
    started: Started,
    roots: Vec<rustls_pki_types::CertificateDer<'static>>,
    token: String,
    drain: Drain,
    dir: TempDir,
}

impl Plane {
    async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    async fn start_in(dir: TempDir) -> Self {
        let any = "127.0.0.1:0".to_owned();
        let settings = Settings {
            listen: any.clone(),
            otlp_listen: any.clone(),
            admin_listen: any,
            data_dir: dir.path().join("data"),
            ..Settings::default()
        };
        let drain = Drain::new();
        let (tell, told) = oneshot::channel();
        let running = run_reporting(settings, drain.clone(), tell);
        drain.spawn(
            "control plane",
            Box::pin(async move { running.await.unwrap() }),
        );
        let started = soon(told).await.unwrap();
        let roots = tls::read_certificates(&started.ca_file).unwrap();
        let token = std::fs::read_to_string(&started.admin_token_file)
            .unwrap()
            .trim()
            .to_owned();
        Self {
            started,
            roots,
            token,
            drain,
            dir,
        }
    }

    async fn stop(self) -> TempDir {
        assert!(
            self.drain.finish(SOON).await,
            "something did not heed the drain"
        );
        self.dir
    }

    fn channel(&self, identity: Option<&Identity>) -> Channel {
        let config = match identity {
            Some(identity) => tls::client_config(identity, &[H2]).unwrap(),
            None => tls::anonymous_client_config(&self.roots, &[H2]).unwrap(),
        };
        let server_name = ServerName::try_from(NAME).unwrap();
        let tls = ClientTls {
            config,
            server_name,
        };
        channel(&self.started.listen.to_string(), Some(tls)).unwrap()
    }

    fn admin(&self) -> AdminClient<Channel> {
        AdminClient::new(self.channel(None))
    }

    fn ask<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let value = format!("Bearer {}", self.token).parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        request
    }

    async fn apply(&self, resources: Vec<pb::Resource>) -> u64 {
        let request = self.ask(pb::ApplyRequest {
            resources,
            ..Default::default()
        });
        self.admin()
            .apply(request)
            .await
            .unwrap()
            .into_inner()
            .revision
    }

    async fn join(&self, kind: pb::NodeKind, server: &str) -> Identity {
        let request = pb::CreateJoinTokenRequest {
            kind: kind.into(),
            server: server.to_owned(),
        };
        let made = self
            .admin()
            .create_join_token(self.ask(request))
            .await
            .unwrap()
            .into_inner();
        let (key, csr) = tls::new_key_and_csr().unwrap();
        let request = pb::JoinRequest {
            token: made.token,
            csr,
            hosts: vec!["127.0.0.1".to_owned()],
        };
        let joined = NodeClient::new(self.channel(None))
            .join(request)
            .await
            .unwrap()
            .into_inner();
        Identity {
            chain: joined.chain.into_iter().map(Into::into).collect(),
            key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_vec())),
            roots: joined.roots.into_iter().map(Into::into).collect(),
        }
    }

    async fn connect(&self, identity: &Identity, hello: pb::Hello) -> Player {
        let (say, said) = mpsc::channel(8);
        let message = pb::NodeMessage {
            kind: Some(Said::Hello(hello)),
        };
        say.send(message).await.unwrap();
        let mut client = NodeClient::new(self.channel(Some(identity)));
        let heard = soon(client.sync(ReceiverStream::new(said)))
            .await
            .unwrap()
            .into_inner();
        Player { say, heard }
    }
}

/// A node that a test plays.
struct Player {
    say: mpsc::Sender<pb::NodeMessage>,
    heard: Streaming<pb::ControlMessage>,
}

impl Player {
    async fn next(&mut self) -> Result<Control, Status> {
        let message = soon(self.heard.message()).await?;
        Ok(message.expect("the stream has ended").kind.unwrap())
    }

    /// The next push; endpoints that come first are passed over.
    async fn push(&mut self) -> pb::ConfigPush {
        loop {
            if let Control::Config(push) = self.next().await.unwrap() {
                return push;
            }
        }
    }

    /// Endpoints, once they are `expected`.
    async fn endpoints(&mut self, expected: &[&str]) {
        loop {
            if let Control::Endpoints(push) = self.next().await.unwrap() {
                let found: Vec<&str> = push.endpoints.iter().map(|e| e.address.as_str()).collect();
                if found == expected {
                    return;
                }
            }
        }
    }

    async fn take(&self, push: &pb::ConfigPush) {
        let ack = pb::Ack {
            nonce: push.nonce,
            revision: push.revision,
            sha256: push.sha256.clone(),
        };
        self.say
            .send(pb::NodeMessage {
                kind: Some(Said::Ack(ack)),
            })
            .await
            .unwrap();
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(SOON, future).await.expect("it took too long")
}

fn hello(kind: pb::NodeKind, server: &str) -> pb::Hello {
    pb::Hello {
        kind: kind.into(),
        server: server.to_owned(),
        version: "test".to_owned(),
        features: engine::FEATURES.iter().map(ToString::to_string).collect(),
        addresses: vec!["127.0.0.1:7900".to_owned()],
        ..Default::default()
    }
}

fn names(push: &pb::ConfigPush) -> Vec<String> {
    push.changed
        .iter()
        .map(|c| c.key.as_ref().unwrap().name.clone())
        .collect()
}

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
        .list_nodes(plane.ask(pb::ListNodesRequest {}))
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
    assert!(table.endpoints.len() <= 1);
    if table.endpoints.is_empty() {
        edge.endpoints(&["127.0.0.1:7900"]).await;
    }
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
