//! Messages that have no answer: notifications, and clients' answers to what servers ask.
//!
//! They are passed on where they mean something, as filters leave them, and are on record only where one refuses.

use http::{Response, StatusCode};
use mcp::envelope::{self, Kind, Limits};
use mcp::error::RpcError;
use mcp::method;

use super::halt::{Ended, Halt};
use super::pinned::Tool;
use super::reply::collect;
use super::{Incall, accepted};
use crate::answer;
use crate::body::ReplyBody;
use crate::call::Call;
use crate::deliver::messages::is_json;
use crate::deliver::{Hop, Reply};
use crate::refusal::Fault;
use crate::stage::filter::Rejected;
use crate::stage::record::Recording;

/// What a legacy client may tell a server without being asked.
const PASSED_ON: [&str; 4] = [
    method::INITIALIZED,
    method::CANCELLED,
    method::PROGRESS,
    method::ROOTS_LIST_CHANGED,
];

/// Longest refusal of a client's answer that is passed on.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

impl<H: Hop> Incall<'_, H> {
    /// A notification is no call: it is passed on where it means something, and is not on record.
    pub(super) async fn notification(
        &self,
        call: &Call<'_>,
        slot: &mut Option<Recording>,
    ) -> Ended<Response<ReplyBody>> {
        if !call.method().starts_with(method::NOTIFICATION_PREFIX) {
            // Without an id nobody would be told whether it was allowed.
            let error =
                RpcError::invalid_request("a request must have an id: a string or an integer");
            return Err(Halt::invalid(&error, None));
        }
        if let Some(recording) = slot.take() {
            recording.forget();
        }
        if PASSED_ON.contains(&call.method()) && !call.is_modern() {
            // A notification is taken as far as it goes: there is no answer that could say more.
            match self.pass_on(call, slot).await {
                Ok(Ok(_)) => {}
                Ok(Err(fault)) => {
                    tracing::debug!(reason = %fault.reason, "a notification was not delivered");
                }
                Err(_) => tracing::debug!("a filter keeps a notification back"),
            }
        }
        Ok(accepted())
    }

    /// A legacy client's answer to a request of the server's: it goes where its session leads.
    pub(super) async fn response(
        &self,
        call: &Call<'_>,
        slot: &mut Option<Recording>,
    ) -> Ended<Response<ReplyBody>> {
        if !call.is_modern() && call.session.is_some() {
            let passed = self.pass_on(call, slot).await?;
            if let Ok(reply) = passed {
                // Where it was refused, it is on record at the hop that did.
                if let Some(recording) = slot.take() {
                    recording.forget();
                }
                return Ok(said_of(reply, call.message.raw_id()).await);
            }
        }
        let error = RpcError::invalid_request("no request of ours awaits this response");
        Err(Halt::invalid(&error, None))
    }

    /// Delivers what has no answer, as filters leave it; ends early where one refuses.
    async fn pass_on(
        &self,
        call: &Call<'_>,
        slot: &mut Option<Recording>,
    ) -> Ended<Result<Reply, Fault>> {
        let way = match self.shared.hop.way(call).await {
            Ok(way) => way,
            Err(fault) => return Ok(Err(fault)),
        };
        // A call of a tool has an answer, so this is none.
        let mut none = Tool::default();
        let filtered = self.filter_request(call, &way, slot, &mut none).await;
        let body = match filtered {
            Ok(Some(body)) => body,
            Ok(None) => return Ok(self.shared.hop.deliver(call, &way).await),
            Err(rejected) => {
                self.refuse(call, &way, &rejected).await;
                return Err(Halt::rejected(&rejected, None));
            }
        };
        let message = envelope::scan(&body, &Limits::REQUEST)
            .map_err(|fault| Halt::invalid(&RpcError::from(&fault), None))?;
        let changed = Call {
            body: &body,
            message: &message,
            came: Some(call.body),
            ..*call
        };
        Ok(self.shared.hop.deliver(&changed, &way).await)
    }

    /// A client's answer that does not go is an error to whoever asked, and waits.
    async fn refuse(&self, call: &Call<'_>, way: &H::Way, rejected: &Rejected) {
        if call.message.kind != Kind::Response {
            return;
        }
        let body = rejected.body(call.message.raw_id());
        let Ok(message) = envelope::scan(&body, &Limits::REQUEST) else {
            return;
        };
        let refusal = Call {
            body: &body,
            message: &message,
            ..*call
        };
        if let Err(fault) = self.shared.hop.deliver(&refusal, way).await {
            tracing::debug!(reason = %fault.reason, "a server was not told that an answer is refused");
        }
    }
}

/// What the client hears of its answer: that it was taken, or what the next hop says in its place.
async fn said_of(reply: Reply, id: Option<&[u8]>) -> Response<ReplyBody> {
    let Reply::Forwarded(forwarded) = reply else {
        return accepted();
    };
    let (parts, body) = forwarded.response.into_parts();
    if parts.status != StatusCode::OK || !is_json(&parts.headers) {
        return accepted();
    }
    match collect(body, REFUSAL_BYTES_MAX, |_| true).await {
        Ok(refusal) => answer::json(parts.status, refusal),
        // It says something, and that is not known: not that all is well.
        Err(_) => {
            let fault = Fault::unavailable("what the next hop says of the answer cannot be read");
            answer::fault(&fault, id)
        }
    }
}
