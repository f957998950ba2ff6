//! What only sessions have: a level of log messages, subscriptions to single resources.

use std::sync::Arc;

use dataplane::call::Call;
use dataplane::deliver::Reply;
use dataplane::refusal::Fault;
use mcp::error::RpcError;
use mcp::method::{self, Target};
use mcp::revision::Era;
use mcp::walk;
use serde_json::json;

use super::{fault, whole};
use crate::bridge::{self, Way};
use crate::client::Client;
use crate::talk::line::Line;
use crate::talk::{self, Setting, attend};
use crate::upstream::Error;
use crate::upstream::feed::{Ear, Interest, Listener};
use crate::upstream::level::Level;
use crate::upstream::link::Link;
use crate::upstream::running::Target as Upstream;

/// Does what a legacy client wants of its session.
pub(super) async fn of_session(
    call: &Call<'_>,
    setting: &Setting<'_>,
    way: Way,
) -> Result<Reply, Fault> {
    let own = setting.ready.is_own();
    bridge::cross(call, &setting.side())?;
    let client = setting.client.ok_or_else(Fault::session_ended)?;
    if call.method() == method::LOGGING_SET_LEVEL {
        let level = level(call)?;
        client.set_level(level.name());
        return match way {
            Way::LegacyOnModern => Ok(whole(call, b"{}", None)),
            _ => talk::talk(call, setting).await,
        };
    }
    let uri = call.target().unwrap_or_default().to_owned();
    let subscribes = call.method() == method::RESOURCES_SUBSCRIBE;
    match way {
        Way::LegacyOnModern => of_modern(call, setting, (client, &uri, subscribes)).await,
        _ if own => of_own(call, setting, (client, &uri, subscribes)).await,
        _ => of_shared(call, setting, (client, &uri, subscribes)).await,
    }
}

fn level(call: &Call<'_>) -> Result<Level, Fault> {
    let level = call.message.params;
    let level = level.and_then(|params| walk::find(call.body, params, "level"));
    let name = level.and_then(|level| walk::text(level.of(call.body)));
    name.as_deref().and_then(Level::of).ok_or_else(|| {
        let error = RpcError::invalid_params("params.level is not a level of log messages");
        Fault::invalid(RpcError {
            http_status: 200,
            ..error
        })
    })
}

type Wish<'a> = (&'a Arc<Client>, &'a str, bool);

fn note((client, uri, subscribes): Wish<'_>) -> Result<bool, Fault> {
    if !subscribes {
        return Ok(client.unsubscribe(uri));
    }
    let is_new = !client.hears_of(uri);
    if client.subscribe(uri) {
        return Ok(is_new);
    }
    Err(Fault::overloaded("the session has too many subscriptions"))
}

/// In a session of its own, the server is asked, and what is wanted is kept for a process that takes its place.
async fn of_own(call: &Call<'_>, setting: &Setting<'_>, wish: Wish<'_>) -> Result<Reply, Fault> {
    note(wish)?;
    let reply = talk::talk(call, setting).await;
    let (client, uri, subscribes) = wish;
    // Where more than the answer comes, it is still to come, and most likely good.
    let is_refused = match &reply {
        Ok(Reply::Whole(message)) => message.error_code != 0,
        Ok(_) => false,
        Err(_) => true,
    };
    if subscribes && is_refused {
        client.unsubscribe(uri);
    }
    reply
}

/// Where all share a session, the server hears of the first and of the last subscription.
async fn of_shared(call: &Call<'_>, setting: &Setting<'_>, wish: Wish<'_>) -> Result<Reply, Fault> {
    let Upstream::Process(link) = &setting.ready.target else {
        return Err(Fault::invalid(RpcError::internal()));
    };
    let (_, uri, subscribes) = wish;
    if !setting.ready.greeting.offers_in("resources", "subscribe") {
        let error = RpcError::method_not_found(call.method(), Era::Legacy);
        return Err(Fault::invalid(error));
    }
    note(wish)?;
    let (client, ..) = wish;
    if subscribes {
        let heard = hear_of(client, link, uri).await;
        if let Err(error) = heard {
            client.unsubscribe(uri);
            tracing::debug!(%error, uri, "a subscription was not taken");
            let error = RpcError::unknown_target(Target::Resource, uri, Era::Legacy);
            return Err(Fault::invalid(error));
        }
    } else {
        client.drop_interest(uri);
    }
    Ok(whole(call, b"{}", None))
}

/// Has a client hear of a resource by a process that all share.
///
/// # Errors
/// The server does not tell of it.
pub(super) async fn hear_of(client: &Arc<Client>, link: &Link, uri: &str) -> Result<(), Error> {
    if client.is_interested(uri, link) {
        return Ok(());
    }
    let listener: Arc<dyn Listener> = client.clone();
    link.feed().add(Arc::downgrade(&listener));
    let (interest, is_first) = Interest::of(Ear::Link(link.clone()), uri);
    if is_first {
        let line = Line::Process(link.clone(), None);
        let params = json!({ "uri": uri });
        line.order(method::RESOURCES_SUBSCRIBE, &params).await?;
    }
    client.keep_interest(uri, interest);
    Ok(())
}

/// A modern server is listened to anew.
async fn of_modern(call: &Call<'_>, setting: &Setting<'_>, wish: Wish<'_>) -> Result<Reply, Fault> {
    let (client, uri, subscribes) = wish;
    if !setting.ready.greeting.offers_in("resources", "subscribe") {
        let error = RpcError::method_not_found(call.method(), Era::Legacy);
        return Err(Fault::invalid(error));
    }
    if note(wish)? {
        let line = line_of(client, setting.ready).await?;
        let wants = subscribes.then_some(uri);
        if let Err(fault) =
            attend::attend(client, line, (setting.ready, wants), setting.drain).await
        {
            if subscribes {
                client.unsubscribe(uri);
            }
            return Err(fault);
        }
    }
    Ok(whole(call, b"{}", None))
}

/// A line to the server for a client that only listens.
///
/// # Errors
/// A process of its own cannot be started.
pub(super) async fn line_of(
    client: &Arc<Client>,
    ready: &crate::upstream::session::Ready,
) -> Result<Line, Fault> {
    match (&ready.target, &ready.seats) {
        (Upstream::Http(server), _) => Ok(Line::Http(server.clone(), client.who.clone())),
        (_, Some(seats)) => {
            let lease = seats.lease(&client.who, false).await.map_err(fault)?;
            Line::of_client(client, lease).await.map_err(fault)
        }
        (Upstream::Process(link), None) => Ok(Line::Process(link.clone(), None)),
    }
}
