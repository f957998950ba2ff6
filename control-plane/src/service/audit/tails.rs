//! One tail over all replicas: each is listened to as long as it is there, and its words are joined to calls.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream::{self, SelectAll};
use futures_util::{Stream, StreamExt};
use proto::v1::{Call, CallFilter, TailCallsRequest};
use runtime::drain::Drain;

use crate::records::{Error, Halves, Records};
use crate::replicas::{Peer, Peers};

/// What is heard of one replica; its name alone when its stream has ended.
type Words = Pin<Box<dyn Stream<Item = (String, Option<Call>)> + Send>>;

/// Calls of all replicas from now on. Those of a replica that cannot be listened to are missing while that is so.
pub(super) fn everywhere(
    records: &Records,
    peers: &Arc<Peers>,
    filter: CallFilter,
    drain: &Drain,
) -> impl Stream<Item = Result<Arc<Call>, Error>> + Send + use<> {
    let (halves, told) = Halves::new(filter);
    let ours = records.tail(CallFilter::default());
    let ours =
        ours.filter_map(|call| async { Some((String::new(), Some(Call::clone(&*call.ok()?)))) });
    let mut words = SelectAll::new();
    words.push(Box::pin(ours) as Words);
    let listening = Listening {
        peers: peers.clone(),
        halves,
        words,
        heard: HashSet::new(),
    };
    let draining = drain.clone();
    drain.spawn("tail of all replicas", async move {
        tokio::select! {
            () = draining.signaled() => {}
            () = listening.run() => {}
        }
    });
    told
}

struct Listening {
    peers: Arc<Peers>,
    halves: Halves,
    words: SelectAll<Words>,
    /// The replicas that are listened to.
    heard: HashSet<String>,
}

impl Listening {
    /// Listens until the reader is gone.
    async fn run(mut self) {
        let mut others = self.peers.watch();
        loop {
            others.mark_unchanged();
            for (name, peer) in self.peers.each() {
                if self.heard.insert(name.clone()) {
                    self.words.push(words_of(name, peer));
                }
            }
            tokio::select! {
                Some((name, call)) = self.words.next() => match call {
                    Some(call) => self.halves.hear(call),
                    // It is listened to again with the next change among the replicas.
                    None => drop(self.heard.remove(&name)),
                },
                changed = others.changed() => if changed.is_err() { return },
                () = self.halves.settle() => return,
            }
        }
    }
}

fn words_of(name: String, mut peer: Peer) -> Words {
    let request = TailCallsRequest {
        filter: None,
        only_here: true,
    };
    let of = name.clone();
    let opened = async move {
        match peer.audit.tail_calls(request).await {
            Ok(calls) => calls.into_inner().left_stream(),
            Err(status) => stream::once(async { Err(status) }).right_stream(),
        }
    };
    let calls = stream::once(opened).flatten().take_while({
        let name = name.clone();
        move |call| {
            if let Err(status) = call {
                tracing::debug!(replica = name, why = status.message(), "a tail has ended");
            }
            std::future::ready(call.is_ok())
        }
    });
    let calls = calls.map(move |call| (name.clone(), call.ok()));
    Box::pin(calls.chain(stream::once(async move { (of, None) })))
}
