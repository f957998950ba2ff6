//! Follows the catalog: which servers are to be hosted on this machine now.

use std::collections::BTreeSet;
use std::time::Duration;

use proto::v1::resource::Spec;
use proto::v1::runtime::Kind;
use proto::v1::{Resource, WatchEvent, WatchRequest};
use runtime::drain::Drain;
use tokio::sync::watch;

use crate::context::Context;
use crate::link::Link;

/// Wait between two tries to reach the control plane.
const RETRY: Duration = Duration::from_secs(1);

/// Names of the servers that want a sidecar. `None` until the catalog was seen once.
pub(super) type Hosted = Option<BTreeSet<String>>;

/// Follows the catalog in a task of `tasks`, which ends with it. The latest set wins; a reader that is slow misses
/// nothing but what was overtaken.
pub(super) fn follow(context: Context, tasks: &Drain) -> watch::Receiver<Hosted> {
    let (sender, receiver) = watch::channel(None);
    let stop = tasks.clone();
    tasks.spawn("catalog", async move {
        loop {
            tokio::select! {
                // A lost connection is tried again; meanwhile the last set stands.
                () = session(&context, &sender) => {}
                () = stop.signaled() => return,
            }
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                () = stop.signaled() => return,
            }
        }
    });
    receiver
}

async fn session(context: &Context, sender: &watch::Sender<Hosted>) {
    let Ok(link) = Link::connect(context).await else {
        return;
    };
    let request = WatchRequest {
        kind: model::wire::SERVER.to_owned(),
        initial: true,
    };
    let Ok(answer) = link.admin().watch(request).await else {
        return;
    };
    let mut events = answer.into_inner();
    let mut view = View::default();
    while let Ok(Some(event)) = events.message().await {
        if let Some(set) = view.take(event) {
            sender.send_if_modified(|now| {
                let changed = now.as_ref() != Some(set);
                if changed {
                    *now = Some(set.clone());
                }
                changed
            });
        }
    }
}

/// The set as one stream tells it.
#[derive(Debug, Default)]
struct View {
    hosted: BTreeSet<String>,
    synced: bool,
}

impl View {
    /// Takes an event; the set, once it is whole.
    fn take(&mut self, event: WatchEvent) -> Option<&BTreeSet<String>> {
        let name = event.key.map(|key| key.name).unwrap_or_default();
        match event.action.as_str() {
            "synced" => self.synced = true,
            "deleted" => {
                self.hosted.remove(&name);
            }
            _ if event.resource.as_ref().is_some_and(is_hosted) => {
                self.hosted.insert(name);
            }
            _ => {
                self.hosted.remove(&name);
            }
        }
        self.synced.then_some(&self.hosted)
    }
}

/// Whether a server wants a sidecar on this machine: it runs there, or it may have to be bridged to. The sidecar of an
/// external one is started by somebody else.
fn is_hosted(resource: &Resource) -> bool {
    let Some(Spec::Server(server)) = &resource.spec else {
        return false;
    };
    let kind = server
        .runtime
        .as_ref()
        .and_then(|runtime| runtime.kind.as_ref());
    matches!(
        kind,
        Some(Kind::Npx(_) | Kind::Uvx(_) | Kind::Command(_) | Kind::Remote(_))
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::v1::{CommandRuntime, ExternalRuntime, ResourceKey, Runtime, ServerSpec};

    fn event(action: &str, name: &str, kind: Option<Kind>) -> WatchEvent {
        let resource = kind.map(|kind| Resource {
            spec: Some(Spec::Server(ServerSpec {
                runtime: Some(Runtime { kind: Some(kind) }),
                ..ServerSpec::default()
            })),
            ..Resource::default()
        });
        let key = Some(ResourceKey {
            kind: "Server".to_owned(),
            name: name.to_owned(),
        });
        WatchEvent {
            action: action.to_owned(),
            resource,
            key,
            revision: 1,
        }
    }

    #[test]
    fn only_a_whole_set_of_hosted_servers_is_told() {
        let mut view = View::default();
        let hosted = || Some(Kind::Command(CommandRuntime::default()));
        assert_eq!(view.take(event("added", "time", hosted())), None);
        assert_eq!(
            view.take(event(
                "added",
                "far",
                Some(Kind::External(ExternalRuntime {}))
            )),
            None
        );
        let names =
            |set: Option<&BTreeSet<String>>| set.map(|set| set.iter().cloned().collect::<Vec<_>>());
        assert_eq!(
            names(view.take(event("synced", "", None))),
            Some(vec!["time".to_owned()])
        );
        assert_eq!(
            names(view.take(event("added", "docs", hosted()))),
            Some(vec!["docs".to_owned(), "time".to_owned()])
        );
        assert_eq!(
            names(view.take(event("deleted", "time", None))),
            Some(vec!["docs".to_owned()])
        );
        let moved = event("changed", "docs", Some(Kind::External(ExternalRuntime {})));
        assert_eq!(names(view.take(moved)), Some(Vec::new()));
    }
}
