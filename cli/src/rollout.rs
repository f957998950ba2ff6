//! Waiting until every live node runs a revision: `apply --wait`, `delete --wait`, and after a change of keys.

use std::time::{Duration, Instant};

use proto::v1::{NodeKind, NodeStatus, RolloutProgress, RolloutRequest};
use serde::Serialize;

use crate::codes;
use crate::fault::{Failure, Fault};
use crate::link::Link;
use crate::show::{Meaning, Progress, Show};
use crate::staged;
use crate::when;

/// How it went, for `-o json`.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Nodes that run it.
    pub current: u32,
    /// Live nodes.
    pub live: u32,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// Waits; `progress` shows who is missing.
///
/// # Errors
/// At once where a node rejects the revision; at the end of `timeout` with the names of those that are missing;
/// or where the connection breaks. Each says that the revision is stored.
pub async fn wait(
    link: &Link,
    mut progress: Progress,
    revision: u64,
    timeout: Duration,
) -> Result<Outcome, Failure> {
    let start = Instant::now();
    let mut last = None;
    let followed = tokio::time::timeout(
        timeout,
        follow(link, &mut progress, revision, start, &mut last),
    )
    .await;
    drop(progress);
    match followed {
        Ok(result) => result,
        Err(_) => Err(Failure::of(
            vec![too_late(revision, timeout, last.as_ref())],
            Some(stored(revision)),
        )),
    }
}

async fn follow(
    link: &Link,
    progress: &mut Progress,
    revision: u64,
    start: Instant,
    last: &mut Option<RolloutProgress>,
) -> Result<Outcome, Failure> {
    let request = RolloutRequest { revision };
    let mut stream = link
        .admin()
        .rollout(request)
        .await
        .map_err(|s| link.fault(&s))?
        .into_inner();
    while let Some(step) = stream.message().await.map_err(|s| link.fault(&s))? {
        if !step.halted.is_empty() {
            return Err(Failure::of(vec![taken_back(revision, &step.halted)], None));
        }
        if step.rejected {
            return Err(Failure::of(
                rejections(revision, &step),
                Some(stored(revision)),
            ));
        }
        if step.done {
            let duration_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
            return Ok(Outcome {
                current: step.current,
                live: step.live,
                duration_ms,
            });
        }
        match &step.staged {
            Some(spec) => {
                let what = format!(
                    "revision {revision} stored, share {} of {}; nodes {}/{}",
                    spec.begun,
                    spec.shares.len(),
                    step.current,
                    step.live
                );
                progress.set(&what, &format!("  {}", staged::share(spec)));
            }
            None => progress.set(
                &format!(
                    "revision {revision} stored; nodes {}/{}",
                    step.current, step.live
                ),
                &format!("  waiting for {}", names(&step.waiting)),
            ),
        }
        *last = Some(step);
    }
    let fault = Fault::new(
        codes::NO_ANSWER,
        "the control plane ended the wait without a result",
    )
    .retryable();
    Err(Failure::of(vec![fault], Some(stored(revision))))
}

/// `revision 15 is live on 3 of 3 nodes (0.2 s)`.
pub fn sentence(show: &Show, revision: u64, outcome: &Outcome) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a time for people")]
    let seconds = outcome.duration_ms as f64 / 1000.0;
    let text = format!(
        "revision {revision} is live on {} of {} nodes ({seconds:.1} s)",
        outcome.current, outcome.live
    );
    show.paint(Meaning::Good, &text)
}

/// A node as people call it: `edge/edge-1f`, `sidecar/time`.
pub fn node_name(node: &NodeStatus) -> String {
    match node.kind() {
        NodeKind::Sidecar => format!("sidecar/{}", node.server),
        NodeKind::Edge => format!("edge/{}", node.name),
        NodeKind::Unspecified => node.name.clone(),
    }
}

/// The live nodes that a resource concerns: for a server all edges and its own sidecars, else all.
pub fn concerned<'n>(nodes: &'n [NodeStatus], kind: &str, name: &str) -> Vec<&'n NodeStatus> {
    let is_server = kind == model::wire::SERVER;
    let concerns = |node: &&NodeStatus| !is_server || node.server.is_empty() || node.server == name;
    let live = nodes.iter().filter(|node| node.live);
    live.filter(concerns).collect()
}

