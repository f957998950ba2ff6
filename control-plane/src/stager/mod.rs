//! Brings a change that is staged from one share of the nodes to the next, or takes it back.
//!
//! ```text
//! nodes, counts of their calls --judge--> wait | next share | halt -> catalog: a revision, as any change
//! ```
//! Every replica looks, and the first one acts: each step holds only for what it was decided on. Start from [`Stager`].

mod judge;

use std::sync::Arc;
use std::time::Duration;

use model::name::ServerName;
use proto::v1 as pb;
use runtime::drain::Drain;

use self::judge::{Look, Memory, Verdict};
use crate::catalog::{Catalog, End, Error, last_staged, running_staged};
use crate::clock;
use crate::nodes::{Nodes, Sides, Tally};
use crate::publish::{Members, Publisher, bound};
use crate::replicas::{Replicas, everywhere};

/// How often nodes are looked at though nothing was heard, while a change is staged.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks after the change that is staged.
#[derive(Debug)]
pub(crate) struct Stager {
    /// Where it is.
    pub(crate) catalog: Arc<Catalog>,
    /// Who is to have it.
    pub(crate) publisher: Arc<Publisher>,
    /// Who has it.
    pub(crate) nodes: Arc<Nodes>,
    /// Who has it elsewhere.
    pub(crate) replicas: Arc<Replicas>,
}

impl Stager {
    /// Until `drain` starts.
    pub(crate) async fn follow(self, drain: Drain) {
        tokio::select! {
            () = drain.signaled() => {}
            () = self.follow_for_ever() => {}
        }
    }

    async fn follow_for_ever(&self) {
        let (mut states, mut nodes) = (self.catalog.watch(), self.nodes.watch());
        let mut memory = Memory::default();
        loop {
            states.mark_unchanged();
            nodes.mark_unchanged();
            match self.look(&mut memory).await {
                Ok(true) => tokio::select! {
                    _ = states.changed() => {}
                    _ = nodes.changed() => {}
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                },
                Ok(false) => {
                    if states.changed().await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the staged rollout waits");
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
        }
    }

    /// Whether a change is staged.
    async fn look(&self, memory: &mut Memory) -> Result<bool, Error> {
        let state = self.catalog.state();
        let Some(spec) = running_staged(&state) else {
            return Ok(false);
        };
        let (_, members) = self.publisher.head();
        let stands = |members: &Arc<Members>| {
            (members.revision, members.begun) == (spec.revision, spec.begun)
        };
        let Some(members) = members.filter(stands) else {
            return Ok(true);
        };
        let live = self.live(spec.revision);
        let verdict = Look {
            spec,
            members: &members,
            live: &live,
            counts: self.replicas.counts(),
            now: clock::now_ms(),
        }
        .judge(memory);
        match verdict {
            Verdict::Wait => {}
            Verdict::Halt(why) => self.halt(spec, &why).await?,
            Verdict::Next => self.go_on(spec, &members, &live).await?,
        }
        Ok(true)
    }

    async fn halt(&self, spec: &pb::StagedRolloutSpec, why: &str) -> Result<(), Error> {
        let revision = spec.revision;
        tracing::warn!(
            revision,
            why,
            "a staged rollout is halted: what it changed is taken back"
        );
        let author = format!("rollout of {revision}: halted");
        let ended = self
            .catalog
            .end_staged(&author, revision, End::Halt, why)
            .await;
        overtaken(ended.map(drop))
    }

    async fn go_on(
        &self,
        spec: &pb::StagedRolloutSpec,
        members: &Members,
        live: &[pb::NodeStatus],
    ) -> Result<(), Error> {
        let revision = spec.revision;
        let Some(&share) = spec.shares.get(spec.begun as usize) else {
            tracing::info!(
                revision,
                "a staged rollout is done: all nodes get the change"
            );
            let author = format!("rollout of {revision}: all nodes");
            let ended = self
                .catalog
                .end_staged(&author, revision, End::Promote, "")
                .await;
            return overtaken(ended.map(drop));
        };
        let (edges, sidecars) = (places(members, live, false), places(members, live, true));
        tracing::info!(revision, share, "a staged rollout goes on");
        let next = self
            .catalog
            .next_share(spec, bound(edges, share), bound(sidecars, share));
        next.await.map(drop)
    }

    /// All live nodes.
    pub(crate) fn live(&self, revision: u64) -> Vec<pb::NodeStatus> {
        everywhere(revision, self.nodes.live(), &self.replicas.others()).0
    }
}

impl Stager {
    /// How the staged rollout stands that is running, or was the last.
    pub(crate) fn shown(&self) -> pb::StagedRollout {
        let state = self.catalog.state();
        let Some(spec) = last_staged(&state) else {
            return pb::StagedRollout::default();
        };
        let mut shown = pb::StagedRollout {
            rollout: Some(spec.clone()),
            ..Default::default()
        };
        let Some(members) = self.publisher.head().1 else {
            return shown;
        };
        for node in self.live(spec.revision) {
            let server = ServerName::new(&node.server).ok();
            if members.concerns(server.as_ref()) {
                shown.concerned += 1;
                let has = members.has(&node.name, server.as_ref());
                shown.having += u32::from(has && node.revision >= spec.revision);
            }
        }
        if let Some(counts) = self.replicas.counts() {
            shown.counts = vec![
                counted("edges", &counts.edges),
                counted("sidecars", &counts.sidecars),
            ];
        }
        shown
    }
}

fn counted(nodes: &str, sides: &Sides) -> pb::RolloutCounts {
    let tally = |tally: Tally| {
        Some(pb::CallTally {
            calls: tally.calls,
            failed: tally.failed,
        })
    };
    pb::RolloutCounts {
        nodes: nodes.to_owned(),
        having: tally(sides.having),
        others: tally(sides.others),
        before: tally(sides.before),
    }
}

/// The places of the edges, or of the sidecars, that the change concerns.
fn places(members: &Members, live: &[pb::NodeStatus], sidecars: bool) -> Vec<u64> {
    let meant = live.iter().filter(|node| {
        let server = ServerName::new(&node.server).ok();
        server.is_some() == sidecars && members.concerns(server.as_ref())
    });
    meant.map(|node| members.place(&node.name)).collect()
}

/// That another replica, or an operator, was faster is no fault.
fn overtaken(ended: Result<(), Error>) -> Result<(), Error> {
    match ended {
        Err(Error::NotStaged(_)) => Ok(()),
        other => other,
    }
}
