//! Whether this replica alone has lost the store.
//!
//! ```text
//! our word does not get into the store for a lease's time
//!     -> ask the others: do they still list us as live?
//!          no: they have seen our lease end, so they have the store   -> our nodes are sent to them
//!          yes: the store is away for them as well, or nobody answers -> nodes stay, as there is nothing better
//! ```
//!
//! Nodes that stayed would keep rules that were taken back elsewhere, and the others would come to count them as gone:
//! a rollout would be over without them. It decides; whoever holds streams ends them.

use std::sync::Arc;

use proto::v1 as pb;
use runtime::drain::Drain;

use super::{LEASE, Peers, REFRESH, Replicas};

/// How often in a row the others must say so. In between we try to reach the store ourselves: when it was away for
/// all and is back, somebody may see that our lease has ended before we have taken a new one.
const TIMES: u32 = 2;

/// Looks, until `drain` starts.
pub(crate) async fn follow(peers: Arc<Peers>, drain: Drain) {
    if !peers.may_have_company() {
        return;
    }
    let looking = async {
        let mut times = 0;
        loop {
            tokio::time::sleep(REFRESH).await;
            let replicas = peers.replicas();
            if replicas.told_within(LEASE) || !is_given_up(&peers, replicas).await {
                times = 0;
                continue;
            }
            times += 1;
            // Asking took its time: our word may have got in meanwhile.
            if times >= TIMES && !replicas.told_within(LEASE) {
                replicas.is_cut_off(true);
            }
        }
    };
    tokio::select! {
        () = drain.signaled() => {}
        () = looking => {}
    }
}

/// Whether another replica answers and has seen that our lease has ended.
async fn is_given_up(peers: &Peers, replicas: &Replicas) -> bool {
    let question = async |peer: super::Peer| {
        let mut admin = peer.admin;
        let answer = admin.version(pb::VersionRequest {}).await?;
        Ok(answer.into_inner().replicas)
    };
    let answers = peers.ask(question).await.answers;
    answers
        .iter()
        .any(|(_, listed)| !lists_as_live(listed, replicas.name()))
}

fn lists_as_live(listed: &[pb::ReplicaStatus], name: &str) -> bool {
    listed
        .iter()
        .any(|replica| replica.name == name && replica.state != "gone")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(state: &str) -> Vec<pb::ReplicaStatus> {
        let replica = |name: &str, state: &str| pb::ReplicaStatus {
            name: name.to_owned(),
            state: state.to_owned(),
            ..Default::default()
        };
        vec![replica("cp-2", "here"), replica("cp-1", state)]
    }

    #[test]
    fn who_is_gone_or_forgotten_is_given_up() {
        assert!(lists_as_live(&listed("live"), "cp-1"));
        assert!(!lists_as_live(&listed("gone"), "cp-1"));
        assert!(!lists_as_live(&listed("live"), "cp-3"));
    }
}
