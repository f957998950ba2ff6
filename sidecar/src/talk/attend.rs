//! A legacy client hears of a modern server's changes: by one subscription of ours for each session, which is opened anew
//! before the old one is closed when the client wants to hear of more or less.

use std::sync::Arc;
use std::time::Duration;

use dataplane::refusal::Fault;
use mcp::bridge::capabilities;
use mcp::edit::Edits;
use mcp::error::RpcError;
use mcp::method::{self, Target};
use mcp::revision::{Era, Revision};
use mcp::walk;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::line::{CHORE, Line};
use super::listen::{self, Interest};
use crate::client::Client;
use crate::serve::fault;
use crate::upstream::feed::Listener;
use crate::upstream::response::{Heard, SUBSCRIPTION_KEY};
use crate::upstream::session::Ready;
use crate::upstream::ticket::Event;
use crate::upstream::underway::Underway;

/// First and longest pause before a subscription that broke is opened anew.
const AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// Has the client hear of what it wants to hear of now, resources and lists.
///
/// # Errors
/// The server cannot be listened to, or does not tell of one of the resources.
pub async fn attend(client: &Arc<Client>, line: Line, ready: &Ready) -> Result<(), Fault> {
    let mut listening = client.listening.lock().await;
    let mut wanted = Interest::lists_of(&ready.greeting);
    wanted.uris = client.subscriptions().into_iter().collect();
    let (underway, granted) = open(client, &line, &wanted).await?;
    if let Some(uri) = wanted.uris.iter().find(|uri| !granted.contains(uri)) {
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
    tokio::spawn(hear(client.clone(), line, wanted, underway, stop));
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
    let sent = line.put_modern(id, method::SUBSCRIPTIONS_LISTEN, &request, listen::ask());
    let mut underway = sent.await.map_err(fault)?;
    let first = timeout(CHORE, underway.next()).await;
    let first = first.map_err(|_| Fault::timeout("the server acknowledges no subscription"))?;
    match first.map_err(fault)? {
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

/// Hands on what comes, and opens the subscription anew where it breaks, until `stop` or the session's end.
async fn hear(
    client: Arc<Client>,
    line: Line,
    wanted: Interest,
    mut underway: Underway,
    stop: CancellationToken,
) {
    let ended = client.ended().clone();
    let mut pause = AGAIN.0;
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return,
            () = ended.cancelled() => return,
            event = underway.next() => event,
        };
        if let Ok(Event::Heard(heard)) = event {
            client.hear(&untagged(heard));
            pause = AGAIN.0;
            continue;
        }
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = ended.cancelled() => return,
                () = sleep(pause) => {}
            }
            pause = (pause * 2).min(AGAIN.1);
            if let Ok((anew, _)) = open(&client, &line, &wanted).await {
                underway = anew;
                break;
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
            SUBSCRIPTION_KEY => mcp::edit::Change::Remove,
            _ => mcp::edit::Change::Keep,
        },
        [],
    );
    match edits.apply() {
        Ok(changed) => heard.with_bytes(changed.into()),
        Err(_) => heard,
    }
}
