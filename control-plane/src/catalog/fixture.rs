//! Catalogs for tests, and resources to put into them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use proto::v1 as pb;
use proto::v1::resource::Spec;
use tempfile::TempDir;

use super::{Bounds, Catalog};
use crate::store::seal::Sealer;
use crate::store::{Store, fixture};

/// The master key of all tests.
pub(crate) fn sealer() -> Arc<Sealer> {
    Arc::new(Sealer::new(&[5; 32]).unwrap())
}

/// An empty catalog over an embedded store.
pub(crate) async fn catalog() -> (Arc<Catalog>, TempDir) {
    let (store, dir) = fixture::embedded();
    (over(store).await, dir)
}

/// A catalog over a store that is there, of a replica that remembers nothing.
pub(crate) async fn over(store: Arc<dyn Store>) -> Arc<Catalog> {
    let nowhere = Path::new("/nonexistent");
    let bounds = Bounds::default();
    Catalog::open(store, sealer(), nowhere, bounds)
        .await
        .unwrap()
}

/// A server that a command runs.
pub(crate) fn server(name: &str, title: &str) -> pb::Resource {
    let command = pb::CommandRuntime {
        argv: vec!["/bin/true".to_owned()],
    };
    let kind = pb::runtime::Kind::Command(command);
    let spec = pb::ServerSpec {
        title: title.to_owned(),
        runtime: Some(pb::Runtime { kind: Some(kind) }),
        ..Default::default()
    };
    resource(name, Spec::Server(spec))
}

/// A rule that allows everyone everything on servers that match.
pub(crate) fn rule(name: &str, servers: &[&str]) -> pb::Resource {
    let selector = |glob: &&str| pb::ServerSelector {
        kind: Some(pb::server_selector::Kind::Glob((*glob).to_owned())),
    };
    let spec = pb::AccessRuleSpec {
        effect: pb::Effect::Allow.into(),
        everyone: true,
        servers: servers.iter().map(selector).collect(),
        ..Default::default()
    };
    resource(name, Spec::AccessRule(spec))
}

/// A limit of calls to servers that match.
pub(crate) fn limit(name: &str, servers: &[&str]) -> pb::Resource {
    let spec = pb::LimitSpec {
        r#match: Some(pb::LimitMatch {
            servers: servers.iter().map(|s| (*s).to_owned()).collect(),
            ..Default::default()
        }),
        rate: "5/1m".to_owned(),
        ..Default::default()
    };
    resource(name, Spec::Limit(spec))
}

/// A keyword filter on servers that match.
pub(crate) fn filter(name: &str, servers: &[&str]) -> pb::Resource {
    let keywords = pb::KeywordFilter {
        words: vec!["hacking".to_owned()],
        fold: true,
    };
    let spec = pb::FilterSpec {
        r#match: Some(pb::FilterMatch {
            servers: servers.iter().map(ToString::to_string).collect(),
            ..Default::default()
        }),
        kind: Some(pb::filter_spec::Kind::Keywords(keywords)),
        ..Default::default()
    };
    resource(name, Spec::Filter(spec))
}

fn resource(name: &str, spec: Spec) -> pb::Resource {
    let metadata = pb::Metadata {
        name: name.to_owned(),
        ..Default::default()
    };
    pb::Resource {
        metadata: Some(metadata),
        spec: Some(spec),
    }
}
