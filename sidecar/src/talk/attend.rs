//! A legacy client hears of a modern server's changes: by one subscription of ours for each session, which is opened anew
//! before the old one is closed when the client wants to hear of more or less.

use std::sync::Arc;
use std::time::Duration;

use dataplane::refusal::Fault;
use mcp::bridge::capabilities;
use mcp::edit::Edits;
use mcp::error::RpcError;
use mcp::federate::listen::SUBSCRIPTION_ID;
use mcp::method::{self, Target};
use mcp::revision::{Era, Revision};
use mcp::walk;
use runtime::drain::Drain;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use super::line::{CHORE, Line};
use super::listen::{self, Interest};
use crate::client::Client;
use crate::serve::fault;
use crate::upstream::Error;
use crate::upstream::feed::Listener;
use crate::upstream::response::Heard;
use crate::upstream::session::Ready;
use crate::upstream::ticket::Event;
use crate::upstream::underway::Underway;

/// How often it is seen to whether the client still listens.
const UNATTENDED: Duration = Duration::from_secs(60);

/// Has the client hear of what it wants to hear of now, resources and lists. `wants`: a resource that it must hear of.
///
/// # Errors
/// The server cannot be listened to, or does not tell of that resource.
pub async fn attend(
    client: &Arc<Client>,
    line: Line,
    (ready, wants): (&Ready, Option<&str>),
    drain: &Drain,
) -> Result<(), Fault> {
    let mut listening = client.listening.lock().await;
    let mut wanted = Interest::lists_of(&ready.greeting);
    wanted.uris = client.subscriptions().into_iter().collect();
    let (underway, granted) = open(client, &line, &wanted).await?;
    if let Some(uri) = wants.filter(|uri| !granted.iter().any(|known| known == uri)) {
        return Err(Fault::invalid(RpcError::unknown_target(
            Target::Resource,
            uri,
            Era::Legacy,
        )));
    }
    let stop = CancellationToken::new();
    if let Some(before) = listening.replace(stop.clone()) {
        before.cancel();
    }
    let until = (stop, drain.clone());
    drain.spawn(
        "what a server says",
        hear(client.clone(), line, underway, until),
    );
    Ok(())
}

/// Opens a subscription; the resources that it is for.
async fn open(
    client: &Client,
    line: &Line,
    wanted: &Interest,
) -> Result<(Underway, Vec<String>), Fault> {
    let declared = capabilities::to_modern(&client.declared, client.revision);
    let id = line.next_id();
    let request = json!({"jsonrpc": "2.0", "id": id, "method": method::SUBSCRIPTIONS_LISTEN, "params": {
        "notifications": wanted.json(), "_meta": {
            "io.modelcontextprotocol/protocolVersion": Revision::LATEST.as_str(),
            "io.modelcontextprotocol/clientCapabilities": declared}}});
    let opened = async {
        let sent = line.put_modern(id, method::SUBSCRIPTIONS_LISTEN, &request, listen::ask());
        let mut underway = sent.await?;
        let first = underway.next().await?;
        Ok::<_, Error>((underway, first))
    };
    let opened = timeout(CHORE, opened).await;
    let opened = opened.map_err(|_| Fault::timeout("the server acknowledges no subscription"))?;
    let (underway, first) = opened.map_err(fault)?;
    match first {
        Event::Heard(heard) if heard.method == method::SUBSCRIPTIONS_ACKNOWLEDGED => {
            let granted: Value = serde_json::from_slice(heard.raw_params()).unwrap_or_default();
            let uris = granted["notifications"]["resourceSubscriptions"].as_array();
            let uris = uris.map(Vec::as_slice).unwrap_or_default();
            let texts = uris.iter().filter_map(Value::as_str);
            Ok((underway, texts.map(str::to_owned).collect()))
        }
        _ => Err(Fault::unavailable("the server grants no subscription")),
    }
}

/// Hands on what comes, until `stop` or the session's end. Where it comes no more, the client's own stream ends, too: it
/// comes back for another, and by that to the server as it is then. Nor is a server listened to for nobody.
async fn hear(
    client: Arc<Client>,
    line: Line,
    mut underway: Underway,
    (stop, drain): (CancellationToken, Drain),
) {
    let _line = line;
    let ended = client.ended().clone();
    let mut look = interval_at(Instant::now() + UNATTENDED, UNATTENDED);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return,
            () = ended.cancelled() => return,
            () = drain.signaled() => return,
            _ = look.tick() => {
                if client.outbox.is_attended() {
                    continue;
                }
                return;
            }
            event = underway.next() => event,
        };
        match event {
            Ok(Event::Heard(heard)) => drop(client.hear(&untagged(heard), None)),
            Ok(Event::Progress(_)) => {}
            // It has nothing to tell of, or no more.
            Ok(Event::Response(_)) => return,
            Err(_) => {
                client.outbox.detach();
                return;
            }
        }
    }
}

/// Without the name of our subscription, which means nothing to the client.
fn untagged(heard: Heard) -> Heard {
    let bytes = heard.bytes.clone();
    let meta = heard
        .params
        .and_then(|params| walk::find(&bytes, params, "_meta"));
    let Some(meta) = meta else { return heard };
    let mut edits = Edits::new(&bytes);
    edits.members(
        meta,
        |member| match &*member.key {
            SUBSCRIPTION_ID => mcp::edit::Change::Remove,
            _ => mcp::edit::Change::Keep,
        },
        [],
    );
    match edits.apply() {
        Ok(changed) => heard.with_bytes(changed.into()),
        Err(_) => heard,
    }
}
