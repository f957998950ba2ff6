//! The control plane under test, and nodes that a test plays.
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
use tonic::{Request, Status, Streaming};

use crate::app::{Settings, Started, run_reporting};

/// Longest that anything may take.
const SOON: Duration = Duration::from_secs(20);
/// The name that nodes expect a control plane to have.
const NAME: &str = "control-plane.gatehouse.internal";

pub(super) struct Plane {
    started: Started,
    roots: Vec<rustls_pki_types::CertificateDer<'static>>,
    token: String,
    drain: Drain,
    dir: TempDir,
}

impl Plane {
    pub(super) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    pub(super) async fn start_in(dir: TempDir) -> Self {
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

    pub(super) async fn stop(self) -> TempDir {
        assert!(
            self.drain.finish(SOON).await,
            "something did not heed the drain"
        );
        self.dir
    }

    pub(super) fn channel(&self, identity: Option<&Identity>) -> Channel {
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

    pub(super) fn admin(&self) -> AdminClient<Channel> {
        AdminClient::new(self.channel(None))
    }

    pub(super) fn ask<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let value = format!("Bearer {}", self.token).parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        request
    }

    pub(super) async fn apply(&self, resources: Vec<pb::Resource>) -> u64 {
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

    pub(super) async fn join(&self, kind: pb::NodeKind, server: &str) -> Identity {
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

    pub(super) async fn connect(&self, identity: &Identity, hello: pb::Hello) -> Player {
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
pub(super) struct Player {
    say: mpsc::Sender<pb::NodeMessage>,
    heard: Streaming<pb::ControlMessage>,
}

impl Player {
    pub(super) async fn next(&mut self) -> Result<Control, Status> {
        let message = soon(self.heard.message()).await?;
        Ok(message.expect("the stream has ended").kind.unwrap())
    }

    /// The next push; endpoints that come first are passed over.
    pub(super) async fn push(&mut self) -> pb::ConfigPush {
        loop {
            if let Control::Config(push) = self.next().await.unwrap() {
                return push;
            }
        }
    }

    /// Endpoints, once they are `expected`.
    pub(super) async fn endpoints(&mut self, expected: &[&str]) {
        loop {
            if let Control::Endpoints(push) = self.next().await.unwrap() {
                let found: Vec<&str> = push.endpoints.iter().map(|e| e.address.as_str()).collect();
                if found == expected {
                    return;
                }
            }
        }
    }

    pub(super) async fn take(&self, push: &pb::ConfigPush) {
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

pub(super) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(SOON, future).await.expect("it took too long")
}

pub(super) fn hello(kind: pb::NodeKind, server: &str) -> pb::Hello {
    pb::Hello {
        kind: kind.into(),
        server: server.to_owned(),
        version: "test".to_owned(),
        features: engine::FEATURES.iter().map(ToString::to_string).collect(),
        addresses: vec!["127.0.0.1:7900".to_owned()],
        ..Default::default()
    }
}

pub(super) fn names(push: &pb::ConfigPush) -> Vec<String> {
    push.changed
        .iter()
        .map(|c| c.key.as_ref().unwrap().name.clone())
        .collect()
}
