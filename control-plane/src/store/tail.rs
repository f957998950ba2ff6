//! Watches etcd for ever: look where it stands, watch from there on, and when the watch ends begin anew.
//!
//! ```text
//!   get any key -> revision R     (what came before R is read by whoever is rung)
//!   watch from R + 1              (nothing between the two is lost)
//!   created -> ring all           (what came while we were away)
//!   events  -> ring their prefixes
//!   cancelled, compacted, disconnected, silent -> pause, again
//! ```
//!
//! As listeners read again when they are rung, beginning anew needs no memory of where the last watch stood:
//! neither a compaction nor an etcd that was restored from a backup can make us miss anything.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{Client, WatchOptions, WatchStream};
use runtime::drain::Drain;
use tokio::time::timeout;

use super::bells::Bells;
use super::{Error, etcd, key};
use runtime::backoff::Backoff;

/// First and longest pause before watching again. Short to the end: while nothing is watched nodes get nothing new, and
/// members that elect a leader refuse some tries before one of them takes a watch.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));
/// Longest that beginning to watch takes, so that a member that hangs leaves time for another: one without a leader
/// answers a read only after seconds.
const BEGIN_MAX: Duration = Duration::from_secs(2);

/// Watches until `drain` starts.
pub(super) async fn follow(client: Client, bells: Arc<Bells>, drain: Drain) {
    let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
    let mut away = false;
    loop {
        let watching = async {
            let ended = watch(&client, &bells, &mut backoff, &mut away).await;
            if !std::mem::replace(&mut away, true) {
                tracing::warn!(why = %ended, "watch of etcd ended; trying again until it answers");
            }
            tokio::time::sleep(backoff.pause()).await;
        };
        tokio::select! {
            () = drain.signaled() => return,
            () = watching => {}
        }
    }
}

/// One watch, from its beginning to its end; it has no good one.
async fn watch(client: &Client, bells: &Bells, backoff: &mut Backoff, away: &mut bool) -> Error {
    let begun = timeout(BEGIN_MAX, begin(client)).await;
    let mut stream = match begun {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return etcd::error_of(&error),
        Err(_) => return Error::Away(format!("no watch within {BEGIN_MAX:?}")),
    };
    loop {
        let message = match stream.message().await {
            Ok(Some(message)) => message,
            Ok(None) => return Error::Away("etcd closed the watch".to_owned()),
            Err(error) => return etcd::error_of(&error),
        };
        if message.canceled() {
            let (why, revision) = (message.cancel_reason(), message.compact_revision());
            return Error::Away(format!(
                "etcd cancelled the watch: {why} (compacted to {revision})"
            ));
        }
        if std::mem::replace(away, false) {
            tracing::info!("watching etcd again");
        }
        backoff.reset();
        let keys = message
            .events()
            .iter()
            .filter_map(|e| e.kv()?.key_str().ok());
        bells.ring(keys);
        if message.created() {
            bells.ring_all();
        }
    }
}

/// Asks for everything from now on.
async fn begin(client: &Client) -> Result<WatchStream, etcd_client::Error> {
    let now = client.kv_client().get(key::HEAD, None).await?;
    let next = now.header().map_or(0, |h| h.revision()) + 1;
    let options = WatchOptions::new().with_prefix().with_start_revision(next);
    let mut watching = client
        .watch_client()
        .max_decoding_message_size(etcd::ANSWER_BYTES_MAX);
    watching.watch(key::ALL, Some(options)).await
}
