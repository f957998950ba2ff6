//! Tool integrity: what nodes were shown of servers' tools, and what of it was approved.
//!
//! ```text
//! node stream -- ToolSightings --> Inbox --> taken: first of all, or `pin: auto` --> ToolPins, as approved --push--> nodes
//!                                               \-- else -------------------------> ToolPins, as pending
//! admin API ------ accept, reject: pending -> approved, or gone
//! ```
//!
//! It does not compare definitions: nodes do, by the hashes that they are given. Must not know MCP.

mod taken;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use model::fault::{DANGLING, MISSING, TOO_MUCH};
use model::server::{Pin, Runtime};
use model::snapshot::ResourceKey;
use model::wire::{TOOL_PINS, TOOL_PINS_MAX};
use proto::v1 as pb;
use proto::v1::resource::Spec;
use runtime::backoff::Backoff;
use runtime::drain::Drain;
use runtime::tls::Peer;
use tokio::sync::mpsc;

use self::taken::Undecided;
use crate::catalog::{Catalog, Edit, Error, Fault, Options, Outcome, State};
use crate::clock;

/// Messages of nodes that wait to be looked at. What finds no room ends the stream that it came on: a node tells anew
/// on its next stream, and not before.
const INBOX_MAX: usize = 64;
/// Most times that one message is tried to be kept while the store is away, with pauses of this first and longest
/// length: some three minutes. Meanwhile others wait.
const TRIES_MAX: u32 = 40;
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// There is no room for another message: the node has to tell it again.
#[derive(Debug, thiserror::Error)]
#[error("too much is said of tools at the same time")]
pub(crate) struct Full;

/// Takes what nodes say. Cloned freely.
#[derive(Debug, Clone)]
pub(crate) struct Inbox {
    /// Each node's stream sends, one task receives.
    queue: mpsc::Sender<(String, pb::ToolSightings)>,
}

impl Inbox {
    /// An inbox whose task ends with `drain`.
    pub(crate) fn start(catalog: Arc<Catalog>, drain: &Drain) -> Self {
        let (queue, mut seen) = mpsc::channel::<(String, pb::ToolSightings)>(INBOX_MAX);
        let draining = drain.clone();
        drain.spawn("tool definitions", async move {
            loop {
                tokio::select! {
                    () = draining.signaled() => return,
                    next = seen.recv() => match next {
                        Some((node, seen)) => see(&catalog, &draining, &node, &seen).await,
                        None => return,
                    }
                }
            }
        });
        Self { queue }
    }

    /// A node was shown this. It may speak of the server that it stands before; an edge, of those that it calls itself.
    ///
    /// # Errors
    /// [`Full`]: it is not looked at.
    pub(crate) fn heard(
        &self,
        state: &State,
        peer: &Peer,
        seen: pb::ToolSightings,
    ) -> Result<(), Full> {
        let node = peer.node();
        let server = state.snapshot().servers.get(seen.server.as_str());
        let may_say = match (peer, server) {
            (Peer::Sidecar { server, .. }, Some(known)) => *server == known.name,
            (Peer::Edge { .. }, Some(known)) => matches!(known.runtime, Runtime::Remote { .. }),
            (Peer::ControlPlane { .. }, _) | (_, None) => false,
        };
        if !may_say {
            let server = &seen.server;
            tracing::warn!(
                node,
                server,
                "a node speaks of the tools of a server that it does not call"
            );
            return Ok(());
        }
        let queued = self.queue.try_send((node.to_owned(), seen));
        queued.map_err(|_| Full)
    }
}

/// Keeps what a node says; tries again while the store may come back, as the node does not say it again.
async fn see(catalog: &Catalog, drain: &Drain, node: &str, seen: &pb::ToolSightings) {
    let server = &seen.server;
    let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
    for left in (0..TRIES_MAX).rev() {
        let Err(error) = keep(catalog, node, seen).await else {
            return;
        };
        if left == 0 || !error.may_be_retried() {
            tracing::warn!(server, node, %error, "what a node says of tools is not kept before it connects anew");
            return;
        }
        tracing::debug!(server, node, %error, "what a node says of tools is not kept yet");
        tokio::select! {
            () = drain.signaled() => return,
            () = tokio::time::sleep(backoff.pause()) => {}
        }
    }
}

