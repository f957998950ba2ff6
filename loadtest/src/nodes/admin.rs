//! The control plane as a program asks it: what is applied, and how far it has come.

use anyhow::Context;
use proto::v1 as pb;
use proto::v1::admin_client::AdminClient;
use runtime::net::{self, ClientTls};
use runtime::tls;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;

use crate::bench::targets::SERVER;
use crate::bench::up::Up;

/// The control plane's API.
#[derive(Debug)]
pub(super) struct Admin {
    client: AdminClient<Channel>,
    bearer: MetadataValue<Ascii>,
}

impl Admin {
    /// The API of this system. It connects with the first request.
    pub(super) fn connect(up: &Up) -> anyhow::Result<Self> {
        let context: toml::Table = std::fs::read_to_string(up.context())?.parse()?;
        let token = context.get("token").and_then(toml::Value::as_str);
        let token = token.context("the context holds no token")?;
        let roots = tls::read_certificates(&up.ca())?;
        let tls = ClientTls {
            config: tls::anonymous_client_config(&roots, &[tls::H2])?,
            server_name: dataplane::config::node::control_plane_name(),
        };
        let channel = net::channel(&up.control.to_string(), Some(tls))?;
        Ok(Self {
            client: AdminClient::new(channel),
            bearer: format!("Bearer {token}").parse()?,
        })
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        metadata.insert("authorization", self.bearer.clone());
        request
    }

    /// A token by which one edge may join.
    pub(super) async fn join_token(&mut self) -> anyhow::Result<String> {
        let message = pb::CreateJoinTokenRequest {
            kind: pb::NodeKind::Edge.into(),
            server: String::new(),
        };
        let made = self.client.create_join_token(self.request(message)).await?;
        Ok(made.into_inner().token)
    }

    /// Stores rules, and answers with the revision that they make.
    pub(super) async fn apply(&mut self, resources: Vec<pb::Resource>) -> anyhow::Result<u64> {
        let message = pb::ApplyRequest {
            resources,
            ..Default::default()
        };
        let applied = self.client.apply(self.request(message)).await?;
        Ok(applied.into_inner().revision)
    }

    /// Waits until every live node has acknowledged a revision.
    pub(super) async fn await_rollout(&mut self, revision: u64) -> anyhow::Result<()> {
        let request = self.request(pb::RolloutRequest { revision });
        let mut progress = self.client.rollout(request).await?.into_inner();
        while let Some(now) = progress.message().await? {
            anyhow::ensure!(!now.rejected, "a node has refused revision {revision}");
            if now.done {
                return Ok(());
            }
        }
        anyhow::bail!("the control plane has ended before all nodes had revision {revision}")
    }
}

/// A rule that lets one group use the server.
pub(super) fn rule(name: &str, group: usize) -> pb::Resource {
    let spec = pb::AccessRuleSpec {
        effect: pb::Effect::Allow.into(),
        subjects: vec![pb::Subject {
            group: format!("group-{group}"),
            ..Default::default()
        }],
        servers: vec![pb::ServerSelector {
            kind: Some(pb::server_selector::Kind::Glob(SERVER.to_owned())),
        }],
        ..Default::default()
    };
    pb::Resource {
        metadata: Some(pb::Metadata {
            name: name.to_owned(),
            ..Default::default()
        }),
        spec: Some(pb::resource::Spec::AccessRule(spec)),
    }
}