fn names(nodes: &[NodeStatus]) -> String {
    /// More names than this help nobody.
    const NAMES_MAX: usize = 5;
    let mut names: Vec<String> = nodes.iter().take(NAMES_MAX).map(node_name).collect();
    if nodes.len() > NAMES_MAX {
        names.push(format!("{} more", nodes.len() - NAMES_MAX));
    }
    names.join(", ")
}

fn stored(revision: u64) -> String {
    format!("revision {revision} is stored; nodes that can, take it as they come")
}

fn taken_back(revision: u64, why: &str) -> Fault {
    let message = format!("revision {revision} was taken back");
    Fault::new(codes::TAKEN_BACK, message)
        .why(why)
        .fix("gatehouse rollout status")
}

fn too_late(revision: u64, timeout: Duration, last: Option<&RolloutProgress>) -> Fault {
    let fault = Fault::new(
        codes::NOT_LIVE_YET,
        format!(
            "revision {revision} is not on all nodes after {}",
            when::span(timeout)
        ),
    );
    let fault = match last {
        Some(step) => fault.why(format!(
            "nodes {}/{}, waiting for {}",
            step.current,
            step.live,
            names(&step.waiting)
        )),
        None => fault,
    };
    fault.fix("gatehouse nodes").retryable()
}

fn rejections(revision: u64, step: &RolloutProgress) -> Vec<Fault> {
    let mut faults: Vec<Fault> = step
        .waiting
        .iter()
        .filter(|node| !node.faults.is_empty() || node.rejected_revision >= revision)
        .map(|node| {
            let name = node_name(node);
            let text = format!(
                "{name} rejects revision {revision} and runs {}",
                node.revision
            );
            Fault::new(codes::REJECTED, text)
                .why(node.faults.join("\n"))
                .fix(way_back(revision, node))
        })
        .collect();
    if faults.is_empty() {
        faults.push(
            Fault::new(
                codes::REJECTED,
                format!("a node rejects revision {revision}"),
            )
            .fix("gatehouse nodes"),
        );
    }
    faults
}

/// Back to what the node runs, which was good before.
fn way_back(revision: u64, node: &NodeStatus) -> String {
    if (1..revision).contains(&node.revision) {
        format!("gatehouse rollback --to {}", node.revision)
    } else {
        format!("gatehouse nodes {}", node.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sidecar(server: &str) -> NodeStatus {
        NodeStatus {
            name: format!("{server}-1"),
            kind: NodeKind::Sidecar.into(),
            server: server.to_owned(),
            ..NodeStatus::default()
        }
    }

    #[test]
    fn a_rejection_names_node_revision_and_reason() {
        let node = NodeStatus {
            revision: 13,
            faults: vec!["unknown feature when/1".to_owned()],
            ..sidecar("time")
        };
        let step = RolloutProgress {
            waiting: vec![node, sidecar("docs")],
            ..RolloutProgress::default()
        };
        let faults = rejections(14, &step);
        assert_eq!(faults.len(), 1);
        assert_eq!(
            faults[0].message,
            "sidecar/time rejects revision 14 and runs 13"
        );
        assert_eq!(faults[0].why.as_deref(), Some("unknown feature when/1"));
        assert_eq!(faults[0].fix.as_deref(), Some("gatehouse rollback --to 13"));
    }

    #[test]
    fn a_timeout_names_who_is_missing() {
        let step = RolloutProgress {
            current: 2,
            live: 3,
            waiting: vec![sidecar("time")],
            ..RolloutProgress::default()
        };
        let fault = too_late(15, Duration::from_secs(60), Some(&step));
        assert_eq!(
            fault.why.as_deref(),
            Some("nodes 2/3, waiting for sidecar/time")
        );
        assert_eq!(fault.message, "revision 15 is not on all nodes after 60s");
    }

    #[test]
    fn long_lists_of_nodes_are_cut() {
        let many: Vec<NodeStatus> = (0..8).map(|n| sidecar(&format!("s{n}"))).collect();
        assert!(names(&many).ends_with("sidecar/s4, 3 more"));
    }
}