async fn keep(catalog: &Catalog, node: &str, seen: &pb::ToolSightings) -> Result<(), Error> {
    let now = clock::now_ms();
    let plan = |state: &State| Ok(taken::of(state, node, seen, now).into_iter().collect());
    // Most often there is nothing to do: then nobody waits for anybody.
    if taken::of(&catalog.state(), node, seen, now).is_none() {
        return Ok(());
    }
    let author = format!("tools seen by {node}");
    let changed = catalog.change(&author, Options::default(), plan).await;
    changed.map(drop)
}

/// What is kept of a server's tools.
fn kept<'s>(state: &'s State, server: &str) -> Option<&'s pb::ToolPinsSpec> {
    let stored = state.get(&ResourceKey::new(TOOL_PINS, server))?;
    match &stored.resource.spec {
        Some(Spec::ToolPins(spec)) => Some(spec),
        _ => None,
    }
}

fn put(server: &str, spec: pb::ToolPinsSpec) -> Edit {
    let metadata = pb::Metadata {
        name: server.to_owned(),
        ..Default::default()
    };
    Edit::put(pb::Resource {
        metadata: Some(metadata),
        spec: Some(Spec::ToolPins(spec)),
    })
}

/// The definitions of `server`'s tools, or of all servers' of which any is known or wanted.
pub(crate) fn list(state: &State, server: &str) -> Vec<pb::ServerTools> {
    let servers = state.snapshot().servers.values();
    let wanted = servers.filter(|known| server.is_empty() || known.name.as_str() == server);
    let of = |known: &Arc<model::server::Server>| {
        let kept = kept(state, known.name.as_str());
        let is_shown = kept.is_some() || known.tools.pin != Pin::Off || !server.is_empty();
        let kept = kept.cloned().unwrap_or_default();
        is_shown.then(|| pb::ServerTools {
            server: known.name.to_string(),
            pin: known.tools.pin.as_str().to_owned(),
            approved: kept.tools,
            pending: kept.pending,
        })
    };
    wanted.filter_map(of).collect()
}

/// Approves definitions that wait, or lets go of them.
///
/// # Errors
/// [`Error::Refused`] where one of them does not wait, at least not as it was shown, or is one too many; else what the
/// catalog may say.
pub(crate) async fn decide(
    catalog: &Catalog,
    author: &str,
    request: &pb::AcceptToolsRequest,
) -> Result<Outcome, Error> {
    let now = clock::now_ms();
    if request.tools.is_empty() {
        return Err(Error::Refused(vec![Fault {
            index: None,
            resource: None,
            path: "tools".to_owned(),
            code: MISSING,
            message: "is missing: which definitions are meant?".to_owned(),
            fix: None,
        }]));
    }
    let plan = |state: &State| {
        let mut spec = kept(state, &request.server).cloned().unwrap_or_default();
        let mut faults = Vec::new();
        for (n, choice) in request.tools.iter().enumerate() {
            let approved = (!request.reject).then_some((author, now));
            if let Err(why) = taken::decide(&mut spec, choice, approved) {
                faults.push(undecided(n, choice, why));
            }
        }
        if faults.is_empty() {
            Ok(vec![put(&request.server, spec)])
        } else {
            Err(Error::Refused(faults))
        }
    };
    catalog.change(author, Options::default(), plan).await
}

fn undecided(n: usize, choice: &pb::ToolChoice, why: Undecided) -> Fault {
    let pb::ToolChoice { tool, era, .. } = choice;
    let (code, message, fix) = match why {
        Undecided::NotWaiting => (
            DANGLING,
            format!("no such definition of tool {tool:?} for {era} clients waits any more"),
            Some("look at what waits now: gatehouse server tools NAME --diff".to_owned()),
        ),
        Undecided::Full => (
            TOO_MUCH,
            format!(
                "tool {tool:?} for {era} clients would be over the {TOOL_PINS_MAX} definitions of one server"
            ),
            None,
        ),
    };
    Fault {
        index: None,
        resource: None,
        path: format!("tools[{n}]"),
        code,
        message,
        fix,
    }
}
