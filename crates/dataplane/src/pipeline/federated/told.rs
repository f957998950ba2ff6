//! Messages to a virtual server that have no answer: a client's answer goes to the member that asked, what it tells goes
//! to all.

use std::borrow::Cow;

use bytes::Bytes;
use engine::federation::Federation;
use futures_util::future::join_all;
use http::Response;
use mcp::edit::Edits;
use mcp::error::RpcError;
use mcp::federate::asked_by;
use mcp::method;
use mcp::walk;
use tokio::time::timeout;

use super::super::halt::{Ended, Halt, scanned};
use super::super::{Incall, accepted};
use crate::body::ReplyBody;
use crate::call::Call;
use crate::deliver::Hop;
use crate::stage::record::Recording;

/// What means something to members whose session it may have begun. That the client is ready is said to each of them by
/// its sidecar, when it begins the session there.
const TOLD_TO_ALL: [&str; 3] = [
    method::CANCELLED,
    method::PROGRESS,
    method::ROOTS_LIST_CHANGED,
];

impl<H: Hop> Incall<'_, H> {
    /// A notification of the client's.
    pub(super) async fn tell_members(
        &self,
        federation: &Federation,
        call: &Call<'_>,
        slot: &mut Option<Recording>,
    ) -> Ended<Response<ReplyBody>> {
        if call.is_modern() || !call.method().starts_with(method::NOTIFICATION_PREFIX) {
            // Refused as anywhere else, or accepted.
            return self.notification(call, slot).await;
        }
        if let Some(recording) = slot.take() {
            recording.forget();
        }
        if !TOLD_TO_ALL.contains(&call.method()) {
            return Ok(accepted());
        }
        let told = self.usable(federation).map(|at| {
            let server = &federation.members()[at].server;
            Box::pin(async move {
                let member = Call { server, ..*call };
                let mut nothing = None;
                let told = self.notification(&member, &mut nothing);
                if timeout(self.time_of(server), told).await.is_err() {
                    tracing::debug!(%server, "a member was not told in time");
                }
            })
        });
        join_all(told).await;
        Ok(accepted())
    }

    /// A client's answer to what a member asked: its id says whom.
    pub(super) async fn answer_member(
        &self,
        federation: &Federation,
        call: &Call<'_>,
        slot: &mut Option<Recording>,
    ) -> Ended<Response<ReplyBody>> {
        let unknown = || {
            let error = RpcError::invalid_request("no request of ours awaits this response");
            Halt::invalid(&error, None)
        };
        let id = call.message.id.as_ref().ok_or_else(unknown)?;
        let text = walk::text(id.raw).map(Cow::into_owned);
        let text = text.ok_or_else(unknown)?;
        let (server, raw) = asked_by(&text).ok_or_else(unknown)?;
        let at = federation.member(server).ok_or_else(unknown)?;
        let server = &federation.members()[at].server;
        if !self.may_use(server) {
            return Err(unknown());
        }
        let mut edits = Edits::new(call.body);
        edits.replace(id.span, raw.as_bytes());
        let body: Bytes = edits.apply().map_err(|_| unknown())?.into();
        let message = scanned(&body)?;
        if let Some(recording) = slot {
            recording.move_to(server, self.shared.meter.of(Some(server)));
        }
        let member = Call {
            server,
            body: &body,
            message: &message,
            ..*call
        };
        self.response(&member, slot).await
    }
}
