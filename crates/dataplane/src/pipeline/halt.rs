//! A call that ends early: what the client hears, and what goes on record, kept together.

use bytes::Bytes;
use engine::pins::Why;
use http::Response;
use mcp::envelope::{self, Envelope, Limits};
use mcp::error::{RefusedBy, RpcError, code};
use model::decision::{Decision, Reason};

use crate::answer;
use crate::body::ReplyBody;
use crate::call::Call;
use crate::refusal::{Fault, Refused};
use crate::stage::authorize::Denied;
use crate::stage::filter::Rejected;
use crate::stage::limit::Limited;
use crate::stage::record::{Recording, Unrecorded};

/// Longest piece of somebody else's words that is repeated, characters.
const NAME_CHARS_MAX: usize = 200;

/// The way goes on, or the call ends here.
pub(super) type Ended<T> = Result<T, Box<Halt>>;

/// Why a call ends here.
pub(super) struct Halt {
    response: Response<ReplyBody>,
    decision: Decision,
    reason: Reason,
    error_code: i64,
    /// The request's id, raw, for an answer that has to take this one's place.
    id: Option<Box<[u8]>>,
}

/// Reads a request; what is not valid ends it.
pub(super) fn scanned(body: &Bytes) -> Ended<Envelope<'_>> {
    envelope::scan(body, &Limits::REQUEST)
        .map_err(|fault| Halt::invalid(&RpcError::from(&fault), fault.id()))
}

impl Halt {
    fn new(
        response: Response<ReplyBody>,
        (decision, reason): (Decision, Reason),
        error_code: i64,
        id: Option<&[u8]>,
    ) -> Box<Self> {
        Box::new(Self {
            response,
            decision,
            reason,
            error_code,
            id: id.map(Into::into),
        })
    }

    fn rpc(error: &RpcError, id: Option<&[u8]>, verdict: (Decision, Reason)) -> Box<Self> {
        Self::new(answer::rpc(error, id), verdict, error.code, id)
    }

    /// The message is not valid.
    pub(super) fn invalid(error: &RpcError, id: Option<&[u8]>) -> Box<Self> {
        Self::rpc(error, id, (Decision::Error, Reason::Invalid))
    }

    /// The request is turned away before its message is read.
    pub(super) fn refused(refused: &Refused) -> Box<Self> {
        let reason = refused.reason.unwrap_or(Reason::Invalid);
        let decision = if reason == Reason::NoRule {
            Decision::Deny
        } else {
            Decision::Error
        };
        Self::new(answer::refused(refused), (decision, reason), 0, None)
    }

    /// The call could not be delivered.
    pub(super) fn fault(fault: &Fault, id: Option<&[u8]>) -> Box<Self> {
        let verdict = (Decision::Error, fault.reason);
        let code = answer::rpc_of(fault).code;
        Self::new(answer::fault(fault, id), verdict, code, id)
    }

    /// A rule says no.
    pub(super) fn denied(denied: &Denied, id: Option<&[u8]>) -> Box<Self> {
        Self::rpc(&denied.error, id, (Decision::Deny, denied.reason))
    }

    /// A filter says no.
    pub(super) fn rejected(rejected: &Rejected, id: Option<&[u8]>) -> Box<Self> {
        Self::rpc(&rejected.error, id, (Decision::Deny, rejected.reason))
    }

    /// A limit says no.
    pub(super) fn limited(limited: &Limited, id: Option<&[u8]>) -> Box<Self> {
        let verdict = (Decision::Deny, Reason::Limit);
        Self::new(answer::limited(limited, id), verdict, code::REFUSED, id)
    }

    /// A tool's definition is not the one that was approved.
    pub(super) fn held(
        call: &Call<'_>,
        (tool, why, detail): (&str, Why, Option<&str>),
        id: Option<&[u8]>,
    ) -> Box<Self> {
        let server = call.server;
        let tool: String = tool.chars().take(NAME_CHARS_MAX).collect();
        let detail: String = detail
            .unwrap_or_default()
            .chars()
            .take(NAME_CHARS_MAX)
            .collect();
        let what = match why {
            Why::New => "is new, and nobody has accepted it yet".to_owned(),
            Why::Changed => "is not defined any more as it was approved".to_owned(),
            Why::Poisoned => format!("has a definition that is quarantined: {detail}"),
            Why::LookAlike => format!("can be taken for {detail:?}, and nobody has accepted it"),
            Why::Unlisted => "is in no list of the server's".to_owned(),
        };
        let message = format!(
            "tool {tool:?} {what}: it is held; whoever runs {server} can see why with `gatehouse server tools {server}`"
        );
        let reason = Reason::ToolChanged;
        let error = RpcError {
            message,
            ..RpcError::refused(reason.as_str(), RefusedBy::Nothing, Decision::Deny.as_str())
        };
        Self::rpc(&error, id, (Decision::Deny, reason))
    }

    /// The record cannot be written.
    pub(super) fn unrecorded(id: Option<&[u8]>) -> Box<Self> {
        let mut fault = Fault::unavailable(Unrecorded.to_string());
        fault.reason = Reason::AuditUnavailable;
        Self::fault(&fault, id)
    }

    /// The answer alone, where there is nothing left to close.
    pub(super) fn into_response(self) -> Response<ReplyBody> {
        self.response
    }

    /// Closes the call's record, and lets the answer go.
    pub(super) fn end(self, recording: Option<Recording>) -> Response<ReplyBody> {
        let Some(mut recording) = recording else {
            return self.response;
        };
        recording.decide(self.decision, Some(self.reason));
        let status = self.response.status().as_u16();
        recording.outcome(status, self.error_code, false);
        match recording.close() {
            Ok(()) => self.response,
            Err(Unrecorded) => Self::unrecorded(self.id.as_deref()).response,
        }
    }
}
