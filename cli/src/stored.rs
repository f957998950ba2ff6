//! All that the control plane holds, at one revision: as it is stored, and as the engine decides by it.

use std::sync::Arc;

use engine::Engine;
use model::name::SecretName;
use model::secret::{Secret, SecretText};
use model::snapshot::{Revision, Snapshot};
use model::wire;
use proto::v1::resource::Spec;
use proto::v1::{ListRequest, Metadata, Resource, ToolPinsSpec};

use crate::codes;
use crate::fault::{Failure, Fault};
use crate::link::Link;
use crate::server::tools;

/// One state of all configuration.
#[derive(Debug)]
pub struct Stored {
    /// Sorted by kind, then name.
    pub resources: Vec<Resource>,
    /// The same, as decisions look at it.
    pub snapshot: Arc<Snapshot>,
}

impl Stored {
    /// Asks for it.
    ///
    /// # Errors
    /// No answer, or one that a newer control plane would give.
    pub async fn fetch(link: &Link) -> Result<Self, Failure> {
        let request = ListRequest {
            kind: String::new(),
        };
        let answer = link
            .admin()
            .list(request)
            .await
            .map_err(|status| link.fault(&status))?
            .into_inner();
        let mut snapshot = Snapshot {
            revision: Revision(answer.revision),
            ..Snapshot::default()
        };
        let is_secret = |resource: &&Resource| {
            wire::key_of(resource).is_some_and(|key| key.kind == wire::SECRET)
        };
        // What is shown of a secret holds no value.
        for resource in answer.resources.iter().filter(|r| !is_secret(r)) {
            match wire::convert(resource) {
                Ok(item) => wire::insert(&mut snapshot, item),
                Err(faults) => {
                    let why = faults.first().map(ToString::to_string).unwrap_or_default();
                    let text = "the control plane holds what this command does not know: it is of an older version";
                    return Err(Fault::new(codes::NO_ANSWER, text).why(why).into());
                }
            }
        }
        stand_in(&mut snapshot);
        approved(link, &mut snapshot).await?;
        Ok(Self {
            resources: answer.resources,
            snapshot: Arc::new(snapshot),
        })
    }

    /// The one with this key.
    pub fn resource(&self, kind: &str, name: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| {
            wire::key_of(resource).is_some_and(|key| key.kind == kind && key.name == name)
        })
    }
}

/// What was approved of the tools of servers that are trusted, where a rule asks what they say of themselves.
async fn approved(link: &Link, snapshot: &mut Snapshot) -> Result<(), Failure> {
    let asks = snapshot
        .rules
        .values()
        .any(|rule| !rule.annotations.is_empty());
    let mut servers = snapshot.servers.values();
    if !asks || !servers.any(|server| server.tools.is_trusted()) {
        return Ok(());
    }
    for known in tools::states(link, "").await? {
        // Where none was seen yet, that is no empty list of what was.
        if known.approved.is_empty() {
            continue;
        }
        let metadata = Metadata {
            name: known.server,
            ..Default::default()
        };
        let pins = Resource {
            metadata: Some(metadata),
            spec: Some(Spec::ToolPins(ToolPinsSpec {
                tools: known.approved,
                pending: Vec::new(),
            })),
        };
        // What a newer control plane alone can read is not known here, and so taken for the worst.
        if let Ok(item) = wire::convert(&pins) {
            wire::insert(snapshot, item);
        }
    }
    Ok(())
}

/// Puts something in the place of every secret that is named: no decision depends on a value.
pub fn stand_in(snapshot: &mut Snapshot) {
    let of_servers = snapshot
        .servers
        .values()
        .flat_map(|server| server.secrets());
    let of_filters = snapshot
        .filters
        .values()
        .filter_map(|filter| filter.kind.secret())
        .map(|(_, secret)| secret);
    let names: Vec<SecretName> = of_servers.chain(of_filters).cloned().collect();
    for name in names {
        let secret = Secret {
            name: name.clone(),
            value: SecretText::new("hidden"),
        };
        snapshot
            .secrets
            .entry(name)
            .or_insert_with(|| Arc::new(secret));
    }
}

/// What decides by a snapshot.
///
/// # Errors
/// What cannot be compiled.
pub fn compile(snapshot: Arc<Snapshot>) -> Result<Engine, Failure> {
    Engine::compile(snapshot).map_err(|faults| {
        let faults = faults.iter().map(|f| Fault {
            code: f.code.into(),
            message: f.to_string(),
            ..Fault::default()
        });
        Failure::of(faults.collect(), None)
    })
}
