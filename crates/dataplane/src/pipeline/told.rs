//! Messages that have no answer: notifications, and clients' answers to what servers ask.
//!
//! They are passed on where they mean something, as filters leave them, and are on record only where one refuses.

use http::Response;
use mcp::envelope::{self, Limits};
use mcp::error::RpcError;
use mcp::method;
use model::decision::Reason;
use model::filter::Direction;

use super::halt::{Ended, Halt};
use super::{Incall, accepted};
use crate::body::ReplyBody;
use crate::call::Call;
use crate::deliver::Hop;
use crate::refusal::Fault;
use crate::stage::filter::{Rejected, Screen};
use crate::stage::record::Recording;

/// What a legacy client may tell a server without being asked.
const PASSED_ON: [&str; 4] = [
    method::INITIALIZED,
    method::CANCELLED,
    method::PROGRESS,
    method::ROOTS_LIST_CHANGED,
];

/// Why a message without an answer was not delivered.
enum Lost {
    Fault(Fault),
    Rejected(Rejected),
}

impl Lost {
    fn reason(&self) -> Reason {
        match self {
            Self::Fault(fault) => fault.reason,
            Self::Rejected(rejected) => rejected.reason,
        }
    }
}

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
            if let Err(lost) = self.pass_on(call).await {
                tracing::debug!(reason = %lost.reason(), "a notification was not delivered");
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
            match self.pass_on(call).await {
                Ok(()) => {
                    if let Some(recording) = slot.take() {
                        recording.forget();
                    }
                    return Ok(accepted());
                }
                Err(Lost::Rejected(rejected)) => return Err(Halt::rejected(&rejected, None)),
                Err(Lost::Fault(_)) => {}
            }
        }
        let error = RpcError::invalid_request("no request of ours awaits this response");
        Err(Halt::invalid(&error, None))
    }

    /// Delivers what has no answer, as filters leave it.
    async fn pass_on(&self, call: &Call<'_>) -> Result<(), Lost> {
        let way = self.shared.hop.way(call).await.map_err(Lost::Fault)?;
        let screen = H::is_last(&way)
            .then(|| Screen::of(call, Direction::Request, &self.shared.webhooks))
            .flatten();
        let passed = match screen {
            Some(screen) => screen.show(call.body.clone()).await,
            None => return self.tell(call, &way).await,
        };
        let passed = passed.map_err(Lost::Rejected)?;
        let message = envelope::scan(&passed.message, &Limits::REQUEST);
        let message =
            message.map_err(|error| Lost::Fault(Fault::invalid(RpcError::from(&error))))?;
        let shown = Call {
            body: &passed.message,
            message: &message,
            changed: passed.changed,
            ..*call
        };
        self.tell(&shown, &way).await
    }

    async fn tell(&self, call: &Call<'_>, way: &H::Way) -> Result<(), Lost> {
        let delivered = self.shared.hop.deliver(call, way).await;
        delivered.map(drop).map_err(Lost::Fault)
    }
}
