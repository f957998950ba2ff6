//! One call as a client makes it: the session where it needs one, the request, the reply judged.

use std::time::Instant;

use serde_json::Value;

use super::{Call, DEADLINE, Era, Lane, Outcome, Shared, Way};
use crate::http::{Lost, Request, Response};
use crate::rpc::{Session, id_of};

/// Makes call number `index`.
pub(super) async fn call(shared: &Shared, index: usize) -> Call {
    let (lane, step) = shared.step(index);
    let way = lane.way(step);
    let mut call = Call::at_once(lane.target.server.clone(), Outcome::Late);
    call.era = match way {
        Way::Modern => Era::Modern,
        Way::Session(_) => Era::Legacy,
        Way::NewSession => Era::LegacyNew,
    };
    let made = tokio::time::timeout(DEADLINE, make(shared, lane, &way, step, &mut call)).await;
    // Late says it all.
    call.outcome = made.unwrap_or(Outcome::Late);
    call.ended = Instant::now();
    call
}

async fn make(
    shared: &Shared,
    lane: &Lane,
    way: &Way<'_>,
    step: usize,
    call: &mut Call,
) -> Outcome {
    let begun;
    let session = match way {
        Way::Modern => None,
        Way::Session(session) => Some(*session),
        Way::NewSession => match begin(shared, lane, call).await {
            Ok(session) => {
                begun = session;
                Some(&begun)
            }
            Err(outcome) => return outcome,
        },
    };
    let (tool, arguments, expected) = lane.target.words(step);
    let request = lane.request(session, tool, arguments);
    call.id = id_of(&request);
    match send(shared, &request, call).await {
        Ok(response) => judge(&response, &call.id, &expected),
        Err(outcome) => outcome,
    }
}

/// Begins a session. The call has no id yet: where this fails, it was never sent.
async fn begin(shared: &Shared, lane: &Lane, call: &mut Call) -> Result<Session, Outcome> {
    let url = format!("{}/mcp/{}", shared.base, lane.target.server);
    let response = send(shared, &Session::beginning(&url, &shared.key), call).await?;
    let session = Session::granted(&url, &shared.key, &response);
    let Some(session) = session else {
        return Err(refusal(&response).unwrap_or_else(|| wrong("initialize", &response)));
    };
    let taken = send(shared, &session.initialized(), call).await?;
    if taken.status == 202 {
        Ok(session)
    } else {
        Err(wrong("notifications/initialized", &taken))
    }
}

async fn send(shared: &Shared, request: &Request, call: &mut Call) -> Result<Response, Outcome> {
    match shared.pool.send(request).await {
        Ok((response, port)) => {
            call.edge = shared.routes.edge_of(port);
            Ok(response)
        }
        Err(Lost { sent, port, why }) => {
            call.edge = port.and_then(|port| shared.routes.edge_of(port));
            let how = if sent { "sent" } else { "not sent" };
            Err(Outcome::Broken(format!("{how}: {why}")))
        }
    }
}

/// What a reply is worth.
fn judge(response: &Response, id: &str, expected: &str) -> Outcome {
    let messages = response.try_messages().unwrap_or_default();
    let Some(last) = messages.last() else {
        return wrong("a call", response);
    };
    if last["id"] == id && last["result"]["content"][0]["text"] == expected {
        return Outcome::Answered;
    }
    let is_ours = last["id"] == id || last["id"].is_null();
    let refusal = refusal(response).filter(|_| is_ours);
    refusal.unwrap_or_else(|| wrong("a call", response))
}

fn refusal(response: &Response) -> Option<Outcome> {
    let messages = response.try_messages().ok()?;
    let error = &messages.last()?["error"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (reason, message) = (text(&error["data"]["reason"]), text(&error["message"]));
    Some(Outcome::Refused(error["code"].as_i64()?, reason, message))
}

fn wrong(what: &str, response: &Response) -> Outcome {
    let shown: String = response.to_string().chars().take(600).collect();
    Outcome::Wrong(format!("{what} was answered with {shown}"))
}
